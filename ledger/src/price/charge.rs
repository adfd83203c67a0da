//! From tokens to a charge.

use serde::{Deserialize, Serialize};

use super::{Mode, ModelPrice, TOKENS_PER_PRICE, Usage};
use crate::money::Nanos;

/// Per cent of the price that a request in a batch pays.
pub const BATCH_PERCENT: u32 = 50;

/// What the tokens of a line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Input that no cache had to do with.
    Input,
    /// Input found in the implicit cache.
    ImplicitHit,
    /// Input found in a cache the caller had asked for.
    ExplicitHit,
    /// Input stored because the caller asked for it.
    ExplicitWrite,
    /// Output at the plain price.
    Output,
    /// Output at the thinking price: answer and reasoning alike.
    OutputThinking,
    /// Input of a request in a batch, cached or not.
    BatchInput,
    /// Output of a request in a batch, at half the plain price.
    BatchOutput,
    /// Output of a request in a batch, at half the thinking price.
    BatchOutputThinking,
}

impl LineKind {
    /// Its name in bills and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::ImplicitHit => "implicit_hit",
            Self::ExplicitHit => "explicit_hit",
            Self::ExplicitWrite => "explicit_write",
            Self::Output => "output",
            Self::OutputThinking => "output_thinking",
            Self::BatchInput => "batch_input",
            Self::BatchOutput => "batch_output",
            Self::BatchOutputThinking => "batch_output_thinking",
        }
    }
}

/// One line of a charge: `amount = tokens × price × percent ÷ 100 ÷ 1,000,000`, rounded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What the tokens are.
    pub kind: LineKind,
    /// How many; never 0.
    pub tokens: u64,
    /// The tier's price, nanos for a million tokens.
    pub price_nanos_per_mtok: Nanos,
    /// Per cent of that price this kind pays.
    pub percent: u32,
    /// What the line comes to; never negative.
    pub amount: Nanos,
}

/// What one request costs. A kind of which there are no tokens has no line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The lines, input before output.
    pub lines: Vec<Line>,
    /// The exact sum of the lines.
    pub total: Nanos,
}

impl Charge {
    /// The same charge where somebody else pays for so many tokens of each line.
    ///
    /// # Errors
    /// [`ChargeError::Overflow`] for sums out of range.
    pub fn without(&self, tokens: &[u64]) -> Result<Self, ChargeError> {
        let mut lines = Vec::with_capacity(self.lines.len());
        for (i, old) in self.lines.iter().enumerate() {
            let left = old.tokens.saturating_sub(tokens.get(i).copied().unwrap_or(0));
            if left > 0 {
                lines.push(line(old.kind, left, old.price_nanos_per_mtok, old.percent)?);
            }
        }
        let total = Nanos::checked_sum(lines.iter().map(|line| line.amount));
        let total = total.ok_or(ChargeError::Overflow { tokens: 0, price: self.total })?;
        Ok(Self { lines, total })
    }
}

/// Why there is no charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// More input comes from caches than there is.
    #[error("{cached} input tokens were read from or written to a cache, but there are only {input}")]
    CachedOverInput {
        /// Tokens of all cache kinds together.
        cached: u64,
        /// All input tokens.
        input: u64,
    },
    /// More output is reasoning than there is.
    #[error("{reasoning} output tokens are reasoning, but there are only {output}")]
    ReasoningOverOutput {
        /// Tokens of the reasoning.
        reasoning: u64,
        /// All output tokens.
        output: u64,
    },
    /// More than an amount can hold.
    #[error("{tokens} tokens at {price} a million come to more than an amount can hold")]
    Overflow {
        /// Tokens of the line, or of the whole request.
        tokens: u64,
        /// Their price.
        price: Nanos,
    },
}

impl ModelPrice {
    /// What this usage costs.
    ///
    /// The tier is chosen by all input tokens, cached ones too. The thinking price holds for all output
    /// when the request thinks **and** reasoning was produced. In a batch all input is half the plain price,
    /// whatever a cache did.
    ///
    /// # Errors
    /// [`ChargeError`] for counts that contradict each other and for sums out of range; there is never a
    /// negative line.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::money::Currency;
    /// use qwenda_ledger::price::{PriceList, Usage};
    ///
    /// let list = PriceList::published(Currency::Cny);
    /// let usage = Usage { input_tokens: 100_000, output_tokens: 1_000, ..Usage::default() };
    /// let charge = list.get("qwen-plus").expect("it is listed").charge(&usage)?;
    /// assert_eq!(charge.total.to_string(), "0.082");
    /// # Ok::<(), qwenda_ledger::price::ChargeError>(())
    /// ```
    pub fn charge(&self, usage: &Usage) -> Result<Charge, ChargeError> {
        let plain_tokens = usage.plain_input_tokens()?;
        let tier = self.tier_of(usage.input_tokens);
        let output = match tier.output_thinking {
            Some(thinking) if usage.reasoned() => (LineKind::OutputThinking, thinking),
            _ => (LineKind::Output, tier.output),
        };
        let cache = self.cache();
        let lines = match usage.mode {
            Mode::RealTime => vec![
                line(LineKind::Input, plain_tokens, tier.input, 100)?,
                line(LineKind::ImplicitHit, usage.implicit_hit_tokens, tier.input, cache.implicit_hit)?,
                line(LineKind::ExplicitHit, usage.explicit_hit_tokens, tier.input, cache.explicit_hit)?,
                line(LineKind::ExplicitWrite, usage.explicit_write_tokens, tier.input, cache.explicit_write)?,
                line(output.0, usage.output_tokens, output.1, 100)?,
            ],
            Mode::Batch => {
                let kind = match output.0 {
                    LineKind::OutputThinking => LineKind::BatchOutputThinking,
                    _ => LineKind::BatchOutput,
                };
                vec![
                    line(LineKind::BatchInput, usage.input_tokens, tier.input, BATCH_PERCENT)?,
                    line(kind, usage.output_tokens, output.1, BATCH_PERCENT)?,
                ]
            }
        };
        let lines: Vec<_> = lines.into_iter().filter(|line| line.tokens > 0).collect();
        let total = Nanos::checked_sum(lines.iter().map(|line| line.amount));
        let total = total.ok_or(ChargeError::Overflow {
            tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            price: tier.input.max(output.1),
        })?;
        Ok(Charge { lines, total })
    }
}

/// The line of so many tokens; the one place where an amount is rounded.
fn line(kind: LineKind, tokens: u64, price: Nanos, percent: u32) -> Result<Line, ChargeError> {
    let amount = amount(tokens, price, percent)?;
    Ok(Line { kind, tokens, price_nanos_per_mtok: price, percent, amount })
}

/// `tokens × price × percent ÷ 100 ÷ 1,000,000`, rounded.
pub(super) fn amount(tokens: u64, price: Nanos, percent: u32) -> Result<Nanos, ChargeError> {
    let parts = tokens.checked_mul(u64::from(percent));
    let amount = parts.and_then(|parts| price.scaled(parts, 100 * TOKENS_PER_PRICE));
    amount.ok_or(ChargeError::Overflow { tokens, price })
}

#[cfg(test)]
mod tests;
