//! Stopping: nothing new is taken, what runs may end, what does not end is cut.

use std::time::Duration;

use qwenda_testkit::{Gate, Script, scripted::Played};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::service::{CHAT, Connection, Service, request};

async fn begin(service: &Service, fields: Value) -> Connection {
    let body = request(fields).to_string();
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(body.as_bytes()).await;
    connection
}

#[tokio::test]
async fn running_answers_end_and_nobody_new_is_let_in() {
    let mut service = Service::start().await;
    let gate = Gate::new();
    service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut connection = begin(&service, json!({"stream": true})).await;
    connection.read_until("\"a\"").await;
    // An idle connection does not hold the server up.
    let mut idle = service.connect().await;
    idle.write(service.head("GET", "/v1/models", None).as_bytes()).await;
    idle.reply().await;

    let addr = service.addr;
    service.stop();
    assert_eq!(idle.read_to_end().await, "");
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    let rest = connection.read_to_end().await;
    assert!(rest.contains("\"b\"") && rest.contains("data: [DONE]"), "{rest}");
    service.stopped().await;
}

#[tokio::test]
async fn a_stream_that_does_not_end_in_time_is_cut_with_an_error() {
    let mut service = Service::with(|config| config.drain_timeout = Duration::ZERO).await;
    let gate = Gate::new();
    let watch = service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut connection = begin(&service, json!({"stream": true})).await;
    connection.read_until("\"a\"").await;
    service.stop();
    let rest = connection.read_to_end().await;
    assert!(rest.contains("data: {\"error\":{\"message\":\"The service is stopping"), "{rest}");
    assert!(!rest.contains("[DONE]"));
    assert_eq!(watch.over().await, Played::Dropped(2));
    service.stopped().await;
}

#[tokio::test]
async fn a_whole_answer_that_does_not_end_in_time_is_a_503() {
    let mut service = Service::with(|config| config.drain_timeout = Duration::ZERO).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut connection = begin(&service, json!({})).await;
    gate.reached().await;
    service.stop();
    connection.reply().await.refuses(503, "ModelUnavailable", "stopping");
    service.stopped().await;
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let mut service = Service::start().await;
    let connection = service.connect().await;
    service.stop();
    service.stopped().await;
    drop(connection);
}
