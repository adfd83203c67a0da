//! The frames of one response: bytes to events, events to chunks of either dialect, errors told apart.

use std::{collections::VecDeque, time::Duration};

use qwenda_types::{
    chat::{ChatChunk, ChatResponse},
    dashscope::{FramesToChunks, NativeResponse},
    sse::{DONE, Decoder, Event},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    Error, Result, Secret,
    error::{Billed, Kind, Limit, refused_in_stream},
    service::Protocol,
    transport::{Body, Response, within},
};

/// How long, and how much, is read after the last event, so that the connection can be used again.
const REST_WAIT: Duration = Duration::from_secs(1);
const REST_BYTES_MAX: usize = 64 << 10;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Frame {
    Chunk(Box<ChatChunk>),
    /// An answer that came whole, though a stream was asked for.
    Whole(Box<ChatResponse>),
    Comment(String),
    /// The mark that nothing follows.
    Done,
    /// The connection ended.
    End,
}

/// How a response is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) protocol: Protocol,
    /// It is the completion of a text, and read as if it were a chat's.
    pub(crate) completes: bool,
    pub(crate) model: String,
    pub(crate) key: Option<Secret>,
    pub(crate) event_bytes_max: usize,
    pub(crate) answer_bytes_max: usize,
}

/// Reads one response.
pub(crate) struct Reader {
    reading: Reading,
    body: Option<Body>,
    decoder: Decoder,
    /// Turns native frames into chunks; taken at their end.
    native: Option<FramesToChunks>,
    /// What was read and not yet handed out; an error is the last of them.
    frames: VecDeque<Result<Frame>>,
    whole: bool,
    bytes: usize,
    /// The id of the last event, after which an answer can be picked up.
    pub(crate) last_id: Option<String>,
}

impl Reader {
    /// The reader of a response whose status was good.
    pub(crate) fn new(reading: Reading, response: Response) -> Result<Self> {
        let kind = response.header("content-type").unwrap_or_default().trim();
        let is = |name: &str| kind.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is("text/html") {
            let error = Error::of(Kind::Malformed).say("the answer is a web page, not one of the API");
            return Err(error.with(|facts| facts.billed = Billed::Unknown));
        }
        let decoder = Decoder::new(reading.event_bytes_max).with_comments();
        Ok(Self {
            whole: is("application/json"),
            native: (reading.protocol == Protocol::DashScope)
                .then(|| FramesToChunks::new(true, 0, reading.model.clone())),
            body: Some(response.body),
            decoder,
            frames: VecDeque::new(),
            bytes: 0,
            last_id: None,
            reading,
        })
    }

