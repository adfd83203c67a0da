//! What a client may spend: held before a call, posted after it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use qwenda_ledger::money::{Currency, Nanos};

use crate::{
    Error, Result,
    cost::Cost,
    error::{Billed, Kind},
};

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Tokens that an answer without a bound of its own is taken to have at most.
pub(crate) const OUTPUT_TOKENS_ASSUMED: u64 = 16_384;

/// What a client, with all its clones, may spend. A call that might go beyond it is not sent.
///
/// Before a call the most it can cost is held, after it what it did cost is posted. A call whose cost nobody
/// knows counts with what was held. An answer without a bound (`max_tokens`) is taken to have at most 16,384
/// tokens. Models without a price are refused.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Budget, Kind, Mock};
///
/// let mock = Mock::new().reply("hi");
/// let client = mock.builder().budget(Budget::total("0.01 CNY")?).build()?;
/// client.chat("qwen-plus").user("hi").max_tokens(100).await?;
/// assert_eq!(client.spent().to_string(), "0.00001");
/// let error = client.chat("qwen-plus").user("hi").max_tokens(100_000).await.unwrap_err();
/// assert_eq!(error.kind(), Kind::OverBudget);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    amount: Nanos,
    pub(crate) currency: Currency,
    daily: bool,
}

impl Budget {
    /// So much until the client is gone: a decimal and a currency, as in `"20 CNY"`.
    ///
    /// # Errors
    /// [`Kind::Config`] for another text.
    pub fn total(text: &str) -> Result<Self> {
        let wrong = || Error::config("a budget is a decimal and a currency, as in `20 CNY` or `0.5 USD`");
        let (amount, currency) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let amount = Nanos::parse_unsigned(amount).map_err(|_| wrong())?;
        Ok(Self { amount, currency: currency.trim().parse().map_err(|_| wrong())?, daily: false })
    }

    /// So much a day, from midnight to midnight in UTC.
    ///
    /// # Errors
    /// As of [`total`](Self::total).
    pub fn per_day(text: &str) -> Result<Self> {
        Ok(Self { daily: true, ..Self::total(text)? })
    }
}

#[derive(Debug)]
pub(crate) struct Purse {
    budget: Option<Budget>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    day: u64,
    spent: Nanos,
    held: Nanos,
}

impl Purse {
    pub(crate) fn new(budget: Option<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spent(&self) -> Nanos {
        self.state().spent
    }

    /// Holds the most that a call can cost.
    pub(crate) fn hold(self: &Arc<Self>, most: Option<&Cost>) -> Result<Hold> {
        let Some(budget) = self.budget else {
            return Ok(Hold { purse: Arc::clone(self), amount: Nanos::ZERO, day: 0, settled: false });
        };
        let over = |message: String| Error::of(Kind::OverBudget).say(message);
        let most = most.filter(|most| most.currency == budget.currency).map(|most| most.amount);
        let most = most.ok_or_else(|| over("the model has no price in the budget's currency".to_owned()))?;
        let day = if budget.daily { today() } else { 0 };
        let mut state = self.state();
        if state.day != day {
            (state.day, state.spent) = (day, Nanos::ZERO);
        }
        let taken = Nanos::checked_sum([state.spent, state.held]);
        let left = taken.and_then(|taken| budget.amount.checked_sub(taken)).unwrap_or(Nanos::ZERO);
        if most > left {
            let currency = budget.currency;
            return Err(over(format!("this call may cost up to {most} {currency}; {left} of the budget are left")));
        }
        state.held = state.held.checked_add(most).unwrap_or(Nanos::MAX);
        Ok(Hold { purse: Arc::clone(self), amount: most, day, settled: false })
    }
}

fn today() -> u64 {
    // Before 1970 there was no API.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY_SECONDS)
}

/// What is held for a call. Dropped, it is spent: whoever gives a call up does not know what it cost.
#[derive(Debug)]
pub(crate) struct Hold {
    purse: Arc<Purse>,
    amount: Nanos,
    day: u64,
    settled: bool,
}

impl Hold {
    /// The call cost this.
    pub(crate) fn post(&mut self, cost: Option<&Cost>) {
        self.settle(cost.map_or(self.amount, |cost| cost.amount));
    }

    /// The call failed.
    pub(crate) fn fail(&mut self, error: &Error) {
        match error.billed() {
            Billed::No => self.settle(Nanos::ZERO),
            Billed::Yes | Billed::Unknown => self.settle(self.amount),
        }
    }

    fn settle(&mut self, amount: Nanos) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let mut state = self.purse.state();
        state.held = state.held.checked_sub(self.amount).unwrap_or(Nanos::ZERO);
        // What yesterday's calls cost is no part of today's budget.
        if state.day == self.day {
            state.spent = state.spent.checked_add(amount).unwrap_or(Nanos::MAX);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(amount: &str) -> Cost {
        Cost { amount: amount.parse().unwrap(), currency: Currency::Cny, list: String::new(), charge: None }
    }

    #[test]
    fn what_is_held_and_what_is_spent_stay_within_the_budget() {
        let purse = Purse::new(Some(Budget::total("1 CNY").unwrap()));
        let mut first = purse.hold(Some(&cost("0.6"))).unwrap();
        assert_eq!(purse.hold(Some(&cost("0.5"))).unwrap_err().kind(), Kind::OverBudget);
        first.post(Some(&cost("0.1")));
        assert_eq!(purse.spent().to_string(), "0.1");
        let mut second = purse.hold(Some(&cost("0.9"))).unwrap();
        second.fail(&Error::of(Kind::Connect));
        assert_eq!(purse.spent().to_string(), "0.1");
        purse.hold(Some(&cost("0.5"))).unwrap().fail(&Error::of(Kind::Disconnected));
        assert_eq!(purse.spent().to_string(), "0.6");
        drop(purse.hold(Some(&cost("0.4"))).unwrap());
        assert_eq!(purse.spent().to_string(), "1");
        assert!(purse.hold(Some(&cost("0.000000001"))).is_err());
    }

    #[test]
    fn a_model_without_a_price_is_refused_by_a_budget_and_by_nothing_else() {
        assert!(Purse::new(Some(Budget::total("1 USD").unwrap())).hold(Some(&cost("0.1"))).is_err());
        assert!(Purse::new(Some(Budget::per_day("1 CNY").unwrap())).hold(None).is_err());
        assert!(Purse::new(None).hold(None).is_ok());
    }

    #[test]
    fn a_budget_is_a_decimal_and_a_currency() {
        for text in ["", "20", "CNY 20", "-1 CNY", "1 EUR", "1,5 CNY", "1e3 CNY"] {
            assert_eq!(Budget::total(text).unwrap_err().kind(), Kind::Config, "{text}");
        }
    }
}
