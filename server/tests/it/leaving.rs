//! Answers that nobody waits for any more: the service is told so, stops at once, and charges what it made.
//!
//! The service would go on for an hour otherwise: what ends here was ended.

use std::{sync::Arc, time::Duration};

use qwenda::{Client, Event, Kind, Protocol};
use qwenda_backend::local::{Local, LocalModel, LocalOptions};
use qwenda_ledger::{money::Nanos, terms::Terms};
use qwenda_server::{ServeConfig, keys};
use qwenda_testkit::{Gate, Script, Scripted, TinyModel, scripted::Played};
use serde_json::json;

use crate::{
    accounts::Shop,
    service::{CHAT, Connection, Reply, Service, request},
};

const TOKENS_MAX: u32 = 30_000;

fn patient(config: &mut ServeConfig) {
    config.replay.grace = Duration::from_secs(3600);
}

fn client(service: &Service) -> qwenda::Builder {
    Client::builder().qwenda(format!("http://{}/v1", service.addr)).key(service.key.as_str())
}

/// A script of so many pieces that stops before this step.
fn gated(pieces: usize, step: usize) -> Script {
    let texts: Vec<String> = (0..pieces).map(|i| format!("<{i}>")).collect();
    Script::text(3, &texts.iter().map(String::as_str).collect::<Vec<_>>()).wait_before(step, &Gate::new())
}

async fn give_up(service: &Service, path: &str, headers: &str) -> Reply {
    let head = service.head("DELETE", path, None).replace("Host", &format!("{headers}Host"));
    service.send(&head, b"").await
}

/// Sends a chat under this key.
async fn begin(service: &Service, key: &str, fields: serde_json::Value) -> Connection {
    let body = request(fields).to_string();
    let head = service.head("POST", CHAT, Some(body.len())).replace("Host", &format!("Idempotency-Key: {key}\r\nHost"));
    let mut connection = service.connect().await;
    connection.write(head.as_bytes()).await;
    connection.write(body.as_bytes()).await;
    connection
}

#[tokio::test]
async fn a_dropped_stream_frees_the_engine_and_pays_for_what_it_had_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, TinyModel::endless(TOKENS_MAX + 100).bytes()).unwrap();
    let mut options = LocalOptions::default();
    options.engine.sequences_max = 1;
    let models = vec![LocalModel { name: "qwen-plus".to_owned(), path }];
    let local = Local::open(models, options).unwrap();
    let service = Service::answering(Arc::new(local), Scripted::new(&[]), patient).await;
    let shop = Shop::of(service, "1000", Terms::default()).await;
    let client = client(&shop.service).build().unwrap();

    let ask = |tokens| client.chat("qwen-plus").user("hi").temperature(0.0).max_tokens(tokens);
    let mut stream = ask(TOKENS_MAX).stream().await.unwrap();
    let mut had = 0;
    while had < 3 {
        had += u64::from(matches!(stream.next().await.unwrap().unwrap(), Event::Text(_)));
    }
    drop(stream);
    // The hold is settled, and the one place that the engine has is free.
    let balance = shop.balance().await;
    let left = &shop.requests().await[0];
    assert_eq!(left.line.status, "left");
    assert!((had..u64::from(TOKENS_MAX)).contains(&left.line.usage.output_tokens), "{left:?}");
    assert_eq!(Nanos::new(1000 * 1_000_000_000 - balance.get()), left.charge);
    let whole = ask(4).await.unwrap();
    assert_eq!(whole.usage().unwrap().output_tokens, 4);

    // A future that is awaited is no different.
    let waiting = tokio::spawn(ask(TOKENS_MAX).into_future());
    while !shop.is_held().await {}
    waiting.abort();
    shop.balance().await;
    assert_eq!(shop.requests().await.iter().filter(|request| request.line.status == "left").count(), 2);
    shop.is_in_order().await;
}

#[tokio::test]
async fn a_stream_is_given_up_in_both_dialects() {
    for protocol in [Protocol::OpenAi, Protocol::DashScope] {
        let service = Service::with(patient).await;
        let client = client(&service).protocol(protocol).build().unwrap();
        let played = service.backend.answer(gated(5, 3));
        let mut stream = client.chat("qwen-scripted").user("hi").stream().await.unwrap();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        assert_eq!(played.over().await, Played::Dropped(3), "{protocol:?}");
        assert_eq!((service.totals.requests(), service.totals.completion_tokens()), (1, 2), "{protocol:?}");
    }
}

