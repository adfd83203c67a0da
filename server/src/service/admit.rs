//! Who may call, and on what terms.

use qwenda_backend::{Priority, Whose};
use qwenda_ledger::key::{Key, Secret, temporary::TemporaryKey};
use qwenda_store::{Store, keys::KeyRow};
use qwenda_types::{
    Dialect,
    chat::Strictness,
    error::{ApiError, Code},
};

use super::models::Task;

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
}

impl Ask {
    /// Admits a request for this model, under the name it was asked by.
    pub(crate) fn admit(&self, task: Task, model: &str) -> Admission {
        Admission {
            request_id: self.request_id.clone(),
            key_id: self.caller.key_id.clone(),
            task,
            model: model.to_owned(),
        }
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
}

impl Doorkeeper {
    /// Who presents this `Authorization` header at `now`, in Unix seconds.
    ///
    /// Keys are looked up at every request, so that a key revoked by another process is refused
    /// from then on, and with it the temporary keys made from it.
    pub(crate) async fn recognise(&self, authorization: Option<&[u8]>, now: u64) -> Result<Caller, ApiError> {
        let Self::Keys { store, secret } = self else { return Ok(Caller { key_id: None, temporary: false }) };
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
        let row = if temporary {
            let says = match TemporaryKey::open(text, secret, now) {
                Ok(says) => says,
                Err(error) => return refused("", &error.to_string()),
            };
            found(store.key_by_id(&says.key_id).await)?
        } else {
            let Ok(key) = Key::parse(text) else { return refused("", "not a key") };
            let hash = key.hash(secret);
            // The database compares bytes as it likes; this comparison takes the same time always.
            found(store.key_by_hash(hash).await)?.filter(|row| row.hash == hash)
        };
        match row {
            None => refused("", "an unknown key"),
            Some(KeyRow { revoked_at: Some(_), .. }) => refused("", "a revoked key"),
            Some(KeyRow { id, .. }) => Ok(Caller { key_id: Some(id), temporary }),
        }
    }
}

fn found(row: Result<Option<KeyRow>, qwenda_store::Error>) -> Result<Option<KeyRow>, ApiError> {
    row.map_err(|error| ApiError::of(Code::Internal).log(error))
}

fn bearer(header: &[u8]) -> Option<&str> {
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
