//! The events of one response, each a JSON object; errors among them are told apart.

use std::{collections::VecDeque, time::Duration};

use qwenda_types::sse::{DONE, Decoder, Event};
use reqwest::{Response, header::CONTENT_TYPE};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    refusal::Fault,
    transport::{ANSWER_BYTES_MAX, Sending, read},
};

/// Longest JSON answer that is read where events were asked for.
const NO_STREAM_BYTES_MAX: usize = 1 << 20;
/// How long, and how much, is read after the last event, so that the connection can be used again.
const REST_WAIT: Duration = Duration::from_secs(1);
const REST_BYTES_MAX: usize = 64 << 10;

/// What comes next.
#[derive(Debug)]
pub(super) enum Frame {
    /// An event.
    Object(Map<String, Value>),
    /// The mark that nothing follows.
    Done,
    /// The connection ended.
    End,
}

/// Reads one response.
pub(super) struct Reader {
    response: Option<Response>,
    decoder: Decoder,
    events: VecDeque<Event>,
    /// What has come so far.
    bytes: usize,
}

impl Reader {
    /// The reader of a response whose status was good.
    pub(super) async fn open(sending: &Sending, response: Response) -> Result<Self, Fault> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.trim_start().to_ascii_lowercase().starts_with("application/json") {
            return Err(no_stream(sending, response).await);
        }
        Ok(Self { response: Some(response), decoder: Decoder::default(), events: VecDeque::new(), bytes: 0 })
    }

    pub(super) async fn next(&mut self, sending: &Sending) -> Result<Frame, Fault> {
        loop {
            while let Some(event) = self.events.pop_front() {
                if event.data.trim() == DONE {
                    self.rest();
                    return Ok(Frame::Done);
                }
                if !event.data.trim().is_empty() {
                    // What cannot be read at the very end was cut there.
                    let last = self.response.is_none() && self.events.is_empty();
                    return object(sending, &event, last).map(Frame::Object);
                }
            }
            let Some(response) = &mut self.response else { return Ok(Frame::End) };
            let transport = &sending.transport;
            match timeout(transport.idle_timeout, response.chunk()).await {
                Err(_) => return Err(transport.silent()),
                Ok(Err(error)) => return Err(transport.fault(error)),
                Ok(Ok(Some(bytes))) => {
                    self.bytes += bytes.len();
                    if self.bytes > ANSWER_BYTES_MAX {
                        let why = format!("upstream `{}` answers more than {ANSWER_BYTES_MAX} bytes", transport.name);
                        return Err(Fault::malformed(why));
                    }
                    match self.decoder.push(&bytes) {
                        Ok(events) => self.events.extend(events),
                        Err(long) => return Err(Fault::malformed(format!("upstream `{}`: {long}", transport.name))),
                    }
                }
                Ok(Ok(None)) => {
                    self.response = None;
                    self.events.extend(std::mem::take(&mut self.decoder).finish());
                }
            }
        }
    }

    /// Reads what is left of a response whose answer is whole, for it is only a few bytes.
    fn rest(&mut self) {
        let Some(mut response) = self.response.take() else { return };
        tokio::spawn(timeout(REST_WAIT, async move {
            let mut bytes = 0;
            while let Ok(Some(chunk)) = response.chunk().await {
                bytes += chunk.len();
                if bytes > REST_BYTES_MAX {
                    return;
                }
            }
        }));
    }
}

/// Reads an event; one that is an error is returned as such. The last one may be half of one.
fn object(sending: &Sending, event: &Event, last: bool) -> Result<Map<String, Value>, Fault> {
    let transport = &sending.transport;
    let map = match serde_json::from_str(&event.data) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(Fault::malformed(format!("upstream `{}`: an event is no JSON object", transport.name))),
        Err(error) => {
            let fault = malformed(&transport.name, &error);
            return Err(Fault { again: last, ..fault });
        }
    };
    if event.event.as_deref() == Some("error") || is_error(&map) {
        return Err(transport.refused(&sending.model).in_stream(event.status, &map));
    }
    Ok(map)
}

/// What is wrong with a JSON text, without a word of it.
pub(super) fn malformed(upstream: &str, error: &serde_json::Error) -> Fault {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    Fault::malformed(format!("upstream `{upstream}`: JSON that cannot be read ({kind:?} at {line}:{column})"))
}

/// Whether an object that came with a good status is an error all the same.
pub(super) fn is_error(map: &Map<String, Value>) -> bool {
    let says = |field: &str| map.get(field).is_some_and(|value| !value.is_null());
    says("error") || map.get("object").is_some_and(|kind| kind == "error") || (says("code") && says("message"))
}

async fn no_stream(sending: &Sending, response: Response) -> Fault {
    let transport = &sending.transport;
    let body = match read(transport, response, NO_STREAM_BYTES_MAX).await {
        Ok(body) => body,
        Err(fault) => return fault,
    };
    match serde_json::from_slice(&body) {
        Ok(Value::Object(map)) if is_error(&map) => transport.refused(&sending.model).in_stream(None, &map),
        _ => Fault::malformed(format!("upstream `{}` answers no event stream", transport.name)),
    }
}
