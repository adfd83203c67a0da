//! What a request used.

use serde::{Deserialize, Serialize};

use super::ChargeError;

/// How a request was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Answered at once, at the full price.
    #[default]
    RealTime,
    /// Answered when there is room, at half the price. The cache brings no discount here.
    Batch,
}

/// The tokens of one request, as the answer's `usage` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// All input tokens, once however many choices there are; those read from or written to a cache are
    /// among them.
    pub input_tokens: u64,
    /// Input tokens that were found in the implicit cache.
    pub implicit_hit_tokens: u64,
    /// Input tokens that were found in a cache the caller had asked for.
    pub explicit_hit_tokens: u64,
    /// Input tokens that were stored because the caller asked for it.
    pub explicit_write_tokens: u64,
    /// Output tokens of all choices; those of the reasoning are among them.
    pub output_tokens: u64,
    /// Output tokens of the reasoning.
    pub reasoning_tokens: u64,
    /// Whether the request was in thinking mode.
    pub thinking: bool,
    /// Real-time or batch.
    pub mode: Mode,
}

impl Usage {
    /// Whether the thinking price holds: the mode alone is not enough, there was reasoning too.
    pub fn reasoned(&self) -> bool {
        self.thinking && self.reasoning_tokens > 0
    }

    /// Input tokens that no cache had to do with.
    ///
    /// # Errors
    /// [`ChargeError::CachedOverInput`], or [`ChargeError::ReasoningOverOutput`] which is checked with it.
    pub(super) fn plain_input_tokens(&self) -> Result<u64, ChargeError> {
        let (input, output, reasoning) = (self.input_tokens, self.output_tokens, self.reasoning_tokens);
        if reasoning > output {
            return Err(ChargeError::ReasoningOverOutput { reasoning, output });
        }
        let kinds = [self.implicit_hit_tokens, self.explicit_hit_tokens, self.explicit_write_tokens];
        let cached = kinds.into_iter().fold(0, u64::saturating_add);
        input.checked_sub(cached).ok_or(ChargeError::CachedOverInput { cached, input })
    }
}
