//! Who is let in, and what each role may do.

use qwenda_ledger::policy::{Action, Role, may};
use qwenda_server::{Auth, admin};
use serde_json::{Value, json};

use super::{Desk, admin_key};
use crate::service::Service;

#[tokio::test]
async fn only_admin_keys_open_the_admin_api_and_they_open_nothing_else() {
    let desk = Desk::open().await;
    for (key, said) in [
        (desk.service.key.as_str(), "qwenda admin keys create"),
        ("sk-admin-00000000000000000000000000000000", "Incorrect API key"),
        ("", "Bearer <admin key>"),
        ("st-00", "admin keys only"),
    ] {
        let reply = desk.ask_as(key, "GET", "/accounts", "", Value::Null).await;
        reply.refuses(401, "invalid_api_key", said);
    }
    let reply = desk.service.send("GET /admin/v1/accounts HTTP/1.1\r\nHost: x\r\n\r\n", b"").await;
    reply.refuses(401, "invalid_api_key", "no header");

    let models = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", desk.owner);
    desk.service.send(&models, b"").await.refuses(401, "invalid_api_key", "Incorrect API key");

    let id = admin::list(desk.service.dir.path()).await.unwrap()[0].id.clone();
    admin::revoke(desk.service.dir.path(), &id).await.unwrap();
    let reply = desk.ask("GET", "/accounts", Value::Null).await;
    reply.refuses(401, "invalid_api_key", "Incorrect API key");
}

#[tokio::test]
async fn a_server_that_asks_for_no_keys_is_not_administered() {
    let desk = Desk::before(Service::with(|config| config.auth = Auth::None).await).await;
    let reply = desk.ask("GET", "/accounts", Value::Null).await;
    reply.refuses(403, "access_denied", "--no-auth");
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_is_told_what_it_would_need() {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    desk.post("/keys", json!({"name": "web", "account": "acme"})).await;
    let calls = [
        ("POST", "/accounts", json!({"name": "{}"}), Action::ManageAccounts),
        ("GET", "/accounts", Value::Null, Action::ReadBills),
        ("GET", "/accounts/acme", Value::Null, Action::ReadBills),
        ("PATCH", "/accounts/acme", json!({"credit": "1"}), Action::ManageAccounts),
        ("POST", "/accounts/acme/topups", json!({"id": "{}", "amount": "1"}), Action::GrantMoney),
        ("POST", "/accounts/acme/grants", json!({"id": "g{}", "tokens": 1}), Action::GrantMoney),
        ("POST", "/keys", json!({"name": "k"}), Action::ManageKeys),
        ("GET", "/keys", Value::Null, Action::ReadUsage),
        ("GET", "/keys/web", Value::Null, Action::ReadUsage),
        ("PATCH", "/keys/web", json!({"concurrency": 9}), Action::ManageKeys),
        ("POST", "/keys/web/rotate", Value::Null, Action::ManageKeys),
    ];
    for role in Role::ALL {
        let key = admin_key(&desk.service, role).await;
        for (method, path, body, action) in &calls {
            let body: Value = serde_json::from_str(&body.to_string().replace("{}", &role.to_string())).unwrap();
            let reply = desk.ask_as(&key, method, path, "If-Match: *\r\n", body).await;
            if may(role, *action) {
                assert_eq!(reply.status, 200, "{role} {method} {path}: {}", reply.shown());
                continue;
            }
            reply.refuses(403, "access_denied", &format!("has the role {role}, which may not {action}"));
            let needed = reply.json()["error"]["message"].to_string();
            assert!(Role::ALL.into_iter().all(|other| !may(other, *action) || needed.contains(&other.to_string())));
        }
    }
    desk.is_in_order().await;
}

#[tokio::test]
async fn nobody_gives_away_a_role_that_may_do_more_than_theirs() {
    let desk = Desk::open().await;
    for (role, gives, status) in [
        (Role::Developer, "developer", 200),
        (Role::Developer, "admin", 403),
        (Role::Admin, "admin", 200),
        (Role::Admin, "owner", 403),
        (Role::Admin, "billing", 403),
        (Role::Owner, "owner", 200),
    ] {
        let key = admin_key(&desk.service, role).await;
        let reply = desk.ask_as(&key, "POST", "/keys", "", json!({"name": "k", "role": gives})).await;
        assert_eq!(reply.status, status, "{role} gives {gives}: {}", reply.shown());
    }
}
