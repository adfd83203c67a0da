//! An upstream that plays a script: what it answers, to the byte, and where it breaks off.
//!
//! ```no_run
//! # async fn example() {
//! use qwenda_testkit::{FakeUpstream, Reply};
//!
//! let upstream = FakeUpstream::start().await;
//! upstream.reply(Reply::json(429, "{}").header("retry-after-ms", "1"));
//! upstream.reply(Reply::events(&[r#"{"choices":[]}"#, "[DONE]"]));
//! // … ask it at `upstream.base_url()` …
//! assert_eq!(upstream.asked().len(), 2);
//! # }
//! ```

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length,
    /// In one chunk and a last one.
    Chunked,
    /// By closing the connection.
    Close,
}

/// What is answered to one request; the connection is closed after it.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    cut: Option<usize>,
    raw: Option<Vec<u8>>,
    hangs: bool,
}

impl Reply {
    /// A body of JSON.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, "application/json", body.into())
    }

    /// A body of any kind.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.into(), framing: Framing::Length, cut: None, raw: None, hangs: false }
    }

    /// A stream of events with this data, each one line.
    pub fn events(events: &[&str]) -> Self {
        let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        Self::new(200, "text/event-stream", body).framed(Framing::Chunked)
    }

    /// These bytes, whatever they are.
    pub fn raw(bytes: Vec<u8>) -> Self {
        Self { raw: Some(bytes), ..Self::new(200, "", "") }
    }

    /// Tells the end of the body in this way.
    #[must_use]
    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends only so many bytes, head included.
    #[must_use]
    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Keeps the connection open after the last byte, until the other side closes it.
    #[must_use]
    pub fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    /// What is sent, to the byte.
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(bytes) = &self.raw {
            return bytes.clone();
        }
        let mut head = format!("HTTP/1.1 {} -\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let (framed, body) = match self.framing {
            Framing::Close => (String::new(), self.body.clone()),
            Framing::Length => (format!("content-length: {}\r\n", self.body.len()), self.body.clone()),
            Framing::Chunked => {
                let size = format!("{:x}\r\n", self.body.len()).into_bytes();
                ("transfer-encoding: chunked\r\n".to_owned(), [&size, &*self.body, b"\r\n0\r\n\r\n"].concat())
            }
        };
        let mut bytes = [format!("{head}{framed}\r\n").as_bytes(), &body].concat();
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        bytes
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request line and the headers, in lower case but for their values.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// The upstream; it stops when dropped.
#[derive(Debug)]
pub struct FakeUpstream {
    addr: SocketAddr,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// Connections that the other side closed while a reply was hanging.
    left: watch::Sender<usize>,
}

impl FakeUpstream {
    /// Listens at a free port.
    ///
    /// # Panics
    /// There is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let state = State { replies: Mutex::default(), asked: Mutex::default(), left: watch::Sender::new(0) };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, Arc::clone(&shared)));
            }
        });
        Self { addr, state, listening }
    }

    /// Where its OpenAI-compatible addresses begin.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Adds a reply; requests get them in order, and no answer at all when none is left.
    pub fn reply(&self, reply: Reply) {
        lock(&self.state.replies).push_back(reply);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Waits until the other side has closed so many connections whose replies hang.
    pub async fn left(&self, count: usize) {
        let waited = self.state.left.subscribe().wait_for(|left| *left >= count).await.map(drop);
        waited.expect("the sender is ours");
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(mut socket: TcpStream, state: Arc<State>) {
    let Some(asked) = read(&mut socket).await else { return };
    lock(&state.asked).push(asked);
    let Some(reply) = lock(&state.replies).pop_front() else { return };
    // Who is answered may have left already.
    if socket.write_all(&reply.bytes()).await.is_ok() && reply.hangs {
        // Nothing more is asked on this connection: what ends the read is its end.
        let mut rest = [0; 64];
        while socket.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
        state.left.send_modify(|left| *left += 1);
    }
}

async fn read(socket: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[end..end + length]).unwrap_or(Value::Null);
    Some(Asked { head, body })
}
