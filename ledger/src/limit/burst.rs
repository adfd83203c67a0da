//! The burst guard: requests that grow too fast are refused even below every other limit.
//!
//! The contract names the refusal (`limit_burst_rate`) and not the rule. Ours: in no second of the clock
//! may a caller have more requests admitted than `growth` times its average second of the recent minute,
//! or than a floor, if that is more. The average is exponential with a memory of a minute and counts
//! what was admitted, so a flood does not widen its own gate: a caller that pushes as hard as it can
//! grows e-fold in `60 / (growth - 1)` seconds.

use super::{Rate, Wait};

const SECOND_NS: u64 = 1_000_000_000;
/// The memory of the average: after so many seconds without requests it is down to a third.
const MEMORY_SECONDS: u64 = 60;
// Averages are kept in millionths of a request per second.
const MICRO: u64 = 1_000_000;

/// The rule of the burst guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstGuard {
    /// Requests that are always admitted in a second, whatever came before. 0 counts as 1.
    pub floor_per_second: u32,
    /// How many times its average second a caller may grow to. 0 counts as 1.
    pub growth: u32,
}

impl BurstGuard {
    /// The guard that goes with a limit of requests: at least 10 requests a second and at least a quarter
    /// of the limit's own pace at any time, and never more than three times the average.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::limit::{BurstGuard, Rate};
    /// let guard = BurstGuard::of(Rate::minute(30_000));
    /// assert_eq!(guard, BurstGuard { floor_per_second: 125, growth: 3 });
    /// assert_eq!(BurstGuard::of(Rate::minute(60)).floor_per_second, 10);
    /// ```
    pub fn of(rate: Rate) -> Self {
        let quarter = rate.per_minute.div_ceil(60 * 4);
        Self { floor_per_second: u32::try_from(quarter).unwrap_or(u32::MAX).max(10), growth: 3 }
    }
}

/// The state of a burst guard: the requests of this second and the average of those before.
///
/// # Units
/// Seconds of the caller's clock. One that goes back stays in its latest second.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Burst, BurstGuard, Wait};
/// let guard = BurstGuard { floor_per_second: 2, growth: 3 };
/// let mut state = Burst::default();
/// assert_eq!(state.take(guard, 500_000_000), Ok(()));
/// assert_eq!(state.take(guard, 500_000_000), Ok(()));
/// assert_eq!(state.take(guard, 500_000_000), Err(Wait::Ns(500_000_000)));
/// assert_eq!(state.take(guard, 1_000_000_000), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Burst {
    second: u64,
    count: u32,
    average_micro: u64,
}

impl Burst {
    /// How many requests may be admitted in the second of `now_ns`.
    pub fn allowed(self, guard: BurstGuard, now_ns: u64) -> u64 {
        let grown = self.at(now_ns).average_micro.saturating_mul(u64::from(guard.growth.max(1))) / MICRO;
        grown.max(u64::from(guard.floor_per_second.max(1)))
    }

    /// Whether one more request would be admitted now.
    ///
    /// # Errors
    /// How long it is until the next second, in which at least one is admitted.
    pub fn check(self, guard: BurstGuard, now_ns: u64) -> Result<(), Wait> {
        let then = self.at(now_ns);
        if u64::from(then.count) < self.allowed(guard, now_ns).min(u64::from(u32::MAX)) {
            return Ok(());
        }
        let next_ns = then.second.saturating_add(1).saturating_mul(SECOND_NS);
        Err(Wait::Ns(next_ns - now_ns))
    }

    /// Admits one request, or changes nothing.
    ///
    /// # Errors
    /// As [`Burst::check`].
    pub fn take(&mut self, guard: BurstGuard, now_ns: u64) -> Result<(), Wait> {
        self.check(guard, now_ns)?;
        *self = self.at(now_ns);
        self.count += 1;
        Ok(())
    }

    // The state as of this time: seconds that have ended since are in the average.
    fn at(self, now_ns: u64) -> Self {
        let second = now_ns / SECOND_NS;
        let Some(ended) = second.checked_sub(self.second).filter(|ended| *ended > 0) else {
            return self;
        };
        let with_last = (self.average_micro * (MEMORY_SECONDS - 1) + u64::from(self.count) * MICRO) / MEMORY_SECONDS;
        Self { second, count: 0, average_micro: faded(with_last, ended - 1) }
    }
}

