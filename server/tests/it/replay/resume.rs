//! Picking an answer up again.

use qwenda_backend::BackendError;
use qwenda_server::keys;
use qwenda_testkit::{Gate, Script, scripted::Played};
use serde_json::json;

use super::{Ask, Reading, nameless, script};
use crate::service::{Service, request};

const PIECES: usize = 5;

#[tokio::test]
async fn an_answer_dropped_at_any_event_goes_on_where_it_stopped() {
    for ask in Ask::both() {
        let service = Service::start().await;
        service.backend.answer(script(PIECES));
        let mut undisturbed = Reading::of(ask.send(&service, "undisturbed", None).await).await;
        let whole = undisturbed.rest().await;
        let wanted = nameless(&whole, undisturbed.request_id());
        assert!(whole.len() > PIECES, "{whole:?}");
        for (number, event) in (1..).zip(&whole) {
            assert!(event.starts_with(&format!("id: {number}\n")) || event.starts_with(&format!("id:{number}\n")));
        }
        // Cut while it is being made, and after it has been made.
        for running in [true, false] {
            for cut in 0..=whole.len() {
                let gate = Gate::new();
                // All but the end is made before the gate: what is sent for the end may be several events.
                service.backend.answer(script(PIECES).wait_before(PIECES + 1, &gate));
                if !running || cut > PIECES {
                    gate.open();
                }
                let key = format!("cut-{running}-{cut}");
                let mut first = Reading::of(ask.send(&service, &key, None).await).await;
                let mut events = Vec::new();
                for _ in 0..cut {
                    events.push(first.event().await.unwrap());
                }
                let id = first.request_id().to_owned();
                drop(first);
                let mut second = Reading::of(ask.send(&service, &key, Some(cut)).await).await;
                assert_eq!(second.request_id(), id);
                assert_eq!(second.headers["x-qwenda-replayed"], "true");
                gate.open();
                events.extend(second.rest().await);
                assert_eq!(nameless(&events, &id), wanted, "{} cut after {cut}, running: {running}", ask.path);
            }
        }
        let answers = 1 + 2 * (whole.len() as u64 + 1);
        assert_eq!(service.totals.requests(), answers);
        assert_eq!(service.totals.completion_tokens(), answers * PIECES as u64);
    }
}

#[tokio::test]
async fn equal_requests_at_once_are_answered_once() {
    for ask in Ask::both() {
        let service = Service::start().await;
        let gate = Gate::new();
        service.backend.answer(script(4).wait_before(3, &gate));
        let mut first = Reading::of(ask.send(&service, "k", None).await).await;
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(Reading::of(ask.send(&service, "k", None).await).await);
        }
        gate.open();
        let whole = first.rest().await;
        for other in &mut others {
            assert_eq!(other.rest().await, whole);
            assert_eq!(other.request_id(), first.request_id());
            assert_eq!(other.headers["x-qwenda-replayed"], "true");
        }
        assert!(!first.headers.contains_key("x-qwenda-replayed"));
        assert_eq!((service.backend.calls().len(), service.totals.requests()), (1, 1));
    }
}

