//! Fields of the contract that nothing here can honour yet: refused by name, never passed over.
//! Fields the contract lets a server ignore, and fields nobody knows: ignored, and said so.

use qwenda_backend::ModelCard;
use qwenda_types::{
    chat::ChatRequest,
    error::{ApiError, Code, Invalid},
};
use serde_json::Value;

/// Refuses what this model, or this version, cannot do.
pub(crate) fn check(request: &ChatRequest, card: &ModelCard) -> Result<(), ApiError> {
    tools(request)?;
    response_format(request)?;
    thinking(request, card)?;
    media(request)?;
    for rule in UNSUPPORTED {
        if let Some(value) = request.rest.get(rule.field)
            && !(rule.is_off)(value)
        {
            return Err(Invalid::parameter(rule.field, rule.message).into());
        }
    }
    Ok(())
}

/// Names of the fields that change nothing, in the order they were written.
pub(crate) fn ignored_fields(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let known = |name: &str| UNSUPPORTED.iter().any(|rule| rule.field == name);
    request.rest.keys().map(String::as_str).filter(move |name| !known(name))
}

struct Rule {
    field: &'static str,
    /// Whether the value asks for nothing.
    is_off: fn(&Value) -> bool,
    message: &'static str,
}

static UNSUPPORTED: &[Rule] = &[
    Rule { field: "enable_search", is_off: off, message: "This model does not support enable_search." },
    Rule {
        field: "enable_code_interpreter",
        is_off: off,
        message: "This model does not support enable_code_interpreter.",
    },
    Rule {
        field: "enable_text_image_mixed",
        is_off: off,
        message: "This model does not support enable_text_image_mixed.",
    },
    Rule {
        field: "vl_high_resolution_images",
        is_off: off,
        message: "This model does not support vl_high_resolution_images.",
    },
    Rule { field: "preserve_thinking", is_off: off, message: "This model does not support preserve_thinking." },
    Rule { field: "clear_thinking", is_off: off, message: "This model does not support clear_thinking." },
    Rule { field: "thinking_budget", is_off: Value::is_null, message: "This model does not support thinking_budget." },
    Rule {
        field: "reasoning_effort",
        is_off: |value| value.is_null() || value == "none",
        message: "This model does not support reasoning_effort.",
    },
    Rule {
        field: "translation_options",
        is_off: Value::is_null,
        message: "This model does not support translation_options.",
    },
    Rule { field: "skill", is_off: Value::is_null, message: "This model does not support skill." },
    Rule {
        field: "modalities",
        is_off: |value| value.is_null() || value.as_array().is_some_and(|list| list.iter().all(|m| m == "text")),
        message: "This model does not support modalities other than [\"text\"].",
    },
    Rule { field: "audio", is_off: Value::is_null, message: "This model does not support audio." },
    Rule {
        field: "functions",
        is_off: |value| value.is_null() || value.as_array().is_some_and(Vec::is_empty),
        message: "The tool call is not supported. - 'functions'",
    },
    Rule {
        field: "function_call",
        is_off: |value| value.is_null() || value == "auto" || value == "none",
        message: "The tool call is not supported. - 'function_call'",
    },
];

fn off(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
}

fn tools(request: &ChatRequest) -> Result<(), Invalid> {
    match &request.tool_choice {
        None => {}
        Some(Value::String(choice)) if choice == "auto" || choice == "none" => {}
        Some(Value::String(_)) => {
            return Err(Invalid::parameter(
                "tool_choice",
                "tool_choice is one of the strings that should be [\"none\", \"auto\"]",
            ));
        }
        Some(_) => {
            return Err(Invalid::parameter("tool_choice", "The tool call is not supported. - 'tool_choice'"));
        }
    }
    if request.tools.is_empty() {
        return Ok(());
    }
    Err(Invalid::parameter("tools", "The tool call is not supported. - 'tools'"))
}

fn response_format(request: &ChatRequest) -> Result<(), Invalid> {
    let Some(format) = &request.response_format else { return Ok(()) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(()),
        Some(kind @ ("json_object" | "json_schema")) => Err(Invalid::parameter(
            "response_format",
            format!("This model does not support response_format of type '{kind}'."),
        )),
        other => Err(Invalid::parameter(
            "response_format",
            format!(
                "Unknown format of response_format, response_format should be a dict, includes 'type' and an \
                 optional key 'json_schema'. The response_format type from user is {}.",
                other.map_or_else(|| "missing".to_owned(), |kind| kind.chars().take(40).collect())
            ),
        )),
    }
}

fn thinking(request: &ChatRequest, card: &ModelCard) -> Result<(), Invalid> {
    if request.enable_thinking == Some(true) && !card.thinking {
        let message = format!("The model {} does not support enable_thinking.", card.id);
        return Err(Invalid::of(Code::NotSupportEnableThinking, "enable_thinking", message));
    }
    Ok(())
}

fn media(request: &ChatRequest) -> Result<(), Invalid> {
    match request.first_media_part() {
        None => Ok(()),
        Some((at, kind)) => {
            let kind: String = kind.chars().take(40).collect();
            let message = format!("Unexpected item type in content. This model reads text only, not '{kind}' - '{at}'");
            Err(Invalid::parameter(at, message))
        }
    }
}
