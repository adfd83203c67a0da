//! A native chat request, from JSON and back.

use serde_json::{Map, Value};

use super::{Endpoint, NativeOptions, ResultFormat, parts};
use crate::{
    Dialect,
    chat::{ChatRequest, Role, SEED_MAX_WIDE, calls::OpenCalls},
    error::{Code, Invalid},
};

const EITHER: &str = "Either \"prompt\" or \"messages\" must exist and cannot both be none";

/// Fields of a chat request that `parameters` cannot set: they stand elsewhere, or are headers.
const ELSEWHERE: [&str; 5] = ["model", "messages", "stream", "stream_options", "extra_body"];

/// Reads a native request's JSON. `stream` is a header there and stays false here.
///
/// # Errors
/// The first field of a wrong shape, or a required field that is missing.
pub fn chat_from_map(map: Map<String, Value>, endpoint: Endpoint) -> Result<(ChatRequest, NativeOptions), Invalid> {
    let mut map = map;
    let mut options = NativeOptions::default();
    let mut fields = Map::new();
    fields.insert("model".to_owned(), Value::String(model(&mut map)?));
    let mut input = input(&mut map)?;
    let mut messages = messages(&mut input)?;
    for (i, message) in messages.iter_mut().enumerate() {
        parts::typed_content(message, endpoint, &format!("input.messages[{i}].content"))?;
    }
    fields.insert("messages".to_owned(), Value::Array(messages));
    options.input = input;
    for (name, value) in parameters(&mut map)? {
        match name.as_str() {
            "result_format" => options.result_format = result_format(value)?,
            "incremental_output" => options.incremental_output = incremental_output(value)?,
            "seed" if value.as_number().is_some_and(|seed| seed.as_f64().is_some_and(|seed| seed < 0.0)) => {
                return Err(Invalid::parameter(
                    "parameters.seed",
                    format!("Range of seed should be [0, {SEED_MAX_WIDE}]"),
                ));
            }
            name if ELSEWHERE.contains(&name) => {
                options.parameters.insert(name.to_owned(), value);
            }
            _ => {
                fields.insert(name, value);
            }
        }
    }
    options.rest = map;
    let mut request = ChatRequest::from_fields(fields, Dialect::Native)?;
    name_answered_calls(&mut request);
    Ok((request, options))
}

/// Writes a request in the native dialect. `stream` becomes a header, which is the caller's to set.
pub fn chat_to_map(request: &ChatRequest, options: &NativeOptions, endpoint: Endpoint) -> Map<String, Value> {
    let written = serde_json::to_value(request).expect("a request is plain JSON");
    let Value::Object(mut fields) = written else { unreachable!("a struct is written as an object") };
    let messages = match fields.shift_remove("messages") {
        Some(Value::Array(messages)) => messages,
        _ => Vec::new(),
    };
    let messages = messages.into_iter().map(|message| parts::untyped_content(message, endpoint));
    let mut input = Map::from_iter([("messages".to_owned(), messages.collect())]);
    input.extend(options.input.clone());

    let mut parameters = Map::new();
    if let Some(format) = options.result_format {
        parameters.insert("result_format".to_owned(), format.as_str().into());
    }
    if let Some(incremental) = options.incremental_output {
        parameters.insert("incremental_output".to_owned(), incremental.into());
    }
    for (name, value) in fields {
        if !ELSEWHERE.contains(&name.as_str()) && !parameters.contains_key(&name) {
            parameters.insert(name, value);
        }
    }
    parameters.extend(options.parameters.clone());

    let mut map = Map::from_iter([
        ("model".to_owned(), request.model.clone().into()),
        ("input".to_owned(), input.into()),
        ("parameters".to_owned(), parameters.into()),
    ]);
    map.extend(options.rest.clone());
    map
}

/// The model's name, which every native request needs.
pub(super) fn model(map: &mut Map<String, Value>) -> Result<String, Invalid> {
    match map.shift_remove("model") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        None | Some(Value::Null | Value::String(_)) => {
            Err(Invalid::of(Code::EmptyModel, "model", "Required parameter \"model\" missing from request."))
        }
        Some(_) => Err(Invalid::parameter("model", "'model' must be String")),
    }
}

