//! Keys of callers, from their making to their end.

use serde_json::{Value, json};

use super::Desk;
use crate::service::{CHAT, Reply, request};

async fn status(desk: &Desk, key: &str) -> u16 {
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    desk.service.send(&head, b"").await.status
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_made_on_terms_changed_and_disabled_at_once() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    let made =
        desk.post("/keys", json!({"name": "web", "account": "acme", "models": ["a", "b*"], "budget_day": "2.5"})).await;
    let (key, id) = (text(&made, "key"), text(&made, "id"));
    assert!(key.ends_with(&text(&made, "last4")) && made["version"] == 1);
    assert_eq!(status(&desk, &key).await, 200);
    let path = format!("/keys/{id}");
    let shown = desk.get(&path).await;
    assert_eq!(
        json!([shown["terms"], shown["spent"]]),
        json!([{"models": ["a", "b*"], "budget_day": "2.5"}, {"day": "0"}])
    );
    assert!(shown.get("key").is_none());
    assert_eq!(desk.get("/keys/web").await, shown);

    let changed = desk.change(&path, "\"1\"", json!({"models": null, "requests_per_minute": 60})).await;
    assert_eq!(changed.headers["etag"], "\"2\"");
    assert_eq!(changed.json()["terms"], json!({"requests_per_minute": 60, "budget_day": "2.5"}));
    let stale = desk.change(&path, "\"1\"", json!({"concurrency": 1})).await;
    stale.refuses(412, "precondition_failed", "The key was changed meanwhile");
    desk.ask("PATCH", &path, json!({"concurrency": 1})).await.refuses(428, "precondition_required", "If-Match");
    assert_eq!(desk.get(&path).await["version"], 2);

    let disabled = desk.post(&format!("{path}/disable"), Value::Null).await;
    assert!(disabled["disabled_at"].is_i64());
    assert_eq!(status(&desk, &key).await, 401);
    assert_eq!(desk.post(&format!("{path}/disable"), Value::Null).await, disabled, "it is disabled once");
    desk.change(&path, "*", json!({"concurrency": 1})).await.refuses(409, "conflict", "disabled for good");
    desk.ask("POST", &format!("{path}/rotate"), json!({})).await.refuses(409, "conflict", "disabled for good");
}

#[tokio::test]
async fn keys_are_listed_page_by_page_and_by_account() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    for name in ["a", "b", "c"] {
        desk.post("/keys", json!({"name": name, "account": "acme"})).await;
    }
    // The service's own key belongs to nobody.
    assert_eq!(desk.get("/keys").await["data"].as_array().unwrap().len(), 4);
    let first = desk.get("/keys?account=acme&limit=2").await;
    let rest = desk.get(&format!("/keys?account=acme&limit=2&after={}", text(&first, "last_id"))).await;
    let pages = [&first, &rest].map(|page| page["data"].as_array().unwrap().len());
    assert_eq!((pages, &first["has_more"], &rest["has_more"]), ([2, 1], &json!(true), &json!(false)));
    desk.ask("GET", "/keys?after=x", Value::Null).await.refuses(404, "resource_not_found", "`x`");
    desk.ask("GET", "/keys?account=x", Value::Null).await.refuses(404, "resource_not_found", "`x`");
}

