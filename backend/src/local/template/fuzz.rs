//! Entry point for fuzzing: no template and no conversation may make rendering panic.

use serde_json::{Map, Value};

use super::{ChatTemplate, message_value};

/// Reads `data` as a template, a zero byte, and messages in JSON; renders the one with the other,
/// as they are and in the form of the wire. Without a template, the plainest is used.
pub fn fuzz(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (source, messages) = data.split_once('\0').unwrap_or((&data, "[]"));
    let source = if source.is_empty() { "{{ messages|tojson }}" } else { source };
    let Ok(template) = ChatTemplate::new(source, "", "<|im_end|>") else { return };
    let messages = match serde_json::from_str(messages) {
        Ok(Value::Array(messages)) => messages,
        Ok(other) => vec![other],
        Err(_) => vec![Value::from(messages)],
    };
    let _ = template.render(&messages, Some(&messages), true, &Map::new());
    let messages: Vec<Value> = messages.into_iter().map(message_value).collect();
    let _ = template.render(&messages, None, false, &Map::new());
}
