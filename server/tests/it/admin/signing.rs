//! Requests that are signed rather than carrying a key.

use qwenda_ledger::{
    key::admin::SigningSecret,
    signing::{self, Request},
    time,
};
use qwenda_server::{
    Clock, ServeConfig, Server,
    admin::{self, Made, Role},
};
use qwenda_testkit::Scripted;
use serde_json::json;

use super::Desk;
use crate::service::{NOW, Reply};

const TOPUPS: &str = "/admin/v1/accounts/acme/topups";
const BODY: &str = r#"{"id": "1", "amount": "5"}"#;

/// An access key, and what a request of it says.
struct Signer {
    id: String,
    secret: SigningSecret,
}

/// A request on its way.
#[derive(Clone)]
struct Sent {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Signer {
    async fn of(desk: &Desk, role: Role) -> Self {
        let (made, info) = admin::create(desk.service.dir.path(), "robot", role, true).await.unwrap();
        match made {
            Made::Signing(secret) => Self { id: info.id, secret },
            Made::Bearer(_) => panic!("it was asked to sign"),
        }
    }

    fn sign(&self, method: &str, target: &str, body: &str, nonce: &str, at: u64) -> Sent {
        let hash = sha256(body.as_bytes());
        let at = time::second(i64::try_from(at).unwrap());
        let mut headers: Vec<(String, String)> = [
            ("host", "x"),
            ("x-acs-action", "Any"),
            ("x-acs-content-sha256", &hash),
            ("x-acs-date", &at),
            ("x-acs-signature-nonce", nonce),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method, path, query, headers: &headers };
        let authorization = request.sign(&self.id, &self.secret).unwrap();
        headers.push(("authorization".to_owned(), authorization));
        Sent { line: format!("{method} {target}"), headers, body: body.to_owned() }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Sent {
    async fn to(&self, desk: &Desk) -> Reply {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n", self.line, self.body.len());
        desk.service.send(&head, self.body.as_bytes()).await
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            changed.headers.push((name.to_owned(), value.to_owned()));
        }
        changed
    }
}

async fn desk() -> (Desk, Signer) {
    let desk = Desk::open().await;
    desk.post("/accounts", json!({"name": "acme"})).await;
    let signer = Signer::of(&desk, Role::Billing).await;
    (desk, signer)
}

#[tokio::test]
async fn a_signed_request_is_taken_once_and_held_to_its_role() {
    let (desk, signer) = desk().await;
    let sent = signer.sign("POST", TOPUPS, BODY, "n-1", NOW);
    assert_eq!(sent.to(&desk).await.status, 200);
    sent.to(&desk).await.refuses(400, "SignatureNonceUsed", "came twice");
    let get = signer.sign("GET", "/admin/v1/accounts?limit=5&after=", "", "n-2", NOW);
    // An empty text is none of an id; that it is said shows that the signature was taken.
    get.to(&desk).await.refuses(400, "invalid_parameter_error", "`after`");
    let get = signer.sign("GET", "/admin/v1/accounts?limit=5", "", "n-3", NOW);
    assert_eq!(get.to(&desk).await.json()["data"].as_array().unwrap().len(), 1);
    let refused = signer.sign("POST", "/admin/v1/accounts", r#"{"name": "b"}"#, "n-4", NOW).to(&desk).await;
    refused.refuses(403, "access_denied", "has the role billing, which may not manage accounts");
    assert_eq!(desk.get("/accounts/acme").await["balance"], "5");

    admin::revoke(desk.service.dir.path(), &signer.id).await.unwrap();
    let late = signer.sign("GET", "/admin/v1/accounts", "", "n-5", NOW).to(&desk).await;
    late.refuses(404, "InvalidAccessKeyId.NotFound", "not found");
}

#[tokio::test]
async fn a_nonce_stays_used_across_a_restart() {
    let (desk, signer) = desk().await;
    let sent = signer.sign("POST", TOPUPS, BODY, "n-1", NOW);
    assert_eq!(sent.to(&desk).await.status, 200);
    let config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), desk.service.dir.path());
    let clock = Clock::from_fn(|| (NOW + 900) * 1000);
    let backend = std::sync::Arc::new(Scripted::new(&["m"]));
    let server = Server::bind_with_clock(config, backend, clock).await.unwrap();
    let mut desk = desk;
    desk.service.addr = server.addr();
    let running = tokio::spawn(server.run(std::future::pending()));
    sent.to(&desk).await.refuses(400, "SignatureNonceUsed", "came twice");
    assert_eq!(signer.sign("POST", TOPUPS, BODY, "n-2", NOW).to(&desk).await.status, 200);
    running.abort();
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much() {
    let (desk, signer) = desk().await;
    for (at, said) in [(NOW - 901, "15 min 1 s behind the server's"), (NOW + 3_600, "60 min 0 s ahead of the server's")]
    {
        let reply = signer.sign("GET", "/admin/v1/accounts", "", "n", at).to(&desk).await;
        reply.refuses(400, "InvalidTimeStamp.Expired", said);
    }
    for (nonce, at) in [("a", NOW - 900), ("b", NOW + 900)] {
        assert_eq!(signer.sign("GET", "/admin/v1/accounts", "", nonce, at).to(&desk).await.status, 200);
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_changes_nothing_here() {
    let (desk, signer) = desk().await;
    let sent = signer.sign("POST", TOPUPS, BODY, "n-1", NOW);
    let more = Sent { body: BODY.replace('5', "9"), ..sent.clone() };
    more.to(&desk).await.refuses(400, "SignatureDoesNotMatch", "the body is not the one");
    let other_hash = sha256(more.body.as_bytes());
    let hidden = more.with("x-acs-content-sha256", &other_hash).to(&desk).await;
    hidden.refuses(400, "SignatureDoesNotMatch", "string to sign");
    let elsewhere = Sent { line: "POST /admin/v1/accounts/other/topups".to_owned(), ..sent.clone() };
    elsewhere.to(&desk).await.refuses(400, "SignatureDoesNotMatch", "string to sign");
    sent.with("x-acs-more", "1").to(&desk).await.refuses(400, "IncompleteSignature", "x-acs-more is not signed");
    for name in ["x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"] {
        sent.with(name, "").to(&desk).await.refuses(400, "IncompleteSignature", name);
    }
    let cut = sent.with("authorization", &format!("{} Credential={}", signing::ALGORITHM, signer.id));
    cut.to(&desk).await.refuses(400, "IncompleteSignature", "has no Signature");
    let unknown = Signer { id: "ak_unknown".to_owned(), secret: signer.secret.clone() };
    let reply = unknown.sign("POST", TOPUPS, BODY, "n-1", NOW).to(&desk).await;
    reply.refuses(404, "InvalidAccessKeyId.NotFound", "not found");
    // A key that is sent does not sign, whoever knows its id.
    let sends = admin::list(desk.service.dir.path()).await.unwrap().into_iter().find(|key| !key.signs).unwrap();
    let borrowed = Signer { id: sends.id, secret: signer.secret.clone() };
    let reply = borrowed.sign("POST", TOPUPS, BODY, "n-1", NOW).to(&desk).await;
    reply.refuses(404, "InvalidAccessKeyId.NotFound", "not found");
    assert_eq!(desk.get("/accounts/acme").await["balance"], "0");
    // None of them has used the nonce up.
    assert_eq!(sent.to(&desk).await.status, 200);
}
