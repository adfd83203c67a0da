//! What an answer costs, by the dated list of public prices; never a float.

use std::fmt;

use qwenda_ledger::{
    money::{Currency, Nanos},
    price::{Bounds, Charge, Mode, PriceList, Usage as Priced},
};
use serde_json::Value;

use crate::reply::Usage;

/// What an answer costs, or may.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let client = qwenda::Mock::new().reply("hi").client();
/// let reply = client.chat("qwen-plus").user("hi").await?;
/// // 10 tokens in at 0.8, 1 out at 2 CNY a million.
/// assert_eq!(reply.cost().expect("it is listed").to_string(), "0.00001 CNY");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// How much, in billionths of the currency.
    pub amount: Nanos,
    /// Of what.
    pub currency: Currency,
    /// The id of the price list, which begins with its date.
    pub list: String,
    /// How it comes about; absent of what only may be.
    pub charge: Option<Charge>,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// What this usage of this model costs; `None` where the list does not have the model, or the service counts
/// what cannot be.
pub(crate) fn cost(list: &PriceList, model: &str, usage: &Usage) -> Option<Cost> {
    let charge = list.get(model)?.charge(&priced(usage)).ok()?;
    Some(Cost { amount: charge.total, currency: list.currency(), list: list.id().to_owned(), charge: Some(charge) })
}

/// The most that a request can cost.
pub(crate) fn most(list: &PriceList, model: &str, bounds: &Bounds) -> Option<Cost> {
    let amount = list.get(model)?.most_of(bounds).ok()?;
    Some(Cost { amount, currency: list.currency(), list: list.id().to_owned(), charge: None })
}

fn priced(usage: &Usage) -> Priced {
    let details = &usage.raw.prompt_tokens_details.rest;
    let explicit = details.get("cache_type").and_then(Value::as_str) == Some("ephemeral");
    let written = details.get("cache_creation_input_tokens").and_then(Value::as_u64).unwrap_or(0);
    Priced {
        input_tokens: usage.input_tokens,
        implicit_hit_tokens: if explicit { 0 } else { usage.cached_tokens },
        explicit_hit_tokens: if explicit { usage.cached_tokens } else { 0 },
        explicit_write_tokens: written,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        // The mode alone is not enough for the thinking price, and there is no reasoning without it.
        thinking: usage.reasoning_tokens > 0,
        mode: Mode::RealTime,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_worked_examples_of_the_contract_come_out_to_the_nano() {
        let list = PriceList::published(Currency::Cny);
        for (model, usage, want) in [
            ("qwen-plus", json!({"prompt_tokens": 100_000, "completion_tokens": 1000}), "0.082 CNY"),
            (
                "qwen-plus",
                json!({"prompt_tokens": 200_000, "completion_tokens": 2000,
                    "completion_tokens_details": {"reasoning_tokens": 5}}),
                "0.528 CNY",
            ),
            (
                "qwen3-max",
                json!({"prompt_tokens": 10_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 5000}}),
                "0.02 CNY",
            ),
            (
                "qwen3-max",
                json!({"prompt_tokens": 1513, "completion_tokens": 100, "prompt_tokens_details": {
                    "cached_tokens": 1200, "cache_type": "ephemeral", "cache_creation_input_tokens": 300}}),
                "0.00227 CNY",
            ),
        ] {
            let usage: qwenda_types::chat::Usage = serde_json::from_value(usage).unwrap();
            assert_eq!(cost(&list, model, &Usage::from(usage)).unwrap().to_string(), want, "{model}");
        }
        assert_eq!(cost(&list, "somebody-elses", &Usage::default()), None);
    }
}
