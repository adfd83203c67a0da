//! Requests that are signed the way Alibaba Cloud's are, version 3 (ACS3-HMAC-SHA256), as pure functions.
//!
//! [`Presented`] is what the header `Authorization` says, [`Request::check`] whether it is true, [`Request::sign`]
//! the other side. What the body comes to and whether a nonce was seen is for the caller to look at.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{key::admin::SigningSecret, time};

/// The algorithm's name, with which the header begins.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";
/// How far a request's time may be from ours, either way, in seconds.
pub const WINDOW_SECONDS: i64 = 15 * 60;
/// Longest nonce.
pub const NONCE_BYTES_MAX: usize = 128;
/// Most names of signed headers.
const SIGNED_MAX: usize = 64;

const DATE: &str = "x-acs-date";
const NONCE: &str = "x-acs-signature-nonce";
const BODY_HASH: &str = "x-acs-content-sha256";

/// What a header `Authorization` presents.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// The id of the access key.
    pub access_key: String,
    signed: Vec<String>,
    signature: [u8; 32],
}

/// It prints without the signature.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Why a signed request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A part of the signature is missing or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// The clocks are too far from each other.
    #[error("{}", off(*.sent, *.now))]
    Time {
        /// The request's time, Unix seconds.
        sent: i64,
        /// Ours.
        now: i64,
    },
    /// The signature is another.
    #[error("the signature is not that of this request; the string to sign is here \"{}\"", .to_sign.replace('\n', "\\n"))]
    Mismatch {
        /// What had to be signed; a hash, which tells nothing.
        to_sign: String,
    },
}

/// A signature that is right. The body is not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which the access key may use once in a window.
    pub nonce: String,
    /// What the body has to come to.
    pub body_hash: [u8; 32],
    /// Unix seconds from which on the request would be too old anyhow.
    pub expires_at: i64,
}

impl Checked {
    /// Whether the body is the one that was signed.
    pub fn is_of(&self, body: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(body).into();
        hash.ct_eq(&self.body_hash).into()
    }
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its verb.
    pub method: &'a str,
    /// Its path, encoded as on the wire.
    pub path: &'a str,
    /// What stands behind the `?`, encoded as on the wire.
    pub query: &'a str,
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
}

/// Whether a header `Authorization` claims to be a signature of this kind.
pub fn is_like(header: &str) -> bool {
    header.trim_start().starts_with(ALGORITHM)
}

impl Presented {
    /// Reads `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`.
    ///
    /// # Errors
    /// [`Refused::Incomplete`] with what is missing or malformed.
    pub fn parse(header: &str) -> Result<Self, Refused> {
        let incomplete = |why: &str| Refused::Incomplete(format!("the header Authorization {why}"));
        let rest = header.trim().strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' '));
        let rest = rest.ok_or_else(|| incomplete(&format!("must begin with \"{ALGORITHM} \"")))?;
        let part = |name: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            let found = parts.find(|(part, value)| *part == name && !value.is_empty());
            found.map(|(_, value)| value).ok_or_else(|| incomplete(&format!("has no {name}=…")))
        };
        let mut signature = [0; 32];
        hex::decode_to_slice(part("Signature")?, &mut signature)
            .map_err(|_| incomplete("must end in Signature= and 64 hexadecimal digits"))?;
        let signed: Vec<String> = part("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect();
        if signed.len() > SIGNED_MAX {
            return Err(incomplete(&format!("names more than {SIGNED_MAX} headers")));
        }
        Ok(Self { access_key: part("Credential")?.to_owned(), signed, signature })
    }
}

