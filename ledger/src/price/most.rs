//! The most that a request can cost: what is held before any work is done.

use super::charge::{BATCH_PERCENT, amount};
use super::{ChargeError, Mode, ModelPrice, TOKENS_PER_PRICE, Tier};
use crate::money::Nanos;

/// What is known of a request before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most input tokens.
    pub input_tokens: u64,
    /// Most output tokens of all choices together, reasoning included.
    pub output_tokens_max: u64,
    /// Whether it is in thinking mode.
    pub thinking: bool,
    /// Whether it marks parts that are to be cached: those can cost more than plain input.
    pub explicit_cache: bool,
    /// Real-time or batch.
    pub mode: Mode,
}

impl ModelPrice {
    /// The most that a request with at most so many tokens can cost, whatever caches and batches do.
    ///
    /// # Errors
    /// [`ChargeError::Overflow`] when an amount cannot hold it.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::money::Currency;
    /// use qwenda_ledger::price::PriceList;
    ///
    /// // All input might have to be stored, at 125 per cent of 0.8.
    /// let list = PriceList::published(Currency::Cny);
    /// let most = list.get("qwen-plus").expect("it is listed").most(100_000, 1_000, false)?;
    /// assert_eq!(most.to_string(), "0.102");
    /// # Ok::<(), qwenda_ledger::price::ChargeError>(())
    /// ```
    pub fn most(&self, input_tokens: u64, output_tokens_max: u64, thinking: bool) -> Result<Nanos, ChargeError> {
        let (explicit_cache, mode) = (true, Mode::RealTime);
        self.most_of(&Bounds { input_tokens, output_tokens_max, thinking, explicit_cache, mode })
    }

    /// The most that a request within these bounds can cost: no [`charge`](Self::charge) of a usage within
    /// them is greater. It is exact to a nano or two, and where a token of each kind costs whole nanos, as it
    /// does in most lists, it is what the dearest such request is charged.
    ///
    /// # Errors
    /// [`ChargeError::Overflow`] when an amount cannot hold it.
    pub fn most_of(&self, bounds: &Bounds) -> Result<Nanos, ChargeError> {
        let (mut most, mut before) = (Nanos::ZERO, 0);
        for (number, tier) in (1..).zip(self.tiers()) {
            // Input may turn out shorter than its bound, and a tier below may be the dearer one.
            if number > 1 && bounds.input_tokens <= before {
                break;
            }
            let last = number == self.tiers().len();
            before = tier.input_tokens_max.filter(|_| !last).unwrap_or(u64::MAX);
            let input_tokens = bounds.input_tokens.min(before);
            most = most.max(self.most_in(tier, &Bounds { input_tokens, ..*bounds })?);
        }
        Ok(most)
    }

    /// The same for requests of one tier.
    fn most_in(&self, tier: &Tier, bounds: &Bounds) -> Result<Nanos, ChargeError> {
        let percents = self.percents(bounds);
        let dearest = percents.iter().copied().max().expect("there is a kind of input");
        let input = amount(bounds.input_tokens, tier.input, dearest)?;
        let thinking = tier.output_thinking.filter(|_| bounds.thinking).unwrap_or(Nanos::ZERO);
        let output_percent = match bounds.mode {
            Mode::RealTime => 100,
            Mode::Batch => BATCH_PERCENT,
        };
        let output = amount(bounds.output_tokens_max, tier.output.max(thinking), output_percent)?;
        Nanos::checked_sum([input, slack(tier.input, &percents), output]).ok_or(ChargeError::Overflow {
            tokens: bounds.input_tokens.saturating_add(bounds.output_tokens_max),
            price: tier.input.max(tier.output).max(thinking),
        })
    }

    /// Per cent of the input price for each kind of input there can be.
    fn percents(&self, bounds: &Bounds) -> Vec<u32> {
        let cache = self.cache();
        match (bounds.mode, bounds.explicit_cache) {
            (Mode::Batch, _) => vec![BATCH_PERCENT],
            (Mode::RealTime, false) => vec![100, cache.implicit_hit],
            (Mode::RealTime, true) => vec![100, cache.implicit_hit, cache.explicit_hit, cache.explicit_write],
        }
    }
}

/// What rounding may add when input is split over several lines: half a nano for each line. A kind whose
/// tokens cost whole nanos is never rounded.
fn slack(price: Nanos, percents: &[u32]) -> Nanos {
    let divisor = i128::from(100 * TOKENS_PER_PRICE);
    let rounded = |percent: u32| i128::from(price.get()) * i128::from(percent) % divisor != 0;
    let lines = percents.iter().filter(|percent| rounded(**percent)).count();
    // A single kind is rounded to the nearest already.
    Nanos::new(if percents.len() == 1 { 0 } else { lines.div_ceil(2) as i64 })
}

#[cfg(test)]
mod tests;
