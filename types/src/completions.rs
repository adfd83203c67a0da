//! `POST …/completions`: a text is continued, or the gap between two texts is filled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    Dialect,
    chat::{
        FinishReason, Limits, Stop, StreamOptions, Strictness, Usage, answer::null_default, parse,
        validate::sampling::Sampling,
    },
    error::Invalid,
    fields::{count, flag, float, model, prompts, required, short_numbers, text},
};

/// Most prompts of one request: each takes a place of its own.
pub const PROMPTS_MAX: usize = 64;
/// Most rivals reported for a token.
pub const LOGPROBS_MAX: u8 = 5;
/// What stands before the text that is continued, in a prompt that has a gap to be filled.
pub const FIM_PREFIX: &str = "<|fim_prefix|>";
/// What stands before the text after the gap.
pub const FIM_SUFFIX: &str = "<|fim_suffix|>";
/// What stands where the gap's text begins.
pub const FIM_MIDDLE: &str = "<|fim_middle|>";

/// Body of `POST …/completions`. Numbers mean what they mean in a
/// [`ChatRequest`](crate::chat::ChatRequest).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CompletionRequest {
    /// Name of the model.
    pub model: String,
    /// What is continued; each gets `n` choices. At least one.
    #[serde(rename = "prompt", serialize_with = "one_or_many")]
    pub prompts: Vec<Prompt>,
    /// What follows the gap to be filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Whether the answer comes as server-sent events.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Only read when `stream` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of one completion; 16 when absent, as OpenAI has it, under the `openai` strictness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// `[0, 2)`; 0 is greedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// `(0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// At least 0; 0 or more than 100 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// `[0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// `[-2, 2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// `[-2, 2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// More than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// How many choices per prompt, `[1, 4]`; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Choice `i` is sampled with `seed + i`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Where to end the completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Added to the logits of these token ids, `[-100, 100]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "short_numbers")]
    pub logit_bias: BTreeMap<u32, f32>,
    /// `Some(n)`: report each token's log-probability and its `n` best rivals, `[0, 5]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u8>,
    /// Whether the completion begins with the prompt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub echo: bool,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A text to be continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// As text; special tokens spelled in it are special.
    Text(String),
    /// As token ids.
    Tokens(Vec<u32>),
}

/// One prompt stands alone, several in a list.
pub(crate) fn one_or_many<S: Serializer>(prompts: &[Prompt], serializer: S) -> Result<S::Ok, S::Error> {
    match prompts {
        [only] => only.serialize(serializer),
        many => many.serialize(serializer),
    }
}

