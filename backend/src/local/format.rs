//! What an answer is held to while it is written: a form, a call, or either.

use qwenda_engine::{Grammar, GrammarError};
use qwenda_types::{
    chat::{ChatRequest, ResponseFormat},
    error::Invalid,
};
use serde_json::{Value, json};

use super::{
    Loaded,
    tools::{Calls, Offer},
};
use crate::BackendError;

/// The grammar of an answer, if anything is asked of its form.
pub(super) fn grammar(
    model: &Loaded,
    request: &ChatRequest,
    offer: Option<&Offer>,
) -> Result<Option<Grammar>, BackendError> {
    let schema = schema(request);
    match (offer, schema) {
        (Some(offer), _) if offer.calls != Calls::Maybe => offer.grammar(model).map(Some),
        (Some(offer), Some(schema)) => {
            // Alone it is known whose schema is to blame.
            alone(model, request, &schema)?;
            let lark = format!("start: calls | answer\nanswer: %json {schema}\n{}", offer.rules(model));
            let made = model.engine.lark(&lark).map_err(|error| blame("response_format", &error))?;
            Ok(Some(gone_on(model, request, made)))
        }
        (None, Some(schema)) => Ok(Some(gone_on(model, request, alone(model, request, &schema)?))),
        (_, None) => Ok(None),
    }
}

/// Where the caller has begun the answer in its form, that beginning and what follows it are held to the
/// form together. Of another beginning, such as words before the JSON, what follows is held to it.
fn gone_on(model: &Loaded, request: &ChatRequest, grammar: Grammar) -> Grammar {
    let begun = request.messages.last().filter(|_| request.is_partial());
    let begun = begun.map(|message| message.plain_text()).unwrap_or_default();
    // Blanks before JSON are none of its own.
    model.engine.after(&grammar, begun.trim_start()).unwrap_or(grammar)
}

fn alone(model: &Loaded, request: &ChatRequest, schema: &Value) -> Result<Grammar, BackendError> {
    match &request.response_format {
        Some(ResponseFormat::JsonObject) => {
            model.engine.json_object().map_err(|error| blame("response_format", &error))
        }
        _ => {
            let made = model.engine.json_schema(schema);
            made.map_err(|error| blame("response_format.json_schema.schema", &error))
        }
    }
}

/// The schema that the answer must fit.
fn schema(request: &ChatRequest) -> Option<Value> {
    match request.response_format.as_ref()? {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(any_object()),
        ResponseFormat::JsonSchema { json_schema } => Some(json_schema.schema.clone().map_or_else(any_object, closed)),
    }
}

fn any_object() -> Value {
    json!({"type": "object"})
}

/// A schema that cannot be enforced is the caller's to change.
pub(super) fn blame(field: &str, error: &GrammarError) -> BackendError {
    Invalid::parameter(field, format!("{error} - '{field}'")).into()
}

/// So is one that grows beyond all bounds while an answer is held to it.
pub(super) fn too_complex(why: &str) -> BackendError {
    let message = format!(
        "the answer cannot be held any longer to its form, which has become too complex ({why}); make the schema \
         simpler - 'response_format', or the parameters of 'tools'"
    );
    Invalid::parameter("response_format", message).into()
}

/// How deep objects in objects are closed.
const CLOSED_DEPTH: u32 = 16;

/// Keywords that let properties stand elsewhere than in `properties`.
const OPENING: [&str; 9] = [
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "$ref",
    "if",
    "propertyNames",
];

/// The schema without properties that it does not name: a small model that may add any adds many.
/// What fits it fits the schema as it was.
pub(super) fn closed(schema: Value) -> Value {
    close(schema, 0)
}

fn close(mut schema: Value, depth: u32) -> Value {
    let Value::Object(fields) = &mut schema else { return schema };
    if depth >= CLOSED_DEPTH {
        return schema;
    }
    if let Some(items) = fields.get_mut("items") {
        *items = close(items.take(), depth + 1);
    }
    let open = OPENING.iter().any(|keyword| fields.contains_key(*keyword));
    let Some(Value::Object(properties)) = fields.get_mut("properties") else { return schema };
    for property in properties.values_mut() {
        *property = close(property.take(), depth + 1);
    }
    let names: Vec<_> = properties.keys().cloned().collect();
    let required = fields.get("required").and_then(Value::as_array);
    let all_named = required.is_none_or(|required| {
        required.iter().all(|name| name.as_str().is_some_and(|name| names.iter().any(|known| known == name)))
    });
    if !open && all_named && !names.is_empty() {
        fields.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}
