//! What goes into the engine and what comes out: [`Request`], [`Event`] and the [`Sink`] between.

/// One prompt to be continued.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Token ids of the prompt; at least one.
    pub prompt: Vec<u32>,
    /// Most tokens to generate. The context's end may come first.
    pub tokens_max: u32,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// What ends the completion besides the model's own end-of-text tokens.
    pub stop: Stop,
    /// `Some(n)`: report each token's log-probability and its `n` best rivals
    /// (at most [`LOGPROBS_MAX`]).
    pub logprobs: Option<u8>,
}

/// Most rivals reported beside a token.
pub const LOGPROBS_MAX: u8 = 20;

/// How the next token is chosen from the logits, in this order: `logit_bias`,
/// `repetition_penalty`, `presence_penalty` and `frequency_penalty`, then at temperature 0 the
/// largest logit, otherwise `top_k`, softmax with `temperature`, `top_p`, `min_p`, and one draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 takes the most probable token (the lowest id among equals); higher is more random.
    pub temperature: f32,
    /// Keep the most probable tokens that together reach this mass; 1 keeps all.
    pub top_p: f32,
    /// Keep this many of the most probable tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep tokens at least this fraction as probable as the best one; 0 keeps all.
    pub min_p: f32,
    /// Divides positive (multiplies negative) logits of tokens that have occurred in prompt or
    /// completion; 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted from the logit of each token that the completion already has; 0 is off.
    pub presence_penalty: f32,
    /// Subtracted once per occurrence in the completion; 0 is off.
    pub frequency_penalty: f32,
    /// The same seed and request give the same tokens, whatever else runs.
    pub seed: u64,
    /// Added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
            logit_bias: Vec::new(),
        }
    }
}

impl Sampling {
    /// Always the most probable token.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// What is outside its range, for a model with `vocab` tokens.
    fn check(&self, vocab: u32) -> Result<(), String> {
        let ranges = [
            ("temperature", self.temperature, 0.0, 1e6),
            ("top_p", self.top_p, f32::MIN_POSITIVE, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("repetition_penalty", self.repetition_penalty, f32::MIN_POSITIVE, 1e6),
            ("presence_penalty", self.presence_penalty, -1e6, 1e6),
            ("frequency_penalty", self.frequency_penalty, -1e6, 1e6),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(format!("{name} is {value}, but must be {low} to {high}"));
            }
        }
        for &(id, bias) in &self.logit_bias {
            if id >= vocab {
                return Err(format!("logit_bias names token {id}, but the model has {vocab}"));
            }
            if !(-1e6..=1e6).contains(&bias) {
                return Err(format!("the logit_bias of token {id} is {bias}, but must be -1000000 to 1000000"));
            }
        }
        Ok(())
    }
}

impl Request {
    /// Whether a model with `vocab` tokens can run this with room for `tokens_max` in all.
    pub(crate) fn check(&self, vocab: u32, tokens_max: u32) -> Result<(), SubmitError> {
        let invalid = |text: String| Err(SubmitError::Invalid(text));
        check_prompt(&self.prompt, vocab, tokens_max - 1)?;
        if self.tokens_max == 0 {
            return invalid("tokens_max is 0, but must be at least 1".to_owned());
        }
        if let Some(top) = self.logprobs.filter(|&top| top > LOGPROBS_MAX) {
            return invalid(format!("logprobs is {top}, but must be 0 to {LOGPROBS_MAX}"));
        }
        if self.stop.tokens.iter().any(Vec::is_empty) || self.stop.strings.iter().any(String::is_empty) {
            return invalid("a stop string or stop token sequence is empty".to_owned());
        }
        self.sampling.check(vocab).or_else(invalid)
    }
}

/// Whether tokens can be run at all, `limit` being the most.
pub(crate) fn check_prompt(prompt: &[u32], vocab: u32, limit: u32) -> Result<(), SubmitError> {
    if prompt.is_empty() {
        return Err(SubmitError::Invalid("the prompt has no tokens".to_owned()));
    }
    let len = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
    if len > limit {
        return Err(SubmitError::TooLong { prompt: len, limit });
    }
    match prompt.iter().find(|&&id| id >= vocab) {
        Some(id) => Err(SubmitError::Invalid(format!("the prompt has token {id}, but the model has {vocab}"))),
        None => Ok(()),
    }
}

/// What ends a completion. Neither the strings nor the token sequences appear in the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stop {
    /// Token sequences; each non-empty.
    pub tokens: Vec<Vec<u32>>,
    /// Texts, found also across token borders; each non-empty.
    pub strings: Vec<String>,
}

/// What happens to a request, in order: one `Started`, any number of `Token`, then `Finished` or
/// `Failed`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The sequence was given room; its prompt is computed next.
    Started {
        /// Length of the prompt.
        prompt_tokens: u32,
        /// How many of them needed no computing.
        cached_tokens: u32,
    },
    /// More of the completion.
    Token {
        /// Whole characters; what may still become a stop string is held back.
        text: String,
        /// The tokens whose text this is. A token whose last byte is held back comes later.
        ids: Vec<u32>,
        /// Tokens generated so far, the held-back ones included.
        tokens: u32,
        /// One for each of `ids` if the request asked for them, otherwise empty.
        logprobs: Vec<TokenLogprob>,
    },
    /// The completion ended.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Length of the prompt.
        prompt_tokens: u32,
        /// Every token generated: also the end-of-text token, and those of a stop string.
        completion_tokens: u32,
        /// How long the phases took.
        timings: Timings,
    },
    /// The completion was broken off; the text says why.
    Failed(String),
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string or stop token did.
    Stop,
    /// `tokens_max` or the context was reached.
    Length,
}

/// A generated token's natural-log probability under the model itself: the log-softmax of its
/// unmodified logits, before temperature, penalties and bias.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// Its log-probability.
    pub logprob: f32,
    /// The most probable tokens at this position, best first.
    pub top: Vec<(u32, f32)>,
}

/// How long the phases of one request took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From submission to the first step.
    pub queued_us: u64,
    /// From the first step to the first token.
    pub prefill_us: u64,
    /// From the first token to the last.
    pub decode_us: u64,
}

/// Where the events of one request go.
pub trait Sink: Send {
    /// Takes the next event. Runs on the engine's thread and must not block.
    fn event(&mut self, event: Event);

    /// Whether nobody listens any more. Asked before every step, also during prefill; once true
    /// the sequence is dropped without a further event.
    fn gone(&self) -> bool;
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full.
    #[error("all places are taken; {queued} requests wait")]
    Busy {
        /// Requests that wait for a place.
        queued: usize,
    },
    /// The prompt leaves no room for a single token of completion.
    #[error("the prompt has {prompt} tokens, the model takes {limit}")]
    TooLong {
        /// Tokens in the prompt.
        prompt: u32,
        /// Most tokens a prompt may have.
        limit: u32,
    },
    /// The request makes no sense for this model; the text says which part.
    #[error("{0}")]
    Invalid(String),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}
