//! A service that says what the script says. It remembers the last request.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use qwenda::{
    Message,
    transport::{Body, Request, Response, Transport, TransportError},
};
use serde_json::{Value, json};

/// The name of the model that summarises.
pub(crate) const SUMMARISER: &str = "summariser";
const SUMMARY_CHARS_MAX: usize = 1_600;

#[derive(Clone, Default)]
pub(crate) struct Service(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    answers: VecDeque<Value>,
    pub(crate) last: Vec<Message>,
    pub(crate) summaries: usize,
    pub(crate) summary_bytes: usize,
}

impl Service {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn say(&self, text: &str) {
        self.state().answers.push_back(json!({"content": text}));
    }

    pub(crate) fn call(&self, name: &str) {
        let function = json!({"name": name, "arguments": "{}"});
        let call = json!({"index": 0, "id": "call_0", "type": "function", "function": function});
        self.state().answers.push_back(json!({"tool_calls": [call]}));
    }
}

impl Transport for Service {
    fn send(
        &self,
        request: Request,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'static>> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let messages: Vec<Message> = serde_json::from_value(body["messages"].clone()).unwrap_or_default();
        let mut state = self.state();
        let delta = if body["model"] == SUMMARISER {
            let source = messages.last().map(|message| message.plain_text().into_owned()).unwrap_or_default();
            state.summaries += 1;
            state.summary_bytes += source.len();
            Some(json!({"content": summary(&source)}))
        } else {
            state.last = messages;
            state.answers.pop_front()
        };
        let finish = match &delta {
            Some(delta) if delta.get("tool_calls").is_some() => "tool_calls",
            _ => "stop",
        };
        let events = delta.map(|delta| {
            let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            format!("data: {chunk}\n\ndata: [DONE]\n\n")
        });
        Box::pin(async move {
            let events = events.ok_or_else(|| TransportError::Broken { why: "the script is over".to_owned() })?;
            let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
            Ok(Response::new(200, headers, Body::whole(events)))
        })
    }
}

/// No model: the newest sentences in which the person speaks of something of theirs or a tool names a serial, as
/// many as a short summary has room for. What a summary before said is older than all of them.
fn summary(source: &str) -> String {
    let telling = |sentence: &&str| {
        let lower = sentence.to_lowercase();
        ["my ", "i prefer", "serial", "我的", "我更", "序列号"].iter().any(|word| lower.contains(word))
    };
    let lines = source.lines().filter(|line| !line.starts_with("assistant:"));
    let sentences: Vec<&str> = lines.flat_map(|line| line.split_inclusive(['.', '。', '?', '？'])).collect();
    let mut kept = Vec::new();
    let mut room = SUMMARY_CHARS_MAX;
    for sentence in sentences.iter().rev().map(|sentence| sentence.trim()).filter(telling) {
        let sentence = sentence.trim_start_matches("user: ").trim_start_matches("- ");
        let Some(rest) = room.checked_sub(sentence.chars().count()) else { break };
        room = rest;
        kept.push(format!("- {sentence}"));
    }
    kept.reverse();
    format!("Facts:\n{}", kept.join("\n"))
}