/// The `input` object, which every native request needs.
pub(super) fn input(map: &mut Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    match map.shift_remove("input") {
        Some(Value::Object(input)) => Ok(input),
        None | Some(Value::Null) if map.contains_key("messages") || map.contains_key("prompt") => {
            // The usual mistake: what belongs into `input` stands beside it.
            Err(Invalid::parameter("input", format!("{EITHER}; they belong into 'input'")))
        }
        None | Some(Value::Null) => {
            Err(Invalid::of(Code::EmptyInput, "input", "Required input parameter missing from request."))
        }
        Some(_) => Err(Invalid::of(Code::IllegalInput, "input", "The input parameter requires json format.")),
    }
}

/// The `parameters` object, empty when absent.
pub(super) fn parameters(map: &mut Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    match map.shift_remove("parameters") {
        Some(Value::Object(parameters)) => Ok(parameters),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(Invalid::parameter("parameters", "'parameters' must be Object")),
    }
}

/// The conversation, from either of its two forms.
pub(super) fn messages(input: &mut Map<String, Value>) -> Result<Vec<Value>, Invalid> {
    let messages = input.shift_remove("messages").filter(|messages| !messages.is_null());
    let prompt = input.shift_remove("prompt").filter(|prompt| !prompt.is_null());
    match (messages, prompt) {
        (None, None) => Err(Invalid::parameter("input", EITHER)),
        (Some(_), Some(prompt)) if prompt != "" => {
            Err(Invalid::parameter("input", "Only one of the parameters \"prompt\" and \"messages\" can be present"))
        }
        (Some(Value::Array(list)), _) if list.is_empty() => {
            Err(Invalid::parameter("input.messages", "[] is too short - 'messages'"))
        }
        (Some(Value::Array(list)), _) => Ok(list),
        (Some(_), _) => Err(Invalid::parameter("input.messages", "'messages' must be List")),
        (None, Some(Value::String(prompt))) => {
            let mut list = history(input.shift_remove("history"))?;
            list.push(said("user", Value::String(prompt)));
            Ok(list)
        }
        (None, Some(_)) => Err(Invalid::parameter("input.prompt", "'prompt' must be String")),
    }
}

/// The turns before a `prompt`: `[{"user": …, "bot": …}]` of old, or messages.
fn history(value: Option<Value>) -> Result<Vec<Value>, Invalid> {
    let turns = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(turns)) => turns,
        Some(_) => return Err(Invalid::parameter("input.history", "'history' must be List")),
    };
    let mut list = Vec::new();
    for (i, turn) in turns.into_iter().enumerate() {
        let wrong = || {
            let at = format!("input.history[{i}]");
            Invalid::parameter(at.as_str(), format!("a turn has \"user\" and \"bot\" - '{at}'"))
        };
        let Value::Object(mut turn) = turn else { return Err(wrong()) };
        if turn.contains_key("role") {
            list.push(Value::Object(turn));
            continue;
        }
        for (key, role) in [("user", "user"), ("bot", "assistant")] {
            match turn.shift_remove(key) {
                None | Some(Value::Null) => {}
                Some(text @ Value::String(_)) => list.push(said(role, text)),
                Some(_) => return Err(wrong()),
            }
        }
        if !turn.is_empty() {
            return Err(wrong());
        }
    }
    Ok(list)
}

fn said(role: &str, text: Value) -> Value {
    Value::Object(Map::from_iter([("role".to_owned(), role.into()), ("content".to_owned(), text)]))
}

fn result_format(value: Value) -> Result<Option<ResultFormat>, Invalid> {
    match value.as_str() {
        _ if value.is_null() => Ok(None),
        Some("text") => Ok(Some(ResultFormat::Text)),
        Some("message") => Ok(Some(ResultFormat::Message)),
        _ => Err(Invalid::parameter(
            "parameters.result_format",
            "result_format is one of the strings that should be [\"text\", \"message\"]",
        )),
    }
}

fn incremental_output(value: Value) -> Result<Option<bool>, Invalid> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(incremental) => Ok(Some(incremental)),
        _ => Err(Invalid::parameter("parameters.incremental_output", "'incremental_output' must be Boolean")),
    }
}

/// A tool message may leave out which call it answers; the other dialect never does. It answers the
/// first call of the turn before it that has no answer yet.
fn name_answered_calls(request: &mut ChatRequest) {
    let mut open: OpenCalls<String> = OpenCalls::new([]);
    for message in &mut request.messages {
        if message.role != Role::Tool {
            open = OpenCalls::new(message.tool_calls.iter().map(|call| call.id.clone()));
        } else if let Some(id) = open.answer(message.tool_call_id.as_deref())
            && message.tool_call_id.is_none()
        {
            message.tool_call_id = Some(id.clone());
        }
    }
}
