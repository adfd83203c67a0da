//! Who administers, and what they may do.

use axum::http::{HeaderValue, header, request::Parts};
use qwenda_ledger::{
    key::{
        Secret,
        admin::{AdminKey, SigningSecret},
    },
    policy::{Action, Role, may},
    signing::{self, Checked, Presented, Refused, Request},
};
use qwenda_store::{Store, admin::AdminKeyRow};
use qwenda_types::error::{ApiError, Code};

use super::admit::{Doorkeeper, bearer};
use crate::{Clock, accounts::Accounts, app::App, keys::Keys, projects::Projects};

/// An administrator who was recognised, and the folder they see to.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) store: Store,
    secret: Secret,
    clock: Clock,
}

impl Admin {
    /// Refuses what the role does not allow.
    pub(crate) fn must(&self, action: Action) -> Result<(), ApiError> {
        if may(self.role, action) {
            return Ok(());
        }
        let roles: Vec<String> =
            Role::ALL.into_iter().filter(|role| may(*role, action)).map(|role| role.to_string()).collect();
        Err(ApiError::of(Code::AccessDenied).say(format!(
            "Access denied: `{}` has the role {}, which may not {action}; use an admin key of the role {}.",
            self.name,
            self.role,
            roles.join(" or "),
        )))
    }

    /// Refuses to give away a role that may do more.
    pub(crate) fn may_give(&self, role: Role) -> Result<(), ApiError> {
        if self.role.covers(role) {
            return Ok(());
        }
        Err(ApiError::of(Code::AccessDenied).say(format!(
            "Access denied: `{}` has the role {}, which may not give away the role {role}, as that may do more.",
            self.name, self.role,
        )))
    }

    pub(crate) fn accounts(&self) -> Accounts {
        Accounts::over(self.store.clone(), self.clock.clone())
    }

    pub(crate) fn projects(&self) -> Projects {
        Projects::over(self.store.clone(), self.clock.clone())
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::over(self.store.clone(), self.secret.clone(), self.clock.clone())
    }

    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }

    /// Leaves a line about what was changed, and by whom.
    pub(crate) fn did(&self, what: &'static str, of: &str) {
        tracing::info!(admin = self.id, of, "{what}");
    }
}

/// Who sends a request with this head, and, where it is signed, what its body has to come to.
///
/// Admin keys are looked up at every request, so that one that was revoked is refused from then on.
pub(crate) async fn recognise(app: &App, head: &Parts) -> Result<(Admin, Option<Checked>), ApiError> {
    let authorization = head.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    match authorization.and_then(|header| std::str::from_utf8(header).ok()).filter(|header| signing::is_like(header)) {
        Some(header) => signed(app, head, header).await.map(|(admin, checked)| (admin, Some(checked))),
        None => sent(app, authorization).await.map(|admin| (admin, None)),
    }
}

async fn sent(app: &App, authorization: Option<&[u8]>) -> Result<Admin, ApiError> {
    let (store, secret) = folder(app)?;
    let Some(header) = authorization else {
        return Err(unknown("The request has no header \"Authorization: Bearer <admin key>\".", "no admin key"));
    };
    let Some(text) = bearer(header) else {
        return Err(unknown("The Authorization header is not of the form \"Bearer <admin key>\".", "no bearer"));
    };
    let Ok(key) = AdminKey::parse(text) else {
        let hint = "The admin API takes admin keys only; make one with `qwenda admin keys create`.";
        return Err(unknown(hint, "not an admin key"));
    };
    let hash = key.hash(secret);
    let row = store.admin_key_by_hash(hash).await.map_err(internal)?;
    // The database compares bytes as it likes; this comparison takes the same time always.
    working(row.filter(|row| row.hash == Some(hash)), app).ok_or_else(|| unknown("", "no working admin key"))
}

async fn signed(app: &App, head: &Parts, header: &str) -> Result<(Admin, Checked), ApiError> {
    let (store, secret) = folder(app)?;
    let presented = Presented::parse(header).map_err(refused)?;
    let row = store.admin_key_by_id(&presented.access_key).await.map_err(internal)?;
    let admin = working(row.filter(|row| row.hash.is_none()), app).ok_or_else(|| {
        ApiError::of(Code::AccessKeyNotFound).say(
            "Specified access key is not found; make one with `qwenda admin keys create --signing`, and check that it \
             was not revoked.",
        )
    })?;
    let mut headers = Vec::with_capacity(head.headers.len() + 1);
    for (name, value) in &head.headers {
        // What is not text was not signed; if it had to be, it is missing.
        if let Ok(value) = value.to_str() {
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    // In HTTP/2 the host is a part of the address.
    if let Some(host) = head.uri.authority().filter(|_| !head.headers.contains_key(header::HOST)) {
        headers.push(("host".to_owned(), host.as_str().to_owned()));
    }
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let request = Request { method: head.method.as_str(), path, query, headers: &headers };
    let secret = SigningSecret::of(&admin.id, secret);
    let checked = request.check(&presented, &secret, admin.now()).map_err(refused)?;
    Ok((admin, checked))
}

/// Sees that a signed request has the body that was signed, and that it comes for the first time.
pub(crate) async fn complete(admin: &Admin, checked: &Checked, body: &[u8]) -> Result<(), ApiError> {
    if !checked.is_of(body) {
        let why = "The signature does not match: the body is not the one whose hash x-acs-content-sha256 says.";
        return Err(ApiError::of(Code::SignatureMismatch).say(why));
    }
    let (nonce, until) = (&checked.nonce, checked.expires_at);
    match admin.store.nonce_use(&admin.id, nonce, until, admin.now()).await.map_err(internal)? {
        true => Ok(()),
        false => Err(ApiError::of(Code::NonceUsed).say(
            "Specified signature nonce was used already: the same request came twice. Sign each with a nonce of its own.",
        )),
    }
}

fn refused(why: Refused) -> ApiError {
    match why {
        Refused::Incomplete(why) => {
            ApiError::of(Code::IncompleteSignature).say(format!("The request is not signed whole: {why}."))
        }
        Refused::Time { .. } => {
            ApiError::of(Code::TimestampExpired).say(format!("Specified time stamp or date value is expired: {why}."))
        }
        Refused::Mismatch { .. } => {
            ApiError::of(Code::SignatureMismatch).say(format!("Specified signature does not match: {why}."))
        }
    }
}

/// The folder that is administered.
fn folder(app: &App) -> Result<(&Store, &Secret), ApiError> {
    match &app.doorkeeper {
        Doorkeeper::Keys { store, secret } => Ok((store, secret)),
        Doorkeeper::Open => Err(ApiError::of(Code::AccessDenied).say(
            "Access denied: this server asks for no keys and keeps no accounts; start it without --no-auth \
             to administer it.",
        )),
    }
}

fn working(row: Option<AdminKeyRow>, app: &App) -> Option<Admin> {
    let (store, secret) = folder(app).ok()?;
    let AdminKeyRow { id, name, role, .. } = row.filter(|row| row.revoked_at.is_none())?;
    Some(Admin { id, name, role, store: store.clone(), secret: secret.clone(), clock: app.clock.clone() })
}

fn unknown(hint: &str, log: &str) -> ApiError {
    ApiError::of(Code::InvalidApiKey).say(format!("Incorrect API key provided. {hint}")).log(log)
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::of(Code::Internal).log(error)
}
