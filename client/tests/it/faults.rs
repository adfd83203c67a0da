//! A service on a socket that plays a script: right answers, wrong ones, and connections that break.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the service does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers with these bytes, exactly, and closes.
    Raw(String),
    /// Answers with these bytes and keeps the connection open.
    Open(String),
    /// Reads the request and closes.
    HangUp,
}

impl Act {
    pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }

    pub(crate) fn events(events: &str) -> Self {
        Self::answer(200, "content-type: text/event-stream\r\n", events)
    }

    /// A stream that promises more bytes than it sends.
    pub(crate) fn cut_events(events: &str) -> Self {
        let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n";
        Self::Raw(format!("{head}{events}"))
    }

    /// A stream that goes on for ever after these events.
    pub(crate) fn open_events(events: &str) -> Self {
        let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n";
        Self::Open(format!("{head}{events}"))
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::events(&format!("{}{}", delta(None, text), end(None)))
    }
}

/// An event with more text.
pub(crate) fn delta(id: Option<u32>, text: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!(
        "{id}data: {{\"id\":\"chatcmpl-r1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    )
}

/// The last events.
pub(crate) fn end(id: Option<u32>) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n")
}

/// The service.
pub(crate) struct Service {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    given_up: watch::Receiver<Vec<String>>,
}

impl Service {
    /// A service that does these things, one for each request.
    pub(crate) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let (gives_up, given_up) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut script = script.into_iter();
            let mut waiting = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read(&mut socket).await;
                if request.starts_with("DELETE /v1/replay ") {
                    gives_up.send_modify(|keys| keys.extend(header(&request, "idempotency-key")));
                    // Who says that nobody waits does not wait for long either.
                    let _ = socket.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n").await;
                    continue;
                }
                seen.lock().unwrap().push(request);
                match script.next() {
                    Some(Act::Raw(bytes)) => socket.write_all(bytes.as_bytes()).await.unwrap(),
                    Some(Act::Open(bytes)) => {
                        socket.write_all(bytes.as_bytes()).await.unwrap();
                        waiting.push(socket);
                    }
                    Some(Act::HangUp) => {}
                    // Nobody is turned away: whoever comes after the script waits.
                    None => waiting.push(socket),
                }
            }
        });
        Self { url, requests, given_up }
    }

    /// The keys of the answers that nobody waits for, once there are so many.
    pub(crate) async fn given_up(&self, count: usize) -> Vec<String> {
        self.given_up.clone().wait_for(|keys| keys.len() >= count).await.unwrap().clone()
    }

    /// The requests so far, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The values of a header, one for each request.
    pub(crate) fn header(&self, name: &str) -> Vec<Option<String>> {
        self.requests().iter().map(|request| header(request, name)).collect()
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    let mut values = lines.filter_map(|line| line.split_once(": "));
    values.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// A request with its whole body.
async fn read(socket: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text.replace("\r\n", "\n");
            }
        }
        match socket.read(&mut buffer).await.unwrap() {
            0 => return text,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