// What is left of an average after so many seconds without requests.
fn faded(average_micro: u64, seconds: u64) -> u64 {
    const BITS: u32 = 32;
    // By then not a millionth is left of the largest average there can be.
    if seconds >= MEMORY_SECONDS * 64 {
        return 0;
    }
    let (mut left, mut square, mut seconds) = (1_u64 << BITS, ((MEMORY_SECONDS - 1) << BITS) / MEMORY_SECONDS, seconds);
    while seconds > 0 {
        if seconds & 1 == 1 {
            left = (left * square) >> BITS;
        }
        square = (square * square) >> BITS;
        seconds >>= 1;
    }
    u64::try_from((u128::from(average_micro) * u128::from(left)) >> BITS).expect("a part of it is less")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: BurstGuard = BurstGuard { floor_per_second: 10, growth: 3 };

    /// Asks so many times in each second; what is admitted in each.
    fn run(state: &mut Burst, from_second: u64, asks: &[u32]) -> Vec<u32> {
        let seconds = asks.iter().zip(from_second..);
        seconds
            .map(|(asks, second)| {
                (0..*asks).filter(|ask| state.take(GUARD, second * SECOND_NS + u64::from(*ask)).is_ok()).count() as u32
            })
            .collect()
    }

    #[test]
    fn the_floor_is_always_admitted_and_no_more_from_a_standing_start() {
        let mut state = Burst::default();
        assert_eq!(run(&mut state, 5, &[9, 10, 11, 1000, 0]), [9, 10, 10, 10, 0]);
    }

    #[test]
    fn steady_traffic_may_grow_threefold_and_not_more() {
        let mut state = Burst::default();
        for second in 0..600_u32 {
            for ask in 0..10 + u32::saturating_sub(second, 60) / 6 {
                assert_eq!(state.take(GUARD, u64::from(second) * SECOND_NS), Ok(()), "second {second} ask {ask}");
            }
        }
        let admitted = run(&mut state, 600, &[1000])[0];
        assert!((260..=280).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_flood_opens_its_gate_no_faster_than_the_rule_says() {
        // From the floor on, e-fold in 30 seconds.
        let mut state = Burst::default();
        let admitted = run(&mut state, 0, &[100_000; 151]);
        assert!(admitted.is_sorted() && admitted[0] == 10);
        let from = admitted.iter().position(|count| *count > 10).expect("it grows");
        let growth = f64::from(admitted[from + 60]) / f64::from(admitted[from]);
        assert!((5.0..8.0).contains(&growth), "{growth}");
    }

    #[test]
    fn a_pause_closes_the_gate_again() {
        let mut state = Burst::default();
        run(&mut state, 0, &[100; 300]);
        for (pause, most) in [(1, 300), (60, 110), (120, 41), (600, 10), (u64::MAX / SECOND_NS - 400, 10)] {
            let admitted = run(&mut state.clone(), 299 + pause, &[1000])[0];
            assert!(admitted <= most && admitted >= most * 9 / 10, "{pause}: {admitted} of {most}");
        }
    }

    #[test]
    fn a_pause_at_once_is_as_long_as_the_same_pause_second_by_second() {
        let mut state = Burst { second: 0, count: 0, average_micro: 123_456_789 };
        let start = state;
        for second in 1..500 {
            state = state.at(second * SECOND_NS);
            let at_once = start.at(second * SECOND_NS).average_micro;
            assert!(at_once.abs_diff(state.average_micro) <= 60, "{second}: {at_once} {}", state.average_micro);
        }
    }

    #[test]
    fn a_clock_that_goes_back_stays_in_its_second() {
        let mut state = Burst::default();
        assert_eq!(run(&mut state, 100, &[20]), [10]);
        assert_eq!(run(&mut state, 40, &[20, 20]), [0, 0]);
        assert_eq!(state.take(GUARD, 40 * SECOND_NS), Err(Wait::Ns(61 * SECOND_NS)));
        assert_eq!(run(&mut state, 101, &[20]), [10]);
    }

    #[test]
    fn nothing_overflows() {
        let wide = BurstGuard { floor_per_second: u32::MAX, growth: u32::MAX };
        let none = BurstGuard { floor_per_second: 0, growth: 0 };
        for count in [0, u32::MAX] {
            let mut state = Burst { second: 0, count, average_micro: u64::from(u32::MAX) * MICRO };
            for now_ns in [0, u64::MAX, 0, SECOND_NS] {
                let _ = state.take(wide, now_ns);
                let _ = state.take(none, now_ns);
            }
        }
    }
}
