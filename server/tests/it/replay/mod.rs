//! Answers that survive a dropped connection.

mod bounds;
mod resume;
mod simulation;

use std::collections::BTreeMap;

use qwenda_testkit::Script;
use serde_json::json;

use crate::service::{CHAT, Connection, Reply, Service, request};

pub(crate) const NATIVE: &str = "/api/v1/services/aigc/text-generation/generation";

/// One way to ask for a stream.
#[derive(Debug, Clone)]
struct Ask {
    path: &'static str,
    headers: &'static str,
    body: String,
}

impl Ask {
    fn compat() -> Self {
        Self { path: CHAT, headers: "", body: request(json!({"stream": true})).to_string() }
    }

    fn native() -> Self {
        let body = json!({"model": "qwen-scripted", "input": {"messages": [{"role": "user", "content": "hi"}]},
            "parameters": {"result_format": "message", "incremental_output": true}});
        Self { path: NATIVE, headers: "X-DashScope-SSE: enable\r\n", body: body.to_string() }
    }

    fn both() -> [Self; 2] {
        [Self::compat(), Self::native()]
    }

    fn whole() -> Self {
        Self { body: request(json!({})).to_string(), ..Self::compat() }
    }

    /// Sends the request with an `Idempotency-Key`, and `Last-Event-ID` if there is one.
    async fn send(&self, service: &Service, key: &str, after: Option<usize>) -> Connection {
        let after = after.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        self.send_with(service, &format!("Idempotency-Key: {key}\r\n{after}")).await
    }

    async fn send_with(&self, service: &Service, headers: &str) -> Connection {
        let head = service.head("POST", self.path, Some(self.body.len()));
        let head = head.replace("Host", &format!("{}{headers}Host", self.headers));
        let mut connection = service.connect().await;
        connection.write(head.as_bytes()).await;
        connection.write(self.body.as_bytes()).await;
        connection
    }

    async fn reply(&self, service: &Service, key: &str, after: Option<usize>) -> Reply {
        self.send(service, key, after).await.reply().await
    }
}

/// A stream that is being read event by event.
struct Reading {
    connection: Connection,
    headers: BTreeMap<String, String>,
    held: String,
}

impl Reading {
    async fn of(mut connection: Connection) -> Self {
        let (status, headers) = connection.reply_head().await;
        assert_eq!(status, 200, "{headers:?}");
        Self { connection, headers, held: String::new() }
    }

    fn request_id(&self) -> &str {
        &self.headers["x-request-id"]
    }

    /// The next event as it was written; comments are passed over.
    async fn event(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.held.find("\n\n") {
                let rest = self.held.split_off(at + 2);
                let event = std::mem::replace(&mut self.held, rest);
                if !event.starts_with(':') {
                    return Some(event);
                }
                continue;
            }
            self.held += &self.connection.chunk().await?;
        }
    }

    async fn rest(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

/// A script of so many pieces of text.
fn script(pieces: usize) -> Script {
    let texts: Vec<String> = (0..pieces).map(|i| format!("<{i}>")).collect();
    Script::text(3, &texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The events with the request's id as `<id>`.
fn nameless(events: &[String], request_id: &str) -> String {
    events.concat().replace(request_id, "<id>")
}
