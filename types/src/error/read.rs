//! Errors of other services, read to be handed on.

use serde_json::{Map, Value};

use super::{ApiError, Code, Relayed, Row, TABLE};
use crate::sse::Decoder;

/// Longest text of a body that is no JSON, in characters.
const TEXT_CHARS_MAX: usize = 500;
/// Longest message that is handed on, in characters.
const MESSAGE_CHARS_MAX: usize = 4000;

impl ApiError {
    /// The error that a service behind us answered with, in whichever shape: either dialect's body, an
    /// event of a stream, or no JSON at all. A name our table does not know is handed on as it is.
    pub fn read(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Self::read_map(status, &map),
            _ => match last_event(body) {
                Some(map) => Self::read_map(status, &map),
                None => Self::of(Code::from_status(status)).say_given(&text(body)),
            },
        }
    }

    /// As [`read`](Self::read), of a JSON object.
    pub fn read_map(status: u16, map: &Map<String, Value>) -> Self {
        let inner = map.get("error").and_then(Value::as_object);
        let fields = inner.unwrap_or(map);
        let name = ["code", "type"].into_iter().find_map(|field| fields.get(field)?.as_str().filter(|s| !s.is_empty()));
        let message = message(map, fields);
        let name = name.unwrap_or_default();
        let row = row_of(status, name, &message);
        let mut error = Self::of(row.map_or(Code::from_status(status), |row| row.id)).say_given(&message);
        if row.map_or(!name.is_empty(), |row| is_longer(name, row)) {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or(name);
            error.relayed = Some(Box::new(Relayed { code: name.to_owned(), kind: kind.to_owned() }));
        }
        error
    }

    fn say_given(self, message: &str) -> Self {
        if message.trim().is_empty() { self } else { self.say(message) }
    }
}

/// The row an error stands in: by its name, and of several of that name the one with its sentence,
/// else with its status.
fn row_of(status: u16, name: &str, message: &str) -> Option<&'static Row> {
    if ["InternalError.Algo", "internal_error"].contains(&name) && is_mistake(message) {
        return Some(Code::InvalidParameter.row());
    }
    let known = Code::from_compat(name)?.row();
    let native_names = |row: &Row| row.native == name || row.native_instead.is_some_and(|(_, other)| other == name);
    let named = |row: &&Row| row.code == name || native_names(row) || row.id == known.id;
    let says = |row: &&Row| {
        let told = |sentence: &str| !sentence.is_empty() && message.starts_with(sentence.trim_end());
        told(row.prefix) || told(row.message) || row.native_message.is_some_and(told)
    };
    let at = |row: &&Row| row.status == status || row.native_instead.is_some_and(|(other, _)| other == status);
    let rows = || TABLE.iter().filter(named);
    let said = rows().filter(at).find(says).or_else(|| rows().find(says));
    said.or_else(|| rows().find(at)).or(Some(known))
}

/// Whether a service added to the name of the row, as in `InvalidImage.Resolution`.
pub(super) fn is_longer(name: &str, row: &Row) -> bool {
    name.strip_prefix(row.native).is_some_and(|more| more.starts_with('.'))
}

/// Some mistakes of callers come back as if the model had failed; trying again does not help.
fn is_mistake(message: &str) -> bool {
    ["Role must be in", "list index out of range", "Expecting"].into_iter().any(|words| message.contains(words))
}

fn message(map: &Map<String, Value>, fields: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let error = map.get("error").filter(|error| error.is_string());
    let found = ["message", "msg", "detail"].into_iter().find_map(|field| fields.get(field)).or(error);
    found.and_then(text).unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect()
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(TEXT_CHARS_MAX).collect()
}

/// Some gateways frame the body of an error as an event, whatever its content type says.
fn last_event(body: &[u8]) -> Option<Map<String, Value>> {
    let mut decoder = Decoder::default();
    let mut events = decoder.push(body).ok()?;
    events.extend(decoder.finish());
    events.iter().rev().find_map(|event| serde_json::from_str(&event.data).ok())
}
