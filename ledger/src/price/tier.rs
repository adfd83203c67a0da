//! The price of a model: tiers by the size of a request's input.

use serde::{Deserialize, Serialize};

use super::text::PriceText;
use crate::money::Nanos;

/// Most per cent of the input price that a cache kind may cost.
pub const PERCENT_MAX: u32 = 1_000;

/// The prices of requests of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// Most input tokens of such a request; `None`, for the last tier only: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens_max: Option<u64>,
    /// Nanos for a million input tokens.
    pub input: Nanos,
    /// Nanos for a million output tokens.
    pub output: Nanos,
    /// Nanos for a million output tokens when there was reasoning; `None`: the same as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_thinking: Option<Nanos>,
}

/// Per cent of the input price that each kind of cached input costs: 0 to [`PERCENT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CachePercents {
    /// Found in the implicit cache; 20 unless said otherwise.
    pub implicit_hit: u32,
    /// Found in a cache the caller had asked for; 10 unless said otherwise.
    pub explicit_hit: u32,
    /// Stored because the caller asked for it; 125 unless said otherwise.
    pub explicit_write: u32,
}

impl Default for CachePercents {
    fn default() -> Self {
        Self { implicit_hit: 20, explicit_hit: 10, explicit_write: 125 }
    }
}

/// The tiers of a model. They ascend, leave no gap and do not overlap, and no price is negative.
///
/// In JSON and TOML it is `{tiers = [{input_tokens_max = 131072, input = "0.8", output = "2"}, …]}`, and
/// what is read that way is checked like the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PriceText")]
pub struct ModelPrice {
    tiers: Vec<Tier>,
    cache: CachePercents,
}

/// Why tiers are no price. Tiers are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// There is no tier.
    #[error("a price has at least one tier")]
    NoTiers,
    /// A tier before the last has no end.
    #[error("tier {tier} has no `input_tokens_max`, which only the last of {tiers} may lack")]
    Open {
        /// Which.
        tier: usize,
        /// How many there are.
        tiers: usize,
    },
    /// A tier that no request falls into.
    #[error("tier {tier} ends at {max} input tokens, which is not above {before}, where it begins")]
    Empty {
        /// Which.
        tier: usize,
        /// Its last number of input tokens.
        max: u64,
        /// The last number of the tier before it; 0 for the first.
        before: u64,
    },
    /// Requests between two tiers have no price.
    #[error("tier {tier} begins above {above} input tokens, but {before} is where the one before it ends: a gap")]
    Gap {
        /// The later one.
        tier: usize,
        /// Where it begins.
        above: u64,
        /// Where the tier before it ends; 0 for the first.
        before: u64,
    },
    /// Requests in two tiers have two prices.
    #[error("tier {tier} begins above {above} input tokens, but the one before it ends at {before}: an overlap")]
    Overlap {
        /// The later one.
        tier: usize,
        /// Where it begins.
        above: u64,
        /// Where the tier before it ends.
        before: u64,
    },
    /// A price below nothing.
    #[error("tier {tier} has `{field}` at {price}; a price is not negative")]
    Negative {
        /// Which.
        tier: usize,
        /// `input`, `output` or `output_thinking`.
        field: &'static str,
        /// The price.
        price: Nanos,
    },
    /// A cache kind that costs too much.
    #[error("`cache.{field}` is {percent} per cent; it is 0 to {PERCENT_MAX}")]
    Percent {
        /// `implicit_hit`, `explicit_hit` or `explicit_write`.
        field: &'static str,
        /// The per cent.
        percent: u32,
    },
}

impl ModelPrice {
    /// The price with these tiers, the smallest requests first.
    ///
    /// # Errors
    /// [`PriceError`] with the tier and what is wrong with it.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::money::Nanos;
    /// use qwenda_ledger::price::{CachePercents, ModelPrice, Tier};
    ///
    /// let input = Nanos::new(500_000_000);
    /// let tier = Tier { input_tokens_max: None, input, output: Nanos::ZERO, output_thinking: None };
    /// let price = ModelPrice::new(vec![tier], CachePercents::default())?;
    /// assert_eq!(price.tier_of(27).input, input);
    /// # Ok::<(), qwenda_ledger::price::PriceError>(())
    /// ```
    pub fn new(tiers: Vec<Tier>, cache: CachePercents) -> Result<Self, PriceError> {
        if tiers.is_empty() {
            return Err(PriceError::NoTiers);
        }
        let mut before = 0;
        for (number, tier) in (1..).zip(&tiers) {
            match tier.input_tokens_max {
                Some(max) if max <= before => return Err(PriceError::Empty { tier: number, max, before }),
                Some(max) => before = max,
                None if number < tiers.len() => {
                    return Err(PriceError::Open { tier: number, tiers: tiers.len() });
                }
                None => {}
            }
            let thinking = tier.output_thinking.unwrap_or(Nanos::ZERO);
            for (field, price) in [("input", tier.input), ("output", tier.output), ("output_thinking", thinking)] {
                if price.is_negative() {
                    return Err(PriceError::Negative { tier: number, field, price });
                }
            }
        }
        let percents = [cache.implicit_hit, cache.explicit_hit, cache.explicit_write];
        for (field, percent) in ["implicit_hit", "explicit_hit", "explicit_write"].into_iter().zip(percents) {
            if percent > PERCENT_MAX {
                return Err(PriceError::Percent { field, percent });
            }
        }
        Ok(Self { tiers, cache })
    }

    /// The tiers, the smallest requests first; never none.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// What cached input costs.
    pub fn cache(&self) -> CachePercents {
        self.cache
    }

    /// The tier of a request with so many input tokens, cached ones included. One above the last tier's
    /// end has the last tier's prices: a limit that the model's catalogue sets is not kept here, and
    /// nothing is ever free because it is large.
    pub fn tier_of(&self, input_tokens: u64) -> &Tier {
        let fits = |tier: &&Tier| tier.input_tokens_max.is_none_or(|max| input_tokens <= max);
        self.tiers.iter().find(fits).unwrap_or_else(|| self.tiers.last().expect("a price has a tier"))
    }
}

#[cfg(test)]
mod tests;
