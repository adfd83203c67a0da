//! Answers as events.

use std::time::Duration;

use qwenda_backend::{BackendError, ChatEvent};
use qwenda_testkit::{Act, Gate, Script, scripted::Played};
use serde_json::{Value, json};

use crate::{
    chat_whole::two_choices,
    service::{CHAT, Connection, Service, request, snapshot},
};

/// Sends a request and leaves its answer to be read.
async fn begin(service: &Service, fields: Value) -> Connection {
    let body = request(fields).to_string();
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(body.as_bytes()).await;
    connection
}

fn text_of(events: &[String]) -> String {
    events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn events_come_in_the_order_of_the_contract() {
    let service = Service::start().await;
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    snapshot("stream.txt", &service.chat(json!({"stream": true})).await.shown());

    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    snapshot("stream_usage.txt", &service.chat(usage).await.shown());

    service.backend.answer(two_choices());
    let fields = json!({"stream": true, "n": 2, "logprobs": true, "top_logprobs": 1,
        "stream_options": {"include_usage": true}});
    snapshot("stream_two_choices.txt", &service.chat(fields).await.shown());
}

#[tokio::test]
async fn an_event_leaves_when_it_is_made() {
    let service = Service::start().await;
    let gate = Gate::new();
    service.backend.answer(Script::text(3, &["first", "second"]).wait_before(2, &gate));
    let mut connection = begin(&service, json!({"stream": true})).await;
    let seen = connection.read_until("\"first\"").await;
    assert!(!seen.contains("second"));
    gate.open();
    assert!(connection.read_until("[DONE]").await.contains("second"));
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments_that_readers_skip() {
    let service = Service::with(|config| config.keep_alive = Duration::from_millis(5)).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(3, &["a"]).wait_before(1, &gate));
    let mut connection = begin(&service, json!({"stream": true})).await;
    connection.read_until(": keep-alive\n\n").await;
    gate.open();
    connection.read_until("[DONE]").await;
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_count_the_same() {
    let service = Service::start().await;
    let mut usages = Vec::new();
    for stream in [false, true] {
        service.backend.answer(two_choices());
        let fields = json!({"n": 2, "stream": stream, "stream_options": {"include_usage": true}});
        let reply = service.chat(fields).await;
        usages.push(if stream {
            let events = reply.events();
            serde_json::from_str::<Value>(&events[events.len() - 2]).unwrap()["usage"].clone()
        } else {
            reply.json()["usage"].clone()
        });
    }
    assert_eq!(usages[0], usages[1]);
    assert_eq!(usages[0]["total_tokens"], 13);
    assert_eq!(
        (service.totals.requests(), service.totals.prompt_tokens(), service.totals.completion_tokens()),
        (2, 18, 8)
    );
}

#[tokio::test]
async fn what_fails_before_the_first_event_has_a_status_and_after_it_is_the_last_event() {
    let service = Service::start().await;
    service.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 10 }));
    let reply = service.chat(json!({"stream": true})).await;
    reply.refuses(429, "limit_requests", "Too many requests");
    assert_eq!(reply.headers["retry-after"], "1");

    let broken = || BackendError::Internal("torn".to_owned());
    service.backend.answer(Script::text(1, &["a"]).fail_after(0, broken()));
    service.chat(json!({"stream": true})).await.refuses(500, "internal_error", "internal error");

    service.backend.answer(Script::text(1, &["a", "b"]).fail_after(2, broken()));
    let reply = service.chat(json!({"stream": true})).await;
    snapshot("stream_broken.txt", &reply.shown());

    let started = ChatEvent::Started { prompt_tokens: 1, cached_tokens: 0 };
    service.backend.answer(Script::new([Act::Event(started)]));
    let events = service.chat(json!({"stream": true})).await.events();
    assert!(events.last().unwrap().contains("internal_error"), "{events:?}");
}

#[tokio::test]
async fn a_reader_who_leaves_stops_the_work_and_pays_for_what_was_made() {
    let service = Service::start().await;
    let gate = Gate::new();
    let watch = service.backend.answer(Script::text(7, &["a", "b", "c"]).wait_before(3, &gate));
    let mut connection = begin(&service, json!({"stream": true})).await;
    connection.read_until("\"b\"").await;
    gate.reached().await;
    drop(connection);
    assert_eq!(watch.over().await, Played::Dropped(3));
    tokio::task::yield_now().await;
    assert_eq!(service.totals.requests(), 1);
    assert_eq!((service.totals.prompt_tokens(), service.totals.completion_tokens()), (7, 2));
}

#[tokio::test]
async fn many_streams_at_once_each_get_their_own() {
    let service = Service::start().await;
    let gate = Gate::new();
    let count = 40;
    for i in 0..count {
        let pieces: Vec<String> = (0..20).map(|k| format!("<{i}.{k}>")).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        service.backend.answer(Script::text(1, &pieces).wait_before(1 + i % 20, &gate));
    }
    let replies: Vec<_> = (0..count).map(|_| service.chat(json!({"stream": true}))).collect();
    let all = futures_util::future::join_all(replies);
    let (replies, ()) = tokio::join!(all, async {
        gate.reached().await;
        gate.open();
    });
    let mut texts: Vec<String> = replies.iter().map(|reply| text_of(&reply.events())).collect();
    let mut wanted: Vec<String> = (0..count).map(|i| (0..20).map(|k| format!("<{i}.{k}>")).collect()).collect();
    texts.sort();
    wanted.sort();
    assert_eq!(texts, wanted);
    assert_eq!(service.totals.completion_tokens(), 40 * 20);
}
