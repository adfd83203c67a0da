//! The scripted backend does what it is told, when it is told.

use futures_util::StreamExt;
use qwenda_backend::{Backend, BackendError, ChatCall, ChatEvent, Whose};
use qwenda_testkit::{Gate, Script, Scripted, scripted::Played};
use qwenda_types::chat::ChatRequest;

fn call(id: &str) -> ChatCall {
    ChatCall {
        request: ChatRequest { model: "m".to_owned(), ..ChatRequest::default() },
        request_id: id.to_owned(),
        whose: Whose::default(),
    }
}

#[tokio::test]
async fn a_script_is_played_in_order_and_the_call_recorded() {
    let backend = Scripted::new(&["m"]);
    let watch = backend.answer(Script::text(3, &["Hel", "lo"]));
    assert_eq!(watch.now(), Played::Waiting);
    let events: Vec<_> = backend.chat(call("one")).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(events.len(), 5);
    assert!(matches!(events[0], ChatEvent::Started { prompt_tokens: 3, .. }));
    assert!(matches!(&events[2], ChatEvent::Text { text, completion_tokens: 2, .. } if text == "lo"));
    assert!(matches!(events[4], ChatEvent::Done { usage, .. } if usage.completion_tokens == 2));
    assert_eq!(watch.now(), Played::Ended(5));
    assert_eq!(backend.calls()[0].request_id, "one");
}

#[tokio::test]
async fn a_gate_holds_the_stream_until_it_is_opened() {
    let backend = Scripted::new(&["m"]);
    let gate = Gate::new();
    let watch = backend.answer(Script::text(3, &["a", "b"]).wait_before(2, &gate));
    let mut stream = backend.chat(call("one")).await.unwrap();
    stream.next().await;
    stream.next().await;
    let next = tokio::spawn(async move { (stream.next().await, stream) });
    gate.reached().await;
    assert!(!next.is_finished());
    assert_eq!(watch.now(), Played::Streaming(2));
    gate.open();
    let (event, stream) = next.await.unwrap();
    assert!(matches!(event, Some(Ok(ChatEvent::Text { text, .. })) if text == "b"));
    drop(stream);
    assert_eq!(watch.over().await, Played::Dropped(3));
}

#[tokio::test]
async fn errors_come_before_the_stream_or_in_it() {
    let backend = Scripted::new(&["m"]);
    let refused = backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 7 }));
    let broken = backend.answer(Script::text(1, &["a"]).fail_after(2, BackendError::Internal("cut".to_owned())));
    assert!(matches!(backend.chat(call("1")).await, Err(BackendError::Busy { retry_after_ms: 7 })));
    assert_eq!(refused.now(), Played::Ended(0));
    let events: Vec<_> = backend.chat(call("2")).await.unwrap().collect().await;
    assert!(events[0].is_ok() && events[1].is_ok() && events[2].is_err() && events.len() == 3);
    assert_eq!(broken.now(), Played::Ended(3));
    assert!(matches!(backend.chat(call("3")).await, Err(BackendError::Internal(_))), "no script is left");
}
