//! Time that stands still until a test moves it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Milliseconds since the epoch, moved by hand. Clones show the same time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicU64>);

impl FakeClock {
    /// A clock that shows `now_ms`.
    pub fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    /// The time shown.
    pub fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves forward and returns the new time.
    pub fn advance_ms(&self, ms: u64) -> u64 {
        self.0.fetch_add(ms, Ordering::SeqCst) + ms
    }

    /// Jumps anywhere, as a machine's clock may.
    pub fn set_ms(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    /// A date that looks like one: 2026-01-01 00:00:00 UTC.
    fn default() -> Self {
        Self::at(1_767_225_600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_show_the_same_time() {
        let clock = FakeClock::at(5);
        let other = clock.clone();
        assert_eq!(clock.advance_ms(10), 15);
        assert_eq!(other.now_ms(), 15);
        other.set_ms(1);
        assert_eq!(clock.now_ms(), 1);
    }
}
