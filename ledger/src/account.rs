//! Who pays for a request: free quota, then packs, then the balance. Pure; the store keeps the figures.
//!
//! A request is first covered by what it may use at most (a *hold*), and in the end pays for what it did
//! use (a *post*): [`cover`] and [`settle`].

use serde::{Deserialize, Serialize};

use crate::money::Nanos;
use crate::price::{Charge, ChargeError, LineKind};

/// Where tokens or money lie, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Tokens given for nothing.
    Quota,
    /// Tokens paid for in advance.
    Pack,
    /// Money, down to minus the credit line.
    Balance,
}

impl Kind {
    /// All, in the order in which they are taken.
    pub const ALL: [Self; 3] = [Self::Quota, Self::Pack, Self::Balance];

    /// Its name in the database and in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Pack => "pack",
            Self::Balance => "balance",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What can be taken from one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its id.
    pub id: String,
    /// What lies there.
    pub kind: Kind,
    /// Tokens, or nanos, that no hold has taken; of a balance without its credit line.
    pub free: i64,
    /// Unix seconds from which on nothing can be taken; `None`: it does not end.
    pub expires_at: Option<i64>,
}

/// A part of a hold: so much of one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The place's id.
    pub bucket: String,
    /// What lies there.
    pub kind: Kind,
    /// Tokens, or nanos.
    pub amount: i64,
}

/// What a request may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Tokens that quota and packs may pay; 0 where they may not, as in batches.
    pub tokens: u64,
    /// Money, should nothing else pay.
    pub money: Nanos,
    /// Whether money may be taken at all: not where the account stops when its free quota ends.
    pub money_allowed: bool,
}

/// Why a request cannot be covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncovered {
    /// The account stops when its free quota ends, and it has ended.
    #[error("the free quota has ended, and the account stops there")]
    QuotaEnded,
    /// There is not enough money.
    #[error("the request may cost up to {wanted}; the account can spend {spendable}")]
    Money {
        /// What it may cost.
        wanted: Nanos,
        /// Balance and credit line without what other requests hold.
        spendable: Nanos,
    },
}

/// What to hold of each place, so that the request is paid whatever it uses within `most`.
///
/// Tokens come first, those that end earliest before others. Where they do not cover everything, all of
/// the money is held too: which tokens remain is not known yet.
///
/// # Errors
/// [`Uncovered`]; nothing is to be held then.
///
/// # Example
/// ```
/// use qwenda_ledger::account::{Bucket, Kind, Most, cover};
/// use qwenda_ledger::money::Nanos;
///
/// let quota = Bucket { id: "q".to_owned(), kind: Kind::Quota, free: 100, expires_at: Some(9_000) };
/// let most = Most { tokens: 80, money: Nanos::new(5), money_allowed: true };
/// let parts = cover(&[quota], Nanos::ZERO, most, 1_000)?;
/// assert_eq!((parts.len(), parts[0].amount), (1, 80));
/// # Ok::<(), qwenda_ledger::account::Uncovered>(())
/// ```
pub fn cover(buckets: &[Bucket], credit: Nanos, most: Most, now: i64) -> Result<Vec<Part>, Uncovered> {
    let mut usable: Vec<&Bucket> = buckets
        .iter()
        .filter(|b| b.free > 0 && b.kind != Kind::Balance && b.expires_at.is_none_or(|at| now < at))
        .collect();
    usable.sort_by_key(|b| (b.kind, b.expires_at.unwrap_or(i64::MAX), b.id.clone()));
    let mut left = i64::try_from(most.tokens).unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    for bucket in usable {
        let amount = bucket.free.min(left);
        if amount > 0 {
            parts.push(Part { bucket: bucket.id.clone(), kind: bucket.kind, amount });
            left -= amount;
        }
    }
    if left == 0 && most.tokens > 0 {
        return Ok(parts);
    }
    if !most.money_allowed {
        return if parts.is_empty() { Err(Uncovered::QuotaEnded) } else { Ok(parts) };
    }
    if most.money == Nanos::ZERO {
        return Ok(parts);
    }
    let balance = buckets.iter().find(|b| b.kind == Kind::Balance);
    let spendable = balance.map_or(0, |b| b.free).saturating_add(credit.get());
    match balance {
        Some(balance) if spendable >= most.money.get() => {
            parts.push(Part { bucket: balance.id.clone(), kind: Kind::Balance, amount: most.money.get() });
            Ok(parts)
        }
        _ => Err(Uncovered::Money { wanted: most.money, spendable: Nanos::new(spendable.max(0)) }),
    }
}

/// What a request pays in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Tokens taken of quota and packs, in the order of the hold's parts.
    pub tokens: Vec<Part>,
    /// What money pays: the lines without the tokens that others paid.
    pub charge: Charge,
}

/// Whether quota and packs pay for tokens of this kind: not for caches that were asked for, and not for
/// batches.
pub fn is_covered(kind: LineKind) -> bool {
    matches!(kind, LineKind::Input | LineKind::ImplicitHit | LineKind::Output | LineKind::OutputThinking)
}

/// Splits a charge over the parts of its hold: tokens first, in the order of the lines.
///
/// Where money may not be taken, what quota did not cover is for nothing: the request that the quota ended
/// in is completed.
///
/// # Errors
/// [`ChargeError`] for sums out of range.
pub fn settle(parts: &[Part], charge: &Charge, money_allowed: bool) -> Result<Settlement, ChargeError> {
    let mut places: Vec<Part> = parts.iter().filter(|part| part.kind != Kind::Balance).cloned().collect();
    let held: i64 = places.iter().map(|part| part.amount).fold(0, i64::saturating_add);
    let mut free = u64::try_from(held).unwrap_or(0);
    let mut covered = Vec::with_capacity(charge.lines.len());
    for line in &charge.lines {
        let tokens = if is_covered(line.kind) { line.tokens.min(free) } else { 0 };
        free -= tokens;
        covered.push(tokens);
    }
    let mut used = covered.iter().fold(0_u64, |sum, tokens| sum.saturating_add(*tokens));
    for place in &mut places {
        let amount = u64::try_from(place.amount).unwrap_or(0).min(used);
        used -= amount;
        place.amount = i64::try_from(amount).unwrap_or(i64::MAX);
    }
    places.retain(|place| place.amount > 0);
    let charge =
        if money_allowed { charge.without(&covered)? } else { Charge { lines: Vec::new(), total: Nanos::ZERO } };
    Ok(Settlement { tokens: places, charge })
}

#[cfg(test)]
mod tests;
