//! Callers who leave, callers who do not read, and callers who are too many.

use futures_util::StreamExt;
use qwenda_backend::{BackendError, ChatEvent, local::LocalOptions};
use qwenda_testkit::TinyModel;
use serde_json::{Value, json};

use crate::asking::{Tiny, request, start};

/// A model whose answers take hours if nobody ends them, and that computes one at a time.
fn endless() -> (Tiny, Value) {
    let mut options = LocalOptions::default();
    options.engine.kv_tokens_max = Some(1 << 20);
    options.engine.sequences_max = 1;
    options.engine.queue_max = 1;
    let tiny = Tiny::of(&TinyModel { context: 1 << 20, ..TinyModel::qwen2() }, options);
    (tiny, request(json!({"max_tokens": 1_000_000, "temperature": 0, "logit_bias": {"40": 100}})))
}

#[tokio::test]
async fn dropping_a_stream_frees_its_place_and_a_full_queue_is_said_at_once() {
    let (tiny, long) = endless();
    let mut running = start(&tiny.local, long.clone()).await.unwrap();
    assert!(matches!(running.next().await, Some(Ok(ChatEvent::Started { .. }))));
    let waiting = start(&tiny.local, long.clone()).await.unwrap();
    match start(&tiny.local, long.clone()).await {
        Err(BackendError::Busy { retry_after_ms }) => assert!((1_000..=60_000).contains(&retry_after_ms)),
        other => panic!("{:?}", other.err()),
    }
    drop(running);
    drop(waiting);
    // The place is free at the engine's next step, which may be a moment from now.
    let answer = loop {
        match start(&tiny.local, request(json!({}))).await {
            Ok(stream) => break stream,
            Err(BackendError::Busy { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other:?}"),
        }
    };
    let events: Vec<_> = answer.collect().await;
    assert!(matches!(events.last(), Some(Ok(ChatEvent::Done { .. }))), "{events:?}");
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_nobody_up() {
    let mut options = LocalOptions::default();
    options.engine.kv_tokens_max = Some(1 << 20);
    let tiny = Tiny::of(&TinyModel { context: 1 << 20, ..TinyModel::qwen2() }, options);
    let unread = start(&tiny.local, endless().1).await.unwrap();
    for _ in 0..3 {
        tiny.ask(request(json!({}))).await;
    }
    drop(unread);
}

#[tokio::test]
async fn when_one_of_several_choices_is_refused_none_runs() {
    let (tiny, mut long) = endless();
    long["n"] = json!(4);
    assert!(matches!(start(&tiny.local, long).await, Err(BackendError::Busy { .. })));
    // The choices that had been taken are gone, or this would wait for hours.
    let answer = loop {
        match start(&tiny.local, request(json!({}))).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let events: Vec<_> = answer.collect().await;
    assert!(matches!(events.last(), Some(Ok(ChatEvent::Done { .. }))), "{events:?}");
}
