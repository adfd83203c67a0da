//! Keys of administrators. They open the admin API and nothing else; keys of callers do not open it.
//!
//! An [`AdminKey`] is sent as it is, and only its keyed hash is stored. The [`SigningSecret`] of an access key
//! never travels: it signs requests, so whoever checks them must know it too. It is computed from the data
//! folder's secret and the access key's id, so that nothing of it is stored.

use std::fmt;

use super::{KEY_RANDOM_BYTES, Key, KeyHash, NotAKey, Secret, digits};

const PREFIX: &str = "sk-admin-";

/// An admin key in clear. It prints as `sk-admin-***`.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey(Key);

impl AdminKey {
    /// The key made of these random bytes.
    ///
    /// # Example
    /// ```
    /// let key = qwenda_ledger::key::admin::AdminKey::from_random([7; 20]);
    /// assert!(key.reveal().starts_with("sk-admin-"));
    /// assert_eq!(format!("{key:?}"), "sk-admin-***");
    /// ```
    pub fn from_random(random: [u8; KEY_RANDOM_BYTES]) -> Self {
        Self(Key(format!("{PREFIX}{}", digits(random))))
    }

    /// Reads what is presented as an admin key.
    ///
    /// # Errors
    /// [`NotAKey`] for a text that cannot be one; it never holds the text.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let key = Key::parse(text)?;
        if Self::is_like(text) { Ok(Self(key)) } else { Err(NotAKey::Prefix) }
    }

    /// Whether a text claims to be an admin key.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The key in clear: to show it once to its owner, and for nothing else.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The last four characters, by which an owner recognises it.
    pub fn last_four(&self) -> &str {
        self.0.last_four()
    }

    /// The hash that is stored, and by which the key is found again. It is never that of a caller's key.
    pub fn hash(&self, secret: &Secret) -> KeyHash {
        KeyHash(secret.mac(b"admin-key\0", self.reveal().as_bytes()))
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sk-admin-***")
    }
}

/// What an access key signs with. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// The secret of the access key of this id.
    pub fn of(access_key_id: &str, secret: &Secret) -> Self {
        let mac = secret.mac(b"access-key\0", access_key_id.as_bytes());
        Self(digits(std::array::from_fn(|i| mac[i])))
    }

    /// A secret that was told, by who signs.
    pub fn told(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret in clear: to show it once to its owner, and to sign.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four characters, by which an owner recognises it.
    pub fn last_four(&self) -> &str {
        let start = self.0.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        &self.0[start..]
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_key_reads_back_as_itself_and_a_caller_s_key_is_none() {
        let key = AdminKey::from_random([5; KEY_RANDOM_BYTES]);
        assert_eq!(key.reveal().len(), 41);
        assert_eq!(AdminKey::parse(key.reveal()), Ok(key.clone()));
        let callers = Key::from_random([5; KEY_RANDOM_BYTES]);
        assert_eq!(AdminKey::parse(callers.reveal()), Err(NotAKey::Prefix));
        assert!(callers.reveal().ends_with(key.last_four()));
    }

    #[test]
    fn the_hash_of_an_admin_key_is_not_that_of_a_caller_s_key_of_the_same_text() {
        let secret = Secret::new([1; 32]);
        let key = AdminKey::from_random([5; KEY_RANDOM_BYTES]);
        let same_text = Key::parse(key.reveal()).expect("it looks like one");
        assert_ne!(key.hash(&secret), same_text.hash(&secret));
    }

    #[test]
    fn a_signing_secret_depends_on_id_and_secret_and_does_not_print() {
        let (s, t) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let a = SigningSecret::of("ak_1", &s);
        assert_eq!(a, SigningSecret::of("ak_1", &s));
        assert_ne!(a, SigningSecret::of("ak_2", &s));
        assert_ne!(a, SigningSecret::of("ak_1", &t));
        assert_eq!((a.reveal().len(), a.last_four().len()), (32, 4));
        assert_eq!(format!("{a:?}"), "***");
        assert_eq!(SigningSecret::told("密").last_four(), "密");
    }
}
