//! Temporary keys.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use qwenda_server::{Auth, Clock, ServeConfig, Server, keys};
use qwenda_testkit::Scripted;

use crate::service::{NOW, Reply, Service};

const TOKENS: &str = "/api/v1/tokens";

async fn call(service: &Service, method: &str, path: &str, key: &str) -> Reply {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 0\r\n\r\n");
    service.send(&head, b"").await
}

fn token(reply: &Reply) -> String {
    reply.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_temporary_key_works_like_its_parent_but_makes_no_other() {
    let service = Service::start().await;
    let made = call(&service, "POST", TOKENS, &service.key).await;
    assert_eq!(made.json()["expires_at"], NOW + 60);
    let longer = call(&service, "POST", &format!("{TOKENS}?expire_in_seconds=1800"), &service.key).await;
    assert_eq!(longer.json()["expires_at"], NOW + 1800);
    let key = token(&made);
    assert!(key.starts_with("st-"));
    assert_eq!(call(&service, "GET", "/v1/models", &key).await.status, 200);
    assert_eq!(call(&service, "GET", "/api/v1/models", &key).await.status, 200);
    call(&service, "POST", TOKENS, &key).await.refuses_natively(403, "AccessDenied", "temporary key");
    let changed = format!("{}0", &key[..key.len() - 1]);
    if changed != key {
        assert_eq!(call(&service, "GET", "/v1/models", &changed).await.status, 401);
    }
    for range in ["0", "1801", "-1", "x", "", "99999999999999999999"] {
        let path = format!("{TOKENS}?expire_in_seconds={range}");
        let reply = call(&service, "POST", &path, &service.key).await;
        reply.refuses_natively(400, "InvalidParameter", "Range of expire_in_seconds should be [1, 1800]");
    }
    call(&service, "POST", TOKENS, "sk-wrong-key").await.refuses_natively(401, "InvalidApiKey", "Invalid API-key");
}

#[tokio::test]
async fn a_temporary_key_ends_with_its_time_and_with_its_parent() {
    let service = Service::start().await;
    let key = token(&call(&service, "POST", TOKENS, &service.key).await);
    keys::revoke(service.dir.path(), "test").await.unwrap();
    assert_eq!(call(&service, "GET", "/v1/models", &key).await.status, 401);

    let dir = tempfile::tempdir().unwrap();
    let (parent, _) = keys::create(dir.path(), "x").await.unwrap();
    let now = Arc::new(AtomicU64::new(NOW * 1000));
    let shown = now.clone();
    let config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), dir.path());
    let clock = Clock::from_fn(move || shown.load(Ordering::Relaxed));
    let server = Server::bind_with_clock(config, Arc::new(Scripted::new(&["m"])), clock).await.unwrap();
    let mut other = Service::start().await;
    other.addr = server.addr();
    let running = tokio::spawn(server.run(std::future::pending()));
    let key = token(&call(&other, "POST", &format!("{TOKENS}?expire_in_seconds=5"), parent.reveal()).await);
    for (seconds, status) in [(0, 200), (4, 200), (5, 401)] {
        now.store((NOW + seconds) * 1000, Ordering::Relaxed);
        assert_eq!(call(&other, "GET", "/v1/models", &key).await.status, status, "after {seconds} s");
    }
    running.abort();
}

#[tokio::test]
async fn where_nobody_needs_a_key_a_temporary_one_is_made_all_the_same() {
    let service = Service::with(|config| config.auth = Auth::None).await;
    let key = token(&call(&service, "POST", TOKENS, "sk-whatever").await);
    assert_eq!(call(&service, "GET", "/v1/models", &key).await.status, 200);
}
