//! HTTP/2 without TLS, as proxies and gRPC-like callers speak it.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use qwenda_testkit::{Gate, Script, scripted::Played};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};

use crate::service::{CHAT, Service, request};

struct Caller {
    key: String,
    send: SendRequest<Body>,
    ended: JoinHandle<hyper::Result<()>>,
}

impl Caller {
    async fn to(service: &Service) -> Self {
        let socket = TcpStream::connect(service.addr).await.unwrap();
        let (send, connection) = handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
        Self { key: service.key.clone(), send, ended: tokio::spawn(connection) }
    }

    async fn send(&mut self, method: &str, path: &str, body: impl Into<Body>) -> hyper::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{path}"))
            .header("authorization", format!("Bearer {}", self.key))
            .body(body.into())
            .unwrap();
        self.send.ready().await?;
        self.send.send_request(request).await
    }

    async fn chat(&mut self, fields: Value) -> Response<Incoming> {
        self.send("POST", CHAT, request(fields).to_string()).await.unwrap()
    }
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn one_connection_carries_streams_side_by_side() {
    let service = Service::start().await;
    let mut caller = Caller::to(&service).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(3, &["slow"]).wait_before(1, &gate));
    service.backend.answer(Script::text(3, &["quick"]));
    let slow = caller.chat(json!({"stream": true}));
    let slow = slow.await;
    assert_eq!(slow.headers()["content-type"], "text/event-stream");
    let quick = text(caller.chat(json!({})).await).await;
    assert!(quick.contains("quick"));
    gate.open();
    assert!(text(slow).await.ends_with("data: [DONE]\n\n"));
    assert_eq!(caller.send("GET", "/v1/models", Body::empty()).await.unwrap().status(), StatusCode::OK);
    let head = caller.send("HEAD", "/v1/models", Body::empty()).await.unwrap();
    assert!(head.headers().contains_key("x-request-id"));
    assert_eq!(text(head).await, "");
    let wrong = caller.send("PUT", CHAT, Body::empty()).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(text(wrong).await.contains("'PUT' is not supported"));
}

#[tokio::test]
async fn who_resets_a_stream_has_left() {
    let service = Service::start().await;
    let mut caller = Caller::to(&service).await;
    let gate = Gate::new();
    let watch = service.backend.answer(Script::text(7, &["a", "b", "c"]).wait_before(2, &gate));
    let mut response = caller.chat(json!({"stream": true})).await;
    response.body_mut().frame().await.unwrap().unwrap();
    gate.reached().await;
    drop(response);
    assert!(matches!(watch.over().await, Played::Dropped(_)));
    assert_eq!(caller.send("GET", "/healthz", Body::empty()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn more_streams_than_allowed_wait_at_the_caller() {
    let service = Service::start().await;
    let mut caller = Caller::to(&service).await;
    caller.send("GET", "/healthz", Body::empty()).await.unwrap();
    let gate = Gate::new();
    let count = 130;
    for _ in 0..count {
        service.backend.answer(Script::text(1, &["ok"]).wait_before(1, &gate));
    }
    let chats = (0..count).map(|_| {
        let body = request(json!({})).to_string();
        let request = Request::post(format!("http://x{CHAT}"))
            .header("authorization", format!("Bearer {}", caller.key))
            .body(Body::from(body))
            .unwrap();
        caller.send.send_request(request)
    });
    let all = futures_util::future::join_all(chats.collect::<Vec<_>>());
    let watch = async {
        while service.backend.calls().len() < 100 {
            tokio::task::yield_now().await;
        }
        // The rest is not let in before one of these has ended.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(service.backend.calls().len(), 100);
        gate.open();
    };
    let (all, ()) = tokio::join!(all, watch);
    assert!(all.into_iter().all(|response| response.unwrap().status() == StatusCode::OK));
}

#[tokio::test]
async fn large_bodies_and_large_heads_are_bounded_alike() {
    let service = Service::with(|config| config.body_bytes_max = 1 << 20).await;
    let mut caller = Caller::to(&service).await;
    let refused = caller.send("POST", CHAT, vec![b'x'; 2 << 20]).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(text(refused).await.contains("Payload Too Large."));

    let head = Request::get("http://x/healthz").header("x-long", "a".repeat(100_000)).body(Body::empty()).unwrap();
    let answer = caller.send.send_request(head).await;
    assert!(!answer.is_ok_and(|response| response.status().is_success()));
    let mut caller = Caller::to(&service).await;
    assert_eq!(caller.send("GET", "/healthz", Body::empty()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_idle_connection_is_let_go_and_a_busy_one_is_not() {
    let service = Service::with(|config| config.header_timeout = Duration::from_millis(50)).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut busy = Caller::to(&service).await;
    let stream = busy.chat(json!({"stream": true})).await;
    let idle = Caller::to(&service).await;
    // Ends by itself, well-behaved.
    idle.ended.await.unwrap().unwrap();
    gate.open();
    assert!(text(stream).await.contains("[DONE]"));
    busy.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_preface_that_never_ends_is_hung_up_on() {
    let service = Service::with(|config| config.header_timeout = Duration::from_millis(20)).await;
    for start in ["PRI", "PRI * HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut connection = service.connect().await;
        connection.write(start.as_bytes()).await;
        connection.read_bytes_to_end().await;
    }
}

#[tokio::test]
async fn streams_end_before_the_server_does() {
    let mut service = Service::start().await;
    let mut caller = Caller::to(&service).await;
    let gate = Gate::new();
    service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut stream = caller.chat(json!({"stream": true})).await;
    stream.body_mut().frame().await.unwrap().unwrap();
    service.stop();
    gate.open();
    assert!(text(stream).await.contains("[DONE]"));
    service.stopped().await;
    let _ = caller.ended.await;
}

#[tokio::test]
async fn streams_that_do_not_end_in_time_are_cut_with_an_error() {
    let mut service = Service::with(|config| config.drain_timeout = Duration::ZERO).await;
    let mut caller = Caller::to(&service).await;
    let gate = Gate::new();
    let watch = service.backend.answer(Script::text(1, &["a", "b"]).wait_before(2, &gate));
    let mut stream = caller.chat(json!({"stream": true})).await;
    stream.body_mut().frame().await.unwrap().unwrap();
    service.stop();
    assert!(text(stream).await.contains("The service is stopping"));
    assert_eq!(watch.over().await, Played::Dropped(2));
    service.stopped().await;
}