#[tokio::test]
async fn a_whole_answer_is_kept_too_though_nobody_was_there_to_take_it() {
    let service = Service::start().await;
    let ask = Ask::whole();
    let gate = Gate::new();
    let watch = service.backend.answer(script(3).wait_before(2, &gate));
    let connection = ask.send(&service, "k", None).await;
    gate.reached().await;
    drop(connection);
    gate.open();
    assert!(matches!(watch.over().await, Played::Ended(_)));
    let again = ask.reply(&service, "k", None).await;
    let twice = ask.reply(&service, "k", None).await;
    assert_eq!(again.json()["choices"][0]["message"]["content"], "<0><1><2>");
    assert_eq!((again.shown(), &again.body), (twice.shown(), &twice.body));
    assert_eq!(again.json()["id"], format!("chatcmpl-{}", again.request_id()));
    assert_eq!((service.backend.calls().len(), service.totals.requests()), (1, 1));
    ask.reply(&service, "k", Some(1)).await.refuses(400, "invalid_parameter_error", "not a stream");
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_conflict() {
    let service = Service::start().await;
    for ask in Ask::both() {
        service.backend.answer(script(1));
        ask.reply(&service, "k", None).await;
        let other = Ask { body: ask.body.replace("hi", "ho"), ..ask.clone() };
        let reply = other.reply(&service, "k", None).await;
        let body = reply.json();
        assert_eq!(reply.status, 409, "{body}");
        let code = if ask.path.starts_with("/api") { &body["code"] } else { &body["error"]["code"] };
        assert!(code.as_str().unwrap().eq_ignore_ascii_case("conflict"), "{body}");
    }
    let elsewhere = Ask { path: "/v1/embeddings", ..Ask::compat() };
    elsewhere.reply(&service, "k", None).await.refuses(409, "conflict", "Idempotency-Key");
    assert_eq!(service.backend.calls().len(), 2);
}

#[tokio::test]
async fn what_makes_no_difference_to_the_answer_makes_none_to_the_key() {
    let service = Service::start().await;
    service.backend.answer(script(1));
    let first = Ask::compat().reply(&service, "k", None).await;
    let other_path = Ask { path: "/compatible-mode/v1/chat/completions", ..Ask::compat() };
    assert_eq!(other_path.reply(&service, "k", None).await.body, first.body);

    let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    tokio::io::AsyncWriteExt::write_all(&mut encoder, Ask::compat().body.as_bytes()).await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut encoder).await.unwrap();
    let coded = encoder.into_inner();
    let head = service.head("POST", Ask::compat().path, Some(coded.len()));
    let head = head.replace("Host", "Idempotency-Key: k\r\nContent-Encoding: gzip\r\nHost");
    assert_eq!(service.send(&head, &coded).await.body, first.body);

    let spaced = r#"{ "stream":true, "messages" : [{"role":"user","content":"h\u0069"}],  "model":"qwen-scripted" }"#;
    let spaced = Ask { body: format!("\u{feff}{spaced}\n"), ..Ask::compat() };
    assert_eq!(spaced.reply(&service, "k", None).await.body, first.body);
    assert_eq!(service.backend.calls().len(), 1);
    let other = Ask { body: spaced.body.replace("h\\u0069", "h i"), ..spaced };
    assert_eq!(other.reply(&service, "k", None).await.status, 409);
}

