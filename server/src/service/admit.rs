//! Who may call, and on what terms.

use qwenda_ledger::key::{Key, Secret};
use qwenda_store::Store;
use qwenda_types::error::{ApiError, Code};

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
    /// The key's id; `None` where keys are not asked for.
    pub(crate) key_id: Option<String>,
}

/// A request that may be answered. It is settled by the meter, exactly once.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) model: String,
    pub(crate) choices: u32,
}

impl Doorkeeper {
    /// Who presents this `Authorization` header.
    ///
    /// Keys are looked up at every request, so that a key revoked by another process is refused
    /// from then on.
    pub(crate) async fn recognise(&self, authorization: Option<&[u8]>) -> Result<Caller, ApiError> {
        let Self::Keys { store, secret } = self else { return Ok(Caller { key_id: None }) };
        let refused = |hint: &str, log: &str| {
            Err(ApiError::of(Code::InvalidApiKey).say(format!("Incorrect API key provided. {hint}")).log(log))
        };
        let Some(header) = authorization else {
            return refused("The request has no header \"Authorization: Bearer <key>\".", "no key");
        };
        let Some(text) = bearer(header) else {
            return refused("The Authorization header is not of the form \"Bearer <key>\".", "no bearer");
        };
        let Ok(key) = Key::parse(text) else { return refused("", "not a key") };
        let hash = key.hash(secret);
        let found = store.key_by_hash(hash).await.map_err(|error| ApiError::of(Code::Internal).log(error))?;
        match found {
            // The database compares bytes as it likes; this comparison takes the same time always.
            Some(row) if row.hash == hash => match row.revoked_at {
                None => Ok(Caller { key_id: Some(row.id) }),
                Some(_) => refused("", "a revoked key"),
            },
            _ => refused("", "an unknown key"),
        }
    }
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
