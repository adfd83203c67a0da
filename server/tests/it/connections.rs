//! Callers who send too much, too slowly, or not at all.

use std::time::Duration;

use qwenda_testkit::{Gate, Script};
use serde_json::json;

use crate::service::{CHAT, Service, request};

const PARAMETER: &str = "invalid_parameter_error";

#[tokio::test]
async fn a_body_of_30_mb_is_refused_and_the_connection_goes_on() {
    let service = Service::start().await;
    let bytes = 30_000_000;
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(bytes)).as_bytes()).await;
    connection.write(&vec![b'x'; bytes]).await;
    let reply = connection.reply().await;
    reply.refuses(400, PARAMETER, "Payload Too Large.");
    reply.refuses(400, PARAMETER, "30000000 bytes");

    service.backend.answer(Script::text(1, &["ok"]));
    let body = request(json!({})).to_string();
    connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(body.as_bytes()).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn who_is_refused_early_is_heard_out() {
    let service = Service::start().await;
    let bytes = 3_000_000;
    let mut connection = service.connect().await;
    for head in [
        service.head("POST", CHAT, Some(bytes)).replace(&service.key, "sk-wrong-key"),
        service.head("POST", "/v1/nothing", Some(bytes)),
        service.head("PUT", CHAT, Some(bytes)),
    ] {
        connection.write(head.as_bytes()).await;
        connection.write(&vec![b'x'; bytes]).await;
        let status = connection.reply().await.status;
        assert!((400..500).contains(&status), "{status}: {head}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused_when_it_grows_too_large() {
    let service = Service::with(|config| config.body_bytes_max = 100_000).await;
    let mut connection = service.connect().await;
    let head = service.head("POST", CHAT, None).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write(head.as_bytes()).await;
    for _ in 0..11 {
        connection.write(format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000)).as_bytes()).await;
    }
    connection.write(b"0\r\n\r\n").await;
    connection.reply().await.refuses(400, PARAMETER, "at most 100000 bytes");
}

#[tokio::test]
async fn a_chunked_body_is_read_like_any_other() {
    let service = Service::start().await;
    service.backend.answer(Script::text(1, &["ok"]));
    let mut connection = service.connect().await;
    let head = service.head("POST", CHAT, None).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write(head.as_bytes()).await;
    for piece in request(json!({})).to_string().as_bytes().chunks(7) {
        connection.write(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        connection.write(piece).await;
        connection.write(b"\r\n").await;
    }
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_answered_before_sending() {
    let service = Service::start().await;
    let mut connection = service.connect().await;
    let head = service.head("POST", CHAT, Some(30_000_000)).replace("Host", "Expect: 100-continue\r\nHost");
    connection.write(head.as_bytes()).await;
    connection.reply().await.refuses(400, PARAMETER, "Payload Too Large.");
}

#[tokio::test]
async fn a_head_that_never_ends_is_hung_up_on() {
    let service = Service::with(|config| config.header_timeout = Duration::from_millis(20)).await;
    for start in ["", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow:"] {
        let mut connection = service.connect().await;
        connection.write(start.as_bytes()).await;
        connection.read_to_end().await;
    }
    let mut connection = service.connect().await;
    connection.write(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "a".repeat(200_000)).as_bytes()).await;
    assert!(connection.read_to_end().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused() {
    let service = Service::with(|config| config.body_timeout = Duration::from_millis(20)).await;
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(100)).as_bytes()).await;
    connection.write(b"{\"model\":").await;
    connection.reply().await.refuses(408, "request_timeout", "not sent in time");
}

#[tokio::test]
async fn a_body_cut_short_reaches_nobody() {
    let service = Service::start().await;
    let body = request(json!({})).to_string();
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(&body.as_bytes()[..body.len() - 1]).await;
    drop(connection);
    assert_eq!(service.get("/healthz").await.status, 200);
    assert_eq!(service.backend.calls().len(), 0);
}

#[tokio::test]
async fn who_finds_no_place_is_told_so_at_once() {
    let service = Service::with(|config| config.connections_max = 1).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(1, &["first"]).wait_before(1, &gate));
    let body = request(json!({})).to_string();
    let head = service.head("POST", CHAT, Some(body.len()));
    let head = head.replace("Host", "Connection: close\r\nHost");
    let first = service.send(&head, body.as_bytes());
    let second = async {
        gate.reached().await;
        let reply = service.chat(json!({})).await;
        reply.refuses(429, "limit_requests", "Too many requests");
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(reply.headers["connection"], "close");
        assert_eq!(service.get("/healthz").await.status, 200);
        gate.open();
    };
    let (first, ()) = tokio::join!(first, second);
    assert!(first.body.contains("first"));
    // The place is free again as soon as the first connection has ended.
    service.backend.answer(Script::text(1, &["third"]));
    while service.chat(json!({})).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_beyond_the_bound_are_told_so_at_once_until_an_answer_was_taken() {
    let service = Service::with(|config| config.requests_max = 2).await;
    let gate = Gate::new();
    for _ in 0..2 {
        service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    }
    let body = request(json!({"stream": true})).to_string();
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut connection = service.connect().await;
        connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
        connection.write(body.as_bytes()).await;
        connection.read_until("\"a\"").await;
        running.push(connection);
    }
    service.chat(json!({})).await.refuses(429, "limit_requests", "Too many requests");
    assert_eq!(service.get("/healthz").await.status, 200);
    gate.open();
    for connection in &mut running {
        connection.read_until("[DONE]").await;
    }
    service.backend.answer(Script::text(1, &["ok"]));
    while service.chat(json!({})).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_verb_can_be_asked_for_and_a_head_has_no_body() {
    let service = Service::start().await;
    let reply = service.send(&service.head("OPTIONS", CHAT, None), b"").await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (204, "POST"));
    let reply = service.send(&service.head("OPTIONS", "/v1/models", None), b"").await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (204, "GET,HEAD"));
    service.send(&service.head("OPTIONS", "/v1/nothing", None), b"").await.refuses(404, "not_found", "not found");

    let mut connection = service.connect().await;
    for path in ["/v1/models", "/healthz", "/v1/models/nothing", CHAT] {
        connection.write(service.head("HEAD", path, None).as_bytes()).await;
        let head = connection.read_until("\r\n\r\n").await;
        assert!(head.contains("x-request-id: ") && head.contains("content-length: "), "{head}");
        // What comes next is the next head, not a body.
    }
    connection.write(service.head("GET", "/healthz", None).as_bytes()).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let service = Service::start().await;
    let mut connection = service.connect().await;
    let body = request(json!({"stream": true})).to_string();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        service.backend.answer(Script::text(1, &["ok"]));
        connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
        connection.write(body.as_bytes()).await;
        let reply = connection.reply().await;
        assert_eq!(reply.events().last().unwrap(), "[DONE]");
        ids.insert(reply.request_id().to_owned());
    }
    assert_eq!(ids.len(), 20, "every request has an id of its own");
}
