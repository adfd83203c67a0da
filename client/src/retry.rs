//! Whether a request is sent again, and when. Two questions are kept apart: whether it *may help*, and
//! whether it is *safe*: a request that may have been answered is paid for twice when it is sent twice.
//!
//! | what happened | was it carried out? | sent again |
//! | --- | --- | --- |
//! | no connection | no | yes |
//! | 400, 401, 403, 404; account overdue, free quota used up | no | no: it would fail again |
//! | 429 throttled, 503 overloaded | no | yes, after the wait that is asked for |
//! | 408 | no | yes |
//! | 500, 502, 504; connection broken after sending; no answer in time | unknown | by [`Unknown`] |
//! | an answer that was cut after its beginning was handed out | in part | never from its start; where the service numbers its events, from where it broke |
//! | 200 with an answer that cannot be read | yes | no |

mod after;
#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub(crate) use after::asked;

use crate::error::{Kind, Throttle};

/// Most attempts of one call, the first included.
pub const ATTEMPTS_MAX: u32 = 20;

/// What a call does when nobody knows whether its request was carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unknown {
    /// It fails, and its error says [`Billed::Unknown`](crate::Billed::Unknown).
    Fail,
    /// It is sent again where that is free of charge or makes the answer only once: to a service that knows
    /// idempotency keys, as a Qwenda does, and for calls that only read.
    #[default]
    WhenReplayed,
    /// It is sent again, and may be paid for twice.
    SendAgain,
}

/// When requests are sent again.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use qwenda::Retry;
/// let patient = Retry { attempts_max: 8, elapsed_max: Duration::from_secs(600), ..Retry::default() };
/// let never = Retry::none();
/// assert_eq!((patient.attempts_max, never.attempts_max), (8, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts of one call, the first included, `[1, ATTEMPTS_MAX]`; 4.
    pub attempts_max: u32,
    /// No attempt begins later than this after the call; 90 s.
    pub elapsed_max: Duration,
    /// The first pause is drawn from zero to this, the second from zero to twice this, and so on; 500 ms.
    /// Throttles of a minute begin at four times this.
    pub pause_first: Duration,
    /// No pause is drawn from more than this; 30 s.
    pub pause_max: Duration,
    /// A service that asks for a longer wait than this is not waited for: the error says how long; 120 s.
    pub asked_max: Duration,
    /// What is done when nobody knows whether the request was carried out.
    pub unknown: Unknown,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            elapsed_max: Duration::from_secs(90),
            pause_first: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
            asked_max: Duration::from_secs(120),
            unknown: Unknown::default(),
        }
    }
}

/// Whether sending it again could do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It was not carried out.
    Safe,
    /// It may have been.
    Unknown,
    /// It was, or it would fail again.
    Never,
}

/// What is known of an attempt that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    pub(crate) kind: Kind,
    pub(crate) replay: Replay,
    /// The wait that the service asks for.
    pub(crate) asked: Option<Duration>,
    /// The attempts so far, this one included.
    pub(crate) attempts: u32,
    /// Since the call began.
    pub(crate) elapsed: Duration,
    /// Whether the same request is carried out once however often it is sent.
    pub(crate) replays: bool,
}

impl Retry {
    /// Every request is sent once.
    pub fn none() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// The pause before the next attempt, or `None` if this was the last. `random` is any number: requests
    /// that failed together must not come back together.
    pub(crate) fn pause(&self, failed: &Failed, random: u64) -> Option<Duration> {
        let safe = match failed.replay {
            Replay::Safe => true,
            Replay::Never => false,
            Replay::Unknown => match self.unknown {
                Unknown::Fail => false,
                Unknown::WhenReplayed => failed.replays,
                Unknown::SendAgain => true,
            },
        };
        if !safe || failed.attempts >= self.attempts_max.clamp(1, ATTEMPTS_MAX) {
            return None;
        }
        if failed.asked.is_some_and(|asked| asked > self.asked_max) {
            return None;
        }
        let doubled = self.pause_first.saturating_mul(1 << (failed.attempts - 1).min(16));
        let most = doubled.saturating_mul(weight(failed.kind)).min(self.pause_max);
        let spread = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let pause = failed.asked.unwrap_or_default() + Duration::from_nanos(random % spread);
        (failed.elapsed + pause <= self.elapsed_max).then_some(pause)
    }
}

/// Minutes pass slowly; a burst is over sooner, but only if everybody slows down.
fn weight(kind: Kind) -> u32 {
    match kind {
        Kind::Throttled(Throttle::Requests | Throttle::Tokens | Throttle::Burst) => 4,
        Kind::Throttled(_) => 2,
        _ => 1,
    }
}

/// Tenths of an attempt: one for each call that succeeds, ten for each attempt after a first.
const PER_ATTEMPT: u64 = 10;

/// What all calls of a client may spend on further attempts. A service that fails for everybody is not asked
/// several times by everybody: once this is empty, one attempt in ten is a further one.
#[derive(Debug)]
pub(crate) struct Allowance {
    tenths: AtomicU64,
    most: u64,
}

impl Allowance {
    pub(crate) fn new(attempts: u32) -> Self {
        let most = u64::from(attempts) * PER_ATTEMPT;
        Self { tenths: AtomicU64::new(most), most }
    }

    pub(crate) fn earn(&self) {
        let earn = |tenths: u64| Some((tenths + 1).min(self.most));
        // The closure never declines.
        let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
    }

    /// Whether there was one left.
    pub(crate) fn spend(&self) -> bool {
        let spend = |tenths: u64| tenths.checked_sub(PER_ATTEMPT);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}
