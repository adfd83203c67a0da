//! A service that answers at once, and does nothing else.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Pieces of text of a stream, and its events: the role, the pieces, the end and the usage.
const PIECES: usize = 1_000;
pub(crate) const EVENTS: usize = PIECES + 3;
const PIECE: &str = "word ";
pub(crate) const STREAM_BYTES: usize = PIECES * PIECE.len();
pub(crate) const WHOLE_BYTES: usize = 200;
/// Events of a stream come in pieces of this size, as from a model that several callers share.
const WRITE_BYTES: usize = 4_096;

struct Answers {
    whole: Vec<u8>,
    stream: Vec<u8>,
    /// The beginning of a stream.
    first: Vec<u8>,
}

/// Prints its address, and answers.
pub(crate) async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/v1", listener.local_addr()?);
    let answers = Arc::new(answers());
    loop {
        let (socket, _) = listener.accept().await?;
        let answers = Arc::clone(&answers);
        // Whoever leaves ends their own connection, and nothing else.
        tokio::spawn(async move { answer(socket, &answers).await.unwrap_or_default() });
    }
}

fn answers() -> Answers {
    let usage = json!({"prompt_tokens": 12, "completion_tokens": PIECES, "total_tokens": PIECES + 12});
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": "stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x".repeat(WHOLE_BYTES)},
            "logprobs": null, "finish_reason": "stop"}],
        "usage": usage,
    });
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": "stub",
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]), Value::Null)
    };
    let first = delta(json!({"role": "assistant", "content": PIECE}), Value::Null);
    let mut stream = delta(json!({"role": "assistant", "content": ""}), Value::Null);
    stream.push_str(&delta(json!({"content": PIECE}), Value::Null).repeat(PIECES));
    stream.push_str(&delta(json!({}), "stop".into()));
    stream.push_str(&chunk(json!([]), usage));
    stream.push_str("data: [DONE]\n\n");
    let length = format!("content-length: {}\r\n", whole.to_string().len());
    let whole = head("application/json", &length) + &whole.to_string();
    let mut chunked = head("text/event-stream", "transfer-encoding: chunked\r\n").into_bytes();
    let first = [chunked.clone(), chunk_of(first.as_bytes())].concat();
    for part in stream.as_bytes().chunks(WRITE_BYTES) {
        chunked.extend(chunk_of(part));
    }
    chunked.extend(b"0\r\n\r\n");
    Answers { whole: whole.into_bytes(), stream: chunked, first }
}

fn head(kind: &str, framing: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nx-request-id: req-1\r\n{framing}\r\n")
}

fn chunk_of(part: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()
}

async fn answer(mut socket: TcpStream, answers: &Answers) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut read = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Some((body, rest)) = body_of(&read) else {
            let count = socket.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            read.extend_from_slice(&buffer[..count]);
            continue;
        };
        let request: Value = serde_json::from_slice(body)?;
        match request["model"].as_str() {
            Some("whole") => socket.write_all(&answers.whole).await?,
            Some("stream") => socket.write_all(&answers.stream).await?,
            _ => {
                socket.write_all(&answers.first).await?;
                // Until the caller leaves.
                while socket.read(&mut buffer).await? > 0 {}
                return Ok(());
            }
        }
        read.drain(..rest);
    }
}

/// The body of a request that is there wholly, and where the next one begins.
fn body_of(read: &[u8]) -> Option<(&[u8], usize)> {
    let head = read.windows(4).position(|window| window == b"\r\n\r\n")?;
    let lines = std::str::from_utf8(&read[..head]).ok()?.lines();
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let end = head + 4 + length?.1.trim().parse::<usize>().ok()?;
    Some((read.get(head + 4..end)?, end))
}
