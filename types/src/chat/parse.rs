//! From JSON to a [`ChatRequest`], with the contract's sentence for each wrong shape.

mod tools;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ChatRequest, Content, FunctionCall, Message, Part, Role, Stop, StreamOptions, ToolCall};
use crate::{
    Dialect,
    error::{Code, Invalid},
    fields::{count, flag, float, integer, model, text},
};

const STOP_SHAPE: &str = "The \"stop\" parameter must be of type \"str\", \"list[str]\", \"list[int]\", or \
                          \"list[list[int]]\", and all elements within the list must be of the same type.";

impl ChatRequest {
    /// Reads a request's JSON.
    ///
    /// # Errors
    /// The first field of a wrong shape, or a required field that is missing.
    pub fn from_map(map: Map<String, Value>) -> Result<Self, Invalid> {
        Self::from_fields(map, Dialect::Compat)
    }

    /// Reads the fields of either dialect, once they stand where this one has them.
    pub(crate) fn from_fields(mut map: Map<String, Value>, dialect: Dialect) -> Result<Self, Invalid> {
        let fields = &mut map;
        unpack_extra_body(fields);
        Ok(Self {
            model: model(fields)?,
            messages: messages(fields, dialect)?,
            stream: flag(fields, "stream")?.unwrap_or(false),
            stream_options: stream_options(fields)?,
            temperature: float(fields, "temperature")?,
            top_p: float(fields, "top_p")?,
            top_k: top_k(fields)?,
            min_p: float(fields, "min_p")?,
            presence_penalty: float(fields, "presence_penalty")?,
            frequency_penalty: float(fields, "frequency_penalty")?,
            repetition_penalty: float(fields, "repetition_penalty")?,
            n: count(fields, "n")?,
            seed: seed(fields)?,
            stop: fields.shift_remove("stop").map(stop).transpose()?.flatten(),
            max_tokens: count(fields, "max_tokens")?,
            max_completion_tokens: count(fields, "max_completion_tokens")?,
            logit_bias: logit_bias(fields)?,
            logprobs: flag(fields, "logprobs")?.unwrap_or(false),
            top_logprobs: count(fields, "top_logprobs")?.map(|v| u8::try_from(v).unwrap_or(u8::MAX)),
            tools: tools::tools(fields.shift_remove("tools"))?,
            tool_choice: fields.shift_remove("tool_choice").map(tools::choice).transpose()?.flatten(),
            parallel_tool_calls: flag(fields, "parallel_tool_calls")?,
            response_format: fields.shift_remove("response_format").map(tools::format).transpose()?.flatten(),
            enable_thinking: flag(fields, "enable_thinking")?,
            thinking_budget: count(fields, "thinking_budget")?,
            reasoning_effort: text(fields, "reasoning_effort")?,
            rest: shaped(map)?,
        })
    }
}

