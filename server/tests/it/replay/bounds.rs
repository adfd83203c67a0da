//! What is kept, for how long, and what happens at the bounds.

use std::time::Duration;

use qwenda_testkit::{Gate, Script, scripted::Played};

use super::{Ask, Reading, script};
use crate::service::Service;

const WINDOW_MS: u64 = 1000;

#[tokio::test]
async fn an_answer_is_kept_for_the_window_and_no_longer() {
    let service = Service::with(|config| config.replay.window = Duration::from_millis(WINDOW_MS)).await;
    let ask = Ask::compat();
    service.backend.answer(script(1));
    ask.reply(&service, "k", None).await;
    service.clock.advance_ms(WINDOW_MS - 1);
    assert_eq!(ask.reply(&service, "k", None).await.headers["x-qwenda-replayed"], "true");
    service.clock.advance_ms(1);
    ask.reply(&service, "k", Some(1)).await.refuses(400, "invalid_parameter_error", "No answer is kept");
    service.backend.answer(script(2));
    let anew = ask.reply(&service, "k", None).await;
    assert!(anew.body.contains("<1>") && !anew.headers.contains_key("x-qwenda-replayed"));
    assert_eq!(service.totals.requests(), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_goes_on_for_the_grace_time_and_then_was_left() {
    let service = Service::with(|config| config.replay.grace = Duration::from_millis(30)).await;
    let ask = Ask::compat();
    let gate = Gate::new();
    let watch = service.backend.answer(script(5).wait_before(3, &gate));
    let mut reading = Reading::of(ask.send(&service, "k", None).await).await;
    reading.event().await.unwrap();
    drop(reading);
    assert_eq!(watch.over().await, Played::Dropped(3));
    // Whoever comes now begins anew, and pays again for what is made again.
    service.backend.answer(script(5));
    let mut status = 0;
    while status != 200 {
        status = ask.reply(&service, "k", None).await.status;
    }
    assert_eq!(service.totals.requests(), 2);
    assert_eq!(service.totals.completion_tokens(), 2 + 5);
}

#[tokio::test]
async fn a_full_store_forgets_the_oldest_that_ended_and_never_one_that_runs() {
    let service = Service::with(|config| config.replay.entries_max = 2).await;
    let ask = Ask::compat();
    for key in ["a", "b", "c"] {
        service.backend.answer(script(1));
        ask.reply(&service, key, None).await;
        service.clock.advance_ms(1);
    }
    assert!(ask.reply(&service, "b", None).await.headers.contains_key("x-qwenda-replayed"));
    assert!(ask.reply(&service, "c", None).await.headers.contains_key("x-qwenda-replayed"));
    let gate = Gate::new();
    let mut running = Vec::new();
    for key in ["d", "e"] {
        service.backend.answer(script(2).wait_before(2, &gate));
        running.push(Reading::of(ask.send(&service, key, None).await).await);
    }
    let refused = ask.reply(&service, "f", None).await;
    refused.refuses(429, "limit_requests", "Too many requests");
    assert_eq!(refused.headers["retry-after"], "1");
    gate.open();
    for reading in &mut running {
        assert!(reading.rest().await.last().unwrap().contains("[DONE]"));
    }
}

#[tokio::test]
async fn bytes_are_bounded_by_forgetting_what_ended() {
    let service = Service::with(|config| config.replay.bytes_max = 64 << 10).await;
    let ask = Ask::whole();
    let text = "x".repeat(20_000);
    for key in ["a", "b", "c", "d"] {
        service.backend.answer(Script::text(1, &[&text]));
        ask.reply(&service, key, None).await;
        service.clock.advance_ms(1);
    }
    assert_eq!(service.backend.calls().len(), 4);
    for key in ["b", "c", "d"] {
        assert!(ask.reply(&service, key, None).await.headers.contains_key("x-qwenda-replayed"), "{key}");
    }
    service.backend.answer(Script::text(1, &["anew"]));
    assert!(ask.reply(&service, "a", None).await.body.contains("anew"));
}

#[tokio::test]
async fn an_answer_that_outgrows_the_store_reaches_its_readers_and_nobody_after_them() {
    let service = Service::with(|config| config.replay.bytes_max = 64 << 10).await;
    let ask = Ask::compat();
    let gate = Gate::new();
    // Far more than is kept and than any socket holds: it is made no faster than it is read.
    let piece = "x".repeat(100_000);
    let pieces = vec![piece.as_str(); 100];
    let watch = service.backend.answer(Script::text(1, &pieces).wait_before(100, &gate));
    let mut reading = Reading::of(ask.send(&service, "k", None).await).await;
    let mut bytes = 0;
    for _ in 0..10 {
        bytes += reading.event().await.unwrap().len();
    }
    assert_eq!(ask.reply(&service, "k", None).await.status, 409);
    gate.open();
    bytes += reading.rest().await.iter().map(String::len).sum::<usize>();
    assert!(bytes > 100 * piece.len());
    assert!(matches!(watch.over().await, Played::Ended(_)));
    service.backend.answer(script(1));
    let mut status = 0;
    while status != 200 {
        status = ask.reply(&service, "k", None).await.status;
    }
    assert_eq!(service.totals.requests(), 2);

    // When its last reader leaves, nobody can come back.
    let watch = service.backend.answer(Script::text(1, &pieces));
    let mut reading = Reading::of(ask.send(&service, "other", None).await).await;
    for _ in 0..3 {
        reading.event().await.unwrap();
    }
    drop(reading);
    assert!(matches!(watch.over().await, Played::Dropped(_)));
}

#[tokio::test]
async fn a_reader_who_does_not_read_keeps_nobody_waiting() {
    let service = Service::start().await;
    let ask = Ask::compat();
    let piece = "x".repeat(100_000);
    let watch = service.backend.answer(Script::text(1, &vec![piece.as_str(); 100]));
    let stuck = ask.send(&service, "k", None).await;
    let mut reading = Reading::of(ask.send(&service, "k", None).await).await;
    assert!(reading.rest().await.last().unwrap().contains("[DONE]"));
    assert!(matches!(watch.over().await, Played::Ended(_)));
    let mut stuck = Reading::of(stuck).await;
    assert!(stuck.rest().await.last().unwrap().contains("[DONE]"));
    assert_eq!(service.totals.requests(), 1);
}

#[tokio::test]
async fn at_the_end_of_the_server_readers_are_told_and_the_unread_is_left() {
    let mut service = Service::with(|config| config.drain_timeout = Duration::from_millis(50)).await;
    let gate = Gate::new();
    let read = service.backend.answer(script(2).wait_before(2, &gate));
    let mut reading = Reading::of(Ask::compat().send(&service, "read", None).await).await;
    reading.event().await.unwrap();
    let unread = service.backend.answer(script(2).wait_before(2, &gate));
    let mut leaving = Reading::of(Ask::native().send(&service, "unread", None).await).await;
    leaving.event().await.unwrap();
    drop(leaving);
    service.stop();
    let rest = reading.rest().await;
    assert!(rest.last().unwrap().contains("The service is stopping"), "{rest:?}");
    assert!(matches!(read.over().await, Played::Dropped(_)));
    assert!(matches!(unread.over().await, Played::Dropped(_)));
    let totals = service.totals.clone();
    service.stopped().await;
    assert_eq!(totals.requests(), 2);
}
