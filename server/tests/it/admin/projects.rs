//! Projects, and what an account's keys are held to together.

use qwenda_server::projects::{Changes, Projects};
use qwenda_testkit::{Script, Scripted};
use serde_json::{Value, json};

use super::Desk;
use crate::service::{CHAT, Reply, Service, request};

async fn chat(desk: &Desk, key: &str, model: &str) -> Reply {
    desk.service.backend.answer(Script::text(3, &["Hi"]));
    let body = request(json!({"model": model, "max_tokens": 10})).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    desk.service.send(&head, body.as_bytes()).await
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

/// An account with money, a project, two of its keys, and one of the account alone.
async fn shop() -> (Desk, [String; 3]) {
    let service = Service::serving(Scripted::new(&["qwen-plus", "qwen-max", "qwen-turbo"]), |_| {}).await;
    let desk = Desk::before(service).await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    desk.post("/accounts/acme/topups", json!({"id": "1", "amount": "1"})).await;
    desk.post("/projects", json!({"account": "acme", "name": "shop"})).await;
    let mut keys = Vec::new();
    for new in [
        json!({"name": "a", "project": "shop"}),
        json!({"name": "b", "project": "shop", "account": "acme"}),
        json!({"name": "c", "account": "acme"}),
    ] {
        keys.push(text(&desk.post("/keys", new).await, "key"));
    }
    (desk, keys.try_into().unwrap())
}

#[tokio::test]
async fn a_project_is_made_listed_and_changed_by_who_has_seen_it() {
    let (desk, _) = shop().await;
    let again = desk.ask("POST", "/projects", json!({"account": "acme", "name": "shop"})).await;
    again.refuses(409, "conflict", "choose another name");
    desk.post("/accounts", json!({"name": "other"})).await;
    let twin = desk.post("/projects", json!({"account": "other", "name": "shop", "budget_day": "3"})).await;
    desk.ask("GET", "/projects/shop", Value::Null).await.refuses(409, "conflict", "2 projects");
    let path = format!("/projects/{}", text(&twin, "id"));
    assert_eq!(desk.get(&path).await["spent"], json!({"day": "0"}));
    let changed = desk.change(&path, "\"1\"", json!({"budget_day": null, "pace": "strict"})).await;
    assert_eq!((changed.status, changed.headers["etag"].as_str()), (200, "\"2\""), "{}", changed.shown());
    assert_eq!(changed.json()["terms"], json!({"pace": "strict"}));
    desk.change(&path, "\"1\"", json!({"disabled": true})).await.refuses(412, "precondition_failed", "version");
    let page = desk.get("/projects?account=acme").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(desk.get("/projects?limit=1").await["has_more"], true);
    for (body, field) in [
        (json!({"account": "acme", "name": ""}), "name"),
        (json!({"account": "acme"}), "name"),
        (json!({"name": "x"}), "account"),
        (json!({"account": "acme", "name": "x", "pace": "hour"}), "pace"),
        (json!({"account": "acme", "name": "x", "requests_per_minute": 0}), "requests_per_minute"),
        (json!({"account": "acme", "name": "x", "budget_day": "-1"}), "budget_day"),
        (json!({"account": "acme", "name": "x", "role": "owner"}), "role"),
        (json!({"account": "acme", "name": "x", "model_limits": {}}), "model_limits"),
    ] {
        let reply = desk.ask("POST", "/projects", body).await;
        assert_eq!(reply.status, 400, "{field}: {}", reply.shown());
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(field), "{field}: {}", reply.shown());
    }
    let foreign = desk.ask("POST", "/keys", json!({"name": "k", "account": "other", "project": "nowhere"})).await;
    foreign.refuses(400, "invalid_parameter_error", "project");
}

#[tokio::test]
async fn keys_are_held_to_their_project_and_account_together() {
    let (desk, [a, b, c]) = shop().await;
    desk.change("/projects/shop", "*", json!({"requests_per_minute": 3, "models": ["qwen-plus", "qwen-max"]})).await;
    let limits = json!({"qwen-max": {"requests_per_minute": 1}});
    desk.change("/accounts/acme", "*", json!({"requests_per_minute": 5, "model_limits": limits})).await;
    let turbo = chat(&desk, &a, "qwen-turbo").await;
    turbo.refuses(403, "Model.AccessDenied", "by the terms of the project");
    assert_eq!(chat(&desk, &a, "qwen-max").await.status, 200);
    // Each model of the account counts by itself, for all its keys.
    chat(&desk, &c, "qwen-max").await.refuses(429, "limit_requests", "the model's limit of requests");
    for key in [&a, &b] {
        assert_eq!(chat(&desk, key, "qwen-plus").await.status, 200);
    }
    let refused = chat(&desk, &b, "qwen-plus").await;
    refused.refuses(429, "limit_requests", "the project's limit of requests per minute is 3");
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.shown());
    // What was refused took nothing of the account's.
    for _ in 0..2 {
        assert_eq!(chat(&desk, &c, "qwen-turbo").await.status, 200);
    }
    chat(&desk, &c, "qwen-turbo").await.refuses(429, "limit_requests", "the account's limit of requests");
    let used = desk.get("/usage?project=shop").await;
    assert_eq!(used["data"][0]["requests"], 3);
    let both = desk.ask("GET", "/usage?project=shop&key=a", Value::Null).await;
    both.refuses(400, "invalid_parameter_error", "project");
    desk.is_in_order().await;
}