/// A whole completion, or one event of a streamed one: the shape is the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionResponse {
    /// `cmpl-` and the request's id.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Always `text_completion`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "null_default")]
    pub created: u64,
    /// The model's name as the caller wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    /// The completions; empty in the usage chunk of a stream.
    #[serde(default, deserialize_with = "null_default")]
    pub choices: Vec<CompletionChoice>,
    /// Tokens counted; null in a stream before its usage chunk.
    pub usage: Option<Usage>,
    /// Always null.
    pub system_fingerprint: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One completion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionChoice {
    /// The text, or what is new of it.
    #[serde(default, deserialize_with = "null_default")]
    pub text: String,
    /// Prompt by prompt, then choice by choice.
    #[serde(default, deserialize_with = "null_default")]
    pub index: u32,
    /// Log-probabilities in the form of this endpoint.
    pub logprobs: Option<CompletionLogprobs>,
    /// Why it ended; null before.
    pub finish_reason: Option<FinishReason>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Log-probabilities of a completion's tokens, as lists of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionLogprobs {
    /// Each token's text.
    #[serde(default, deserialize_with = "null_default")]
    pub tokens: Vec<String>,
    /// Its natural log-probability; null for the first token of an echoed prompt.
    #[serde(default, deserialize_with = "null_default")]
    pub token_logprobs: Vec<Option<f32>>,
    /// The best tokens at its place, text to natural log-probability. Other services write null where
    /// there are none, at a place or at all.
    pub top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
    /// Characters of the text before it.
    #[serde(default, deserialize_with = "null_default")]
    pub text_offset: Vec<u32>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl CompletionRequest {
    /// Reads a request's JSON.
    ///
    /// # Errors
    /// The first field of a wrong shape, or a required field that is missing.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, Invalid> {
        let fields = &mut map;
        parse::unpack_extra_body(fields);
        Ok(Self {
            model: model(fields)?,
            prompts: prompts(required(fields, "prompt")?, "prompt")?,
            suffix: text(fields, "suffix")?,
            stream: flag(fields, "stream")?.unwrap_or(false),
            stream_options: parse::stream_options(fields)?,
            max_tokens: count(fields, "max_tokens")?,
            temperature: float(fields, "temperature")?,
            top_p: float(fields, "top_p")?,
            top_k: parse::top_k(fields)?,
            min_p: float(fields, "min_p")?,
            presence_penalty: float(fields, "presence_penalty")?,
            frequency_penalty: float(fields, "frequency_penalty")?,
            repetition_penalty: float(fields, "repetition_penalty")?,
            n: count(fields, "n")?,
            seed: parse::seed(fields)?,
            stop: fields.shift_remove("stop").map(parse::stop).transpose()?.flatten(),
            logit_bias: parse::logit_bias(fields)?,
            logprobs: logprobs(fields)?,
            echo: flag(fields, "echo")?.unwrap_or(false),
            rest: map,
        })
    }

    /// Checks every value that needs no model to be judged.
    ///
    /// # Errors
    /// The first value out of range, with the contract's sentence.
    pub fn validate(&self, strictness: Strictness) -> Result<(), Invalid> {
        Sampling::from(self).validate(Dialect::Compat, strictness)?;
        if self.prompts.len() > PROMPTS_MAX {
            let message = format!("prompt has {} elements, more than {PROMPTS_MAX} - 'prompt'", self.prompts.len());
            return Err(Invalid::parameter("prompt", message));
        }
        if self.logprobs.is_some_and(|logprobs| logprobs > LOGPROBS_MAX) {
            return Err(Invalid::parameter("logprobs", format!("Range of logprobs should be [0, {LOGPROBS_MAX}]")));
        }
        self.validate_best_of()?;
        self.validate_suffix()
    }

    /// Checks the values that only the model can bound.
    ///
    /// # Errors
    /// `Range of max_tokens should be [1, xxx]` with the model's number.
    pub fn validate_limits(&self, limits: Limits) -> Result<(), Invalid> {
        limits.allow("max_tokens", self.max_tokens)
    }

    /// How many answers are asked for, for all prompts together.
    pub fn choices(&self) -> u32 {
        let prompts = u32::try_from(self.prompts.len()).unwrap_or(u32::MAX);
        self.n.unwrap_or(1).saturating_mul(prompts)
    }

    /// Whether a stream ends with a usage chunk.
    pub fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// Whether a gap is to be filled: there is a suffix, or a prompt marks the gap itself.
    pub fn is_infill(&self) -> bool {
        self.suffix.is_some() || self.prompts.iter().any(marks_gap)
    }

    /// Nothing here is answered several times to choose from.
    fn validate_best_of(&self) -> Result<(), Invalid> {
        let wanted = u64::from(self.n.unwrap_or(1));
        match self.rest.get("best_of") {
            None | Some(Value::Null) => Ok(()),
            Some(value) if value.as_u64() == Some(wanted) => Ok(()),
            Some(_) => Err(Invalid::parameter("best_of", format!("best_of should be equal to n, which is {wanted}"))),
        }
    }

    fn validate_suffix(&self) -> Result<(), Invalid> {
        if self.suffix.is_none() {
            return Ok(());
        }
        for prompt in &self.prompts {
            let message = match prompt {
                Prompt::Tokens(_) => "suffix needs prompts of text, not of token ids".to_owned(),
                prompt if marks_gap(prompt) => format!("suffix cannot be set when the prompt has {FIM_PREFIX} itself"),
                Prompt::Text(_) => continue,
            };
            return Err(Invalid::parameter("suffix", message));
        }
        Ok(())
    }
}

fn marks_gap(prompt: &Prompt) -> bool {
    matches!(prompt, Prompt::Text(text) if text.contains(FIM_PREFIX))
}

/// A number; some callers write `false` for none.
fn logprobs(fields: &mut Map<String, Value>) -> Result<Option<u8>, Invalid> {
    if fields.get("logprobs") == Some(&Value::Bool(false)) {
        fields.shift_remove("logprobs");
    }
    Ok(count(fields, "logprobs")?.map(|rivals| u8::try_from(rivals).unwrap_or(u8::MAX)))
}

#[cfg(test)]
mod tests;
