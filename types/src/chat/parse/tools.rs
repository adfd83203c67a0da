//! Tools, their choice and the form of the answer, from JSON.

use serde_json::Value;

use super::super::{JsonSchemaFormat, ResponseFormat, Tool, ToolChoice, ToolFunction};
use crate::error::Invalid;

pub(super) fn tools(value: Option<Value>) -> Result<Vec<Tool>, Invalid> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Invalid::parameter("tools", "'tools' must be List")),
    };
    list.into_iter().enumerate().map(|(i, value)| tool(value, &format!("tools[{i}]"))).collect()
}

fn tool(value: Value, at: &str) -> Result<Tool, Invalid> {
    let refuse = |field: &str, message: &str| {
        let path = format!("{at}{field}");
        Err(Invalid::parameter(path.as_str(), format!("{message} - '{path}'")))
    };
    let Value::Object(mut map) = value else { return refuse("", "Input should be a valid dictionary") };
    let kind = match map.shift_remove("type") {
        None | Some(Value::Null) => "function".to_owned(),
        Some(Value::String(kind)) if kind == "function" => kind,
        Some(_) => return refuse(".type", "The type of a tool must be \"function\""),
    };
    let Some(Value::Object(mut function)) = map.shift_remove("function") else {
        return refuse(".function", "Field required: function");
    };
    let name = match function.shift_remove("name") {
        Some(Value::String(name)) => name,
        _ => return refuse(".function.name", "Field required: name"),
    };
    let description = match function.shift_remove("description") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return refuse(".function.description", "'description' must be String"),
    };
    let parameters = match function.shift_remove("parameters") {
        None | Some(Value::Null) => None,
        // Old clients list the parameters instead of describing an object.
        Some(parameters @ (Value::Object(_) | Value::Array(_))) => Some(parameters),
        Some(_) => return refuse(".function.parameters", "'parameters' must be a JSON Schema"),
    };
    let function = ToolFunction { name, description, parameters, rest: function };
    Ok(Tool { kind, function, rest: map })
}

pub(super) fn choice(value: Value) -> Result<Option<ToolChoice>, Invalid> {
    let wrong =
        || Invalid::parameter("tool_choice", "tool_choice is one of the strings that should be [\"none\", \"auto\"]");
    match value {
        Value::Null => Ok(None),
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong()),
        },
        Value::Object(map) => {
            let is_function = map.get("type").is_none_or(|kind| kind.is_null() || kind == "function");
            match map.get("function").and_then(|function| function.get("name")) {
                Some(Value::String(name)) if is_function => Ok(Some(ToolChoice::Function(name.clone()))),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

pub(super) fn format(value: Value) -> Result<Option<ResponseFormat>, Invalid> {
    let wrong = |kind: &str| {
        let kind: String = kind.chars().take(40).collect();
        Invalid::parameter(
            "response_format",
            format!(
                "Unknown format of response_format, response_format should be a dict, includes 'type' and an \
                 optional key 'json_schema'. The response_format type from user is {kind}."
            ),
        )
    };
    let mut map = match value {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(wrong("not a dict")),
    };
    match map.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Some(ResponseFormat::Text)),
        Some("json_object") => Ok(Some(ResponseFormat::JsonObject)),
        Some("json_schema") => {
            let json_schema = json_schema(map.shift_remove("json_schema"))?;
            Ok(Some(ResponseFormat::JsonSchema { json_schema }))
        }
        other => Err(wrong(other.unwrap_or("missing"))),
    }
}

fn json_schema(value: Option<Value>) -> Result<JsonSchemaFormat, Invalid> {
    let refuse = |field: &str, message: &str| {
        let path = format!("response_format.json_schema{field}");
        Err(Invalid::parameter(path.as_str(), format!("{message} - '{path}'")))
    };
    let Some(Value::Object(mut map)) = value else { return refuse("", "Field required: json_schema") };
    let name = match map.shift_remove("name") {
        Some(Value::String(name)) => name,
        _ => return refuse(".name", "Field required: name"),
    };
    let schema = match map.shift_remove("schema") {
        None | Some(Value::Null) => None,
        Some(schema @ (Value::Object(_) | Value::Bool(_))) => Some(schema),
        Some(_) => return refuse(".schema", "'schema' must be a JSON Schema"),
    };
    let strict = match map.shift_remove("strict") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(strict)) => Some(strict),
        Some(_) => return refuse(".strict", "'strict' must be Boolean"),
    };
    let description = match map.shift_remove("description") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return refuse(".description", "'description' must be String"),
    };
    Ok(JsonSchemaFormat { name, description, schema, strict, rest: map })
}
