//! Who administers, and what they may do.

use qwenda_ledger::{
    key::{Secret, admin::AdminKey},
    policy::{Action, Role, may},
};
use qwenda_store::{Store, admin::AdminKeyRow};
use qwenda_types::error::{ApiError, Code};

use super::admit::{Doorkeeper, bearer};
use crate::{Clock, accounts::Accounts, app::App, keys::Keys};

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

/// Who presents this `Authorization` header.
///
/// Admin keys are looked up at every request, so that one that was revoked is refused from then on.
pub(crate) async fn recognise(app: &App, authorization: Option<&[u8]>) -> Result<Admin, ApiError> {
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
    working(row.filter(|row| row.hash == Some(hash)), app)
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

fn working(row: Option<AdminKeyRow>, app: &App) -> Result<Admin, ApiError> {
    let (store, secret) = folder(app)?;
    match row {
        None => Err(unknown("", "an unknown admin key")),
        Some(AdminKeyRow { revoked_at: Some(_), .. }) => Err(unknown("", "a revoked admin key")),
        Some(AdminKeyRow { id, name, role, .. }) => {
            Ok(Admin { id, name, role, store: store.clone(), secret: secret.clone(), clock: app.clock.clone() })
        }
    }
}

fn unknown(hint: &str, log: &str) -> ApiError {
    ApiError::of(Code::InvalidApiKey).say(format!("Incorrect API key provided. {hint}")).log(log)
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::of(Code::Internal).log(error)
}
