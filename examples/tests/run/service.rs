//! A service for the programs, the programs as processes, and a browser as far as they notice.

use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use qwenda_backend::ChatCall;
use qwenda_server::{ServeConfig, Server, config::Cors, keys};
use qwenda_testkit::Scripted;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// Which model the programs ask: one with a price.
pub(crate) const MODEL: &str = "qwen-plus";

/// A service with a key, and a folder for the program to work in.
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    pub(crate) backend: Scripted,
    pub(crate) key: String,
    pub(crate) folder: TempDir,
    _data: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(Cors::Any).await
    }

    /// A service that pages of these origins may call.
    pub(crate) async fn with(cors: Cors) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (key, _) = keys::create(data.path(), "examples").await.unwrap();
        let mut config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), data.path());
        config.cors = cors;
        // An answer that is left ends because the program says so, and not by itself.
        config.replay.grace = Duration::from_secs(3600);
        let backend = Scripted::new(&[MODEL]);
        let server = Server::bind(config, Arc::new(backend.clone())).await.unwrap();
        let addr = server.addr();
        tokio::spawn(server.run(std::future::pending()));
        let key = key.reveal().to_owned();
        Self { addr, backend, key, folder: tempfile::tempdir().unwrap(), _data: data }
    }

    /// A program in its folder with this service in its environment, and nothing else.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = bare(program, args, self.folder.path());
        command.env("QWENDA_BASE_URL", format!("http://{}/v1", self.addr));
        command.env("QWENDA_API_KEY", &self.key).env("QWENDA_MODEL", MODEL);
        command
    }

    pub(crate) async fn run(&self, program: &str, args: &[&str], stdin: &str) -> Ran {
        finish(self.command(program, args).spawn().unwrap(), stdin).await
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// How many requests so far had this text in what the person said last.
    pub(crate) fn asked(&self, text: &str) -> usize {
        self.backend.calls().iter().filter(|call| last(call).contains(text)).count()
    }
}

/// What the person said last.
pub(crate) fn last(call: &ChatCall) -> String {
    call.request.messages.last().unwrap().plain_text().into_owned()
}

/// All that was said, a message a line.
pub(crate) fn said(call: &ChatCall) -> String {
    let messages = call.request.messages.iter();
    messages.map(|message| format!("{}: {}\n", message.role, message.plain_text())).collect()
}

pub(crate) fn bare(program: &str, args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn finish(mut child: Child, stdin: &str) -> Ran {
    let mut input = child.stdin.take().unwrap();
    // A program that does not read its input is no failure of the test.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The address that a program prints, as host and path.
pub(crate) async fn address(child: &mut Child) -> (String, String) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("it prints an address");
        if let Some(rest) = line.strip_prefix("http://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            return (host.to_owned(), format!("/{path}"));
        }
    }
}

/// One request of a browser. HTTP/1.0, so that what comes is the body as it is and ends with the connection.
pub(crate) struct Tab {
    socket: TcpStream,
    seen: String,
}

impl Tab {
    pub(crate) async fn open(host: &str, method: &str, path: &str, headers: &str, body: &str) -> Self {
        let mut socket = TcpStream::connect(host).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Self { socket, seen: String::new() }
    }

    /// Reads until this has come.
    pub(crate) async fn sees(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let count = self.socket.read(&mut buffer).await.unwrap();
            assert!(count > 0, "it ended before {text:?}: {}", self.seen);
            self.seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    /// Reads to the end: status and body.
    pub(crate) async fn all(mut self) -> (u16, String) {
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest).await.unwrap();
        let text = self.seen + std::str::from_utf8(&rest).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }
}

pub(crate) async fn get(host: &str, path: &str) -> (u16, String) {
    Tab::open(host, "GET", path, "", "").await.all().await
}

pub(crate) async fn post(host: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    Tab::open(host, "POST", path, headers, body).await.all().await
}
