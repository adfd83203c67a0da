//! What was used and what it costs: every sum is that of the books, to the nano.

use qwenda_ledger::{money::Nanos, policy::Role};
use qwenda_testkit::{Script, Scripted};
use serde_json::{Value, json};

use super::{Desk, admin_key};
use crate::service::{CHAT, NOW, Service, request};

/// A desk whose service was asked by two accounts with three keys.
async fn busy() -> Desk {
    let service = Service::serving(Scripted::new(&["qwen-plus", "qwen-max"]), |_| {}).await;
    let mut desk = Desk::before(service).await;
    for (account, currency) in [("acme", "CNY"), ("globex", "USD")] {
        desk.post("/accounts", json!({"name": account, "currency": currency})).await;
        desk.post(&format!("/accounts/{account}/topups"), json!({"id": "1", "amount": "10"})).await;
    }
    let prices = json!({
        "model": "qwen-plus", "tiers": [{"input": "700.000001", "output": "1900.000003"}],
        "cost": {"input": "600", "output": "2000"},
    });
    desk.post("/prices", prices).await;
    for (name, account, models) in
        [("a", "acme", ["qwen-plus", "qwen-max"]), ("b", "acme", ["qwen-plus"; 2]), ("c", "globex", ["qwen-max"; 2])]
    {
        let made = desk.post("/keys", json!({"name": name, "account": account})).await;
        desk.service.key = made["key"].as_str().unwrap().to_owned();
        for model in models {
            desk.service.backend.answer(Script::text(7, &["one", " two", " three"]));
            let reply = desk.service.post(CHAT, request(json!({"model": model})).to_string()).await;
            assert_eq!(reply.status, 200, "{}", reply.shown());
            desk.service.clock.advance_ms(90_000);
        }
    }
    desk
}

fn sum(rows: &Value, field: &str) -> Nanos {
    let amounts = rows.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().parse::<Nanos>().unwrap());
    Nanos::checked_sum(amounts).unwrap()
}