#[tokio::test]
async fn a_rotated_key_works_under_both_secrets_until_the_overlap_ends() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    let made = desk.post("/keys", json!({"name": "web", "account": "acme"})).await;
    let (old, path) = (text(&made, "key"), format!("/keys/{}", text(&made, "id")));
    let rotated = desk.post(&format!("{path}/rotate"), json!({"overlap_seconds": 3_600})).await;
    let new = text(&rotated, "key");
    assert_ne!(old, new);
    assert_eq!((text(&rotated, "last4").as_str(), &rotated["version"]), (&new[new.len() - 4..], &json!(2)));
    for (after_s, of_old) in [(0, 200), (3_599, 200), (1, 401)] {
        desk.service.clock.advance_ms(after_s * 1_000);
        assert_eq!((status(&desk, &old).await, status(&desk, &new).await), (of_old, 200), "after {after_s} s more");
    }

    // Without an overlap at once; disabled, both end.
    let third = text(&desk.post(&format!("{path}/rotate"), json!({})).await, "key");
    assert_eq!((status(&desk, &new).await, status(&desk, &third).await), (401, 200));
    let fourth = text(&desk.post(&format!("{path}/rotate"), json!({"overlap_seconds": 60})).await, "key");
    assert_eq!((status(&desk, &third).await, status(&desk, &fourth).await), (200, 200));
    desk.post(&format!("{path}/disable"), Value::Null).await;
    assert_eq!((status(&desk, &third).await, status(&desk, &fourth).await), (401, 401));
    for overlap in [json!(-1), json!(2_592_001), json!("1d"), json!(1.5)] {
        let reply = desk.ask("POST", "/keys/test/rotate", json!({"overlap_seconds": overlap})).await;
        reply.refuses(400, "invalid_parameter_error", "`overlap_seconds`");
    }
}

#[tokio::test]
async fn terms_that_mean_nothing_are_refused_by_their_field() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    desk.post("/keys", json!({"name": "web", "account": "acme"})).await;
    let before = desk.get("/keys/web").await;
    for (field, value) in [
        ("models", json!(["a*b"])),
        ("models", json!("qwen-plus")),
        ("networks", json!(["10.0.0.0/40"])),
        ("expires_at", json!("tomorrow")),
        ("role", json!("king")),
        ("requests_per_minute", json!(0)),
        ("requests_per_minute", json!(-5)),
        ("tokens_per_minute", json!(2_000_000_000_000_i64)),
        ("concurrency", json!(0)),
        ("budget_day", json!("-1")),
        ("budget_month", json!("1e3")),
        ("budget_total", json!(true)),
        ("rpm", json!(5)),
    ] {
        let body = json!({field: value});
        let reply = desk.change("/keys/web", "*", body.clone()).await;
        reply.refuses(400, "invalid_parameter_error", &format!("`{field}` does not do"));
        let mut new = body;
        new["name"] = "k".into();
        new["account"] = "acme".into();
        let reply = desk.ask("POST", "/keys", new).await;
        reply.refuses(400, "invalid_parameter_error", &format!("`{field}` does not do"));
    }
    let reply = desk.ask("POST", "/keys", json!({"name": "k", "budget_day": "1"})).await;
    reply.refuses(400, "invalid_parameter_error", "only the keys of an account have budgets");
    let reply = desk.ask("POST", "/keys", json!({"name": "k", "account": "nobody"})).await;
    reply.refuses(400, "invalid_parameter_error", "`account`");
    desk.ask("GET", "/keys/nobody", Value::Null).await.refuses(404, "resource_not_found", "nobody");
    desk.post("/keys", json!({"name": "twin"})).await;
    desk.post("/keys", json!({"name": "twin"})).await;
    desk.change("/keys/twin", "*", json!({})).await.refuses(409, "conflict", "use one of their ids");
    assert_eq!(desk.get("/keys/web").await, before);
}

#[tokio::test]
async fn the_errors_of_a_key_are_in_its_language_and_their_codes_stay() {
    let desk = Desk::open().await;
    let made = desk.post("/keys", json!({"name": "zh", "language": "zh"})).await;
    let ask = async |key: &str, stream: bool| {
        let body = request(json!({"model": "no-such-model", "stream": stream})).to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        desk.service.send(&head, body.as_bytes()).await
    };
    let (theirs, ours) = (ask(&text(&made, "key"), true).await, ask(&desk.service.key, false).await);
    let of = |reply: &Reply| reply.json()["error"].clone();
    assert_eq!((theirs.status, &of(&theirs)["code"]), (ours.status, &of(&ours)["code"]));
    let said = of(&theirs)["message"].as_str().unwrap().to_owned();
    let english = of(&ours)["message"].as_str().unwrap().to_owned();
    assert!(said.contains("模型") && said.contains(&english), "{said}");
    desk.change("/keys/zh", "*", json!({"language": "fr"})).await.refuses(400, "invalid_parameter_error", "language");
}
