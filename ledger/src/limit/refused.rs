//! What refused, in words and as a code of the contract.

use std::fmt;

use qwenda_types::error::Code;

use super::Wait;

/// Whose limit it is. Limits are taken in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One API key.
    Key,
    /// A project and all its keys.
    Project,
    /// An account and all its projects.
    Account,
    /// A model, for whoever shares the limit on it: in the contract all keys of one account.
    Model,
}

impl Scope {
    /// All of them, in the order in which limits are taken.
    pub const ALL: [Self; 4] = [Self::Key, Self::Project, Self::Account, Self::Model];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Project => "project",
            Self::Account => "account",
            Self::Model => "model",
        })
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests in one second, against those before.
    Burst,
    /// Requests that run at one time.
    Concurrency,
}

impl Kind {
    /// The contract's code for a refusal of this kind.
    pub fn code(self) -> Code {
        match self {
            Self::Requests => Code::RateLimited,
            Self::Tokens => Code::AllocationQuota,
            Self::Burst => Code::BurstRate,
            Self::Concurrency => Code::Concurrency,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::Burst => "requests in this second",
            Self::Concurrency => "requests at one time",
        })
    }
}

/// Why a request was refused: of all limits that refused it, the one that takes longest to admit it.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Kind, Refused, Scope, Wait};
/// let refused =
///     Refused { scope: Scope::Project, kind: Kind::Requests, limit: 60, asked: 1, wait: Wait::Ns(1_500_000) };
/// assert_eq!(refused.to_string(), "the project's limit of requests per minute is 60; the next fits in 2 ms");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {scope}'s limit of {kind} is {limit}{}", Advice(self))]
pub struct Refused {
    /// Whose limit refused.
    pub scope: Scope,
    /// Which of its limits.
    pub kind: Kind,
    /// The value of that limit: per minute, in this second, or at one time.
    pub limit: u64,
    /// What was asked for: tokens, or one request.
    pub asked: u64,
    /// How long to wait until every limit that refused would admit it.
    pub wait: Wait,
}

struct Advice<'a>(&'a Refused);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.0.asked;
        match (self.0.wait, self.0.kind) {
            (Wait::Ns(_), kind) => {
                let ms = self.0.wait.retry_after_ms().expect("a wait that ends is a number");
                match kind {
                    Kind::Tokens => write!(f, "; the {asked} asked for fit in {ms} ms"),
                    _ => write!(f, "; the next fits in {ms} ms"),
                }
            }
            (Wait::Release, _) => f.write_str("; the next fits when one of them ends"),
            (Wait::Never, Kind::Tokens) => write!(f, "; the {asked} asked for never fit"),
            (Wait::Never, _) => Ok(()),
        }
    }
}
