//! Rate limits as pure functions of (state, event, now): requests per minute ([`Gcra`]), tokens per minute
//! ([`Tokens`]), sudden growth ([`BurstGuard`]), concurrency ([`Permits`]); and a [`Group`] of levels, key to
//! model, that are taken together or not at all. Where replicas share a limit, it lies in a [`Shared`] row,
//! from which each borrows a [`Lease`].
//!
//! The rule ([`Rate`]) and its state are apart, so that a rule may change while its state lives
//! on. Nothing here reads a clock: the caller hands in `now_ns`, nanoseconds on one clock that should not
//! go back. If it does go back, limits stand still until it has caught up; nothing more gets through.

mod burst;
mod figures;
mod gcra;
mod group;
mod lease;
mod level;
mod permits;
mod rate;
mod refused;
mod shared;
mod tokens;

pub use burst::{Burst, BurstGuard};
pub use figures::{Figure, Figures};
pub use gcra::Gcra;
pub use group::{Denied, Group, Taken};
pub use lease::{Lease, LeaseTaken, Short};
pub use level::{Level, Limits, Part, State};
pub use permits::Permits;
pub use rate::{MINUTE_NS, Rate, Shape};
pub use refused::{Kind, Refused, Scope};
pub use shared::{EPOCH_NS, Grant, LEASE_NS, Shared, Trade};
pub use tokens::{Tokens, TokensTaken};

/// How long to wait until what was refused may be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// So many nanoseconds, exactly, if nothing else is admitted meanwhile.
    Ns(u64),
    /// Until some other request ends: nobody knows when.
    Release,
    /// Waiting does not help: what was asked for is more than the limit ever allows.
    Never,
}

/// What a caller is told to wait when it waits for another request to end, in milliseconds.
pub const RELEASE_RETRY_MS: u64 = 1000;

impl Wait {
    /// What to tell the caller: milliseconds, rounded up; `None` when waiting does not help.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::limit::Wait;
    /// assert_eq!(Wait::Ns(1_000_001).retry_after_ms(), Some(2));
    /// assert_eq!(Wait::Release.retry_after_ms(), Some(1000));
    /// assert_eq!(Wait::Never.retry_after_ms(), None);
    /// ```
    pub fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Ns(ns) => Some(ns.div_ceil(1_000_000)),
            Self::Release => Some(RELEASE_RETRY_MS),
            Self::Never => None,
        }
    }
}
