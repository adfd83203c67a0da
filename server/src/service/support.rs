//! Rules that need the model to be judged: what it cannot do is refused by name, never passed over.
//! Fields the contract lets a server ignore, and fields nobody knows: ignored, and said so.

use qwenda_backend::{ModelCard, Thinking};
use qwenda_types::{
    chat::ChatRequest,
    error::{Code, Invalid},
};
use serde_json::{Map, Value};

use super::models::Named;

/// Refuses what this model cannot do, takes out what is asked of it only because of the name it stands
/// in for, and returns the names of the fields that change nothing.
pub(crate) fn settle(request: &mut ChatRequest, named: &Named) -> Result<Vec<String>, Invalid> {
    if named.card.abilities.forwards {
        return Ok(Vec::new());
    }
    let mut ignored = thinking(request, named)?;
    if !named.card.abilities.media {
        media(request)?;
    }
    for rule in UNSUPPORTED {
        if let Some(value) = request.rest.get(rule.field)
            && !(rule.is_off)(value)
            && !(rule.can)(&named.card)
        {
            return Err(Invalid::parameter(rule.field, rule.message));
        }
    }
    ignored.extend(without_effect(&request.rest));
    Ok(ignored)
}

/// Whether this request's answers begin with reasoning.
pub(crate) fn thinks(request: &ChatRequest, card: &ModelCard) -> bool {
    match card.thinking {
        Thinking::Never => false,
        Thinking::Optional { default } => request.thinking().unwrap_or(default),
        Thinking::Always => true,
    }
}

/// Whether the contract lets answers under this name begin with reasoning: what stands in for one of
/// the cloud's models is held to that model's rules.
pub(crate) fn thinks_by_name(request: &ChatRequest, named: &Named) -> bool {
    match named.cloud_chat().map(|cloud| cloud.thinking) {
        None => thinks(request, &named.card),
        Some(Thinking::Never) => false,
        Some(Thinking::Optional { default }) => request.thinking().unwrap_or(default),
        Some(Thinking::Always) => true,
    }
}

/// Names of fields that change nothing, in the order they were written.
pub(crate) fn without_effect(rest: &Map<String, Value>) -> impl Iterator<Item = String> {
    let known = |name: &str| UNSUPPORTED.iter().any(|rule| rule.field == name);
    // A null asks for nothing.
    rest.iter().filter(move |(name, value)| !value.is_null() && !known(name)).map(|(name, _)| name.clone())
}

struct Rule {
    field: &'static str,
    /// Whether the value asks for nothing.
    is_off: fn(&Value) -> bool,
    /// Whether such a model can do it.
    can: fn(&ModelCard) -> bool,
    message: &'static str,
}

const fn rule(
    field: &'static str,
    is_off: fn(&Value) -> bool,
    can: fn(&ModelCard) -> bool,
    message: &'static str,
) -> Rule {
    Rule { field, is_off, can, message }
}

static UNSUPPORTED: &[Rule] = &[
    rule("enable_search", off, |card| card.abilities.search, "This model does not support enable_search."),
    rule("enable_code_interpreter", off, never, "This model does not support enable_code_interpreter."),
    rule(
        "enable_text_image_mixed",
        off,
        |card| card.abilities.search,
        "This model does not support enable_text_image_mixed.",
    ),
    rule(
        "vl_high_resolution_images",
        off,
        |card| card.abilities.media,
        "This model does not support vl_high_resolution_images.",
    ),
    rule(
        "vl_enable_image_hw_output",
        off,
        |card| card.abilities.media,
        "This model does not support vl_enable_image_hw_output.",
    ),
    rule(
        "preserve_thinking",
        off,
        |card| card.thinking != Thinking::Never,
        "This model does not support preserve_thinking.",
    ),
    rule("clear_thinking", off, never, "This model does not support clear_thinking."),
    rule("translation_options", Value::is_null, never, "This model does not support translation_options."),
    rule("skill", Value::is_null, never, "This model does not support skill."),
    rule(
        "modalities",
        only_text,
        |card| card.abilities.media,
        "This model does not support modalities other than [\"text\"].",
    ),
    rule("audio", Value::is_null, |card| card.abilities.media, "This model does not support audio."),
    rule("functions", empty, never, "The tool call is not supported. - 'functions'; write them as tools"),
    rule(
        "function_call",
        |value| value.is_null() || value == "auto" || value == "none",
        never,
        "The tool call is not supported. - 'function_call'; write it as tool_choice",
    ),
];

fn off(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn only_text(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(|list| list.iter().all(|modality| modality == "text"))
}

fn never(_: &ModelCard) -> bool {
    false
}

fn thinking(request: &mut ChatRequest, named: &Named) -> Result<Vec<String>, Invalid> {
    let asked = request.thinking();
    match named.card.thinking {
        Thinking::Always if asked == Some(false) => {
            let message = "The value of the enable_thinking parameter is restricted to True.";
            Err(Invalid::parameter("enable_thinking", message))
        }
        Thinking::Always | Thinking::Optional { .. } => {
            let most = named.card.context_tokens_max;
            if request.thinking_budget.is_some_and(|budget| budget > most) {
                let message =
                    format!("The thinking_budget parameter must be a positive integer and not greater than {most}");
                return Err(Invalid::parameter("thinking_budget", message));
            }
            Ok(Vec::new())
        }
        // The cloud's model would reason, this one answers at once.
        Thinking::Never if named.cloud_chat().is_some_and(|cloud| cloud.thinking != Thinking::Never) => {
            Ok(unthink(request))
        }
        Thinking::Never => {
            let refuse = |field: &str| Err(Invalid::parameter(field, format!("This model does not support {field}.")));
            if asked == Some(true) {
                let message = format!("The model {} does not support enable_thinking.", named.asked);
                return Err(Invalid::of(Code::NotSupportEnableThinking, "enable_thinking", message));
            }
            if request.thinking_budget.is_some() {
                return refuse("thinking_budget");
            }
            match request.reasoning_effort.as_deref() {
                None | Some("none") => Ok(Vec::new()),
                Some(_) => refuse("reasoning_effort"),
            }
        }
    }
}

/// Takes every wish for reasoning out and returns the names of those that there were.
fn unthink(request: &mut ChatRequest) -> Vec<String> {
    let mut ignored = Vec::new();
    let mut note = |name: &str, asked: bool| {
        if asked {
            ignored.push(name.to_owned());
        }
    };
    note("enable_thinking", request.enable_thinking.take() == Some(true));
    note("thinking_budget", request.thinking_budget.take().is_some());
    note("reasoning_effort", request.reasoning_effort.take().is_some_and(|effort| effort != "none"));
    let preserve = request.rest.shift_remove("preserve_thinking");
    note("preserve_thinking", preserve.is_some_and(|value| !off(&value)));
    ignored
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
