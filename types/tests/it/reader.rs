//! What a program makes of a stream: pushed bytes → events → chunks, frames, errors.

use qwenda_types::{
    Dialect,
    chat::ChatChunk,
    dashscope::NativeResponse,
    error::ApiError,
    sse::{self, Decoder, Event},
};
use serde_json::{Map, Value};

/// The status of an error that came without one.
const STATUS_DEFAULT: u16 = 500;

/// One thing a stream says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Chunk(Box<ChatChunk>),
    Frame(Box<NativeResponse>),
    /// What follows an error is not read.
    Error(Box<ApiError>),
    /// `[DONE]`.
    Done,
}

/// The events of a stream that comes in these pieces.
pub(crate) fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decoder.push(piece).expect("a case is short"));
    }
    events.extend(decoder.finish());
    events
}

/// What the events of a stream say.
pub(crate) fn items(events: &[Event], dialect: Dialect) -> Vec<Item> {
    let mut items = Vec::new();
    for event in events {
        let item = item(event, dialect);
        let last = matches!(item, Item::Error(_) | Item::Done);
        items.push(item);
        if last {
            break;
        }
    }
    items
}

fn item(event: &Event, dialect: Dialect) -> Item {
    if event.data == sse::DONE {
        return Item::Done;
    }
    let map: Map<String, Value> = serde_json::from_str(&event.data).unwrap_or_else(|e| panic!("{e}: {event:?}"));
    if is_error(event, &map) {
        return Item::Error(Box::new(ApiError::read_map(event.status.unwrap_or(STATUS_DEFAULT), &map)));
    }
    let read = match dialect {
        Dialect::Compat => serde_json::from_str(&event.data).map(Item::Chunk),
        Dialect::Native => serde_json::from_str(&event.data).map(Item::Frame),
    };
    read.unwrap_or_else(|e| panic!("{e}: {event:?}"))
}

/// An error says so by its event, by its member `error`, or by a code.
fn is_error(event: &Event, map: &Map<String, Value>) -> bool {
    let code = map.get("code").and_then(Value::as_str).is_some_and(|code| !code.is_empty());
    event.event.as_deref() == Some("error") || map.get("error").is_some_and(|error| !error.is_null()) || code
}
