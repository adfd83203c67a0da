//! Messages of a request in the form that templates are written for.

use qwenda_types::chat::Message;
use serde_json::Value;

/// Messages as Hugging Face's templates expect them. See [`message_value`].
pub fn message_values(messages: &[Message]) -> Vec<Value> {
    messages
        .iter()
        .map(|message| message_value(serde_json::to_value(message).expect("a message is plain JSON")))
        .collect()
}

/// One message, given as JSON, as templates expect it, which differs from the wire in two ways:
/// content is one text, empty rather than null, and the arguments of a tool call are an object
/// rather than JSON in a string. Arguments that are not a JSON object stay as they are, and so does
/// content with parts that are not text.
pub fn message_value(mut message: Value) -> Value {
    if let Some(content) = message.get_mut("content")
        && let Some(text) = text(content)
    {
        *content = Value::String(text);
    }
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
        for arguments in calls.iter_mut().filter_map(|call| call.pointer_mut("/function/arguments")) {
            let object = arguments.as_str().and_then(|text| serde_json::from_str(text).ok()).filter(Value::is_object);
            if let Some(object) = object {
                *arguments = object;
            }
        }
    }
    message
}

/// The content as one text, if it is not one already and can be.
fn text(content: &Value) -> Option<String> {
    match content {
        Value::Null => Some(String::new()),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part.get("type")?.as_str()? {
                "text" => part.get("text")?.as_str(),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
