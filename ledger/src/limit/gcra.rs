//! Requests per minute by the generic cell rate algorithm: one stored time, no windows.

use super::{Figure, Rate, Wait};

/// The state of a limit of requests: the time at which all that was admitted will have flowed back.
///
/// # Units
/// Nanoseconds on the caller's clock. The state of a limit that was never used is 0.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Gcra, Rate, Wait};
/// let (mut state, rate) = (Gcra::default(), Rate::smooth(60));
/// assert_eq!(state.take(rate, 5_000_000_000), Ok(()));
/// assert_eq!(state.take(rate, 5_250_000_000), Err(Wait::Ns(750_000_000)));
/// assert_eq!(state.take(rate, 6_000_000_000), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gcra {
    free_ns: u64,
}

impl Gcra {
    /// The state that was stored as [`Gcra::stored_ns`].
    pub const fn from_stored_ns(free_ns: u64) -> Self {
        Self { free_ns }
    }

    /// The one number this state is.
    pub const fn stored_ns(self) -> u64 {
        self.free_ns
    }

    /// Whether one more request would be admitted now.
    ///
    /// # Errors
    /// How long to wait, exactly. [`Wait::Never`] when the limit is 0.
    pub fn check(self, rate: Rate, now_ns: u64) -> Result<(), Wait> {
        self.next(rate, now_ns).map(drop)
    }

    /// Admits one request, or changes nothing.
    ///
    /// # Errors
    /// As [`Gcra::check`].
    pub fn take(&mut self, rate: Rate, now_ns: u64) -> Result<(), Wait> {
        *self = self.next(rate, now_ns)?;
        Ok(())
    }

    fn next(self, rate: Rate, now_ns: u64) -> Result<Self, Wait> {
        let each_ns = rate.cost_ns(1).ok_or(Wait::Never)?;
        // At the end of time nothing is admitted, rather than everything.
        let free_ns = self.free_ns.max(now_ns).checked_add(each_ns).ok_or(Wait::Never)?;
        let over_ns = (free_ns - now_ns).saturating_sub(all_ns(rate, each_ns));
        if over_ns > 0 { Err(Wait::Ns(over_ns)) } else { Ok(Self { free_ns }) }
    }

    /// Where the limit stands.
    pub fn figure(self, rate: Rate, now_ns: u64) -> Figure {
        let used_ns = self.free_ns.saturating_sub(now_ns);
        let remaining = match rate.cost_ns(1) {
            Some(each_ns) => all_ns(rate, each_ns).saturating_sub(used_ns) / each_ns,
            None => 0,
        };
        Figure { limit: rate.per_minute, remaining, reset_ms: used_ns.div_ceil(1_000_000) }
    }
}

// The whole burst. A multiple of what one request costs, so that rounding never eats the last one.
fn all_ns(rate: Rate, each_ns: u64) -> u64 {
    rate.burst().saturating_mul(each_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of `asks` are admitted at once.
    fn at_once(state: &mut Gcra, rate: Rate, now_ns: u64, asks: usize) -> usize {
        (0..asks).filter(|_| state.take(rate, now_ns).is_ok()).count()
    }

    #[test]
    fn a_burst_is_admitted_whole_and_not_one_more() {
        for shape in [Rate::minute, Rate::smooth, Rate::strict] {
            for per_minute in [1, 2, 7, 59, 60, 61, 600, 997, 30_000] {
                let rate = shape(per_minute);
                let mut state = Gcra::default();
                let admitted = at_once(&mut state, rate, 7 * SECOND, per_minute as usize + 10);
                assert_eq!(admitted as u64, rate.burst(), "{rate:?}");
            }
        }
    }

    #[test]
    fn exactly_one_is_admitted_when_the_wait_is_over_and_none_a_nanosecond_before() {
        for per_minute in [1, 7, 60, 600, 59_999] {
            let rate = Rate::minute(per_minute);
            let mut state = Gcra::default();
            let mut now_ns = SECOND;
            at_once(&mut state, rate, now_ns, per_minute as usize);
            for _ in 0..100 {
                let Err(Wait::Ns(wait_ns)) = state.take(rate, now_ns) else { panic!("{rate:?} is used up") };
                assert_eq!(at_once(&mut state, rate, now_ns + wait_ns - 1, 2), 0, "{rate:?}");
                now_ns += wait_ns;
                assert_eq!(at_once(&mut state, rate, now_ns, 2), 1, "{rate:?}");
            }
        }
    }

    #[test]
    fn a_limit_of_zero_admits_nothing_for_ever() {
        assert_eq!(Gcra::default().take(Rate::minute(0), 0), Err(Wait::Never));
        assert_eq!(Gcra::default().figure(Rate::minute(0), 0), Figure { limit: 0, remaining: 0, reset_ms: 0 });
    }

    #[test]
    fn a_clock_that_goes_back_lets_nothing_more_through() {
        let rate = Rate::minute(60);
        let mut state = Gcra::default();
        assert_eq!(at_once(&mut state, rate, 100 * SECOND, 100), 60);
        assert_eq!(at_once(&mut state, rate, 40 * SECOND, 100), 0);
        assert_eq!(state.take(rate, 40 * SECOND), Err(Wait::Ns(61 * SECOND)));
        assert_eq!(at_once(&mut state, rate, 100 * SECOND, 100), 0);
        assert_eq!(at_once(&mut state, rate, 130 * SECOND, 100), 30);
    }

    #[test]
    fn the_end_of_time_neither_panics_nor_opens() {
        for rate in [Rate::minute(1), Rate::smooth(60), Rate::minute(u64::MAX), Rate::strict(u64::MAX)] {
            let mut state = Gcra::from_stored_ns(u64::MAX);
            assert_eq!(state.take(rate, u64::MAX), Err(Wait::Never));
            let waits = state.take(rate, 0);
            assert!(matches!(waits, Err(Wait::Never | Wait::Ns(_))), "{waits:?}");
            state.figure(rate, 0);
        }
    }

    #[test]
    fn the_figure_counts_down_and_comes_back() {
        let rate = Rate::minute(60);
        let mut state = Gcra::default();
        let now_ns = 5 * SECOND;
        assert_eq!(state.figure(rate, now_ns), Figure { limit: 60, remaining: 60, reset_ms: 0 });
        at_once(&mut state, rate, now_ns, 3);
        assert_eq!(state.figure(rate, now_ns), Figure { limit: 60, remaining: 57, reset_ms: 3000 });
        assert_eq!(state.figure(rate, now_ns + SECOND / 2), Figure { limit: 60, remaining: 57, reset_ms: 2500 });
        assert_eq!(state.figure(rate, now_ns + SECOND), Figure { limit: 60, remaining: 58, reset_ms: 2000 });
    }

    #[test]
    fn a_raised_limit_holds_for_what_comes_after() {
        let mut state = Gcra::default();
        at_once(&mut state, Rate::minute(6), SECOND, 6);
        assert_eq!(state.take(Rate::minute(6), SECOND), Err(Wait::Ns(10 * SECOND)));
        assert_eq!(state.take(Rate::minute(60), SECOND), Err(Wait::Ns(SECOND)));
    }
}