impl Request<'_> {
    /// Whether a request is signed with this secret, and of now.
    ///
    /// # Errors
    /// [`Refused`], in the order in which it is listed there.
    pub fn check(&self, presented: &Presented, secret: &SigningSecret, now: i64) -> Result<Checked, Refused> {
        let signs = |name: &str| presented.signed.iter().any(|signed| signed == name);
        let must = |name: &str| name == "host" || name.starts_with("x-acs-");
        let unsigned = self.headers.iter().find(|(name, _)| must(name) && !signs(name));
        if let Some(name) = unsigned.map(|(name, _)| name.as_str()).or((!signs("host")).then_some("host")) {
            return Err(Refused::Incomplete(format!("the header {name} is not signed; name it in SignedHeaders")));
        }
        let (date, nonce, hash) = (self.one(DATE)?, self.one(NONCE)?, self.one(BODY_HASH)?);
        let sent = time::point(date).filter(|_| date.ends_with('Z')).ok_or_else(|| {
            Refused::Incomplete(format!("the header {DATE} must be a time in UTC such as 2026-01-02T03:04:05Z"))
        })?;
        if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX {
            return Err(Refused::Incomplete(format!("the header {NONCE} must have 1 to {NONCE_BYTES_MAX} bytes")));
        }
        let mut body_hash = [0; 32];
        hex::decode_to_slice(hash, &mut body_hash).map_err(|_| {
            Refused::Incomplete(format!("the header {BODY_HASH} must be the SHA-256 of the body in hexadecimal digits"))
        })?;
        if sent.abs_diff(now) > WINDOW_SECONDS.unsigned_abs() {
            return Err(Refused::Time { sent, now });
        }
        let to_sign = self.to_sign(&presented.signed, hash)?;
        if !bool::from(mac(secret, &to_sign).ct_eq(&presented.signature)) {
            return Err(Refused::Mismatch { to_sign });
        }
        // It is taken for as long as its time is within the window.
        Ok(Checked { nonce: nonce.to_owned(), body_hash, expires_at: sent.saturating_add(WINDOW_SECONDS) })
    }

    /// The header `Authorization` that signs this request: its host, its content type and every `x-acs-*`.
    ///
    /// # Errors
    /// [`Refused::Incomplete`] without a hash of the body.
    pub fn sign(&self, access_key: &str, secret: &SigningSecret) -> Result<String, Refused> {
        let named = |name: &str| matches!(name, "host" | "content-type") || name.starts_with("x-acs-");
        let mut signed: Vec<String> =
            self.headers.iter().map(|(name, _)| name.clone()).filter(|name| named(name)).collect();
        signed.sort();
        signed.dedup();
        let signature = hex::encode(mac(secret, &self.to_sign(&signed, self.one(BODY_HASH)?)?));
        let names = signed.join(";");
        Ok(format!("{ALGORITHM} Credential={access_key},SignedHeaders={names},Signature={signature}"))
    }

    /// The value of a header that is there once.
    fn one(&self, name: &str) -> Result<&str, Refused> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.trim());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(Refused::Incomplete(format!("the header {name} is missing"))),
            (Some(_), Some(_)) => Err(Refused::Incomplete(format!("the header {name} is there twice"))),
        }
    }

    fn to_sign(self, signed: &[String], body_hash: &str) -> Result<String, Refused> {
        let mut headers = String::new();
        for name in signed {
            let mut values: Vec<&str> =
                self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.trim()).collect();
            if values.is_empty() {
                return Err(Refused::Incomplete(format!("the header {name} is signed, but it is missing")));
            }
            values.sort_unstable();
            headers += &format!("{name}:{}\n", values.join(","));
        }
        let canonical = [
            self.method,
            &canonical_path(self.path),
            &canonical_query(self.query),
            &headers,
            &signed.join(";"),
            body_hash,
        ]
        .join("\n");
        Ok(format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(canonical))))
    }
}

fn mac(secret: &SigningSecret, to_sign: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(to_sign.as_bytes());
    mac.finalize().into_bytes().into()
}

/// How far the clocks are from each other, in words.
fn off(sent: i64, now: i64) -> String {
    let seconds = sent.abs_diff(now);
    let way = if sent < now { "behind" } else { "ahead of" };
    let (minutes, rest) = (seconds / 60, seconds % 60);
    let most = WINDOW_SECONDS / 60;
    format!(
        "the request's time {} is {minutes} min {rest} s {way} the server's {}; at most {most} min are taken. Set the \
         clock of the machine that signs",
        time::second(sent),
        time::second(now),
    )
}

fn canonical_path(path: &str) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    path.split('/').map(|segment| encoded(&decoded(segment, false))).collect::<Vec<_>>().join("/")
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name, true), decoded(value, true)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// Undoes the encoding of the wire, in which a `+` of a query is a space.
fn decoded(text: &str, plus_is_space: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let mut one = [0];
        if digits.is_some_and(|digits| hex::decode_to_slice(digits, &mut one).is_ok()) {
            out.push(one[0]);
            at += 3;
            continue;
        }
        out.push(if byte == b'+' && plus_is_space { b' ' } else { byte });
        at += 1;
    }
    out
}

/// RFC 3986: letters, digits and `-_.~` stand for themselves.
fn encoded(bytes: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(byte).collect()
}

#[cfg(test)]
mod tests;