#[tokio::test]
async fn statements_requests_and_usage_come_to_what_the_account_paid() {
    let desk = busy().await;
    let account = desk.get("/accounts/acme").await;
    let paid = "10".parse::<Nanos>().unwrap().checked_sub(account["balance"].as_str().unwrap().parse().unwrap());
    let paid = paid.unwrap();
    assert!(paid > Nanos::ZERO);

    // The first of January 2026 is the service's now.
    let statement = desk.get("/accounts/acme/statement?month=2026-01").await;
    assert_eq!(statement["total"], paid.to_string());
    assert_eq!((&statement["requests"], sum(&statement["models"], "charge")), (&json!(4), paid));
    let days = desk.get("/accounts/acme/statement?from=2026-01-01&until=2026-01-02").await;
    assert_eq!((&days["total"], &days["models"]), (&statement["total"], &statement["models"]));
    let empty = desk.get("/accounts/acme/statement?month=2025-12").await;
    assert_eq!((&empty["total"], &empty["requests"]), (&json!("0"), &json!(0)));

    let csv = desk.ask("GET", "/accounts/acme/statement?month=2026-01&format=csv", Value::Null).await;
    assert_eq!((csv.status, csv.headers["content-type"].as_str()), (200, "text/csv; charset=utf-8"));
    let rows: Vec<&str> = csv.body.trim_end().split("\r\n").collect();
    assert!(rows[0].starts_with("time,request,key,key_name,") && rows[0].ends_with(",lines,charge"), "{}", rows[0]);
    let charges = rows[1..].iter().map(|row| row.rsplit(',').next().unwrap().parse::<Nanos>().unwrap());
    assert_eq!((rows.len(), Nanos::checked_sum(charges)), (5, Some(paid)));
    assert!(rows[1].starts_with("2026-01-01T00:00:00Z,") && rows[1].contains(",a,qwen-plus,"), "{}", rows[1]);

    let mut all = Vec::new();
    let mut path = format!("/requests?account=acme&from={NOW}&limit=3");
    loop {
        let page = desk.get(&path).await;
        all.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        path = format!("/requests?account=acme&from={NOW}&limit=3&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!((all.len(), sum(&json!(all), "charge")), (4, paid));
    for request in &all {
        assert_eq!(sum(&request["lines"], "amount").to_string(), request["charge"].as_str().unwrap());
    }
    for group in ["", "key", "model", "account,key,model"] {
        let group = if group.is_empty() { String::new() } else { format!("&group={group}") };
        for grain in ["minute", "hour", "day"] {
            let usage = desk.get(&format!("/usage?account=acme&grain={grain}&from=2026-01-01{group}")).await;
            assert_eq!(sum(&usage["data"], "charge"), paid, "{grain} {group}: {usage}");
        }
    }
    desk.is_in_order().await;
}

#[tokio::test]
async fn usage_is_told_apart_by_what_is_named_and_always_by_currency() {
    let desk = busy().await;
    let rows = async |query: &str| desk.get(&format!("/usage?from=2026-01-01&{query}")).await["data"].clone();
    let day = rows("grain=day").await;
    let by = |rows: &Value, field: &str| -> Vec<(String, i64)> {
        let row = |row: &Value| (row[field].as_str().unwrap().to_owned(), row["requests"].as_i64().unwrap());
        rows.as_array().unwrap().iter().map(row).collect()
    };
    let mut currencies = by(&day, "currency");
    currencies.sort();
    assert_eq!(currencies, [("CNY".to_owned(), 4), ("USD".to_owned(), 2)]);
    assert!(day[0].get("key").is_none() && day[0].get("model").is_none());
    let mut models = by(&rows("group=model").await, "model");
    models.sort();
    let name = |name: &str| name.to_owned();
    assert_eq!(models, [(name("qwen-max"), 1), (name("qwen-max"), 2), (name("qwen-plus"), 3)]);
    assert_eq!(by(&rows("group=key&key=b").await, "key")[0].1, 2);
    // Each request began a minute and a half after the one before.
    assert_eq!(rows("grain=minute").await.as_array().unwrap().len(), 6);
    let first = desk.get("/usage?from=2026-01-01&grain=minute&limit=4").await;
    let rest = desk.get("/usage?from=2026-01-01&grain=minute&limit=4&offset=4").await;
    let counts = [&first, &rest].map(|page| page["data"].as_array().unwrap().len());
    assert_eq!((counts, &first["has_more"], &rest["has_more"]), ([4, 2], &json!(true), &json!(false)));
    for (query, said) in [
        ("usage?grain=week", "`grain`"),
        ("usage?group=colour", "`group`"),
        ("usage?from=yesterday", "`from`"),
        ("usage?from=2026-01-02&until=2026-01-01", "`until`"),
        ("accounts/acme/statement", "`month`"),
        ("accounts/acme/statement?month=2026-13", "`month`"),
        ("accounts/acme/statement?month=2026-01&from=2026-01-01", "`month`"),
        ("accounts/acme/statement?from=1767225601&until=2026-02-01", "whole days"),
        ("accounts/acme/statement?month=2026-01&format=xml", "`format`"),
        ("accounts/acme/statement?from=1970-01-01&until=2026-02-01", "366 days"),
    ] {
        let reply = desk.ask("GET", &format!("/{query}"), Value::Null).await;
        reply.refuses(400, "invalid_parameter_error", said);
    }
    desk.ask("GET", "/requests?after=x", Value::Null).await.refuses(404, "resource_not_found", "`x`");
}

#[tokio::test]
async fn a_margin_is_what_is_left_when_the_upstream_was_paid() {
    let desk = busy().await;
    let margin = desk.get("/margin?from=2026-01-01&account=acme").await;
    let of = |model: &str| margin["data"].as_array().unwrap().iter().find(|row| row["model"] == model).unwrap().clone();
    let plus = of("qwen-plus");
    // 3 requests of 7 tokens in and 3 out: at 600 and 2,000 CNY a million the upstream takes 0.0102 for each.
    assert_eq!(json!([plus["requests"], plus["costed_requests"], plus["cost"]]), json!([3, 3, "0.0306"]));
    let amount = |field: &str| plus[field].as_str().unwrap().parse::<Nanos>().unwrap();
    assert_eq!(amount("costed_charge").checked_sub(amount("cost")), Some(amount("margin")));
    assert_eq!(amount("charge"), amount("costed_charge"));
    let max = of("qwen-max");
    assert_eq!(json!([max["requests"], max["costed_requests"], max["cost"], max["margin"]]), json!([1, 0, "0", "0"]));
    let viewer = admin_key(&desk.service, Role::Viewer).await;
    for path in ["/margin", "/prices"] {
        let reply = desk.ask_as(&viewer, "GET", path, "", Value::Null).await;
        assert_eq!(reply.status, if path == "/margin" { 403 } else { 200 });
        assert!(!reply.body.contains("\"cost\""), "{path} tells what upstreams take");
    }
}

#[tokio::test]
async fn prices_are_set_listed_and_refused_by_their_field() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme", "currency": "USD"})).await;
    let made = desk
        .post("/prices", json!({"model": "m", "account": "acme", "tiers": [
            {"input_tokens_max": 1000, "input": "1", "output": "2"}, {"input": "2", "output": "4", "output_thinking": "8"}]}))
        .await;
    assert_eq!(json!([made["currency"], made["tiers"][1]["output_thinking"]]), json!(["USD", "8"]));
    assert_eq!(desk.get("/prices?model=m").await["data"], json!([made]));
    assert!(desk.get("/prices?currency=CNY").await["data"].as_array().unwrap().len() > 10);
    let tier = json!([{"input": "1", "output": "2"}]);
    for (body, said) in [
        (json!({"tiers": tier}), "`model`"),
        (json!({"model": "m*", "tiers": tier}), "`model`"),
        (json!({"model": "m"}), "`tiers`"),
        (json!({"model": "m", "tiers": []}), "`tiers`"),
        (json!({"model": "m", "tiers": [{"input": "1"}]}), "`output`"),
        (json!({"model": "m", "tiers": [{"input": "-1", "output": "1"}]}), "`input`"),
        (json!({"model": "m", "tiers": [{"input": "2000000", "output": "1"}]}), "million tokens"),
        (json!({"model": "m", "tiers": [{"input": "1", "output": "1", "x": 1}]}), "`x`"),
        (json!({"model": "m", "tiers": tier, "effective_from": 1}), "`effective_from`"),
        (json!({"model": "m", "tiers": tier, "account": "acme", "currency": "CNY"}), "`currency`"),
        (json!({"model": "m", "tiers": tier, "cost": 5}), "`cost`"),
    ] {
        let reply = desk.ask("POST", "/prices", body).await;
        reply.refuses(400, "invalid_parameter_error", said);
    }
}
