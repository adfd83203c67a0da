//! Answers that nobody waits for any more, and whether the service is told so.

use std::time::Duration;

use qwenda::{Client, Event, Kind, Retry};

use crate::faults::{Act, Service, delta, end};

fn to(service: &Service) -> Client {
    let retry = Retry { pause_first: Duration::ZERO, ..Retry::default() };
    Client::builder().qwenda(&service.url).retry(retry).build().unwrap()
}

/// The idempotency key of the last request.
fn last_key(service: &Service) -> String {
    service.header("idempotency-key").pop().flatten().unwrap()
}

/// A stream of which something was read.
async fn begun(client: &Client) -> qwenda::ChatStream {
    let mut stream = client.chat("m").user("hi").stream().await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Event::Text(_)))));
    stream
}

fn endless() -> Act {
    Act::open_events(&delta(Some(1), "and"))
}

#[tokio::test]
async fn only_what_the_service_may_still_be_making_for_this_call_alone_is_given_up() {
    let whole = Act::events(&format!("{}{}", delta(Some(1), "all"), end(Some(2))));
    let refused = Act::answer(400, "", "bad");
    let failed = Act::events("data: {\"error\":{\"code\":\"internal_error\",\"message\":\"m\"}}\n\n");
    let script = vec![whole, refused, failed, endless(), endless(), endless()];
    let service = Service::start(script).await;
    let client = to(&service);
    assert_eq!(client.chat("m").user("hi").await.unwrap().text(), "all");
    assert_eq!(client.chat("m").user("hi").await.unwrap_err().kind(), Kind::Refused);
    let once = Retry::none();
    assert_eq!(client.chat("m").user("hi").retry(once).await.unwrap_err().kind(), Kind::Service);
    // Another process may come back with a key that somebody chose.
    let mut chosen = client.chat("m").user("hi").idempotency_key("mine").stream().await.unwrap();
    chosen.next().await.unwrap().unwrap();
    drop(chosen);
    let elsewhere = Client::builder().base_url(&service.url).build().unwrap();
    drop(begun(&elsewhere).await);
    drop(begun(&client).await);
    assert_eq!(service.given_up(1).await, [last_key(&service)]);
    client.give_up("mine").await.unwrap();
    assert_eq!(service.given_up(2).await[1], "mine");
    assert_eq!(client.give_up("two words").await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_call_that_fails_while_the_service_may_be_at_work_gives_its_answer_up() {
    let service = Service::start(vec![Act::HangUp, Act::HangUp]).await;
    let twice = Retry { attempts_max: 2, pause_first: Duration::ZERO, ..Retry::default() };
    let error = to(&service).chat("m").user("hi").retry(twice).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Disconnected);
    assert_eq!(service.given_up(1).await, [last_key(&service)]);
}

#[tokio::test]
async fn futures_that_are_dropped_give_their_answers_up_whatever_they_ask_for() {
    let service = Service::start(Vec::new()).await;
    let client = to(&service);
    let calls: [futures_util::future::BoxFuture<'static, ()>; 4] = [
        Box::pin({
            let call = client.chat("m").user("hi");
            async { drop(call.await) }
        }),
        Box::pin({
            let call = client.complete("m", "fn main");
            async { drop(call.await) }
        }),
        Box::pin({
            let call = client.embed("m", ["a"]);
            async { drop(call.await) }
        }),
        Box::pin({
            let call = client.rerank("m", "a", ["b"]);
            async { drop(call.await) }
        }),
    ];
    for (count, call) in (1..).zip(calls) {
        let running = tokio::spawn(call);
        while service.requests().len() < count {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert_eq!(service.given_up(count).await[count - 1], last_key(&service));
    }
}

#[tokio::test]
async fn who_ends_waits_until_all_is_given_up() {
    let service = Service::start(vec![endless(), endless(), endless()]).await;
    let client = to(&service);
    client.settled().await;
    for _ in 0..3 {
        drop(begun(&client).await);
    }
    client.settled().await;
    assert_eq!(service.given_up(0).await.len(), 3);
}

#[tokio::test]
async fn a_stream_may_be_dropped_where_no_runtime_is() {
    let service = Service::start(vec![endless()]).await;
    let stream = begun(&to(&service)).await;
    std::thread::spawn(move || drop(stream)).join().unwrap();
    assert_eq!(service.given_up(1).await, [last_key(&service)]);
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn a_stream_without_async_is_given_up_too() {
    let service = Service::start(vec![endless()]).await;
    let url = service.url.clone();
    let dropping = tokio::task::spawn_blocking(move || {
        // A thread of its own: where a runtime is, nothing waits.
        std::thread::spawn(move || {
            let client = qwenda::blocking::Client::new(Client::builder().qwenda(url).build().unwrap()).unwrap();
            let mut stream = client.stream(client.chat("m").user("hi")).unwrap();
            assert!(matches!(stream.next(), Some(Ok(Event::Text(_)))));
            drop(stream);
            client
        })
        .join()
        .unwrap()
    });
    let client = dropping.await.unwrap();
    assert_eq!(service.given_up(1).await, [last_key(&service)]);
    tokio::task::spawn_blocking(move || drop(client)).await.unwrap();
}