    /// The next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, idle: Option<Duration>) -> Result<Frame> {
        if std::mem::take(&mut self.whole) {
            self.read_whole(idle).await?;
        }
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            let Some(body) = &mut self.body else { return Ok(Frame::End) };
            match within(idle, body.next()).await {
                None => return Err(Error::of(Kind::Timeout(Limit::Idle))),
                Some(Some(Err(error))) => return Err(Error::transport(error)),
                Some(Some(Ok(bytes))) => {
                    self.count(bytes.len())?;
                    let events = self.decoder.push(&bytes).map_err(|long| Error::of(Kind::TooLarge).say(long))?;
                    for event in events {
                        if !self.take(event, false) {
                            break;
                        }
                    }
                }
                Some(None) => {
                    self.body = None;
                    if let Some(event) = std::mem::take(&mut self.decoder).finish() {
                        self.take(event, true);
                    }
                    // Every native frame counts the tokens so far; the last one is right.
                    let counted = self.native.take().map(|native| Ok(Frame::Chunk(Box::new(native.done()))));
                    self.frames.extend(counted);
                }
            }
        }
    }

    /// Reads what is left of a response whose answer is whole, for it is only a few bytes.
    pub(crate) fn rest(&mut self) {
        let (Some(mut body), Ok(runtime)) = (self.body.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(tokio::time::timeout(REST_WAIT, async move {
            let mut bytes = 0;
            while let Some(Ok(piece)) = body.next().await {
                bytes += piece.len();
                if bytes > REST_BYTES_MAX {
                    return;
                }
            }
        }));
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        let most = self.reading.answer_bytes_max;
        if self.bytes > most {
            return Err(Error::of(Kind::TooLarge).say(format!("the answer has more than {most} bytes")));
        }
        Ok(())
    }

    /// Whether what comes has the shape of chats already.
    fn is_of_chats(&self) -> bool {
        self.reading.protocol == Protocol::OpenAi && !self.reading.completes
    }

    /// Takes an event; says whether others may follow.
    fn take(&mut self, event: Event, last: bool) -> bool {
        let taken = self.event(event, last);
        let goes_on = taken.is_ok();
        self.frames.extend(taken.err().map(Err));
        goes_on
    }

    /// `last` marks the event that the end of the connection ended: it may be half of one.
    fn event(&mut self, event: Event, last: bool) -> Result<()> {
        if let Some(comment) = event.comment {
            // The status of the native dialect is in the event already.
            if !comment.starts_with("HTTP_STATUS/") {
                self.frames.push_back(Ok(Frame::Comment(comment)));
            }
            return Ok(());
        }
        if event.id.is_some() {
            self.last_id = event.id;
        }
        let data = event.data.trim();
        if data.is_empty() {
            return Ok(());
        }
        if data == DONE {
            self.frames.push_back(Ok(Frame::Done));
            return Ok(());
        }
        let fails = event.event.as_deref() == Some("error");
        if self.is_of_chats()
            && !fails
            && let Ok(chunk) = serde_json::from_str::<ChatChunk>(data)
            && chunk.object != "error"
            && !is_error(&chunk.rest)
        {
            self.frames.push_back(Ok(Frame::Chunk(Box::new(chunk))));
            return Ok(());
        }
        // An error, or something out of the ordinary: it is looked at field by field.
        let mut map = match serde_json::from_str(data) {
            Ok(Value::Object(map)) => map,
            // What cannot be read at the very end was cut there.
            Err(_) if last => return Ok(()),
            Err(error) => return Err(unreadable(&error)),
            Ok(_) => return Err(Error::of(Kind::Malformed).say("an event is no JSON object")),
        };
        if fails || is_error(&map) {
            return Err(refused_in_stream(event.status, &map, self.reading.key.as_ref()));
        }
        if self.reading.completes {
            as_chat(&mut map, "delta");
        }
        match &mut self.native {
            None => self.frames.push_back(Ok(Frame::Chunk(Box::new(read(map)?)))),
            Some(native) => {
                let chunks = native.push(read::<NativeResponse>(map)?);
                self.frames.extend(chunks.into_iter().map(|chunk| Ok(Frame::Chunk(Box::new(chunk)))));
            }
        }
        Ok(())
    }

    /// Reads an answer that came in one piece. Some gateways label a stream so too.
    async fn read_whole(&mut self, idle: Option<Duration>) -> Result<()> {
        let Some(body) = self.body.take() else { return Ok(()) };
        let bytes = read_body(body, self.reading.answer_bytes_max, idle).await?;
        if !bytes.trim_ascii_start().starts_with(b"{") {
            self.body = Some(Body::whole(bytes));
            return Ok(());
        }
        if self.is_of_chats()
            && let Ok(answer) = serde_json::from_slice::<ChatResponse>(&bytes)
            && answer.object != "error"
            && !is_error(&answer.rest)
        {
            self.frames.push_back(Ok(Frame::Whole(Box::new(answer))));
            return Ok(());
        }
        let mut map: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        if is_error(&map) {
            return Err(refused_in_stream(None, &map, self.reading.key.as_ref()));
        }
        if self.reading.completes {
            as_chat(&mut map, "message");
        }
        let answer = match self.reading.protocol {
            Protocol::OpenAi => read::<ChatResponse>(map)?,
            Protocol::DashScope => read::<NativeResponse>(map)?.into_chat(0, self.reading.model.clone()),
        };
        self.frames.push_back(Ok(Frame::Whole(Box::new(answer))));
        Ok(())
    }
}

/// Moves the texts of a completion to where a chat has them.
fn as_chat(map: &mut Map<String, Value>, place: &str) {
    let choices = map.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten();
    for choice in choices.filter_map(Value::as_object_mut) {
        let text = choice.remove("text").unwrap_or_default();
        // They have another shape than a chat's.
        choice.remove("logprobs");
        choice.insert(place.to_owned(), json!({"content": text}));
    }
}

/// All of a body, if it is no longer than this.
pub(crate) async fn read_body(mut body: Body, bytes_max: usize, idle: Option<Duration>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match within(idle, body.next()).await {
            None => return Err(Error::of(Kind::Timeout(Limit::Idle))),
            Some(None) => return Ok(bytes),
            Some(Some(Err(error))) => return Err(Error::transport(error)),
            Some(Some(Ok(piece))) => {
                if bytes.len() + piece.len() > bytes_max {
                    return Err(Error::of(Kind::TooLarge).say(format!("the answer has more than {bytes_max} bytes")));
                }
                bytes.extend_from_slice(&piece);
            }
        }
    }
}

fn read<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T> {
    serde_json::from_value(map.into()).map_err(|error| unreadable(&error))
}

/// What is wrong with a JSON text, without a word of it.
pub(crate) fn unreadable(error: &serde_json::Error) -> Error {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    Error::of(Kind::Malformed).say(format!("JSON that cannot be read ({kind:?} at {line}:{column})"))
}

/// Whether an object that came with a good status is an error all the same.
pub(crate) fn is_error(map: &Map<String, Value>) -> bool {
    let says = |field: &str| map.get(field).is_some_and(|value| !value.is_null() && value != "");
    says("error") || map.get("object").is_some_and(|kind| kind == "error") || (says("code") && says("message"))
}
