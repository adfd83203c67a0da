//! One request over a connection of its own, read as far as it comes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::upstream::Mark;

/// What a caller asks.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub mark: Mark,
    pub stream: bool,
    /// The upstream writes exactly as many.
    pub max_tokens: Option<u64>,
    /// With which the same answer can be had again.
    pub idempotency_key: Option<String>,
}

impl Ask {
    pub fn body(&self) -> Value {
        let (caller, number) = self.mark;
        // A request is never longer in tokens than in bytes; the upstream says as many as the number.
        let content = format!("{caller} {number} {}", "x".repeat(number as usize));
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": content}],
            "stream": self.stream,
            "stream_options": {"include_usage": true},
            "max_tokens": self.max_tokens,
        })
    }
}

/// What was counted of an answer, as its caller is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub input: u64,
    pub output: u64,
}

/// An answer that has begun.
pub struct Answer {
    pub status: u16,
    pub request_id: String,
    reader: BufReader<TcpStream>,
    length: Option<usize>,
}

impl Answer {
    /// Sends a request; `None` where there is nobody, or who is there leaves before it answers.
    pub fn begin(address: &str, key: &str, ask: &Ask) -> Option<Self> {
        let reader = send(address, key, ask)?;
        Self::head(reader)
    }

    fn head(mut reader: BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let status = line.get(9..12)?.parse().ok()?;
        let (mut request_id, mut length) = (String::new(), None);
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("x-request-id", id)) => request_id = id.to_owned(),
                Some(("content-length", bytes)) => length = bytes.parse().ok(),
                Some(_) => {}
                None => break,
            }
        }
        Some(Self { status, request_id, reader, length })
    }

    /// The rest of an answer in one piece.
    pub fn whole(mut self) -> Option<String> {
        let mut body = vec![0; self.length?];
        self.reader.read_exact(&mut body).ok()?;
        String::from_utf8(body).ok()
    }

    /// The next event of a stream; `None` at its end, whatever ended it.
    pub fn event(&mut self) -> Option<String> {
        // Each event is sent in a chunk of its own, and may share it with those right behind it.
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 || !line.ends_with('\n') {
                return None;
            }
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                return Some(data.to_owned());
            }
        }
    }
}

/// Sends any request, and returns the whole of what comes back, head included.
pub fn request(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

/// Sends a request and looks at nothing that comes back.
pub fn send(address: &str, key: &str, ask: &Ask) -> Option<BufReader<TcpStream>> {
    let body = ask.body().to_string();
    let again = ask.idempotency_key.as_ref().map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));
    let mut socket = TcpStream::connect(address).ok()?;
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
         {again}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    Some(BufReader::new(socket))
}

/// What an event or a body says was counted.
pub fn counted(json: &str) -> Option<Counted> {
    let json: Value = serde_json::from_str(json).ok()?;
    let usage = json.get("usage")?;
    Some(Counted { input: usage["prompt_tokens"].as_u64()?, output: usage["completion_tokens"].as_u64()? })
}
