//! Content in both dialects: `{"image": url}` here is `{"type": "image_url", "image_url": {"url": url}}` there.
//!
//! A part whose native form could be read as something else is written with its type, which the
//! reader takes as it stands; so nothing is lost either way.

use serde_json::{Map, Value};

use super::Endpoint;
use crate::error::Invalid;

/// The keys that say what a native part is.
const MODALITIES: [&str; 5] = ["text", "image", "video", "audio", "file"];

/// Gives the parts of a message's content their types.
pub(super) fn typed_content(message: &mut Value, endpoint: Endpoint, at: &str) -> Result<(), Invalid> {
    let Some(content) = message.get_mut("content") else { return Ok(()) };
    let Value::Array(parts) = content else { return Ok(()) };
    // On the multimodal path this is how a plain string is written.
    if endpoint == Endpoint::Multimodal
        && let [Value::Object(only)] = parts.as_mut_slice()
        && only.len() == 1
        && let Some(Value::String(text)) = only.get_mut("text")
    {
        *content = Value::String(std::mem::take(text));
        return Ok(());
    }
    for (k, part) in parts.iter_mut().enumerate() {
        if let Value::Object(map) = part
            && !map.contains_key("type")
        {
            *part = Value::Object(typed(std::mem::take(map), &format!("{at}[{k}]"))?);
        }
    }
    Ok(())
}

fn typed(mut part: Map<String, Value>, at: &str) -> Result<Map<String, Value>, Invalid> {
    let wrong =
        || Invalid::parameter(at, format!("The item of content should be a message of a certain modal. - '{at}'"));
    part.retain(|key, value| !(MODALITIES.contains(&key.as_str()) && value.is_null()));
    let mut modalities = MODALITIES.into_iter().filter(|key| part.contains_key(*key));
    let (Some(modality), None) = (modalities.next(), modalities.next()) else { return Err(wrong()) };
    let value = part.shift_remove(modality).ok_or_else(wrong)?;
    let (kind, payload) = match (modality, value) {
        ("text", text @ Value::String(_)) => ("text", ("text", text)),
        ("image", url @ Value::String(_)) => ("image_url", ("image_url", wrapped(&mut part, "image_url", "url", url))),
        ("video", url @ Value::String(_)) => ("video_url", ("video_url", wrapped(&mut part, "video_url", "url", url))),
        ("video", frames @ Value::Array(_)) => ("video", ("video", frames)),
        ("audio", data @ Value::String(_)) => {
            ("input_audio", ("input_audio", wrapped(&mut part, "input_audio", "data", data)))
        }
        ("file", file) => ("file", ("file", file)),
        _ => return Err(wrong()),
    };
    let mut typed = Map::from_iter([("type".to_owned(), Value::from(kind)), (payload.0.to_owned(), payload.1)]);
    typed.extend(part);
    Ok(typed)
}

/// The payload's object, with what else a part brought under its name.
fn wrapped(part: &mut Map<String, Value>, name: &str, key: &str, value: Value) -> Value {
    let mut payload = Map::from_iter([(key.to_owned(), value)]);
    if let Some(Value::Object(more)) = part.get(name)
        && !more.contains_key(key)
        && let Some(Value::Object(more)) = part.shift_remove(name)
    {
        payload.extend(more);
    }
    Value::Object(payload)
}

/// Takes the types from the parts of a message's content, where the path wants it so.
pub(super) fn untyped_content(mut message: Value, endpoint: Endpoint) -> Value {
    if endpoint == Endpoint::Text {
        return message;
    }
    if let Some(content) = message.get_mut("content") {
        *content = match content.take() {
            Value::String(text) => Value::Array(vec![Map::from_iter([("text".to_owned(), text.into())]).into()]),
            // It would be read as a plain string.
            Value::Array(parts) if parts.len() == 1 && is_plain_text(&parts[0]) => Value::Array(parts),
            Value::Array(parts) => parts.into_iter().map(untyped).collect(),
            other => other,
        };
    }
    message
}

fn is_plain_text(part: &Value) -> bool {
    part.as_object().is_some_and(|part| {
        part.len() == 2 && part.get("type").is_some_and(|kind| kind == "text") && part.contains_key("text")
    })
}

/// The part without its type, if reading it gives the type back.
fn untyped(part: Value) -> Value {
    let Value::Object(typed) = &part else { return part };
    match shorter(typed.clone()) {
        Some(short) if self::typed(short.clone(), "").is_ok_and(|again| again == *typed) => Value::Object(short),
        _ => part,
    }
}

fn shorter(mut typed: Map<String, Value>) -> Option<Map<String, Value>> {
    let Some(Value::String(kind)) = typed.shift_remove("type") else { return None };
    let (modality, key) = match kind.as_str() {
        "text" | "video" | "file" => return Some(typed),
        "image_url" => ("image", "url"),
        "video_url" => ("video", "url"),
        "input_audio" => ("audio", "data"),
        _ => return None,
    };
    let mut payload = match typed.shift_remove(&kind) {
        Some(Value::Object(payload)) => payload,
        _ => return None,
    };
    let value = payload.shift_remove(key)?;
    let mut short = Map::from_iter([(modality.to_owned(), value)]);
    short.extend(typed);
    if !payload.is_empty() {
        short.insert(kind, payload.into());
    }
    Some(short)
}
