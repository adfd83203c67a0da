//! Tokens per minute: a bucket that may owe. Admitted on an estimate, corrected by what was used.

use super::{Figure, MINUTE_NS, Rate, Wait};

// Owed tokens are kept in 60 000 000 000ths, of which a rate of n per minute lets n flow back in each
// nanosecond: whole numbers for every rate, so that nothing is ever rounded.
const TOKEN: u128 = MINUTE_NS as u128;

/// The state of a limit of tokens: how much was taken and has not flowed back yet.
///
/// An ask is admitted when it fits beside what is owed. One for more than the burst, which a smoothed
/// limit makes common, is admitted when nothing is owed, and what it took is owed after: the ones behind
/// it wait until it has flowed back. One for more than a whole minute's worth is never admitted.
///
/// On settlement the difference to what was used is corrected. More: it is owed, and the bucket may owe
/// more than it holds. Less: it is given back, as far as that leaves owed all that was taken since.
/// Without that bound long requests could save up allowance that time has given back already: with it,
/// at most `burst + rate × length` of what was really used is admitted over any window (plus what
/// exceeded its estimate, plus at most one ask that exceeded the burst).
///
/// # Units
/// Tokens, and nanoseconds on the caller's clock. A clock that goes back stands still.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Rate, Tokens, Wait};
/// const SECOND: u64 = 1_000_000_000;
/// let (mut state, rate) = (Tokens::default(), Rate::minute(6000));
/// let taken = state.take(rate, 5000, SECOND).unwrap();
/// assert_eq!(state.take(rate, 5000, SECOND), Err(Wait::Ns(40 * SECOND)));
/// state.settle(rate, taken, 900, SECOND);
/// assert!(state.take(rate, 5000, SECOND).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    owed: u128,
    at_ns: u64,
    taken: u64,
}

/// Tokens that were taken on an estimate. Settled once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was taken is settled when its use is known"]
pub struct TokensTaken {
    estimate: u64,
    // How many had been taken in all, this included; wraps.
    position: u64,
}

impl TokensTaken {
    /// How many tokens were taken.
    pub fn estimate(&self) -> u64 {
        self.estimate
    }
}

impl Tokens {
    /// Whether so many tokens would be admitted now.
    ///
    /// # Errors
    /// How long to wait, exactly; [`Wait::Never`] for more than the limit of a whole minute.
    pub fn check(&self, rate: Rate, estimate: u64, now_ns: u64) -> Result<(), Wait> {
        if estimate > rate.per_minute || rate.refill() == 0 {
            return Err(Wait::Never);
        }
        let fits = rate.burst() - estimate.min(rate.burst());
        let over = self.owed_at(rate, now_ns).saturating_sub(u128::from(fits) * TOKEN);
        if over == 0 {
            return Ok(());
        }
        let wait_ns = u64::try_from(over.div_ceil(u128::from(rate.refill()))).unwrap_or(u64::MAX);
        // A clock that went back has to catch up first.
        Err(Wait::Ns(wait_ns.saturating_add(self.at_ns.saturating_sub(now_ns))))
    }

    /// Takes so many tokens, or changes nothing.
    ///
    /// # Errors
    /// As [`Tokens::check`].
    pub fn take(&mut self, rate: Rate, estimate: u64, now_ns: u64) -> Result<TokensTaken, Wait> {
        self.check(rate, estimate, now_ns)?;
        self.drain(rate, now_ns);
        self.owe(estimate);
        Ok(TokensTaken { estimate, position: self.taken })
    }

    /// Corrects an estimate by what was used. The bucket may owe more than it holds after it.
    pub fn settle(&mut self, rate: Rate, taken: TokensTaken, used: u64, now_ns: u64) {
        self.drain(rate, now_ns);
        if used >= taken.estimate {
            return self.owe(used - taken.estimate);
        }
        let since = self.taken.wrapping_sub(taken.position);
        let unused = u128::from(taken.estimate - used) * TOKEN;
        self.owed -= unused.min(self.owed.saturating_sub(u128::from(since) * TOKEN));
    }

    /// Where the limit stands.
    pub fn figure(&self, rate: Rate, now_ns: u64) -> Figure {
        let owed = self.owed_at(rate, now_ns);
        let free = (u128::from(rate.burst()) * TOKEN).saturating_sub(owed) / TOKEN;
        let reset_ns = owed.checked_div(u128::from(rate.refill())).unwrap_or(0);
        Figure {
            limit: rate.per_minute,
            remaining: u64::try_from(free).unwrap_or(u64::MAX),
            reset_ms: u64::try_from(reset_ns.div_ceil(1_000_000)).unwrap_or(u64::MAX),
        }
    }

    fn owed_at(&self, rate: Rate, now_ns: u64) -> u128 {
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        self.owed.saturating_sub(u128::from(passed_ns) * u128::from(rate.refill()))
    }

