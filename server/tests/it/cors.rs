//! Pages of other origins.

use qwenda_server::config::Cors;
use qwenda_testkit::Script;
use serde_json::json;

use crate::service::{CHAT, Reply, Service, request};

const PAGE: &str = "https://app.example";

async fn send(service: &Service, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let head = service.head(method, path, (!body.is_empty()).then_some(body.len()));
    service.send(&head.replace("Host", &format!("{headers}Host")), body.as_bytes()).await
}

async fn preflight(service: &Service, origin: &str) -> Reply {
    // No key: browsers send none.
    let head = format!(
        "OPTIONS {CHAT} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization,content-type,x-stainless-lang\r\n\
         Access-Control-Request-Private-Network: true\r\n\r\n"
    );
    service.send(&head, b"").await
}

#[tokio::test]
async fn pages_may_not_call_unless_it_was_configured() {
    let service = Service::start().await;
    service.backend.answer(Script::text(1, &["ok"]));
    let origin = format!("Origin: {PAGE}\r\n");
    for reply in
        [preflight(&service, PAGE).await, send(&service, "POST", CHAT, &origin, &request(json!({})).to_string()).await]
    {
        assert!(reply.headers.keys().all(|name| !name.starts_with("access-control-")), "{reply:?}");
    }
}

#[tokio::test]
async fn pages_of_the_listed_origins_may_call_and_read_errors_too() {
    let service = Service::with(|config| {
        config.cors = Cors::Origins(vec!["http://localhost:3000".to_owned(), PAGE.to_owned()]);
    })
    .await;
    let reply = preflight(&service, PAGE).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.headers["access-control-allow-origin"], PAGE);
    assert_eq!(reply.headers["access-control-allow-headers"], "authorization,content-type,x-stainless-lang");
    assert!(reply.headers["access-control-allow-methods"].contains("POST"));
    assert_eq!(reply.headers["access-control-allow-private-network"], "true");
    assert!(reply.headers["vary"].contains("origin"));
    assert!(!reply.request_id().is_empty());

    let origin = format!("Origin: {PAGE}\r\n");
    service.backend.answer(Script::text(1, &["ok"]));
    let good = send(&service, "POST", CHAT, &origin, &request(json!({"stream": true})).to_string()).await;
    assert_eq!(good.status, 200);
    let bad = send(&service, "POST", CHAT, &origin, "{}").await;
    let stranger =
        send(&service, "GET", "/v1/models", &origin.replace("Origin", "Authorization: no\r\nOrigin"), "").await;
    let nowhere = send(&service, "GET", "/nowhere", &origin, "").await;
    assert_eq!((bad.status, nowhere.status), (400, 404));
    for reply in [good, bad, stranger, nowhere] {
        assert_eq!(reply.headers["access-control-allow-origin"], PAGE, "{reply:?}");
        let exposed = &reply.headers["access-control-expose-headers"];
        for name in ["x-request-id", "retry-after", "x-qwenda-ignored-fields", "x-qwenda-replayed"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    for other in ["https://evil.example", "https://app.example.evil", "null"] {
        let reply = preflight(&service, other).await;
        assert!(!reply.headers.contains_key("access-control-allow-origin"), "{other}: {reply:?}");
        assert!(reply.headers["vary"].contains("origin"));
    }
}

#[tokio::test]
async fn a_star_lets_pages_of_any_origin_call() {
    let service = Service::with(|config| config.cors = Cors::Any).await;
    for origin in [PAGE, "null", "http://127.0.0.1:5173"] {
        let reply = preflight(&service, origin).await;
        assert_eq!(reply.headers["access-control-allow-origin"], "*", "{origin}");
    }
}
