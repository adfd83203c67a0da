//! Temporary keys: `st-` and a sealed statement of whose key it stands for and until when.
//!
//! Nothing of one is stored. It says all there is to know and is sealed with the data folder's secret,
//! so that whoever has the secret can check it, at any replica. It ends with its time, or with the key
//! it was made from; it cannot be revoked by itself.

use std::{fmt, ops::RangeInclusive};

use subtle::ConstantTimeEq;

use super::Secret;
use crate::terms::Terms;

/// How long a temporary key may live, in seconds.
pub const TEMPORARY_SECONDS: RangeInclusive<u64> = 1..=1800;
/// How long it lives when its maker does not say, in seconds.
pub const TEMPORARY_SECONDS_DEFAULT: u64 = 60;
/// Bytes of randomness in a temporary key: two made in one second differ.
pub const TEMPORARY_NONCE_BYTES: usize = 8;

/// Most bytes of what it is given, names and networks together.
pub const GIVEN_BYTES_MAX: usize = 1024;
/// Longest text that is looked at as a temporary key.
pub const TEMPORARY_TEXT_BYTES_MAX: usize = 4096;

const PREFIX: &str = "st-";
// What stands before each name and each network; ids have no zero in them, nor have those.
const MODEL: &str = "\0m";
const NETWORK: &str = "\0n";
const SEAL_BYTES: usize = 16;
const HEAD_BYTES: usize = 8 + TEMPORARY_NONCE_BYTES;

/// A temporary key in clear. It prints as `st-***`.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryKey(String);

/// What a temporary key says, once its seal was checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The id of the key it stands for.
    pub key_id: String,
    /// Unix seconds from which on it is refused.
    pub expires_at: u64,
    /// The models it is given, as in [`Terms`]; empty: all that its parent may use.
    pub models: Vec<String>,
    /// The networks it is given; empty: all that its parent may be used from.
    pub networks: Vec<String>,
}

impl Statement {
    /// Whether it is given less than its parent.
    pub fn is_narrow(&self) -> bool {
        !self.models.is_empty() || !self.networks.is_empty()
    }

    /// Whether what it is given has room in a key, and can be told apart there.
    pub fn fits(&self) -> bool {
        let given = || self.models.iter().chain(&self.networks);
        given().all(|text| !text.contains('\0')) && given().map(|text| text.len() + 2).sum::<usize>() <= GIVEN_BYTES_MAX
    }

    /// What it is given, as terms.
    pub fn terms(&self) -> Terms {
        let some = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
        Terms {
            models: some(&self.models),
            networks: some(&self.networks),
            expires_at: Some(self.expires_at),
            ..Terms::default()
        }
    }

    fn written(&self) -> String {
        let models = self.models.iter().flat_map(|model| [MODEL, model.as_str()]);
        let networks = self.networks.iter().flat_map(|network| [NETWORK, network.as_str()]);
        [self.key_id.as_str()].into_iter().chain(models).chain(networks).collect()
    }

    fn read(text: &str, expires_at: u64) -> Option<Self> {
        let mut parts = text.split('\0');
        let mut says = Self { key_id: parts.next()?.to_owned(), expires_at, ..Self::default() };
        for part in parts {
            match (part.strip_prefix('m'), part.strip_prefix('n')) {
                (Some(model), _) => says.models.push(model.to_owned()),
                (_, Some(network)) => says.networks.push(network.to_owned()),
                _ => return None,
            }
        }
        Some(says)
    }
}

/// Why a text is no temporary key that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTemporary {
    /// It does not begin as temporary keys do.
    #[error("a temporary key begins with `st-`")]
    Prefix,
    /// It was not made with this secret, or was changed since.
    #[error("the seal of the temporary key is not ours")]
    Seal,
    /// Its time is over.
    #[error("the temporary key ended at {expires_at}, it is {now}")]
    Expired {
        /// When it ended, in Unix seconds.
        expires_at: u64,
        /// The time it was looked at.
        now: u64,
    },
}

impl TemporaryKey {
    /// The key that says this.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::key::{Secret, temporary::{Statement, TemporaryKey}};
    /// let secret = Secret::new([1; 32]);
    /// let says = Statement { key_id: "key_1".to_owned(), expires_at: 1060, ..Statement::default() };
    /// let key = TemporaryKey::seal(&says, [7; 8], &secret);
    /// assert_eq!(TemporaryKey::open(key.reveal(), &secret, 1059), Ok(says));
    /// assert!(TemporaryKey::open(key.reveal(), &secret, 1060).is_err());
    /// ```
    pub fn seal(says: &Statement, nonce: [u8; TEMPORARY_NONCE_BYTES], secret: &Secret) -> Self {
        let written = says.written();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + written.len() + SEAL_BYTES);
        bytes.extend_from_slice(&says.expires_at.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(written.as_bytes());
        bytes.extend_from_slice(&seal_of(&bytes, secret));
        Self(format!("{PREFIX}{}", hex::encode(bytes)))
    }