    fn drain(&mut self, rate: Rate, now_ns: u64) {
        self.owed = self.owed_at(rate, now_ns);
        self.at_ns = self.at_ns.max(now_ns);
    }

    fn owe(&mut self, tokens: u64) {
        self.owed = self.owed.saturating_add(u128::from(tokens) * TOKEN);
        self.taken = self.taken.wrapping_add(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const RATE: Rate = Rate::minute(6000);

    /// Reads `<second> take <n> -> ok | wait <ms> | never`, `<second> settle <n>` (the oldest taken) and
    /// `<second> left <n> reset <ms>`.
    fn check(rate: Rate, story: &str) {
        let (mut state, mut taken) = (Tokens::default(), std::collections::VecDeque::new());
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let now_ns = words[0].parse::<u64>().unwrap() * SECOND;
            let tokens: u64 = words[2].parse().unwrap();
            let got = match words[1] {
                "take" => match state.take(rate, tokens, now_ns) {
                    Ok(one) => {
                        taken.push_back(one);
                        "ok".to_owned()
                    }
                    Err(wait) => wait.retry_after_ms().map_or("never".to_owned(), |ms| format!("wait {ms}")),
                },
                "settle" => {
                    state.settle(rate, taken.pop_front().unwrap(), tokens, now_ns);
                    continue;
                }
                _ => {
                    let figure = state.figure(rate, now_ns);
                    let says = format!("{} left {} reset {}", words[0], figure.remaining, figure.reset_ms);
                    assert_eq!(says, line);
                    continue;
                }
            };
            assert_eq!(got, line.split("-> ").nth(1).unwrap(), "{line}");
        }
    }

    #[test]
    fn an_ask_waits_exactly_until_it_fits() {
        check(
            RATE,
            "
            1 take 6000 -> ok
            1 take 1    -> wait 10
            1 take 6000 -> wait 60000
            1 take 6001 -> never
            2 take 101  -> wait 10
            2 take 100  -> ok
            2 left 0 reset 60000
            ",
        );
    }

    #[test]
    fn a_correction_gives_back_what_was_not_used() {
        check(
            RATE,
            "
            1 take 5000 -> ok
            1 left 1000 reset 50000
            1 settle 500
            1 left 5500 reset 5000
            ",
        );
    }

    #[test]
    fn a_use_above_the_estimate_is_owed() {
        check(
            RATE,
            "
            1 take 5000 -> ok
            1 settle 9000
            1 left 0 reset 90000
            1 take 1 -> wait 30010
            1 take 0 -> wait 30000
            31 take 1 -> wait 10
            32 take 100 -> ok
            ",
        );
    }

    #[test]
    fn what_time_has_given_back_is_not_given_back_again() {
        // The first ask has flowed back whole when it turns out to have used nothing: the second stays owed.
        check(
            RATE,
            "
            0 take 6000 -> ok
            60 take 6000 -> ok
            60 settle 0
            60 left 0 reset 60000
            60 settle 0
            60 left 6000 reset 0
            ",
        );
    }

    #[test]
    fn an_ask_above_the_burst_is_let_through_when_nothing_is_owed_and_owed_after() {
        check(
            Rate::smooth(6000),
            "
            1 take 1000 -> ok
            1 take 1    -> wait 9010
            1 take 1000 -> wait 10000
            11 take 6000 -> ok
            11 take 100  -> wait 60000
            71 take 6001 -> never
            ",
        );
    }

    #[test]
    fn many_small_asks_fit_as_well_as_one_large() {
        for per_minute in [7, 997, 1_000_003] {
            let (mut state, rate) = (Tokens::default(), Rate::minute(per_minute));
            for _ in 0..per_minute {
                assert!(state.take(rate, 1, SECOND).is_ok());
            }
            assert!(state.take(rate, 1, SECOND).is_err());
        }
    }

    #[test]
    fn a_clock_that_goes_back_stands_still() {
        check(
            RATE,
            "
            100 take 6000 -> ok
            40 take 100 -> wait 61000
            40 settle 5900
            40 take 101 -> wait 60010
            40 take 100 -> ok
            40 left 0 reset 60000
            100 take 1 -> wait 10
            ",
        );
    }

    #[test]
    fn nothing_overflows() {
        for rate in [Rate::minute(0), Rate::minute(1), Rate::smooth(u64::MAX), Rate::strict(u64::MAX)] {
            let mut state = Tokens::default();
            for now_ns in [u64::MAX, 0, 1, u64::MAX] {
                for (estimate, used) in [(u64::MAX, u64::MAX), (0, u64::MAX), (1, 0), (u64::MAX, 0)] {
                    if let Ok(taken) = state.take(rate, estimate, now_ns) {
                        state.settle(rate, taken, used, now_ns);
                    }
                    state.figure(rate, now_ns);
                }
            }
        }
    }
}