/// Whether a value has a shape, and what the shape is called.
type Shape = (fn(&Value) -> bool, &'static str);
const BOOLEAN: Shape = (Value::is_boolean, "Boolean");
const OBJECT: Shape = (Value::is_object, "Object");
const LIST: Shape = (Value::is_array, "List");

/// Fields of the contract that only some models honour: they stay as they are, if they have their shape.
const SHAPES: [(&str, Shape); 12] = [
    ("enable_search", BOOLEAN),
    ("enable_code_interpreter", BOOLEAN),
    ("enable_text_image_mixed", BOOLEAN),
    ("vl_high_resolution_images", BOOLEAN),
    ("vl_enable_image_hw_output", BOOLEAN),
    ("preserve_thinking", BOOLEAN),
    ("clear_thinking", BOOLEAN),
    ("tool_stream", BOOLEAN),
    ("search_options", OBJECT),
    ("translation_options", OBJECT),
    ("audio", OBJECT),
    ("modalities", LIST),
];

fn shaped(rest: Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    for (field, (fits, shape)) in SHAPES {
        if rest.get(field).is_some_and(|value| !value.is_null() && !fits(value)) {
            return Err(Invalid::parameter(field, format!("'{field}' must be {shape}")));
        }
    }
    Ok(rest)
}

/// Python callers name fields that their SDK does not know in `extra_body`, which the SDK unpacks;
/// some other clients send it as it stands. What the request says itself goes first.
pub(crate) fn unpack_extra_body(fields: &mut Map<String, Value>) {
    let Some(Value::Object(_)) = fields.get("extra_body") else { return };
    let Some(Value::Object(extra)) = fields.shift_remove("extra_body") else { return };
    for (name, value) in extra {
        if fields.get(&name).is_none_or(Value::is_null) {
            fields.insert(name, value);
        }
    }
}

fn messages(fields: &mut Map<String, Value>, dialect: Dialect) -> Result<Vec<Message>, Invalid> {
    match fields.shift_remove("messages") {
        None | Some(Value::Null) => {
            Err(Invalid::parameter("messages", "Either \"prompt\" or \"messages\" must exist and cannot both be none"))
        }
        Some(Value::Array(list)) if list.is_empty() => {
            Err(Invalid::parameter("messages", "[] is too short - 'messages'"))
        }
        Some(Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(i, value)| Message::from_value(value, &format!("messages[{i}]"), dialect))
            .collect(),
        Some(_) => Err(Invalid::parameter("messages", "'messages' must be List")),
    }
}

impl Message {
    pub(super) fn from_value(value: Value, at: &str, dialect: Dialect) -> Result<Self, Invalid> {
        let Value::Object(mut map) = value else {
            let message = format!("Input should be a valid dictionary or instance of GPT3Message - '{at}'");
            return Err(Invalid::parameter(at, message));
        };
        let role = role(map.shift_remove("role"), at)?;
        let tool_calls = tool_calls(map.shift_remove("tool_calls"), at, dialect)?;
        let content = content(map.shift_remove("content"), role, at)?;
        // An answer may have had nothing but a call, reasoning, or a refusal.
        let says = |field| map.get(field).is_some_and(|value: &Value| !value.is_null());
        let empty_answer = role == Role::Assistant && ["reasoning_content", "refusal", "audio"].into_iter().any(says);
        if content.is_none() && tool_calls.is_empty() && !empty_answer {
            let message = format!("The content field is a required field. - '{at}.content'");
            return Err(Invalid::parameter(format!("{at}.content"), message));
        }
        if role != Role::Assistant && !tool_calls.is_empty() {
            let message = format!("only assistant messages can have tool_calls - '{at}.tool_calls'");
            return Err(Invalid::parameter(format!("{at}.tool_calls"), message));
        }
        let tool_call_id = string(&mut map, "tool_call_id", at)?;
        if role == Role::Tool && tool_call_id.is_none() && dialect == Dialect::Compat {
            let message = format!("Field required: tool_call_id - '{at}.tool_call_id'");
            return Err(Invalid::parameter(format!("{at}.tool_call_id"), message));
        }
        let partial = match map.shift_remove("partial") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(partial)) => partial,
            Some(_) => {
                let message = format!("'partial' must be Boolean - '{at}.partial'");
                return Err(Invalid::parameter(format!("{at}.partial"), message));
            }
        };
        if partial && role != Role::Assistant {
            let message = format!("partial can only be set on an assistant message - '{at}.partial'");
            return Err(Invalid::parameter(format!("{at}.partial"), message));
        }
        let reasoning_content = string(&mut map, "reasoning_content", at)?;
        Ok(Self { role, content, tool_calls, tool_call_id, reasoning_content, partial, rest: map })
    }
}

fn role(value: Option<Value>, at: &str) -> Result<Role, Invalid> {
    let at = format!("{at}.role");
    let Some(Value::String(role)) = value else {
        let message = format!("The role field is a required field. - '{at}'");
        return Err(Invalid::parameter(at, message));
    };
    let wrong = |why: &str| format!("Role must be in [system, user, assistant, tool], {why} - '{at}'");
    let message = match role.as_str() {
        "system" | "developer" => return Ok(Role::System),
        "user" => return Ok(Role::User),
        "assistant" => return Ok(Role::Assistant),
        "tool" => return Ok(Role::Tool),
        "function" => wrong("not 'function', its older form; send the result as 'tool' with its tool_call_id"),
        other => wrong(&format!("not '{}'", other.chars().take(40).collect::<String>())),
    };
    Err(Invalid::parameter(at, message))
}

fn content(value: Option<Value>, role: Role, at: &str) -> Result<Option<Content>, Invalid> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(Content::Text(text))),
        Some(Value::Array(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(k, part)| part_of(part, role, &format!("{at}.content[{k}]")))
            .collect::<Result<_, _>>()
            .map(|parts| Some(Content::Parts(parts))),
        Some(_) => Err(Invalid::parameter(
            format!("{at}.content"),
            format!("input content must be a string. - '{at}.content'"),
        )),
    }
}

fn part_of(value: Value, role: Role, at: &str) -> Result<Part, Invalid> {
    let wrong = || Invalid::parameter(at, format!("Unexpected item type in content. - '{at}'"));
    let Value::Object(mut map) = value else { return Err(wrong()) };
    let kind = match map.shift_remove("type") {
        Some(Value::String(kind)) => kind,
        // The native dialect writes parts without a type; text is the one form both share.
        None if map.contains_key("text") => "text".to_owned(),
        _ => return Err(wrong()),
    };
    // A model that declined before declines in text: this is how OpenAI's clients feed it back.
    let (kind, said_in) = match kind.as_str() {
        "refusal" if role == Role::Assistant => ("text".to_owned(), "refusal"),
        _ => (kind, "text"),
    };
    let text = match map.shift_remove(said_in) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(wrong()),
    };
    if kind == "text" && text.is_none() {
        return Err(Invalid::parameter(
            format!("{at}.{said_in}"),
            format!("Field required: {said_in} - '{at}.{said_in}'"),
        ));
    }
    Ok(Part { kind, text, rest: map })
}