#[tokio::test]
async fn a_budget_of_a_project_is_spent_by_all_its_keys() {
    let (desk, [a, b, c]) = shop().await;
    assert_eq!(chat(&desk, &a, "qwen-plus").await.status, 200);
    // A budget counts from when it is there.
    desk.change("/projects/shop", "*", json!({"budget_total": "0.0007"})).await;
    assert_eq!(chat(&desk, &a, "qwen-plus").await.status, 200);
    let spent = desk.get("/projects/shop").await["spent"]["total"].clone();
    assert_ne!(spent, "0");
    desk.change("/projects/shop", "*", json!({"budget_total": spent})).await;
    chat(&desk, &b, "qwen-plus").await.refuses(429, "insufficient_quota", "The project's budget (total) has 0 left");
    assert_eq!(chat(&desk, &c, "qwen-plus").await.status, 200);
    let low = desk.change("/projects/shop", "*", json!({"budget_total": "0"})).await;
    low.refuses(400, "invalid_parameter_error", "budget_total");
    desk.is_in_order().await;
}

#[tokio::test]
async fn a_disabled_project_and_a_growing_one_are_refused() {
    let (desk, [a, _, c]) = shop().await;
    desk.change("/projects/shop", "*", json!({"disabled": true})).await;
    chat(&desk, &a, "qwen-plus").await.refuses(403, "access_denied", "project is disabled");
    assert_eq!(chat(&desk, &c, "qwen-plus").await.status, 200);
    let projects = Projects::open(desk.service.dir.path()).await.unwrap();
    let found = projects.find("shop", Some("acme")).await.unwrap();
    projects.change(found, Changes { disabled: Some(false), ..Changes::default() }).await.unwrap();
    assert_eq!(chat(&desk, &a, "qwen-plus").await.status, 200);
    // Of 6,000 a minute ten may come in the first second.
    desk.change("/projects/shop", "*", json!({"requests_per_minute": 6000, "burst_guard": true})).await;
    let mut admitted = 0;
    let refused = loop {
        let reply = chat(&desk, &a, "qwen-plus").await;
        if reply.status != 200 {
            break reply;
        }
        admitted += 1;
        assert!(admitted < 200, "nothing guards");
    };
    refused.refuses(429, "limit_burst_rate", "requests in this second");
}

#[tokio::test]
async fn content_is_kept_only_where_the_account_wishes_it() {
    let (desk, [a, ..]) = shop().await;
    let ids = async |n: usize| {
        let rows = desk.get("/requests?account=acme&from=2026-01-01").await["data"].as_array().unwrap().clone();
        assert_eq!(rows.len(), n);
        text(&rows[n - 1], "id")
    };
    assert_eq!(chat(&desk, &a, "qwen-plus").await.status, 200);
    let path = |id: String| format!("/requests/{id}/content");
    let before = path(ids(1).await);
    desk.ask("GET", &before, Value::Null).await.refuses(404, "resource_not_found", "content_days");
    desk.change("/accounts/acme", "*", json!({"content_days": 30})).await;
    assert_eq!(chat(&desk, &a, "qwen-plus").await.status, 200);
    let kept = path(ids(2).await);
    let content = desk.get(&kept).await;
    assert_eq!(content["answer"], json!([{"text": "Hi"}]));
    assert_eq!(content["request"]["messages"], request(json!({}))["messages"]);
    desk.ask("GET", &before, Value::Null).await.refuses(404, "resource_not_found", "content_days");
    desk.change("/accounts/acme", "*", json!({"content_days": 0})).await;
    desk.ask("GET", &kept, Value::Null).await.refuses(404, "resource_not_found", "content_days");
    let long = desk.change("/accounts/acme", "*", json!({"content_days": 4000})).await;
    long.refuses(400, "invalid_parameter_error", "content_days");
}
