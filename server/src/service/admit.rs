//! Who may call, and on what terms.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use qwenda_backend::{Priority, Whose};
use qwenda_ledger::{
    key::{Key, Secret, temporary::TemporaryKey},
    limit::{Figures, Scope},
    money::Nanos,
    policy::{self, Refusal},
    terms::Terms,
};
use qwenda_store::{
    Store,
    keys::{KeyAccount, KeyProject, KeyRow},
};
use qwenda_types::{
    Dialect,
    chat::Strictness,
    error::{ApiError, Code},
};

use serde::Serialize;

use super::models::{Named, Task};
use crate::{
    app::App,
    books::{Charged, Estimate, no_terms},
    content::Kept,
};

/// Recognises keys.
#[derive(Debug)]
pub(crate) enum Doorkeeper {
    /// Anyone may call.
    Open,
    /// Whoever has a working key may.
    Keys { store: Store, secret: Secret },
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The key's id, a temporary key's its parent's; `None` where keys are not asked for.
    pub(crate) key_id: Option<String>,
    /// Whether the key is a temporary one.
    pub(crate) temporary: bool,
    /// Whose money it is.
    pub(crate) account: Option<Arc<KeyAccount>>,
    pub(crate) project: Option<Arc<KeyProject>>,
    /// Those of the key.
    pub(crate) terms: Arc<Terms>,
}

impl Caller {
    /// Who calls where nobody asks for keys.
    fn nobody() -> Self {
        Self { key_id: None, temporary: false, account: None, project: None, terms: no_terms() }
    }

    /// All terms that its requests are held to.
    fn all_terms(&self) -> impl Iterator<Item = (Scope, &Terms)> {
        let project = self.project.iter().map(|project| (Scope::Project, &project.terms));
        let account = self.account.iter().map(|account| (Scope::Account, &account.terms));
        std::iter::once((Scope::Key, &*self.terms)).chain(project).chain(account)
    }
}

/// Who asks, in which dialect, and under which id.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) caller: Caller,
    pub(crate) dialect: Dialect,
    /// Whose rules count at the address that was called.
    pub(crate) strictness: Strictness,
    pub(crate) request_id: String,
    pub(crate) priority: Priority,
    /// Where the call comes from.
    pub(crate) address: Option<IpAddr>,
    /// The most that the caller will pay.
    pub(crate) max_cost: Option<Nanos>,
    /// Where the key's limits are told to stand.
    pub(crate) figures: Standing,
}

/// Where the limits stand that a request has passed; the response's headers say it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing(Arc<OnceLock<Figures>>);

impl Standing {
    /// Headers with OpenAI's names.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.get().copied().into_iter().flat_map(Figures::headers)
    }

    pub(crate) fn tell(&self, figures: Figures) {
        // A request is admitted once.
        let _ = self.0.set(figures);
    }
}

impl Ask {
    /// Whether it matters how many tokens are read: to an account, or to a limit.
    pub(crate) fn counts(&self, app: &App) -> bool {
        let Caller { account, terms, .. } = &self.caller;
        app.books.is_some() && (account.is_some() || terms.tokens_per_minute.is_some())
    }

    /// Admits a request for this model: the key's rules, its limits, and then its account's money.
    pub(crate) async fn admit(
        &self,
        app: &App,
        task: Task,
        named: &Named,
        estimate: Estimate,
    ) -> Result<Admission, ApiError> {
        let now = app.clock.now_seconds();
        let names = [named.asked.as_str(), named.card.id.as_str()];
        for (scope, terms) in self.caller.all_terms() {
            let rules = terms.rules().map_err(|error| ApiError::of(Code::Internal).log(error))?;
            policy::check(&rules, names[0], self.address, now).map_err(|refusal| forbidden(scope, refusal))?;
        }
        let charged = match &app.books {
            Some(books) => {
                let id = (self.request_id.as_str(), task.as_str());
                Some(books.admit(self, id, names, estimate).await?)
            }
            None => None,
        };
        Ok(Admission {
            request_id: self.request_id.clone(),
            key_id: self.caller.key_id.clone(),
            task,
            model: named.asked.clone(),
            thinking: estimate.thinking,
            charged,
            content: None,
        })
    }

    /// For whom it is answered: each key by itself.
    pub(crate) fn whose(&self) -> Whose {
        Whose { account: self.caller.key_id.clone().unwrap_or_default(), priority: self.priority }
    }
}

/// A request that may be answered. It is settled by the meter, exactly once.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) task: Task,
    pub(crate) model: String,
    /// Whether the price of thinking may hold.
    pub(crate) thinking: bool,
    /// What is to be paid; `None` where nobody asks for keys.
    pub(crate) charged: Option<Charged>,
    /// What is kept of it.
    pub(crate) content: Option<Kept>,
}

impl Admission {
    /// Keeps what is asked and answered, where the account wishes it.
    pub(crate) fn keep(mut self, request: &impl Serialize) -> Self {
        self.content = self.charged.as_ref().and_then(|charged| charged.keep(request));
        self
    }