    /// What a presented text says, if it was made with this secret and its time is not over.
    ///
    /// # Errors
    /// [`NotTemporary`]; it never holds the text.
    pub fn open(text: &str, secret: &Secret, now: u64) -> Result<Statement, NotTemporary> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotTemporary::Prefix)?;
        if text.len() > TEMPORARY_TEXT_BYTES_MAX {
            return Err(NotTemporary::Seal);
        }
        let bytes = hex::decode(digits).map_err(|_| NotTemporary::Seal)?;
        let says_bytes = bytes.len().checked_sub(SEAL_BYTES).filter(|says| *says >= HEAD_BYTES);
        let (says, seal) = bytes.split_at(says_bytes.ok_or(NotTemporary::Seal)?);
        if !bool::from(seal_of(says, secret).ct_eq(seal)) {
            return Err(NotTemporary::Seal);
        }
        let (expires_at, rest) = says.split_first_chunk::<8>().ok_or(NotTemporary::Seal)?;
        let expires_at = u64::from_be_bytes(*expires_at);
        if now >= expires_at {
            return Err(NotTemporary::Expired { expires_at, now });
        }
        let text = rest.get(TEMPORARY_NONCE_BYTES..).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| Statement::read(text, expires_at)).ok_or(NotTemporary::Seal)
    }

    /// Whether a text claims to be a temporary key.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The key in clear: to hand it to its owner, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TemporaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("st-***")
    }
}

fn seal_of(says: &[u8], secret: &Secret) -> [u8; SEAL_BYTES] {
    let mac = secret.mac(b"temporary\0", says);
    std::array::from_fn(|i| mac[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (TemporaryKey, Statement, Secret) {
        let secret = Secret::new([3; 32]);
        let says = Statement { key_id: "key_0123".to_owned(), expires_at: 2000, ..Statement::default() };
        (TemporaryKey::seal(&says, [9; TEMPORARY_NONCE_BYTES], &secret), says, secret)
    }

    #[test]
    fn it_works_until_its_second_and_not_in_it() {
        let (key, says, secret) = sealed();
        assert_eq!(TemporaryKey::open(key.reveal(), &secret, 0), Ok(says.clone()));
        assert_eq!(TemporaryKey::open(key.reveal(), &secret, 1999), Ok(says));
        let expired = Err(NotTemporary::Expired { expires_at: 2000, now: 2000 });
        assert_eq!(TemporaryKey::open(key.reveal(), &secret, 2000), expired);
    }

    #[test]
    fn a_change_of_any_character_breaks_the_seal() {
        let (key, _, secret) = sealed();
        for at in PREFIX.len()..key.reveal().len() {
            for with in ["0", "f", "g"] {
                let mut text = key.reveal().to_owned();
                text.replace_range(at..=at, with);
                if text != key.reveal() {
                    assert_eq!(TemporaryKey::open(&text, &secret, 0), Err(NotTemporary::Seal), "{at} {with}");
                }
            }
        }
        for cut in 0..key.reveal().len() {
            assert!(TemporaryKey::open(&key.reveal()[..cut], &secret, 0).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn another_secret_or_another_kind_of_key_does_not_open_it() {
        let (key, _, _) = sealed();
        assert_eq!(TemporaryKey::open(key.reveal(), &Secret::new([4; 32]), 0), Err(NotTemporary::Seal));
        assert_eq!(TemporaryKey::open("sk-0123456789", &Secret::new([3; 32]), 0), Err(NotTemporary::Prefix));
        let long = format!("st-{}", "0".repeat(10_000));
        assert_eq!(TemporaryKey::open(&long, &Secret::new([3; 32]), 0), Err(NotTemporary::Seal));
        assert_eq!(TemporaryKey::open("st-密钥", &Secret::new([3; 32]), 0), Err(NotTemporary::Seal));
    }

    #[test]
    fn two_made_in_one_second_differ_and_neither_prints() {
        let (key, says, secret) = sealed();
        let other = TemporaryKey::seal(&says, [8; TEMPORARY_NONCE_BYTES], &secret);
        assert_ne!(key, other);
        assert_eq!(format!("{key:?}"), "st-***");
    }

    #[test]
    fn what_it_is_given_is_sealed_with_it() {
        let secret = Secret::new([3; 32]);
        let says = Statement {
            key_id: "key_0123".to_owned(),
            expires_at: 2000,
            models: vec!["qwen-plus".to_owned(), "n*".to_owned()],
            networks: vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()],
        };
        assert!(says.fits() && says.is_narrow());
        let key = TemporaryKey::seal(&says, [1; TEMPORARY_NONCE_BYTES], &secret);
        assert_eq!(TemporaryKey::open(key.reveal(), &secret, 0), Ok(says.clone()));
        let most = Statement { models: vec!["x".repeat(GIVEN_BYTES_MAX - 2)], ..Statement::default() };
        let key = TemporaryKey::seal(&most, [1; TEMPORARY_NONCE_BYTES], &secret);
        assert!(most.fits() && key.reveal().len() < TEMPORARY_TEXT_BYTES_MAX);
        assert!(!Statement { models: vec!["x".repeat(GIVEN_BYTES_MAX - 1)], ..says.clone() }.fits());
        assert!(!Statement { models: vec!["a\0b".to_owned()], ..says }.fits());
    }
}
