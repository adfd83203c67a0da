//! Accounts, and what comes to them.

use serde_json::{Value, json};

use super::Desk;

#[tokio::test]
async fn an_account_is_made_listed_and_changed_by_who_has_seen_it() {
    let desk = Desk::open().await;
    let made = desk.ask("POST", "/accounts", json!({"name": "acme", "currency": "usd", "credit": "5"})).await;
    assert_eq!((made.status, made.headers["etag"].as_str()), (200, "\"1\""), "{}", made.shown());
    let account = made.json();
    assert_eq!(
        json!([account["currency"], account["credit"], account["balance"], account["spendable"], account["version"]]),
        json!(["USD", "5", "0", "5", 1])
    );
    let id = account["id"].as_str().unwrap();
    assert_eq!(desk.get(&format!("/accounts/{id}")).await, account);

    let path = "/accounts/acme";
    let changed = desk.change(path, "\"1\"", json!({"suspended": true})).await;
    assert_eq!((changed.status, changed.headers["etag"].as_str()), (200, "\"2\""), "{}", changed.shown());
    assert_eq!(changed.json()["suspended"], true);
    // The other admin read version 1 too.
    let stale = desk.change(path, "\"1\"", json!({"credit": "100"})).await;
    stale.refuses(412, "precondition_failed", "its version is \"2\", the change is of \"1\"");
    let blind = desk.ask("PATCH", path, json!({"credit": "100"})).await;
    blind.refuses(428, "precondition_required", "If-Match");
    let account = desk.get(path).await;
    assert_eq!(json!([account["credit"], account["suspended"]]), json!(["5", true]));
    let whatever = desk.change(path, "*", json!({"suspended": false, "quota_stops": true})).await;
    assert_eq!(json!([whatever.json()["suspended"], whatever.json()["quota_stops"]]), json!([false, true]));

    for name in ["b", "c"] {
        desk.post("/accounts", json!({"name": name})).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = desk.get("/accounts?limit=2").await;
    assert_eq!((names(&first).len(), &first["has_more"]), (2, &json!(true)));
    let second = desk.get(&format!("/accounts?limit=2&after={}", first["last_id"].as_str().unwrap())).await;
    assert_eq!((names(&second).len(), &second["has_more"]), (1, &json!(false)));
    let mut all = [names(&first), names(&second)].concat();
    all.sort();
    assert_eq!(all, ["acme", "b", "c"]);
}

#[tokio::test]
async fn a_suspended_account_is_not_worked_for() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    desk.post("/accounts/acme/topups", json!({"id": "1", "amount": "1"})).await;
    let key = desk.post("/keys", json!({"name": "web", "account": "acme"})).await["key"].as_str().unwrap().to_owned();
    let mut desk = desk;
    desk.service.key = key;
    desk.service.backend.answer(qwenda_testkit::Script::text(3, &["Hi"]));
    assert_eq!(desk.service.chat(json!({})).await.status, 200);
    desk.change("/accounts/acme", "*", json!({"suspended": true})).await;
    assert_eq!(desk.service.chat(json!({})).await.json()["error"]["code"], "Arrearage");
    desk.change("/accounts/acme", "*", json!({"suspended": false})).await;
    desk.service.backend.answer(qwenda_testkit::Script::text(3, &["Hi"]));
    assert_eq!(desk.service.chat(json!({})).await.status, 200);
}