#[tokio::test]
async fn the_order_of_a_native_request_s_parameters_makes_no_difference() {
    let service = Service::start().await;
    service.backend.answer(script(1));
    let ask = |parameters: &str| {
        let input = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
        let body = format!(r#"{{"model":"qwen-scripted","input":{input},"parameters":{parameters}}}"#);
        Ask { body, ..Ask::native() }
    };
    let first = ask(r#"{"seed":1,"top_p":0.5}"#).reply(&service, "k", None).await;
    let again = ask(r#"{"top_p": 0.5, "seed": 1}"#).reply(&service, "k", None).await;
    assert_eq!((first.status, &again.body), (200, &first.body));
    // Nor the way in which the stream is asked for; but a whole answer is another.
    let accepting = Ask { headers: "Accept: text/event-stream\r\n", ..ask(r#"{"seed":1,"top_p":0.5}"#) };
    assert_eq!(accepting.reply(&service, "k", None).await.body, first.body);
    let whole = Ask { headers: "", ..accepting };
    assert_eq!(whole.reply(&service, "k", None).await.status, 409);
    assert_eq!(ask(r#"{"top_p":0.5,"seed":2}"#).reply(&service, "k", None).await.status, 409);
    assert_eq!(service.backend.calls().len(), 1);
}

#[tokio::test]
async fn keys_of_other_callers_and_of_the_other_dialect_are_other_keys() {
    let mut service = Service::start().await;
    service.backend.answer(script(1));
    Ask::compat().reply(&service, "k", None).await;
    service.backend.answer(script(2));
    assert_eq!(Ask::native().reply(&service, "k", None).await.status, 200);
    service.backend.answer(script(3));
    let (other, _) = keys::create(service.dir.path(), "other").await.unwrap();
    service.key = other.reveal().to_owned();
    let reply = Ask::compat().reply(&service, "k", None).await;
    assert!(reply.body.contains("<2>"), "{}", reply.body);
    assert_eq!(service.backend.calls().len(), 3);
}

#[tokio::test]
async fn what_failed_runs_anew() {
    for ask in Ask::both() {
        let service = Service::start().await;
        let broken = || BackendError::Internal("torn".to_owned());
        // Before the first byte.
        service.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 10 }));
        assert_eq!(ask.reply(&service, "k", None).await.status, 429);
        // After it: who reads gets the error, and who comes later another try.
        service.backend.answer(script(2).fail_after(2, broken()));
        let failed = ask.reply(&service, "k", None).await;
        assert!(failed.body.contains("nternal") && failed.body.contains("id: 1") | failed.body.contains("id:1"));
        let resumed = ask.reply(&service, "k", Some(1)).await;
        assert_eq!(resumed.status, 400, "{}", resumed.body);
        assert!(resumed.body.contains("No answer is kept"), "{}", resumed.body);
        service.backend.answer(script(2));
        let good = ask.reply(&service, "k", None).await;
        assert!(good.body.contains("<1>") && !good.headers.contains_key("x-qwenda-replayed"));
        // A request that is wrong is not kept either.
        let wrong = Ask { body: "{}".to_owned(), ..ask.clone() };
        for _ in 0..2 {
            let reply = wrong.reply(&service, "wrong", None).await;
            assert_eq!((reply.status, reply.headers.contains_key("x-qwenda-replayed")), (400, false));
        }
    }
}

#[tokio::test]
async fn headers_that_cannot_be_meant_are_refused() {
    let service = Service::start().await;
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    for (headers, keyword) in [
        ("Idempotency-Key: \r\n", "1 to 255 visible"),
        ("Idempotency-Key: a b\r\n", "1 to 255 visible"),
        ("Idempotency-Key: schlüssel\r\n", "1 to 255 visible"),
        (long.as_str(), "1 to 255 visible"),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "more than one"),
        ("Last-Event-ID: 3\r\n", "send that request's Idempotency-Key"),
        ("Idempotency-Key: k\r\nLast-Event-ID: x\r\n", "a whole number"),
        ("Idempotency-Key: k\r\nLast-Event-ID: -1\r\n", "a whole number"),
        ("Idempotency-Key: k\r\nLast-Event-ID: 3\r\n", "No answer is kept"),
    ] {
        let reply = Ask::compat().send_with(&service, headers).await.reply().await;
        reply.refuses(400, "invalid_parameter_error", keyword);
    }
    service.backend.answer(script(1));
    Ask::compat().reply(&service, "k", None).await;
    Ask::compat().reply(&service, "k", Some(99)).await.refuses(400, "invalid_parameter_error", "Last-Event-ID is 99");
    // Without the header nothing is kept and nothing numbered.
    service.backend.answer(script(1));
    let plain = service.chat(json!({"stream": true})).await;
    assert!(plain.body.starts_with("data: "), "{}", plain.body);
    // GET has no answers to keep.
    let head = service.head("GET", "/v1/models", None).replace("Host", "Last-Event-ID: 3\r\nHost");
    assert_eq!(service.send(&head, b"").await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_picks_nothing_up() {
    let service = Service::start().await;
    service.backend.answer(script(2));
    let ask = Ask::compat();
    ask.reply(&service, "k", None).await;
    keys::revoke(service.dir.path(), "test").await.unwrap();
    ask.reply(&service, "k", None).await.refuses(401, "invalid_api_key", "Incorrect");
    ask.reply(&service, "k", Some(1)).await.refuses(401, "invalid_api_key", "Incorrect");
}

#[tokio::test]
async fn comments_keep_a_silent_reader_s_connection_alive() {
    let service = Service::with(|config| config.keep_alive = std::time::Duration::from_millis(5)).await;
    let gate = Gate::new();
    service.backend.answer(script(1).wait_before(1, &gate));
    let mut connection = Ask::compat().send(&service, "k", None).await;
    connection.read_until(": keep-alive\n\n").await;
    gate.open();
    connection.read_until("[DONE]").await;
    let again = Ask::compat().reply(&service, "k", None).await;
    assert!(!again.body.contains("keep-alive"));
}

#[tokio::test]
async fn a_request_may_ask_for_more_than_the_stored_headers() {
    // The compression of the second answer is its own, the body underneath the same.
    let service = Service::start().await;
    let text = "long ".repeat(1000);
    service.backend.answer(Script::text(1, &[&text]));
    let ask = Ask { body: request(json!({})).to_string(), ..Ask::compat() };
    let plain = ask.reply(&service, "k", None).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let mut coded =
        ask.send_with(&service, "Idempotency-Key: k\r\nAccept-Encoding: gzip\r\nConnection: close\r\n").await;
    let (status, headers) = coded.reply_head().await;
    assert_eq!((status, headers["content-encoding"].as_str()), (200, "gzip"));
    assert!(coded.read_bytes_to_end().await.len() < text.len());
}
