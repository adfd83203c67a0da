//! An upstream that streams as many tokens as it likes, reports them with each chunk, and remembers what it sent.
//!
//! Who asks puts a mark at the beginning of the first message, `CALLER NUMBER …`. The number comes back as the
//! count of prompt tokens, so that each request can be told by what it is charged for.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use qwenda_testkit::rng::Rng;
use serde_json::{Value, json};

/// Whose request it is, and which.
pub type Mark = (u64, u64);

/// What it knows the service by.
pub const KEY: &str = "sk-known-to-the-upstream-4711";
/// What its answers are made of.
pub const WORD: &str = "word-of-an-answer ";

/// Tokens of a large chunk: some answers are longer than what is held at first.
const LARGE: u64 = 700;

#[derive(Default)]
struct Told {
    /// Output tokens of each answer, counted before they are sent.
    sent: HashMap<Mark, Vec<u64>>,
    chunks: u64,
    /// Answers wait before their end.
    holds_back: bool,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    more: Condvar,
    seed: u64,
}

pub struct Upstream {
    address: String,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Listens until the process ends.
    pub fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared { seed, ..Shared::default() });
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for (n, socket) in listener.incoming().enumerate() {
                let (socket, shared) = (socket.unwrap(), Arc::clone(&all));
                thread::spawn(move || {
                    // Who asked may have left, or been killed.
                    let _ = shared.answer(socket, n as u64);
                });
            }
        });
        Self { address, shared }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was sent for each mark, the answers in the order in which they began.
    pub fn sent(&self) -> HashMap<Mark, Vec<u64>> {
        self.shared.told().sent.clone()
    }

    /// From now on no answer ends, or, after that, all do.
    pub fn hold_back(&self, holds_back: bool) {
        self.shared.told().holds_back = holds_back;
        self.shared.more.notify_all();
    }

    /// Waits until so many chunks more have been sent.
    pub fn sends(&self, chunks: u64) {
        let told = self.shared.told();
        let until = told.chunks + chunks;
        drop(self.shared.more.wait_while(told, |told| told.chunks < until).unwrap());
    }
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut socket: TcpStream, n: u64) -> std::io::Result<()> {
        let asked = read(&socket)?;
        let mark = mark(&asked);
        let mut rng = Rng::round(self.seed, n);
        let place = {
            let mut told = self.told();
            let sent = told.sent.entry(mark).or_default();
            sent.push(0);
            sent.len() - 1
        };
        self.more.notify_all();
        // Who asks with a status as its seed gets that, with everything that it sent.
        if let Some(status) = asked["seed"].as_u64() {
            let body = json!({"error": {"message": format!("refused: {asked} {KEY}"), "code": "x"}}).to_string();
            let length = body.len();
            return write!(
                socket,
                "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{body}"
            );
        }
        write!(socket, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
        let max_tokens = asked["max_tokens"].as_u64();
        let chunks = if max_tokens.is_some() { 1 } else { 1 + rng.below(8) };
        let mut tokens = 0;
        for _ in 0..chunks {
            let more = max_tokens.unwrap_or(if rng.below(12) == 0 { LARGE } else { 1 });
            tokens += more;
            self.sends(mark, place, tokens);
            event(&mut socket, mark, tokens, json!([{"index": 0, "delta": {"content": WORD}}]))?;
            // An answer takes its time, so that there is somebody to leave it.
            thread::sleep(Duration::from_micros(rng.below(3_000) as u64));
        }
        drop(self.more.wait_while(self.told(), |told| told.holds_back).unwrap());
        event(&mut socket, mark, tokens, json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))?;
        socket.write_all(b"data: [DONE]\n\n")
    }

    fn sends(&self, mark: Mark, place: usize, tokens: u64) {
        let mut told = self.told();
        told.chunks += 1;
        if let Some(sent) = told.sent.get_mut(&mark) {
            sent[place] = tokens;
        }
        self.more.notify_all();
    }
}

fn event(socket: &mut TcpStream, (_, number): Mark, tokens: u64, choices: Value) -> std::io::Result<()> {
    let usage = json!({"prompt_tokens": number, "completion_tokens": tokens, "total_tokens": number + tokens});
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
        "choices": choices, "usage": usage});
    // One write: half an event would be none.
    socket.write_all(format!("data: {chunk}\n\n").as_bytes())
}

fn read(socket: &TcpStream) -> std::io::Result<Value> {
    let mut reader = BufReader::new(socket);
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    serde_json::from_slice(&body).map_err(std::io::Error::other)
}

fn mark(asked: &Value) -> Mark {
    let text = asked["messages"][0]["content"].as_str().unwrap();
    let mut words = text.split(' ').map(|word| word.parse().unwrap());
    let mut next = || words.next().unwrap();
    (next(), next())
}
