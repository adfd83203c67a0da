//! A server to talk to, and a small HTTP client that shows the bytes as they are.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::Arc};

use qwenda_backend::Backend;
use qwenda_server::{Clock, ServeConfig, Server, Totals, keys};
use qwenda_testkit::{FakeClock, Scripted};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const NOW: u64 = 1_767_225_600;

/// A running server, stopped when dropped.
pub(crate) struct Service {
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) backend: Scripted,
    pub(crate) key: String,
    pub(crate) totals: Totals,
    pub(crate) clock: FakeClock,
    pub(crate) dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::serving(Scripted::new(&["qwen-scripted", "qwen-other"]), change).await
    }

    pub(crate) async fn serving(backend: Scripted, change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::answering(Arc::new(backend.clone()), backend, change).await
    }

    /// With another backend than a scripted one, which then is none that is asked.
    pub(crate) async fn answering(
        answers: Arc<dyn Backend>,
        backend: Scripted,
        change: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        crate::logs::listen();
        let dir = tempfile::tempdir().unwrap();
        let (key, _) = keys::create(dir.path(), "test").await.unwrap();
        let mut config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), dir.path());
        change(&mut config);
        let clock = FakeClock::at(NOW * 1000);
        let shown = clock.clone();
        let shown = Clock::from_fn(move || shown.now_ms());
        let server = Server::bind_with_clock(config, answers, shown).await.unwrap();
        let (addr, totals) = (server.addr(), server.totals());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let key = key.reveal().to_owned();
        Self { addr, backend, key, totals, clock, dir, stop: Some(stop), running }
    }

    /// Asks the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        self.running.await.unwrap();
    }

    /// The head of a request with a key and, if there is one, a body of this length.
    pub(crate) fn head(&self, method: &str, path: &str, body_bytes: Option<usize>) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", self.key);
        if let Some(bytes) = body_bytes {
            write!(head, "Content-Type: application/json\r\nContent-Length: {bytes}\r\n").unwrap();
        }
        head + "\r\n"
    }

    pub(crate) async fn connect(&self) -> Connection {
        let socket = TcpStream::connect(self.addr).await.unwrap();
        // Heads and bodies are written apart; without this the second waits for the first's receipt.
        socket.set_nodelay(true).unwrap();
        Connection { socket, read: Vec::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&self.head("GET", path, None), b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        self.send(&self.head("POST", path, Some(body.len())), body).await
    }

    /// A native request; `headers` are whole lines.
    pub(crate) async fn native(&self, path: &str, headers: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let head = self.head("POST", path, Some(body.len()));
        let head = head.strip_suffix("\r\n").unwrap().to_owned() + headers + "\r\n";
        self.send(&head, body.as_bytes()).await
    }

    /// A chat with one user message and these fields.
    pub(crate) async fn chat(&self, fields: Value) -> Reply {
        self.post(CHAT, request(fields).to_string()).await
    }

    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut connection = self.connect().await;
        connection.write(head.as_bytes()).await;
        connection.write(body).await;
        connection.reply().await
    }
}

/// A request with one user message and these fields.
pub(crate) fn request(fields: Value) -> Value {
    let mut request = json!({"model": "qwen-scripted", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in fields.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

/// A connection that may carry several requests.
pub(crate) struct Connection {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads until `mark` has come and returns everything up to its end.
    pub(crate) async fn read_until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, mark.as_bytes()) {
                let rest = self.read.split_off(at + mark.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            assert!(self.more().await, "the connection ended before {mark:?}");
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn read_to_end(&mut self) -> String {
        String::from_utf8(self.read_bytes_to_end().await).unwrap()
    }

    /// Reads to the end of the connection what need not be text.
    pub(crate) async fn read_bytes_to_end(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.socket.read(&mut buffer).await.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Reads one whole response.
    pub(crate) async fn reply(&mut self) -> Reply {
        let (status, headers) = self.reply_head().await;
        let body = if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            self.chunks().await
        } else {
            let bytes: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            while self.read.len() < bytes {
                assert!(self.more().await, "the body is shorter than announced");
            }
            let rest = self.read.split_off(bytes);
            String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap()
        };
        Reply { status, headers, body }
    }

    /// Reads the status and the headers of one response.
    pub(crate) async fn reply_head(&mut self) -> (u16, BTreeMap<String, String>) {
        let head = self.read_until("\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        (status, headers)
    }

    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        while let Some(chunk) = self.chunk().await {
            body.push_str(&chunk);
        }
        body
    }

    /// One chunk of a body whose head was read; `None` is its end.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.read_until("\r\n").await;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        while self.read.len() < size + 2 {
            assert!(self.more().await, "a chunk is shorter than announced");
        }
        let rest = self.read.split_off(size + 2);
        let mut chunk = std::mem::replace(&mut self.read, rest);
        assert_eq!(chunk.split_off(size), b"\r\n");
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

/// One response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.headers["x-request-id"]
    }

    /// Status, headers that say something, and the body, with the request's id as `<id>`.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("HTTP {}\n", self.status);
        for (name, value) in &self.headers {
            if !["date", "content-length", "transfer-encoding"].contains(&name.as_str()) {
                writeln!(text, "{name}: {value}").unwrap();
            }
        }
        let text = format!("{text}\n{}", self.body).replace(self.request_id(), "<id>");
        if text.ends_with('\n') { text } else { text + "\n" }
    }

    /// The data of its events.
    pub(crate) fn events(&self) -> Vec<String> {
        let mut decoder = qwenda_types::sse::Decoder::default();
        decoder.push(self.body.as_bytes()).unwrap().into_iter().map(|event| event.data).collect()
    }

    /// Checks an error in the native shape.
    #[track_caller]
    pub(crate) fn refuses_natively(&self, status: u16, code: &str, keyword: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(keyword), "{message:?} does not say {keyword:?}");
        assert_eq!(body["request_id"], self.request_id());
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!(self.headers["content-type"], "application/json");
    }

    /// Checks an error in the shape of the contract.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str, keyword: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(keyword), "{message:?} does not say {keyword:?}");
        assert!(body["error"]["param"].is_null());
        assert!(body["error"]["type"].is_string());
        assert_eq!(body["request_id"], self.request_id());
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

/// Compares with the file of this name; `UPDATE=1` writes it.
#[track_caller]
pub(crate) fn snapshot(name: &str, text: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/it/snapshots", name].iter().collect();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "snapshot {name}; UPDATE=1 accepts it");
}
