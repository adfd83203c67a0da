//! Bodies in every dress: content codings, character sets, content types.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use qwenda_testkit::Script;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::service::{CHAT, Reply, Service, request};

const PARAMETER: &str = "invalid_parameter_error";

macro_rules! coded {
    ($encoder:ident, $bytes:expr) => {{
        let mut encoder = $encoder::new(Vec::new());
        encoder.write_all($bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }};
}

async fn post(service: &Service, headers: &str, body: &[u8]) -> Reply {
    let head = service.head("POST", CHAT, Some(body.len()));
    let head = head.replace("Content-Type: application/json\r\n", headers);
    service.send(&head, body).await
}

#[tokio::test]
async fn a_coded_body_is_read_like_a_plain_one() {
    let service = Service::start().await;
    let plain = request(json!({"messages": [{"role": "user", "content": "你好".repeat(5000)}]})).to_string();
    let plain = plain.as_bytes();
    for (coding, body) in [
        ("gzip", coded!(GzipEncoder, plain)),
        ("x-gzip", coded!(GzipEncoder, plain)),
        ("deflate", coded!(ZlibEncoder, plain)),
        ("deflate", coded!(DeflateEncoder, plain)),
        ("br", coded!(BrotliEncoder, plain)),
        ("ZSTD", coded!(ZstdEncoder, plain)),
        ("identity", plain.to_vec()),
        ("br, gzip", coded!(GzipEncoder, &coded!(BrotliEncoder, plain))),
        ("gzip", [coded!(GzipEncoder, &plain[..100]), coded!(GzipEncoder, &plain[100..])].concat()),
    ] {
        service.backend.answer(Script::text(1, &["ok"]));
        let reply = post(&service, &format!("Content-Encoding: {coding}\r\n"), &body).await;
        assert_eq!(reply.status, 200, "{coding}: {}", reply.body);
        let call = service.backend.calls().pop().unwrap();
        assert_eq!(call.request.messages[0].plain_text().chars().count(), 10_000, "{coding}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_its_coding_says_is_refused() {
    let service = Service::start().await;
    let plain = request(json!({})).to_string();
    let whole = coded!(GzipEncoder, plain.as_bytes());
    for (coding, body, keyword) in [
        ("gzip", plain.as_bytes(), "not whole gzip"),
        ("gzip", &whole[..whole.len() - 9], "not whole gzip"),
        ("gzip", b"", "not whole gzip"),
        ("br", plain.as_bytes(), "not whole br"),
        ("zstd", plain.as_bytes(), "not whole zstd"),
        ("deflate", plain.as_bytes(), "not whole deflate"),
        ("snappy", plain.as_bytes(), "'snappy' is not read; send gzip, deflate, br, zstd"),
    ] {
        let reply = post(&service, &format!("Content-Encoding: {coding}\r\n"), body).await;
        reply.refuses(400, PARAMETER, keyword);
    }
    assert_eq!(service.backend.calls().len(), 0);
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_has_unfolded() {
    let service = Service::with(|config| config.body_bytes_max = 1 << 20).await;
    let zeros = vec![b' '; 64 << 20];
    for (coding, bomb) in [
        ("gzip", coded!(GzipEncoder, &zeros)),
        ("deflate", coded!(ZlibEncoder, &zeros)),
        ("br", coded!(BrotliEncoder, &zeros)),
        ("zstd", coded!(ZstdEncoder, &zeros)),
    ] {
        assert!(bomb.len() < 1 << 20, "{coding}");
        let reply = post(&service, &format!("Content-Encoding: {coding}\r\n"), &bomb).await;
        reply.refuses(400, PARAMETER, "Payload Too Large.");
        reply.refuses(400, PARAMETER, "at most 1048576 bytes");
    }
    // Bombs in bombs.
    let nested = coded!(GzipEncoder, &coded!(GzipEncoder, &zeros));
    let reply = post(&service, "Content-Encoding: gzip, gzip\r\n", &nested).await;
    reply.refuses(400, PARAMETER, "Payload Too Large.");
}

#[tokio::test]
async fn the_content_type_does_not_matter_and_the_text_may_have_a_mark() {
    let service = Service::start().await;
    let plain = request(json!({})).to_string();
    let marked = format!("\u{feff}{plain}");
    for (headers, body) in [
        ("", &plain),
        ("Content-Type: text/plain\r\n", &plain),
        ("Content-Type: application/json; charset=utf-8\r\n", &plain),
        ("Content-Type: APPLICATION/JSON;charset=\"UTF8\"\r\n", &plain),
        ("Content-Type: application/x-www-form-urlencoded\r\n", &plain),
        ("Content-Type: nonsense\r\n", &plain),
        ("Content-Type: application/json\r\n", &marked),
    ] {
        service.backend.answer(Script::text(1, &["ok"]));
        assert_eq!(post(&service, headers, body.as_bytes()).await.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn texts_that_are_not_json_say_why() {
    let service = Service::start().await;
    let plain = request(json!({})).to_string();
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{{\"model\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = plain.replace("\"hi\"", "1e999");
    let digits = plain.replace("\"hi\"", &"9".repeat(100_000));
    for (body, keyword) in [
        (utf16.as_slice(), "UTF-16"),
        (b"", "empty"),
        (b"[]", "not a JSON object"),
        (b"model=qwen", "not JSON"),
        (b"{\"model\": \"\xff\"}", "not UTF-8 at byte 11"),
        (deep.as_bytes(), "recursion limit"),
        (huge.as_bytes(), "out of range"),
        (digits.as_bytes(), "out of range"),
    ] {
        let reply = post(&service, "Content-Type: application/json\r\n", body).await;
        reply.refuses(400, PARAMETER, keyword);
    }
    // Of two members with one name the last counts, as in most parsers.
    service.backend.answer(Script::text(1, &["ok"]));
    let twice = plain.replacen('{', "{\"model\": \"nobody\", ", 1);
    assert_eq!(post(&service, "", twice.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn a_caller_who_asks_first_is_told_to_go_on() {
    let service = Service::start().await;
    service.backend.answer(Script::text(1, &["ok"]));
    let body = request(json!({})).to_string();
    let mut connection = service.connect().await;
    let head = service.head("POST", CHAT, Some(body.len())).replace("Host", "Expect: 100-continue\r\nHost");
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(body.as_bytes()).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn large_answers_are_coded_for_who_asks_and_streams_never_are() {
    let service = Service::start().await;
    let text = "你好，世界。".repeat(1000);
    for (coding, magic) in
        [("gzip", &b"\x1f\x8b"[..]), ("zstd", b"\x28\xb5\x2f\xfd"), ("br", b""), ("deflate", b"\x78")]
    {
        service.backend.answer(Script::text(1, &[&text]));
        let body = request(json!({})).to_string();
        let head = service.head("POST", CHAT, Some(body.len()));
        let head = head.replace("Host", &format!("Accept-Encoding: {coding}\r\nConnection: close\r\nHost"));
        let mut connection = service.connect().await;
        connection.write((head + &body).as_bytes()).await;
        let head = connection.read_until("\r\n\r\n").await;
        assert!(head.contains(&format!("content-encoding: {coding}\r\n")), "{head}");
        assert!(head.contains("vary: accept-encoding\r\n"), "{head}");
        let bytes = connection.read_bytes_to_end().await;
        let at = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        assert!(bytes[at..].starts_with(magic), "{coding}: {:?}", &bytes[at..at + 4]);
        assert!(bytes.len() < 2000, "{coding}: {} bytes", bytes.len());
    }
    let gzip = |path: &str, body: Option<usize>| {
        let method = if body.is_some() { "POST" } else { "GET" };
        service.head(method, path, body).replace("Host", "Accept-Encoding: gzip\r\nHost")
    };
    assert!(!service.send(&gzip("/v1/models", None), b"").await.headers.contains_key("content-encoding"));
    service.backend.answer(Script::text(1, &[&text]));
    let body = request(json!({"stream": true})).to_string();
    let reply = service.send(&gzip(CHAT, Some(body.len())), body.as_bytes()).await;
    assert!(!reply.headers.contains_key("content-encoding"));
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
}
