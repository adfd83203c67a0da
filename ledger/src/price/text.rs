//! Prices as they are written in JSON and TOML.

use serde::Deserialize;

use super::{CachePercents, ModelPrice, PriceError, Tier};
use crate::money::Nanos;

/// A price as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceText {
    pub(super) tiers: Vec<TierText>,
    #[serde(default)]
    pub(super) cache: CachePercents,
}

/// A tier as written. `input_tokens_above` may be left out; where it is there, it is checked, so that a
/// table copied with both of its bounds shows its gaps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierText {
    input_tokens_above: Option<u64>,
    input_tokens_max: Option<u64>,
    input: Nanos,
    output: Nanos,
    output_thinking: Option<Nanos>,
}

impl TryFrom<PriceText> for ModelPrice {
    type Error = PriceError;

    fn try_from(text: PriceText) -> Result<Self, PriceError> {
        let mut before = 0;
        for (tier, written) in (1..).zip(&text.tiers) {
            match written.input_tokens_above {
                Some(above) if above > before => return Err(PriceError::Gap { tier, above, before }),
                Some(above) if above < before => return Err(PriceError::Overlap { tier, above, before }),
                _ => before = written.input_tokens_max.unwrap_or(before),
            }
        }
        Self::new(text.tiers.into_iter().map(TierText::tier).collect(), text.cache)
    }
}

impl TierText {
    fn tier(self) -> Tier {
        let Self { input_tokens_above: _, input_tokens_max, input, output, output_thinking } = self;
        Tier { input_tokens_max, input, output, output_thinking }
    }
}
