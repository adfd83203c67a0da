//! API keys: `sk-` and 160 random bits. Only a keyed hash of one is ever stored. [`temporary`] keys
//! stand for one of them, for a while; keys of [`admin`]istrators are of another kind.

pub mod admin;
pub mod temporary;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of randomness in a key.
pub const KEY_RANDOM_BYTES: usize = 20;
/// Bytes of a [`Secret`].
pub const SECRET_BYTES: usize = 32;
/// Longest text that is looked at as a key.
pub const KEY_TEXT_BYTES_MAX: usize = 256;

// 32 digits and letters without i, l, o, u: none is taken for another when read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An API key in clear. It prints as `sk-***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// Why a text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// It does not begin as keys do.
    #[error("a key begins with `sk-`")]
    Prefix,
    /// It is too short or too long.
    #[error("a key has 8 to {KEY_TEXT_BYTES_MAX} characters, this text has {bytes} bytes")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// It has a character no key has.
    #[error("a key has letters, digits, `-` and `_` only")]
    Character,
}

impl Key {
    /// The key made of these random bytes.
    ///
    /// # Example
    /// ```
    /// let key = qwenda_ledger::key::Key::from_random([7; 20]);
    /// assert!(key.reveal().starts_with("sk-"));
    /// assert_eq!(format!("{key:?}"), "sk-***");
    /// ```
    pub fn from_random(random: [u8; KEY_RANDOM_BYTES]) -> Self {
        Self(format!("sk-{}", digits(random)))
    }

    /// Reads what a caller presents as a key.
    ///
    /// # Errors
    /// [`NotAKey`] for a text that cannot be one; it never holds the text.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        if !(8..=KEY_TEXT_BYTES_MAX).contains(&text.len()) {
            return Err(NotAKey::Length { bytes: text.len() });
        }
        if !text.starts_with("sk-") {
            return Err(NotAKey::Prefix);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(NotAKey::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// The key in clear: to show it once to its owner, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four characters, by which an owner recognises it.
    pub fn last_four(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// The hash that is stored, and by which the key is found again.
    pub fn hash(&self, secret: &Secret) -> KeyHash {
        KeyHash(secret.mac(b"key\0", self.0.as_bytes()))
    }
}

/// 160 bits as 32 characters.
fn digits(bytes: [u8; KEY_RANDOM_BYTES]) -> String {
    let mut text = String::with_capacity(KEY_RANDOM_BYTES * 8 / 5);
    // Five bytes are eight digits of five bits.
    for five in bytes.chunks_exact(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]));
        }
    }
    text
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sk-***")
    }
}

/// The secret that keys are hashed with; one for each data folder. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// The secret made of these random bytes.
    pub fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(random)
    }

    /// A value that tells whether stored hashes were made with this secret, without telling it.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.mac(b"fingerprint\0", b"")[..8])
    }

    fn mac(&self, purpose: &[u8], message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose);
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// HMAC-SHA256 of a key. Compares in constant time.
#[derive(Clone, Copy, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// As stored: 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// From what was stored; `None` when it is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u8) -> [u8; KEY_RANDOM_BYTES] {
        std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8 * 7))
    }

    #[test]
    fn a_key_is_35_characters_and_reads_back_as_itself() {
        for seed in 0..=255 {
            let key = Key::from_random(random(seed));
            assert_eq!(key.reveal().len(), 35);
            assert_eq!(Key::parse(key.reveal()), Ok(key));
        }
    }

    #[test]
    fn every_random_bit_shows_in_the_key() {
        let zero = Key::from_random([0; KEY_RANDOM_BYTES]);
        for bit in 0..KEY_RANDOM_BYTES * 8 {
            let mut bytes = [0; KEY_RANDOM_BYTES];
            bytes[bit / 8] |= 1 << (bit % 8);
            assert_ne!(Key::from_random(bytes), zero, "bit {bit}");
        }
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        for (text, want) in [
            ("", NotAKey::Length { bytes: 0 }),
            ("sk-a", NotAKey::Length { bytes: 4 }),
            ("pk-12345678", NotAKey::Prefix),
            ("sk-1234 678", NotAKey::Character),
            ("sk-密钥密钥", NotAKey::Character),
        ] {
            assert_eq!(Key::parse(text), Err(want), "{text:?}");
        }
        let long = format!("sk-{}", "a".repeat(KEY_TEXT_BYTES_MAX));
        assert_eq!(Key::parse(&long), Err(NotAKey::Length { bytes: 259 }));
    }

    #[test]
    fn neither_key_nor_secret_nor_hash_prints() {
        let key = Key::from_random(random(1));
        let secret = Secret::new([9; SECRET_BYTES]);
        let printed = format!("{key:?} {secret:?} {:?}", key.hash(&secret));
        assert_eq!(printed, "sk-*** *** ***");
    }

    #[test]
    fn a_hash_depends_on_key_and_secret_and_survives_hex() {
        let (a, b) = (Key::from_random(random(1)), Key::from_random(random(2)));
        let (s, t) = (Secret::new([1; SECRET_BYTES]), Secret::new([2; SECRET_BYTES]));
        assert_eq!(a.hash(&s), a.hash(&s));
        assert_ne!(a.hash(&s), b.hash(&s));
        assert_ne!(a.hash(&s), a.hash(&t));
        assert_ne!(s.fingerprint(), t.fingerprint());
        assert_eq!(KeyHash::from_hex(&a.hash(&s).to_hex()), Some(a.hash(&s)));
        assert_eq!(KeyHash::from_hex("xyz"), None);
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // Computed with Python's hmac module.
        let key = Key::parse("sk-0123456789").unwrap();
        let secret = Secret::new([0; SECRET_BYTES]);
        assert_eq!(key.hash(&secret).to_hex(), EXPECTED_HEX);
    }

    const EXPECTED_HEX: &str = "dc16aaaa58de51367d10af7e3da21e5f2902b34bcf4815a90bf767c248146b70";
}