    /// How many tokens of each choice the caller's most allows.
    pub(crate) fn tokens_of_each(&self, choices: u32) -> Result<Option<u32>, ApiError> {
        let Some(all) = self.charged.as_ref().and_then(|charged| charged.output_tokens_max) else { return Ok(None) };
        match all / u64::from(choices.max(1)) {
            0 => Err(ApiError::of(Code::InvalidParameter).say("The max_cost is too little for so many choices.")),
            each => Ok(Some(u32::try_from(each).unwrap_or(u32::MAX))),
        }
    }
}

/// What a refusal by the rules of a key, or of what is above it, is called in the contract.
fn forbidden(scope: Scope, refusal: Refusal) -> ApiError {
    let code = match refusal {
        Refusal::Disabled | Refusal::Expired { .. } => {
            return ApiError::of(Code::InvalidApiKey).say(format!("Incorrect API key provided: {refusal}."));
        }
        Refusal::Model { .. } => Code::ModelAccessDenied,
        Refusal::Network { .. } | Refusal::Role { .. } => Code::AccessDenied,
    };
    match scope {
        Scope::Key => ApiError::of(code).say(format!("Access denied: {refusal}.")),
        scope => ApiError::of(code).say(format!("Access denied by the terms of the {scope}: {refusal}.")),
    }
}

impl Doorkeeper {
    /// Who presents this `Authorization` header at `now`, in Unix seconds.
    ///
    /// Keys are looked up at every request, so that a key revoked by another process is refused
    /// from then on, and with it the temporary keys made from it.
    pub(crate) async fn recognise(&self, authorization: Option<&[u8]>, now: u64) -> Result<Caller, ApiError> {
        let Self::Keys { store, secret } = self else {
            return Ok(Caller::nobody());
        };
        let refused = |hint: &str, log: &str| {
            Err(ApiError::of(Code::InvalidApiKey).say(format!("Incorrect API key provided. {hint}")).log(log))
        };
        let Some(header) = authorization else {
            return refused("The request has no header \"Authorization: Bearer <key>\".", "no key");
        };
        let Some(text) = bearer(header) else {
            return refused("The Authorization header is not of the form \"Bearer <key>\".", "no bearer");
        };
        let temporary = TemporaryKey::is_like(text);
        let mut given = None;
        let row = if temporary {
            let says = match TemporaryKey::open(text, secret, now) {
                Ok(says) => says,
                Err(error) => return refused("", &error.to_string()),
            };
            given = Some(says.terms()).filter(|_| says.is_narrow());
            found(store.key_by_id(&says.key_id).await)?
        } else {
            let Ok(key) = Key::parse(text) else { return refused("", "not a key") };
            let hash = key.hash(secret);
            let row = match found(store.key_by_hash(hash).await)? {
                // It may be what a key was before it was rotated.
                None => found(store.key_by_old_hash(hash, i64::try_from(now).unwrap_or(i64::MAX)).await)?,
                row => row,
            };
            // The database compares bytes as it likes; this comparison takes the same time always.
            row.filter(|row| row.hash == hash)
        };
        match row {
            None => refused("", "an unknown key"),
            Some(KeyRow { revoked_at: Some(_), .. }) => refused("", "a revoked key"),
            Some(KeyRow { terms, .. }) if terms.expires_at.is_some_and(|at| at <= now) => {
                refused("The key has expired.", "an expired key")
            }
            Some(KeyRow { project: Some(KeyProject { disabled: true, .. }), .. }) => {
                Err(ApiError::of(Code::AccessDenied).say("Access denied: the key's project is disabled."))
            }
            Some(KeyRow { id, account, project, terms, .. }) => {
                let terms = match given {
                    None => terms,
                    Some(given) => terms.narrowed(&given).map_err(|error| ApiError::of(Code::Internal).log(error))?,
                };
                let (account, project) = (account.map(Arc::new), project.map(Arc::new));
                Ok(Caller { key_id: Some(id), temporary, account, project, terms: Arc::new(terms) })
            }
        }
    }
}

fn found(row: Result<Option<KeyRow>, qwenda_store::Error>) -> Result<Option<KeyRow>, ApiError> {
    row.map_err(|error| ApiError::of(Code::Internal).log(error))
}

pub(super) fn bearer(header: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_bearer_is_read_whatever_its_case_and_spaces() {
        for (header, want) in [
            ("Bearer sk-x", Some("sk-x")),
            ("bearer   sk-x ", Some("sk-x")),
            ("BEARER sk-x", Some("sk-x")),
            ("Basic sk-x", None),
            ("sk-x", None),
            ("Bearer", None),
            ("", None),
        ] {
            assert_eq!(bearer(header.as_bytes()), want, "{header:?}");
        }
        assert_eq!(bearer(b"Bearer \xff"), None);
    }
}
