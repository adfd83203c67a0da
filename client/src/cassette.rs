//! Exchanges with a real service, kept in a file and played back: tests that once had a network.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{future::BoxFuture, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, Result, Secret,
    transport::{Body, Method, Request, Response, Transport, TransportError},
};

/// Headers of answers that are kept; others may be secrets, and none of them is read.
const HEADERS: [&str; 5] = ["content-type", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry"];
/// An answer is held in memory until it is on the tape.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// What a key begins with, and how many characters of one follow at least.
const KEY_BEGINS: &str = "sk-";
const KEY_CHARS_MIN: usize = 8;

/// A way that records what another way brings, or plays it back.
///
/// A request is found by its method, its path and its body; what is asked for twice is answered in the order of
/// the recording. An answer is recorded before any of it is handed on. Neither the key nor anything that looks like
/// one gets into the file. Prompts and answers do.
#[derive(Clone)]
pub(crate) struct Cassette {
    tape: Arc<Mutex<Tape>>,
    path: Arc<PathBuf>,
    /// `None` plays back.
    recorded: Option<Arc<dyn Transport>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Tape {
    exchanges: Vec<Exchange>,
    #[serde(skip)]
    played: Vec<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Exchange {
    method: String,
    path: String,
    request: Value,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Cassette {
    /// Plays the file back if it is there, else records what `transport` brings into it.
    pub(crate) fn new(path: &Path, transport: impl FnOnce() -> Result<Arc<dyn Transport>>) -> Result<Self> {
        let cannot = |error: &dyn std::fmt::Display| Error::config(format!("cassette {}: {error}", path.display()));
        let (tape, recorded) = match fs::read(path) {
            Ok(bytes) => {
                let mut tape: Tape = serde_json::from_slice(&bytes).map_err(|error| cannot(&error))?;
                tape.played = vec![false; tape.exchanges.len()];
                (tape, None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Tape::default(), Some(transport()?)),
            Err(error) => return Err(cannot(&error)),
        };
        Ok(Self { tape: Arc::new(Mutex::new(tape)), path: Arc::new(path.to_owned()), recorded })
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        // Every change of the tape is whole before anything can panic.
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play(&self, asked: &Exchange) -> std::result::Result<Response, TransportError> {
        let mut tape = self.tape();
        let fits =
            |one: &Exchange| one.method == asked.method && one.path == asked.path && one.request == asked.request;
        let place = (0..tape.exchanges.len()).find(|place| !tape.played[*place] && fits(&tape.exchanges[*place]));
        let Some(place) = place else {
            let why = format!("the cassette has no answer to {} {}", asked.method, asked.path);
            return Err(TransportError::Broken { why });
        };
        tape.played[place] = true;
        let exchange = tape.exchanges[place].clone();
        Ok(Response::new(exchange.status, exchange.headers, Body::whole(exchange.body)))
    }

    /// Adds an exchange to the file, which is whole at all times.
    fn keep(&self, exchange: Exchange) -> io::Result<()> {
        // Held until it is written: two that write at once would write the same file.
        let mut tape = self.tape();
        tape.exchanges.push(exchange);
        let text = serde_json::to_vec_pretty(&*tape)?;
        let beside = self.path.with_extension("part");
        fs::write(&beside, text)?;
        fs::rename(beside, &*self.path)
    }
}

impl Transport for Cassette {
    fn send(&self, request: Request) -> BoxFuture<'static, std::result::Result<Response, TransportError>> {
        let this = self.clone();
        let mut exchange = asked(&request);
        Box::pin(async move {
            let Some(recorded) = &this.recorded else { return this.play(&exchange) };
            let key = request.key.clone();
            let response = recorded.send(request).await?;
            exchange.status = response.status;
            let kept = response.headers.iter().filter(|(name, _)| HEADERS.contains(&name.as_str()));
            exchange.headers = kept.cloned().collect();
            let (status, headers, mut body) = (response.status, response.headers, response.body);
            // It is on the tape before it is handed on: whoever has the answer may read the file.
            let mut pieces = Vec::new();
            let mut bytes = 0;
            while let Some(piece) = body.next().await {
                bytes += piece.as_ref().map_or(0, bytes::Bytes::len);
                if bytes > ANSWER_BYTES_MAX {
                    let why = format!("an answer of more than {ANSWER_BYTES_MAX} bytes is not recorded");
                    return Err(TransportError::Broken { why });
                }
                pieces.push(piece);
            }
            if pieces.iter().all(std::result::Result::is_ok) {
                let bytes: Vec<u8> = pieces.iter().flatten().flat_map(|piece| piece.iter().copied()).collect();
                exchange.body = redacted(&bytes, key.as_ref());
                let unwritten = |why: &dyn std::fmt::Display| TransportError::Broken {
                    why: format!("the cassette cannot be written: {why}"),
                };
                let kept = tokio::task::spawn_blocking(move || this.keep(exchange)).await;
                kept.map_err(|error| unwritten(&error))?.map_err(|error| unwritten(&error))?;
            }
            Ok(Response::new(status, headers, Body::new(stream::iter(pieces))))
        })
    }
}

/// What is asked, without what differs each time and without secrets.
fn asked(request: &Request) -> Exchange {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    };
    // Whoever plays it back may ask at another address.
    let path = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let body = redacted(&request.body, request.key.as_ref());
    Exchange {
        method: method.to_owned(),
        path: format!("/{path}"),
        request: serde_json::from_str(&body).unwrap_or(Value::String(body)),
        status: 0,
        headers: Vec::new(),
        body: String::new(),
    }
}

/// The text without what looks like a key, and without the key.
fn redacted(bytes: &[u8], key: Option<&Secret>) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(place) = rest.find(KEY_BEGINS) {
        let (before, key) = rest.split_at(place);
        out.push_str(before);
        let part_of_key = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = key.find(|c: char| !part_of_key(c)).unwrap_or(key.len());
        let looks_like_one = end >= KEY_BEGINS.len() + KEY_CHARS_MIN && !before.ends_with(part_of_key);
        out.push_str(if looks_like_one { "sk-***" } else { &key[..end] });
        rest = &key[end..];
    }
    out.push_str(rest);
    // Not every service's keys look like one. Who plays it back may have another key, so this comes last.
    match key {
        Some(key) => key.scrub(out),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_not_kept() {
        for (text, want) in [
            ("key sk-0123456789abcdef.", "key sk-***."),
            ("\"sk-ws-01234567\"", "\"sk-***\""),
            ("sk-", "sk-"),
            ("task-oriented, risk-averse disk-0123456789", "task-oriented, risk-averse disk-0123456789"),
            ("sk-abc sk-abcdefgh", "sk-abc sk-***"),
        ] {
            assert_eq!(redacted(text.as_bytes(), None), want);
        }
        let key = Secret::new("another-kind-of-key");
        assert!(!redacted(b"it is another-kind-of-key.", Some(&key)).contains("another"));
    }
}
