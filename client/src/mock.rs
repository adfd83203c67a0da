//! A service that plays a script: for tests without a network.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use serde_json::{Map, Value, json};

use crate::{
    Builder, Client,
    transport::{Body, Method, Request, Response, Transport, TransportError},
};

/// A service that answers each request with the next step of its script, and remembers the requests.
///
/// It speaks the OpenAI-compatible dialect. Cloning gives another handle to the same script.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Mock, Retry};
///
/// let mock = Mock::new().error(503, "busy").reply("here");
/// let client = mock.client();
/// let reply = client.chat("qwen-plus").user("there?").await?;
/// assert_eq!(reply.text(), "here");
/// assert_eq!(reply.attempts().len(), 1);
/// assert_eq!(mock.bodies().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Mock(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    requests: Vec<Request>,
}

#[derive(Clone)]
struct Step {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Result<Bytes, TransportError>>,
    /// Instead of an answer.
    error: Option<TransportError>,
}

impl Step {
    fn new(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, pieces: vec![Ok(body.into())], error: None }
    }
}

impl Mock {
    /// A script without a step.
    pub fn new() -> Self {
        Self::default()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked while it held the script has failed anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(self, step: Step) -> Self {
        self.script().steps.push_back(step);
        self
    }

    fn change_last(self, change: impl FnOnce(&mut Step)) -> Self {
        if let Some(step) = self.script().steps.back_mut() {
            change(step);
        }
        self
    }

    /// Answers a chat with this text.
    #[must_use]
    pub fn reply(self, text: impl Into<String>) -> Self {
        self.stream([text.into()])
    }

    /// Answers a chat with these pieces of text.
    #[must_use]
    pub fn stream<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        chunks.extend(texts.iter().map(|text| chunk(json!({"content": text}), Value::Null)));
        chunks.push(chunk(json!({"content": ""}), "stop".into()));
        chunks.push(usage(10, texts.len() as u64));
        self.events(chunks)
    }

    /// Answers a chat with calls of tools, each a name and its arguments.
    #[must_use]
    pub fn tool_calls<'a>(self, calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        for (index, (name, arguments)) in calls.into_iter().enumerate() {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function});
            chunks.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        }
        chunks.push(chunk(json!({}), "tool_calls".into()));
        chunks.push(usage(10, 5));
        self.events(chunks)
    }

    /// Answers with these events, each JSON, and `[DONE]`.
    #[must_use]
    pub fn events(self, events: impl IntoIterator<Item = Value>) -> Self {
        let mut texts: Vec<String> =
            events.into_iter().map(|event| qwenda_types::sse::data(&event.to_string())).collect();
        texts.push(qwenda_types::sse::data(qwenda_types::sse::DONE));
        let mut step = Step::new(200, "text/event-stream", "");
        step.pieces = texts.into_iter().map(|text| Ok(text.into())).collect();
        self.step(step)
    }

    /// Answers with these bytes of a stream.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::new(200, "text/event-stream", bytes))
    }

    /// Answers with this JSON in one piece.
    #[must_use]
    pub fn json(self, value: Value) -> Self {
        self.step(Step::new(200, "application/json", value.to_string()))
    }

    /// Answers with this status and body.
    #[must_use]
    pub fn error(self, status: u16, body: impl Into<Bytes>) -> Self {
        self.step(Step::new(status, "application/json", body))
    }

    /// Gives no answer.
    #[must_use]
    pub fn fail(self, error: TransportError) -> Self {
        let mut step = Step::new(0, "", "");
        step.error = Some(error);
        self.step(step)
    }

    /// Gives the last step this header too.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Self {
        self.change_last(|step| step.headers.push((name.to_ascii_lowercase(), value.to_owned())))
    }

    /// Cuts the answer of the last step after so many pieces, as a broken connection does.
    #[must_use]
    pub fn cut_after(self, pieces: usize) -> Self {
        self.change_last(|step| {
            step.pieces.truncate(pieces);
            step.pieces.push(Err(TransportError::Broken { why: "cut by the script".to_owned() }));
        })
    }

    /// Ends the answer of the last step after so many pieces, as if nothing were missing.
    #[must_use]
    pub fn end_after(self, pieces: usize) -> Self {
        self.change_last(|step| step.pieces.truncate(pieces))
    }

    /// A client that asks this script and nobody else.
    pub fn client(&self) -> Client {
        self.builder().build().expect("the settings are ours")
    }

    /// As [`client`](Self::client), to be set up further.
    pub fn builder(&self) -> Builder {
        Client::builder().base_url("http://mock.invalid/v1").transport(self.clone())
    }

    /// The bodies of the requests so far, where they are JSON objects.
    pub fn bodies(&self) -> Vec<Map<String, Value>> {
        self.script().requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap_or_default()).collect()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.script().requests.clone()
    }
}

impl Transport for Mock {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>> {
        if request.method == Method::Delete && request.url.ends_with("/replay") {
            // That nobody waits for an answer is no step of a script: who tells it need not, or may be late.
            return Box::pin(async { Ok(Response::new(204, Vec::new(), Body::whole(""))) });
        }
        let mut script = self.script();
        script.requests.push(request);
        let step = script.steps.pop_front();
        Box::pin(async move {
            let Some(step) = step else {
                return Err(TransportError::Broken { why: "the script has no step for this request".to_owned() });
            };
            match step.error {
                Some(error) => Err(error),
                None => Ok(Response::new(step.status, step.headers, Body::new(stream::iter(step.pieces)))),
            }
        })
    }
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock").field("steps_left", &self.script().steps.len()).finish_non_exhaustive()
    }
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "mock",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null,
    })
}

fn usage(input: u64, output: u64) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "mock", "choices": [],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
}
