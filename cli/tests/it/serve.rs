//! The service as a process: the ready line, keys, requests over real HTTP, signals.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, Command},
};

use serde_json::{Value, json};

use crate::common::{Home, Ran};

/// A running service, ended with the test.
pub struct Service {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
    /// What it said before it was ready.
    pub said_before: String,
}

impl Service {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said_before, mut line) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended before it was ready: {said_before}");
            match line.strip_prefix("listening on http://") {
                Some(address) => break address.trim_end().to_owned(),
                None => said_before += &line,
            }
        };
        Self { child, stderr, address, said_before }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and returns the whole of what comes back.
    pub fn request(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, String) {
        let mut socket = self.send(method, path, key, body);
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    pub fn chat(&self, key: &str, body: &Value) -> (u16, String) {
        self.request("POST", "/v1/chat/completions", key, &body.to_string())
    }

    pub fn send(&self, method: &str, path: &str, key: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        socket
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until a line on stderr has this in it.
    pub fn says(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended without saying {text:?}");
        }
    }

    /// Waits for its end.
    pub fn ends(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `data:` payloads of a stream of events.
pub fn events(body: &str) -> Vec<String> {
    body.lines()
        .filter_map(|line| line.strip_prefix("data: ").or_else(|| line.strip_prefix("data:")))
        .map(str::to_owned)
        .collect()
}

pub fn serve(home: &Home, args: &[&str]) -> Service {
    Service::start(home.command(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"], args].concat()))
}

pub fn key(home: &Home) -> String {
    home.run(&["keys", "create", "--data-dir", "data", "--name", "me"]).ok().trim().to_owned()
}

fn hello(stream: bool) -> Value {
    json!({
        "model": "tiny",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 8,
        "stream": stream,
        "stream_options": {"include_usage": true},
    })
}

#[test]
fn a_key_made_while_it_runs_works_and_a_revoked_one_does_not() {
    let home = Home::new();
    let mut service = serve(&home, &["--model", "tiny.gguf"]);
    service.says("there is no API key yet");
    let (status, body) = service.chat("sk-wrong", &hello(false));
    assert_eq!(status, 401, "{body}");
    let key = key(&home);
    let (status, body) = service.chat(&key, &hello(false));
    assert_eq!(status, 200, "{body}");
    home.run(&["keys", "revoke", "me", "--data-dir", "data"]).ok();
    assert_eq!(service.chat(&key, &hello(false)).0, 401);
}

#[test]
fn streamed_or_not_the_text_is_that_of_chat() {
    let home = Home::new();
    let key = key(&home);
    let service = serve(&home, &["--model", "tiny.gguf"]);
    let (status, body) = service.chat(&key, &hello(false));
    assert_eq!(status, 200, "{body}");
    let whole: Value = serde_json::from_str(&body).unwrap();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();

    let (status, body) = service.chat(&key, &hello(true));
    assert_eq!(status, 200, "{body}");
    let events = events(&body);
    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let streamed: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(streamed, text);
    let usage = &chunks.last().unwrap()["usage"];
    for count in ["prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"] {
        assert_eq!(usage[count], whole["usage"][count], "{count}");
    }
    // The second request begins as the first did.
    assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_ne!(usage["prompt_tokens_details"]["cached_tokens"], 0);

    let chat =
        home.run(&["chat", "hello", "--model", "tiny.gguf", "--max-tokens", "8", "--json", "--no-stream"]).json();
    assert_eq!(chat["text"], text);
    assert_eq!(chat["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
}

#[test]
fn several_models_are_served_under_their_names() {
    let home = Home::new();
    qwenda_testkit::TinyModel::qwen3().write(&home.path().join("other.gguf")).unwrap();
    let service = serve(&home, &["--no-auth", "--model", "tiny.gguf", "--model", "other.gguf"]);
    let (_, body) = service.request("GET", "/v1/models", "", "");
    let models: Value = serde_json::from_str(&body).unwrap();
    let ids: Vec<&str> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tiny", "other"]);
    assert_eq!(service.request("GET", "/readyz", "", "").0, 200);
    assert_eq!(service.request("GET", "/healthz", "", "").0, 200);
    home.run(&["serve", "--listen", "127.0.0.1:0", "--model", "tiny.gguf", "--model", "./tiny.gguf"])
        .fails(2, &["`tiny` is given twice"]);
}

#[test]
fn an_address_that_is_taken_is_said_before_anything_is_loaded() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(&["serve", "--listen", &address, "--model", "gpt-9"]).fails(1, &["cannot listen on", &address]);
}

#[test]
fn a_signal_drains_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let home = Home::new();
        let mut service = serve(&home, &["--no-auth", "--model", "tiny.gguf"]);
        service.says("anybody who reaches this address");
        service.signal(signal);
        service.says("finishing the open requests");
        assert_eq!(service.ends().0, Some(0), "{signal}");
    }
}

#[test]
fn quiet_leaves_the_ready_line_alone() {
    let home = Home::new();
    let service = serve(&home, &["--quiet", "--model", "tiny.gguf"]);
    assert_eq!(service.said_before, "");
    service.signal("TERM");
    let (code, rest) = service.ends();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
}

#[test]
fn the_context_can_be_made_smaller() {
    let home = Home::new();
    let service = serve(&home, &["--no-auth", "--model", "tiny.gguf", "--context", "64"]);
    let mut long = hello(false);
    long["messages"][0]["content"] = "你好 ".repeat(64).into();
    let (status, body) = service.chat("", &long);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("[1, 63]"), "{body}");
}

#[test]
fn the_log_says_nothing_of_what_was_said() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0", "--no-auth", "--model", "tiny.gguf"]);
    command.env("QWENDA_LOG", "trace");
    let service = Service::start(command);
    let mut secret = hello(false);
    secret["messages"][0]["content"] = "the vault opens at 4711".into();
    assert_eq!(service.chat("sk-a-key-of-somebody", &secret).0, 200);
    service.signal("TERM");
    let (_, log) = service.ends();
    assert!(!log.contains("4711") && !log.contains("sk-a-key-of-somebody"), "{log}");
}

/// Behind it stands an upstream that never answers: however fast the machine, the request stays open.
#[test]
fn a_second_signal_does_not_wait_for_open_requests() {
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = format!(
        "[[upstream]]\nname = \"silent\"\nbase_url = \"http://{}/v1\"\nmodels = [\"tiny\"]\n",
        silent.local_addr().unwrap()
    );
    std::fs::write(home.path().join("qwenda.toml"), settings).unwrap();
    let mut service = serve(&home, &["--no-auth"]);
    let _open = service.send("POST", "/v1/chat/completions", "", &hello(true).to_string());
    let (mut asked, _) = silent.accept().unwrap();
    asked.read_exact(&mut [0]).unwrap();
    service.signal("INT");
    service.says("finishing the open requests");
    service.signal("INT");
    assert_eq!(service.ends().0, Some(130));
}

/// What ran to its end, for tests elsewhere that only start and stop.
#[test]
fn a_data_folder_that_cannot_be_made_is_said() {
    let home = Home::new();
    std::fs::write(home.path().join("file"), "").unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "file/data", "--model", "tiny.gguf"];
    let ran = Ran::of(home.command(&args).output().unwrap());
    ran.fails(1, &["file/data"]);
}
