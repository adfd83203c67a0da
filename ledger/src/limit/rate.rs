//! How much per minute, and how much of it at once.

/// A minute in nanoseconds.
pub const MINUTE_NS: u64 = 60_000_000_000;

/// A limit per minute, of requests or of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units (requests or tokens) per minute. 0 admits nothing.
    pub per_minute: u64,
    /// How much of it may come at once.
    pub shape: Shape,
}

/// How much of a minute's worth may come at once. What was used flows back evenly.
///
/// In any window of length `w` at most `burst + rate × w` is admitted; what differs is the burst.
///
/// | shape | burst | rate | at most in any minute |
/// | --- | --- | --- | --- |
/// | `Minute` | the limit | the limit | two limits less one, after a pause |
/// | `Second` | a 60th, rounded up | the limit | the limit and a 60th |
/// | `Strict` | a 20th, at least 1 | the limit less the burst, plus 1 | the limit |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// The whole minute's worth may come at once.
    #[default]
    Minute,
    /// Smoothed: a second's worth (`per_minute / 60`, rounded up, at least 1) may come at once.
    Second,
    /// No minute, wherever it begins, ever holds more than the limit. Costs under 5 % of a steady load.
    /// A single ask for more than the burst (tokens) is let through whole and is not covered by this.
    Strict,
}

impl Rate {
    /// A limit whose whole minute's worth may come at once.
    pub const fn minute(per_minute: u64) -> Self {
        Self { per_minute, shape: Shape::Minute }
    }

    /// A limit of which a second's worth may come at once.
    pub const fn smooth(per_minute: u64) -> Self {
        Self { per_minute, shape: Shape::Second }
    }

    /// A limit that holds in every minute, wherever it begins.
    pub const fn strict(per_minute: u64) -> Self {
        Self { per_minute, shape: Shape::Strict }
    }

    /// How many units may come at once after a pause.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::limit::Rate;
    /// assert_eq!(Rate::minute(1200).burst(), 1200);
    /// assert_eq!(Rate::smooth(1200).burst(), 20);
    /// assert_eq!(Rate::smooth(30).burst(), 1);
    /// assert_eq!(Rate::strict(1200).burst(), 60);
    /// ```
    pub fn burst(self) -> u64 {
        match self.shape {
            Shape::Minute => self.per_minute,
            Shape::Second => self.per_minute.div_ceil(60),
            Shape::Strict => (self.per_minute / 20).max(self.per_minute.min(1)),
        }
    }

    /// How many units flow back in a minute.
    pub fn refill(self) -> u64 {
        match self.shape {
            Shape::Minute | Shape::Second => self.per_minute,
            // With burst b and rate r no half-open minute holds more than b + r - 1.
            Shape::Strict => (self.per_minute - self.burst()).saturating_add(self.per_minute.min(1)),
        }
    }

    /// Nanoseconds in which so many units flow back, rounded up; `None` when they never do.
    pub(super) fn cost_ns(self, units: u64) -> Option<u64> {
        let refill = self.refill();
        if refill == 0 {
            return None;
        }
        match units.checked_mul(MINUTE_NS) {
            Some(product) => Some(product.div_ceil(refill)),
            None => (u128::from(units) * u128::from(MINUTE_NS)).div_ceil(u128::from(refill)).try_into().ok(),
        }
    }

    /// Whole units that flow back in so many nanoseconds.
    pub(super) fn units_in(self, ns: u64) -> u64 {
        let units = u128::from(ns) * u128::from(self.refill()) / u128::from(MINUTE_NS);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_and_refill_follow_the_shape() {
        for (rate, burst, refill) in [
            (Rate::minute(60), 60, 60),
            (Rate::smooth(60), 1, 60),
            (Rate::smooth(61), 2, 61),
            (Rate::smooth(1), 1, 1),
            (Rate::strict(1), 1, 1),
            (Rate::strict(19), 1, 19),
            (Rate::strict(40), 2, 39),
            (Rate::strict(100), 5, 96),
            (Rate::minute(0), 0, 0),
            (Rate::smooth(0), 0, 0),
            (Rate::strict(0), 0, 0),
            (Rate::minute(u64::MAX), u64::MAX, u64::MAX),
            (Rate::strict(u64::MAX), u64::MAX / 20, u64::MAX - u64::MAX / 20 + 1),
        ] {
            assert_eq!((rate.burst(), rate.refill()), (burst, refill), "{rate:?}");
        }
    }

    #[test]
    fn a_cost_is_rounded_up_once_and_none_when_nothing_flows_back() {
        assert_eq!(Rate::minute(60).cost_ns(1), Some(1_000_000_000));
        assert_eq!(Rate::minute(7).cost_ns(1), Some(8_571_428_572));
        assert_eq!(Rate::minute(7).cost_ns(7), Some(MINUTE_NS));
        assert_eq!(Rate::minute(0).cost_ns(1), None);
        assert_eq!(Rate::minute(1).cost_ns(u64::MAX), None);
        assert_eq!(Rate::minute(u64::MAX).cost_ns(u64::MAX), Some(MINUTE_NS));
    }

    #[test]
    fn as_many_units_flow_in_a_time_as_cost_no_more_than_it() {
        for per_minute in [1, 7, 60, 997, 4_980_000_000, u64::MAX] {
            let rate = Rate::minute(per_minute);
            for ns in [0, 1, 12, 13, 999_999_999, 8_571_428_571, 8_571_428_572, MINUTE_NS, u64::MAX / 2] {
                let units = rate.units_in(ns);
                assert!(rate.cost_ns(units).is_some_and(|cost| cost <= ns), "{per_minute} {ns}");
                assert!(units == u64::MAX || rate.cost_ns(units + 1).is_none_or(|cost| cost > ns), "{per_minute} {ns}");
            }
        }
    }
}