fn tool_calls(value: Option<Value>, at: &str, dialect: Dialect) -> Result<Vec<ToolCall>, Invalid> {
    let wrong = || {
        Invalid::parameter(
            format!("{at}.tool_calls"),
            format!("each of tool_calls must have id and function{{name, arguments}} - '{at}.tool_calls'"),
        )
    };
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong()),
    };
    list.into_iter()
        .map(|value| {
            let Value::Object(mut map) = value else { return Err(wrong()) };
            let id = match map.shift_remove("id") {
                Some(Value::String(id)) => id,
                None | Some(Value::Null) if dialect == Dialect::Native => String::new(),
                _ => return Err(wrong()),
            };
            let kind = match map.shift_remove("type") {
                None | Some(Value::Null) => "function".to_owned(),
                Some(Value::String(kind)) => kind,
                Some(_) => return Err(wrong()),
            };
            let Some(Value::Object(mut function)) = map.shift_remove("function") else { return Err(wrong()) };
            let Some(Value::String(name)) = function.shift_remove("name") else { return Err(wrong()) };
            let arguments = match function.shift_remove("arguments") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(arguments)) => arguments,
                Some(_) => return Err(wrong()),
            };
            Ok(ToolCall { id, kind, function: FunctionCall { name, arguments, rest: function }, rest: map })
        })
        .collect()
}

fn string(map: &mut Map<String, Value>, field: &str, at: &str) -> Result<Option<String>, Invalid> {
    match map.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            Err(Invalid::parameter(format!("{at}.{field}"), format!("'{field}' must be String - '{at}.{field}'")))
        }
    }
}

pub(crate) fn top_k(fields: &mut Map<String, Value>) -> Result<Option<u32>, Invalid> {
    match fields.shift_remove("top_k") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(0)),
        Some(value) => match integer(&value) {
            Some(value) if value < 0 => {
                Err(Invalid::parameter("top_k", "Parameter top_k be greater than or equal to 0"))
            }
            Some(value) => Ok(Some(value.min(u32::MAX.into()) as u32)),
            None => Err(Invalid::parameter("top_k", "'top_k' must be Integer")),
        },
    }
}

pub(crate) fn seed(fields: &mut Map<String, Value>) -> Result<Option<u64>, Invalid> {
    let value = match fields.shift_remove("seed") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    match integer(&value) {
        Some(value) if value < 0 => {
            Err(Invalid::of(Code::InvalidValue, "seed", format!("{value} is lesser than the minimum of 0 - 'seed'")))
        }
        Some(value) => Ok(Some(u64::try_from(value).unwrap_or(u64::MAX))),
        None => Err(Invalid::of(Code::InvalidValue, "seed", "'seed' must be Integer")),
    }
}

pub(crate) fn stream_options(fields: &mut Map<String, Value>) -> Result<Option<StreamOptions>, Invalid> {
    match fields.shift_remove("stream_options") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(mut options)) => {
            let include_usage = flag(&mut options, "include_usage")
                .map_err(|_| {
                    Invalid::parameter("stream_options.include_usage", "'stream_options.include_usage' must be Boolean")
                })?
                .unwrap_or(false);
            Ok(Some(StreamOptions { include_usage, rest: options }))
        }
        Some(_) => Err(Invalid::parameter("stream_options", "'stream_options' must be Object")),
    }
}

pub(crate) fn stop(value: Value) -> Result<Option<Stop>, Invalid> {
    let wrong = || Invalid::parameter("stop", STOP_SHAPE);
    let id = |value: &Value| integer(value).and_then(|v| u32::try_from(v).ok()).ok_or_else(wrong);
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Stop::One(text))),
        Value::Array(list) => match list.first() {
            None => Ok(None),
            Some(Value::String(_)) => list
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => Ok(text),
                    _ => Err(wrong()),
                })
                .collect::<Result<_, _>>()
                .map(|texts| Some(Stop::Strings(texts))),
            Some(Value::Number(_)) => list.iter().map(id).collect::<Result<_, _>>().map(|ids| Some(Stop::Tokens(ids))),
            Some(Value::Array(_)) => list
                .iter()
                .map(|value| value.as_array().ok_or_else(wrong)?.iter().map(id).collect())
                .collect::<Result<_, _>>()
                .map(|lists| Some(Stop::TokenLists(lists))),
            Some(_) => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

pub(crate) fn logit_bias(fields: &mut Map<String, Value>) -> Result<BTreeMap<u32, f32>, Invalid> {
    let wrong = || Invalid::parameter("logit_bias", "'logit_bias' must map token ids to numbers");
    match fields.shift_remove("logit_bias") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(id, bias)| {
                let id: u32 = id.parse().map_err(|_| wrong())?;
                let bias = bias.as_f64().ok_or_else(wrong)?;
                Ok((id, bias as f32))
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}