#[tokio::test]
async fn what_is_paid_in_twice_under_one_id_is_paid_once() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    let path = "/accounts/acme/topups";
    let paid = desk.post(path, json!({"id": "inv-1", "amount": "100", "note": "bank"})).await;
    desk.service.clock.advance_ms(1_000_000);
    let again = desk.post(path, json!({"id": "inv-1", "amount": "100.000", "note": "other words"})).await;
    assert_eq!(again, paid);
    let other = desk.ask("POST", path, json!({"id": "inv-1", "amount": "99"})).await;
    other.refuses(409, "conflict", "the id `inv-1` was used before for something else: an amount of 100");
    desk.post(path, json!({"id": "inv-2", "amount": "-30"})).await;
    desk.ask("POST", path, json!({"id": "inv-3", "amount": "-71"})).await.refuses(409, "conflict", "balance is lower");

    let grants = "/accounts/acme/grants";
    let given = desk.post(grants, json!({"id": "welcome", "tokens": 500, "models": "qwen-*"})).await;
    assert_eq!(desk.post(grants, json!({"id": "welcome", "tokens": 500, "models": "qwen-*"})).await, given);
    for other in [
        json!({"id": "welcome", "tokens": 501, "models": "qwen-*"}),
        json!({"id": "welcome", "tokens": 500}),
        json!({"id": "welcome", "tokens": 500, "models": "qwen-*", "kind": "pack"}),
        json!({"id": "inv-1", "tokens": 500}),
    ] {
        desk.ask("POST", grants, other).await.refuses(409, "conflict", "used before for something else");
    }
    // Ids are of one account each.
    desk.post("/accounts", json!({"name": "other"})).await;
    desk.post("/accounts/other/topups", json!({"id": "inv-1", "amount": "1"})).await;
    let account = desk.get("/accounts/acme").await;
    assert_eq!(json!([account["balance"], account["tokens"][0]["tokens"]]), json!(["70", 500]));
    desk.is_in_order().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_field_and_changes_nothing() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    let before = desk.get("/accounts/acme").await;
    for (method, path, body, status, said) in [
        ("POST", "/accounts", json!({}), 400, "`name` does not do: it is missing"),
        ("POST", "/accounts", json!({"name": ""}), 400, "`name`"),
        ("POST", "/accounts", json!({"name": "a\nb"}), 400, "`name`"),
        ("POST", "/accounts", json!({"name": "acme"}), 409, "choose another name"),
        (
            "POST",
            "/accounts",
            json!({"name": "x", "currency": "EUR"}),
            400,
            "`currency` does not do: it must be CNY or USD",
        ),
        ("POST", "/accounts", json!({"name": "x", "credit": "-1"}), 400, "`credit`"),
        ("POST", "/accounts", json!({"name": "x", "credit": 1.5}), 400, "\"12.50\""),
        (
            "POST",
            "/accounts",
            json!({"name": "x", "curency": "CNY"}),
            400,
            "`curency` does not do: it is none of name, currency, credit",
        ),
        ("GET", "/accounts/nobody", Value::Null, 404, "no account has the name or id `nobody`"),
        ("GET", "/accounts?limit=0", Value::Null, 400, "`limit` does not do: it must be a whole number in [1, 1000]"),
        ("GET", "/accounts?limt=1", Value::Null, 400, "`limt`"),
        ("GET", "/accounts?limit=1&limit=2", Value::Null, 400, "twice"),
        (
            "PATCH",
            "/accounts/acme",
            json!({"suspended": "yes"}),
            400,
            "`suspended` does not do: it must be true or false",
        ),
        ("POST", "/accounts/acme/topups", json!({"amount": "1"}), 400, "`id` does not do: it is missing"),
        ("POST", "/accounts/acme/topups", json!({"id": "1"}), 400, "`amount`"),
        ("POST", "/accounts/acme/topups", json!({"id": "1", "amount": "0"}), 400, "`amount`"),
        ("POST", "/accounts/acme/topups", json!({"id": "1", "amount": "0.0000000001"}), 400, "`amount`"),
        ("POST", "/accounts/acme/topups", json!({"id": "1", "amount": "99999999999"}), 400, "`amount`"),
        ("POST", "/accounts/nobody/topups", json!({"id": "1", "amount": "1"}), 404, "nobody"),
        ("POST", "/accounts/acme/grants", json!({"id": "1", "tokens": 0}), 400, "`tokens`"),
        ("POST", "/accounts/acme/grants", json!({"id": "1", "tokens": 1, "models": "a*b"}), 400, "`models`"),
        ("POST", "/accounts/acme/grants", json!({"id": "1", "tokens": 1, "kind": "gift"}), 400, "`kind`"),
        ("POST", "/accounts/acme/grants", json!({"id": "1", "tokens": 1, "expires_at": 1}), 400, "that time is over"),
        ("POST", "/accounts/acme/grants", json!({"id": "1", "tokens": 1, "expires_at": "soon"}), 400, "2026-02-28"),
    ] {
        let reply = desk.ask_as(&desk.owner, method, path, "If-Match: *\r\n", body.clone()).await;
        assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.shown());
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{method} {path} {body}: {message:?} does not say {said:?}");
    }
    assert_eq!(desk.get("/accounts/acme").await, before);
    assert_eq!(desk.get("/accounts").await["data"].as_array().unwrap().len(), 1);
}
