//! What is sent again, and what never.

use std::time::Duration;

use qwenda::{
    Billed, Client, Event, Fault, Kind, Limit, Mock, Retry, Throttle, Timeouts, Unknown, transport::TransportError,
};

use crate::faults::{Act, Service, delta, end};

/// Pauses of no length: what is tested is what is sent.
fn quick() -> Retry {
    Retry { pause_first: Duration::ZERO, ..Retry::default() }
}

fn to(service: &Service, replays: bool) -> Client {
    Client::builder().base_url(&service.url).replays(replays).retry(quick()).build().unwrap()
}

#[tokio::test]
async fn the_table_of_replay_safety_holds_on_a_real_socket() {
    let throttled = |code: &str| {
        Act::answer(429, "retry-after-ms: 1\r\n", &format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#))
    };
    let failed = |status: u16| {
        Act::answer(status, "x-request-id: r9\r\n", r#"{"error":{"code":"internal_error","message":"m"}}"#)
    };
    // What the service does first, whether it knows idempotency keys, and what becomes of the call.
    let again = None;
    for (first, replays, want) in [
        (throttled("limit_requests"), false, again),
        (throttled("insufficient_quota"), false, again),
        (throttled("limit_burst_rate"), false, again),
        (throttled("Arrearage"), false, Some((Kind::Arrears, Billed::No))),
        (throttled("PostpaidBillOverdue"), false, Some((Kind::Arrears, Billed::No))),
        (failed(503), false, again),
        (Act::answer(503, "", r#"{"code":"ModelServingError","message":"m"}"#), false, again),
        (Act::answer(408, "", ""), false, again),
        (Act::answer(400, "", "bad"), true, Some((Kind::Refused, Billed::No))),
        (Act::answer(401, "", "who"), true, Some((Kind::Unauthorized, Billed::No))),
        (
            Act::answer(403, "", r#"{"code":"AllocationQuota.FreeTierOnly","message":"m"}"#),
            true,
            Some((Kind::FreeTierEnded, Billed::No)),
        ),
        (failed(500), false, Some((Kind::Service, Billed::Unknown))),
        (failed(500), true, again),
        (Act::answer(502, "", "<html>"), false, Some((Kind::Service, Billed::Unknown))),
        (Act::answer(504, "", ""), false, Some((Kind::Timeout(Limit::Service), Billed::Unknown))),
        (
            Act::answer(503, "x-should-retry: false\r\n", "no"),
            true,
            Some((Kind::Throttled(Throttle::Overloaded), Billed::No)),
        ),
        (Act::HangUp, false, Some((Kind::Disconnected, Billed::Unknown))),
        (Act::HangUp, true, again),
        (Act::cut_events(""), false, Some((Kind::Disconnected, Billed::Unknown))),
        (Act::cut_events(""), true, again),
        (Act::cut_events(&delta(None, "a")), false, Some((Kind::Disconnected, Billed::Yes))),
        (Act::events(&delta(None, "a")), false, Some((Kind::Truncated, Billed::Yes))),
        (Act::events("data: [DONE]\n\n"), false, Some((Kind::Truncated, Billed::Unknown))),
        (Act::events("data: not json\n\ndata: x\n\n"), true, Some((Kind::Malformed, Billed::Yes))),
        (Act::answer(200, "content-type: text/html\r\n", "<html>"), true, Some((Kind::Malformed, Billed::Unknown))),
        (
            Act::events(
                "event:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling.BurstRate\",\"message\":\"m\"}\n\n",
            ),
            false,
            again,
        ),
        (
            Act::answer(302, "location: http://elsewhere.invalid/\r\n", ""),
            true,
            Some((Kind::Malformed, Billed::Unknown)),
        ),
    ] {
        let name = format!("{first:?} replays {replays}");
        let service = Service::start(vec![first, Act::text("good")]).await;
        let got = to(&service, replays).chat("m").user("hi").await;
        let requests = service.requests().len();
        match (want, got) {
            (None, Ok(reply)) => {
                assert_eq!((reply.text(), reply.attempts().len(), requests), ("good", 1, 2), "{name}");
            }
            (Some(want), Err(error)) => {
                assert_eq!((error.kind(), error.billed()), want, "{name}");
                assert_eq!((error.attempts().len(), requests), (1, 1), "{name}");
            }
            (_, got) => panic!("{name}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn the_idempotency_key_is_made_once_for_a_call_and_sent_with_each_attempt() {
    let busy = || Act::answer(503, "", "busy");
    let service = Service::start(vec![busy(), busy(), Act::text("a"), Act::text("b"), Act::text("c")]).await;
    let client = to(&service, false);
    client.chat("m").user("one").await.unwrap();
    client.chat("m").user("two").await.unwrap();
    client.chat("m").user("three").idempotency_key("my-own").await.unwrap();
    let keys: Vec<String> = service.header("idempotency-key").into_iter().map(Option::unwrap).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
    assert_eq!(keys[4], "my-own");
    let error = client.chat("m").user("x").idempotency_key("two words").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::Invalid, 0));
}

#[tokio::test]
async fn nobody_there_is_tried_again_and_not_billed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder().base_url(url).retry(quick()).build().unwrap();
    let error = client.chat("m").user("hi").await.unwrap_err();
    assert_eq!((error.kind(), error.billed(), error.fault()), (Kind::Connect, Billed::No, Fault::Network));
    assert_eq!(error.attempts().len(), 4);
}

#[tokio::test]
async fn a_stream_that_breaks_is_picked_up_where_the_service_numbers_its_events() {
    let first = format!("{}{}", delta(Some(1), "Hel"), delta(Some(2), "lo"));
    let rest = format!("{}{}", delta(Some(3), " world"), end(Some(4)));
    let service = Service::start(vec![Act::cut_events(&first), Act::events(&rest)]).await;
    let mut stream = to(&service, true).chat("m").user("hi").stream().await.unwrap();
    let (mut text, mut resumed) = (String::new(), 0);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            Event::Text(piece) => text.push_str(&piece),
            Event::Retry(retry) => resumed += u32::from(retry.resumed),
            _ => {}
        }
    }
    assert_eq!((text.as_str(), resumed), ("Hello world", 1));
    assert_eq!(stream.finish().unwrap().text(), "Hello world");
    assert_eq!(service.header("last-event-id"), [None, Some("2".to_owned())]);
    let keys = service.header("idempotency-key");
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn an_answer_that_was_picked_up_is_picked_up_again_when_nothing_of_it_came() {
    let first = format!("{}{}", delta(Some(1), "Hel"), delta(Some(2), "lo"));
    let rest = format!("{}{}", delta(Some(3), " world"), end(Some(4)));
    let service = Service::start(vec![Act::cut_events(&first), Act::cut_events(""), Act::events(&rest)]).await;
    assert_eq!(to(&service, true).chat("m").user("hi").await.unwrap().text(), "Hello world");
    let two = Some("2".to_owned());
    assert_eq!(service.header("last-event-id"), [None, two.clone(), two]);
}

#[tokio::test]
async fn a_stream_that_breaks_elsewhere_is_never_begun_again() {
    for replays in [false, true] {
        let service = Service::start(vec![Act::cut_events(&delta(None, "Hel")), Act::text("never asked for")]).await;
        let error = to(&service, replays).chat("m").user("hi").await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (Kind::Disconnected, Billed::Yes));
        assert_eq!(error.partial().unwrap().text(), "Hel");
        assert_eq!(error.request_id(), Some("chatcmpl-r1"));
        assert_eq!(service.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_end_a_call_that_is_silent_drips_or_takes_too_long() {
    let second = Duration::from_secs(1);
    let limits =
        Timeouts { first_byte: Some(2 * second), idle: Some(second), total: Some(10 * second), ..Timeouts::default() };
    // A service in memory: paused time and sockets do not go together.
    let silent = Silent { head: false, drips: false };
    let begins = Silent { head: true, drips: false };
    let drips = Silent { head: true, drips: true };
    for (transport, want) in [(silent, Limit::FirstByte), (begins, Limit::Idle), (drips, Limit::Total)] {
        let client =
            Client::builder().base_url("http://m.invalid/v1").transport(transport).timeouts(limits).build().unwrap();
        let error = client.chat("m").user("hi").await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (Kind::Timeout(want), Billed::Unknown), "{want:?}");
    }
}

/// A service that never finishes.
struct Silent {
    head: bool,
    drips: bool,
}

impl qwenda::transport::Transport for Silent {
    fn send(
        &self,
        _: qwenda::transport::Request,
    ) -> futures_util::future::BoxFuture<'static, Result<qwenda::transport::Response, TransportError>> {
        let (head, drips) = (self.head, self.drips);
        Box::pin(async move {
            if !head {
                std::future::pending::<()>().await;
            }
            let body = futures_util::stream::unfold((), move |()| async move {
                if !drips {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                Some((Ok(": wait\n\n".into()), ()))
            });
            let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
            Ok(qwenda::transport::Response::new(200, headers, qwenda::transport::Body::new(body)))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_too_long_a_wait_is_not_waited_for() {
    let mock =
        Mock::new().error(429, r#"{"error":{"code":"limit_requests"}}"#).with_header("retry-after", "7200").reply("x");
    let error = mock.client().chat("m").user("hi").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7200)));
    assert_eq!((error.is_throttle(), error.attempts().len()), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_everybody_is_not_asked_four_times_by_everybody() {
    let mut mock = Mock::new();
    for _ in 0..200 {
        mock = mock.error(503, "busy");
    }
    let client = mock.builder().retry_allowance(5).build().unwrap();
    for _ in 0..20 {
        client.chat("m").user("hi").await.unwrap_err();
    }
    assert_eq!(mock.requests().len(), 25);
}

/// Random faults, an idempotent service: every call is answered or fails, and no answer is made twice.
#[tokio::test(start_paused = true)]
async fn under_random_faults_no_answer_is_paid_for_twice() {
    for seed in 0..300_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut mock = Mock::new();
        // How many answers a service without idempotency keys has made up to each step.
        let mut carried_out = Vec::new();
        for _ in 0..6 {
            let (step, made) = match random(6) {
                0 => (mock.error(429, r#"{"error":{"code":"limit_requests"}}"#), 0),
                1 => (mock.error(500, "broken"), 1),
                2 => (mock.fail(TransportError::Connect { why: "refused".to_owned() }), 0),
                3 => (mock.fail(TransportError::Broken { why: "reset".to_owned() }), 1),
                4 => (mock.stream(["a", "b"]).cut_after(2), 1),
                _ => (mock.reply("good"), 1),
            };
            mock = step;
            carried_out.push(made);
        }
        let result = mock.client().chat("m").user("hi").await;
        let made: u32 = carried_out[..mock.requests().len()].iter().sum();
        assert!(made <= 1, "seed {seed}: {made} answers made");
        match result {
            Ok(_) => assert_eq!(made, 1, "seed {seed}"),
            Err(error) => match error.billed() {
                Billed::No => assert_eq!(made, 0, "seed {seed}: {error:?}"),
                Billed::Yes => assert_eq!(made, 1, "seed {seed}: {error:?}"),
                _ => {}
            },
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_pays_twice_has_said_so() {
    let mock = Mock::new().error(500, "broken").reply("good");
    let retry = Retry { unknown: Unknown::SendAgain, ..Retry::default() };
    assert_eq!(mock.client().chat("m").user("hi").retry(retry).await.unwrap().text(), "good");
}