#[tokio::test]
async fn what_was_given_up_is_not_made_again_under_its_key() {
    let service = Service::with(patient).await;
    let client = client(&service).build().unwrap();
    let played = service.backend.answer(gated(5, 3));
    let ask = || client.chat("qwen-scripted").user("hi").idempotency_key("order/81 23".replace(' ', "?"));
    let mut stream = ask().stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    // Somebody else may have the key that was chosen: it is theirs to say.
    assert_eq!(played.now(), Played::Streaming(3));
    client.give_up("order/81?23").await.unwrap();
    assert_eq!(played.over().await, Played::Dropped(3));
    let again = ask().await.unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
    assert!(again.message().contains("given up"), "{again}");
    client.give_up("order/81?23").await.unwrap();
    assert_eq!((service.backend.calls().len(), service.totals.requests()), (1, 1));
}

#[tokio::test]
async fn everybody_who_reads_it_is_told_and_so_is_who_waits_for_its_beginning() {
    let service = Service::with(patient).await;
    let played = service.backend.answer(gated(5, 3));
    let mut reading = begin(&service, "k", json!({"stream": true})).await;
    assert_eq!(reading.reply_head().await.0, 200);
    let mut waiting = begin(&service, "whole", json!({})).await;
    let whole = service.backend.answer(gated(5, 3));
    while !matches!(whole.now(), Played::Streaming(3)) {
        tokio::task::yield_now().await;
    }
    for key in ["k", "whole"] {
        assert_eq!(give_up(&service, "/v1/replay", &format!("Idempotency-Key: {key}\r\n")).await.status, 204);
    }
    assert!(!reading.read_to_end().await.contains("[DONE]"));
    waiting.reply().await.refuses(409, "conflict", "given up");
    for played in [played, whole] {
        assert_eq!(played.over().await, Played::Dropped(3));
    }
}

#[tokio::test]
async fn an_answer_is_given_up_by_who_asked_for_it_and_where_it_was_asked_for() {
    let mut service = Service::with(patient).await;
    let played = service.backend.answer(gated(2, 2));
    let mut reading = begin(&service, "k", json!({"stream": true})).await;
    assert_eq!(reading.reply_head().await.0, 200);
    let key = "Idempotency-Key: k\r\n";
    // In the other dialect the same key is another; one that nobody used is none.
    give_up(&service, "/api/v1/replay", key).await.refuses_natively(404, "ResourceNotFound", "No answer");
    let other = give_up(&service, "/v1/replay", "Idempotency-Key: K\r\n").await;
    other.refuses(404, "resource_not_found", "No answer");
    give_up(&service, "/v1/replay", "").await.refuses(400, "invalid_parameter_error", "Idempotency-Key is missing");
    let (mine, (stranger, _)) = (service.key.clone(), keys::create(service.dir.path(), "stranger").await.unwrap());
    stranger.reveal().clone_into(&mut service.key);
    give_up(&service, "/v1/replay", key).await.refuses(404, "resource_not_found", "No answer");
    "sk-nobody".clone_into(&mut service.key);
    assert_eq!(give_up(&service, "/v1/replay", key).await.status, 401);
    assert_eq!(played.now(), Played::Streaming(2));
    service.key = mine;
    assert_eq!(give_up(&service, "/compatible-mode/v1/replay", key).await.status, 204);
    assert_eq!(played.over().await, Played::Dropped(2));
}

#[tokio::test]
async fn an_answer_that_has_ended_stays_as_it_is() {
    let service = Service::with(patient).await;
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let first = begin(&service, "k", json!({})).await.reply().await;
    let done = give_up(&service, "/v1/replay", "Idempotency-Key: k\r\n").await;
    assert_eq!((done.status, done.body.as_str()), (204, ""));
    let again = begin(&service, "k", json!({})).await.reply().await;
    assert_eq!((again.body.as_str(), service.totals.requests()), (first.body.as_str(), 1));
}
