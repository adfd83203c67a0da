//! The admin API over real sockets: who may do what, and that nobody overwrites what they have not seen.

mod accounts;
mod keys;
mod projects;
mod roles;
mod signing;
mod temporary;
mod usage;

use qwenda_server::{
    accounts::Accounts,
    admin::{self, Made, Role},
};
use serde_json::Value;

use crate::service::{Reply, Service};

/// A service with an owner's admin key.
pub(crate) struct Desk {
    pub(crate) service: Service,
    pub(crate) owner: String,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::before(Service::start().await).await
    }

    pub(crate) async fn before(service: Service) -> Self {
        let owner = admin_key(&service, Role::Owner).await;
        Self { service, owner }
    }

    /// Asks as the owner.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask_as(&self.owner, method, path, "", body).await
    }

    /// Asks as the owner, with the version that was seen.
    pub(crate) async fn change(&self, path: &str, tag: &str, body: Value) -> Reply {
        self.ask_as(&self.owner, "PATCH", path, &format!("If-Match: {tag}\r\n"), body).await
    }

    /// Asks with this key; `headers` are whole lines, a `null` body is none.
    pub(crate) async fn ask_as(&self, key: &str, method: &str, path: &str, headers: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} /admin/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.service.send(&head, body.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.shown());
        reply.json()
    }

    /// Asks as the owner for what must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let reply = self.ask("POST", path, body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.shown());
        reply.json()
    }

    /// That the books of the service add up.
    pub(crate) async fn is_in_order(&self) {
        let accounts = Accounts::open(self.service.dir.path()).await.unwrap();
        let (audit, wrong) = accounts.audit().await.unwrap();
        assert_eq!((audit.difference, wrong), (None, None));
        accounts.close().await;
    }
}

/// A new admin key of a role.
pub(crate) async fn admin_key(service: &Service, role: Role) -> String {
    match admin::create(service.dir.path(), &format!("the {role}"), role, false).await.unwrap().0 {
        Made::Bearer(key) => key.reveal().to_owned(),
        Made::Signing(_) => panic!("it was not asked to sign"),
    }
}
