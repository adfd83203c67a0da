//! Temporary keys: less than their parent, and charged to its account.

use qwenda_testkit::{Script, Scripted};
use serde_json::{Value, json};

use super::Desk;
use crate::service::{CHAT, Reply, Service, request};

async fn token(desk: &Desk, parent: &str, query: &str) -> Reply {
    let head = format!(
        "POST /api/v1/tokens{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {parent}\r\nContent-Length: 0\r\n\r\n"
    );
    desk.service.send(&head, b"").await
}

async fn chat(desk: &Desk, key: &str, model: &str) -> Reply {
    desk.service.backend.answer(Script::text(3, &["Hi"]));
    let body = request(json!({"model": model})).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    desk.service.send(&head, body.as_bytes()).await
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

async fn shop(terms: Value) -> (Desk, String) {
    let service = Service::serving(Scripted::new(&["qwen-plus", "qwen-max", "qwen-turbo"]), |_| {}).await;
    let desk = Desk::before(service).await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    desk.post("/accounts/acme/topups", json!({"id": "1", "amount": "1"})).await;
    let mut new = json!({"name": "web", "account": "acme"});
    new.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    let parent = text(&desk.post("/keys", new).await, "key");
    (desk, parent)
}

#[tokio::test]
async fn a_temporary_key_may_do_what_both_allow_and_is_charged_to_its_parents_account() {
    let (desk, parent) = shop(json!({"models": ["qwen-plus", "qwen-max"], "budget_day": "0.5"})).await;
    let narrow = text(&token(&desk, &parent, "?models=qwen-plus,qwen-turbo").await.json(), "token");
    assert_eq!(chat(&desk, &narrow, "qwen-plus").await.status, 200);
    for model in ["qwen-max", "qwen-turbo"] {
        chat(&desk, &narrow, model).await.refuses(403, "Model.AccessDenied", model);
    }
    let elsewhere = text(&token(&desk, &parent, "?networks=10.0.0.0/8").await.json(), "token");
    chat(&desk, &elsewhere, "qwen-plus").await.refuses(403, "access_denied", "may not be used from");
    let wide = text(&token(&desk, &parent, "?models=*").await.json(), "token");
    chat(&desk, &wide, "qwen-turbo").await.refuses(403, "Model.AccessDenied", "qwen-turbo");

    let requests = desk.get("/requests?account=acme&from=2026-01-01").await["data"].as_array().unwrap().clone();
    assert_eq!((requests.len(), &requests[0]["key"]), (1, &desk.get("/keys/web").await["id"]));
    assert_eq!(desk.get("/keys/web").await["spent"]["day"], requests[0]["charge"]);
    desk.post("/keys/web/disable", Value::Null).await;
    chat(&desk, &narrow, "qwen-plus").await.refuses(401, "invalid_api_key", "Incorrect");
    desk.is_in_order().await;
}

#[tokio::test]
async fn the_limits_of_a_parent_are_those_of_all_its_temporary_keys_together() {
    let (desk, parent) = shop(json!({"requests_per_minute": 2})).await;
    let made = [token(&desk, &parent, "").await, token(&desk, &parent, "?models=qwen-*").await];
    let [a, b] = made.map(|reply| text(&reply.json(), "token"));
    let statuses = [
        chat(&desk, &a, "qwen-plus").await.status,
        chat(&desk, &b, "qwen-plus").await.status,
        chat(&desk, &parent, "qwen-plus").await.status,
    ];
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn what_cannot_be_given_is_refused_by_its_field() {
    let (desk, parent) = shop(json!({})).await;
    for (query, said) in [
        ("?models=a*b".to_owned(), "models"),
        ("?models=".to_owned(), "models"),
        ("?networks=10.0.0.0/40".to_owned(), "networks"),
        (format!("?models={}", "a,".repeat(600) + "a"), "models"),
    ] {
        token(&desk, &parent, &query).await.refuses_natively(400, "InvalidParameter", said);
    }
}
