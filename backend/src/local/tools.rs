//! The tools of a request: what the model is shown of them, what it may call, and the grammar of an
//! answer that must be a call.
//!
//! Calls that must come are written as Hermes does, which every model of the family was taught or
//! is shown by the grammar; what a model writes of itself is read by `parse`, whatever its form.

use std::fmt::Write as _;

use qwenda_engine::Grammar;
use qwenda_types::{
    chat::{ChatRequest, Tool, ToolChoice},
    error::Invalid,
};
use serde_json::{Map, Value, json};

use super::{
    Loaded, format,
    parse::{Callable, Menu},
};
use crate::BackendError;

/// Most calls of one answer.
const CALLS_MAX: u32 = 128;

const CALL_BEGINS: &str = "<tool_call>";
const CALL_ENDS: &str = "</tool_call>";

/// Whether an answer calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// As the model likes.
    Maybe,
    /// One of the offered functions.
    Must,
}

/// What a request lets the model call.
pub(super) struct Offer {
    pub(super) calls: Calls,
    parallel: bool,
    /// With the place of each in the request.
    tools: Vec<(usize, Callable)>,
}

/// What the template is given of the tools: nothing that must not be called.
pub(super) fn shown(request: &ChatRequest) -> Vec<Value> {
    if request.tool_choice == Some(ToolChoice::None) {
        return Vec::new();
    }
    let values = request.tools.iter().map(|tool| {
        let mut tool = tool.clone();
        tool.function.parameters = tool.function.parameters.take().map(as_schema);
        serde_json::to_value(tool).expect("a tool is plain JSON")
    });
    values.collect()
}

impl Offer {
    /// `None` where nothing may be called.
    pub(super) fn of(request: &ChatRequest) -> Option<Self> {
        let choice = request.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto);
        let named = |tool: &Tool| match choice {
            ToolChoice::Auto | ToolChoice::Required => true,
            ToolChoice::None => false,
            ToolChoice::Function(name) => tool.function.name == *name,
        };
        let offered = request.tools.iter().enumerate().filter(|(_, tool)| named(tool));
        let tools: Vec<_> = offered.map(|(i, tool)| (i, callable(tool))).collect();
        let calls = match choice {
            ToolChoice::Auto | ToolChoice::None => Calls::Maybe,
            ToolChoice::Required | ToolChoice::Function(_) => Calls::Must,
        };
        // Who names a function wants it called once.
        let parallel = request.parallel_tool_calls == Some(true) && !matches!(choice, ToolChoice::Function(_));
        (!tools.is_empty()).then_some(Self { calls, parallel, tools })
    }

    /// What the reader of the answer must know.
    pub(super) fn into_menu(self) -> Menu {
        Menu {
            tools: self.tools.into_iter().map(|(_, tool)| tool).collect(),
            calls_max: if self.parallel { CALLS_MAX } else { 1 },
            forced: self.calls == Calls::Must,
        }
    }

    /// The grammar of an answer that is nothing but calls.
    pub(super) fn grammar(&self, model: &Loaded) -> Result<Grammar, BackendError> {
        let odd =
            |(_, tool): &&(usize, Callable)| tool.parameters.as_ref().is_some_and(|schema| !is_of_objects(schema));
        if let Some((i, _)) = self.tools.iter().find(odd) {
            let field = format!("tools[{i}].function.parameters");
            let message = format!("parameters are a schema of an object, with \"type\": \"object\" - '{field}'");
            return Err(Invalid::parameter(field, message).into());
        }
        let lark = format!("start: calls\n{}", self.rules(model));
        model.engine.lark(&lark).map_err(|error| {
            // Alone it is known whose schema is to blame.
            let guilty = self.tools.iter().find_map(|(i, tool)| {
                let error = model.engine.json_schema(&arguments(tool)).err()?;
                Some(format::blame(&format!("tools[{i}].function.parameters"), &error))
            });
            guilty.unwrap_or_else(|| format::blame("tools", &error))
        })
    }

    /// Rules of such a grammar; the first is called `calls`.
    pub(super) fn rules(&self, model: &Loaded) -> String {
        let mut rules =
            if self.parallel { "calls: call (\"\\n\" call)*\ncall: " } else { "calls: call\ncall: " }.to_owned();
        let names: Vec<_> = (0..self.tools.len()).map(|i| format!("call{i}")).collect();
        rules.push_str(&names.join(" | "));
        for (name, (_, tool)) in names.iter().zip(&self.tools) {
            let object = format!("\n{{\"name\": {}, \"arguments\": ", Value::from(tool.name.as_str()));
            write!(
                rules,
                "\n{name}: {} {} {name}_arguments {} {}\n{name}_arguments: %json {}",
                mark(model, CALL_BEGINS),
                quoted(&object),
                quoted("}\n"),
                mark(model, CALL_ENDS),
                arguments(tool)
            )
            .expect("a string takes everything");
        }
        rules
    }
}

/// A tag around calls: one token where the vocabulary has it.
fn mark(model: &Loaded, tag: &str) -> String {
    if model.engine.tokenizer().id(tag).is_some() { tag.to_owned() } else { quoted(tag) }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn callable(tool: &Tool) -> Callable {
    Callable { name: tool.function.name.clone(), parameters: tool.function.parameters.clone().map(as_schema) }
}

/// Parameters as a schema: some old clients list them.
fn as_schema(parameters: Value) -> Value {
    let Value::Array(listed) = parameters else { return parameters };
    let mut properties = Map::new();
    let mut required = Vec::new();
    for one in listed {
        let Value::Object(mut one) = one else { continue };
        let Some(Value::String(name)) = one.remove("name") else { continue };
        if one.remove("required") == Some(true.into()) {
            required.push(Value::from(name.as_str()));
        }
        properties.insert(name, Value::Object(one));
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// The schema that arguments are held to: an object of what the schema names.
fn arguments(tool: &Callable) -> Value {
    let mut schema = tool.parameters.clone().map_or_else(|| json!({"properties": {}}), format::closed);
    if let Value::Object(fields) = &mut schema {
        fields.entry("type").or_insert_with(|| "object".into());
        // How a function without parameters is declared.
        if fields.get("properties").and_then(Value::as_object).is_some_and(Map::is_empty) {
            fields.entry("additionalProperties").or_insert_with(|| false.into());
        }
    }
    schema
}

/// Whether a schema speaks of objects, as that of arguments does.
fn is_of_objects(schema: &Value) -> bool {
    match schema.get("type") {
        None => schema.is_object(),
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    }
}
