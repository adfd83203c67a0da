//! Which values a request may carry, with the contract's own sentences.

mod form;
mod messages;
pub(crate) mod sampling;
mod thinking;
mod tools;

use serde::{Deserialize, Serialize};

use super::ChatRequest;
use crate::{
    Dialect,
    error::{Code, Invalid},
};
use sampling::Sampling;

pub use sampling::{LOGIT_BIAS_MAX, N_MAX, SEED_DEFAULT, SEED_MAX, SEED_MAX_WIDE, STOP_BYTES_MAX, STOP_COUNT_MAX};
pub use tools::TOOLS_MAX;

/// Whose rules count where the contract and OpenAI differ. An operator chooses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// The contract's, but `tool_choice: "required"` is taken where a program for OpenAI calls:
    /// many such programs send it by themselves.
    #[default]
    Auto,
    /// The contract's: no forced call of any function, `temperature` below 2, five rivals.
    Qwen,
    /// OpenAI's: `tool_choice: "required"`, `temperature` up to 2, twenty rivals.
    OpenAi,
}

/// Most rivals reported for a token, under the contract's rules.
pub const TOP_LOGPROBS_MAX: u8 = 5;
/// Most rivals reported for a token, under OpenAI's rules.
pub const TOP_LOGPROBS_MAX_OPENAI: u8 = 20;

/// What the model that will answer allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens of one answer.
    pub output_tokens_max: u32,
}

impl Limits {
    pub(crate) fn allow(self, field: &str, tokens: Option<u32>) -> Result<(), Invalid> {
        if tokens.is_some_and(|tokens| tokens == 0 || tokens > self.output_tokens_max) {
            let message = format!("Range of {field} should be [1, {}]", self.output_tokens_max);
            return Err(Invalid::of(Code::ModelParameter, field, message));
        }
        Ok(())
    }
}

impl ChatRequest {
    /// Checks every value that needs no model to be judged.
    ///
    /// # Errors
    /// The first value out of range, or message out of place, with the contract's sentence.
    pub fn validate(&self, strictness: Strictness) -> Result<(), Invalid> {
        self.validate_as(Dialect::Compat, strictness)
    }

    /// As [`validate`](Self::validate), with the few ranges in which the dialects differ.
    ///
    /// # Errors
    /// The same.
    pub fn validate_as(&self, dialect: Dialect, strictness: Strictness) -> Result<(), Invalid> {
        Sampling::from(self).validate(dialect, strictness)?;
        self.validate_rivals(strictness)?;
        self.validate_order(strictness)?;
        self.validate_tools(strictness)?;
        self.validate_thinking()?;
        self.validate_format()
    }

    /// Checks the values that only the model can bound.
    ///
    /// # Errors
    /// `Range of max_tokens should be [1, xxx]` with the model's number.
    pub fn validate_limits(&self, limits: Limits) -> Result<(), Invalid> {
        limits.allow("max_tokens", self.max_tokens)?;
        limits.allow("max_completion_tokens", self.max_completion_tokens)
    }

    fn validate_rivals(&self, strictness: Strictness) -> Result<(), Invalid> {
        let Some(top) = self.top_logprobs else { return Ok(()) };
        let most = if strictness == Strictness::OpenAi { TOP_LOGPROBS_MAX_OPENAI } else { TOP_LOGPROBS_MAX };
        if top > most {
            return Err(Invalid::parameter("top_logprobs", format!("Range of top_logprobs should be [0, {most}]")));
        }
        if top > 0 && !self.logprobs {
            let message = "top_logprobs can only be set when logprobs is true";
            return Err(Invalid::parameter("top_logprobs", message));
        }
        Ok(())
    }
}
