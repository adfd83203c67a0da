//! What goes into the engine: a [`Request`], and what is wrong with one.

use crate::Grammar;

/// One prompt to be continued. Begin with [`Request::new`] and change what differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Token ids of the prompt; at least one.
    pub prompt: Vec<u32>,
    /// Most tokens to generate. The context's end may come first.
    pub tokens_max: u32,
    /// Most tokens after the reasoning; `tokens_max` still bounds all together.
    pub answer_tokens_max: Option<u32>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// What ends the completion besides the model's own end-of-text tokens.
    pub stop: Stop,
    /// `Some(n)`: report each token's log-probability and its `n` best rivals
    /// (at most [`LOGPROBS_MAX`]).
    pub logprobs: Option<u8>,
    /// What the completion obeys, token by token; it begins after the reasoning.
    pub grammar: Option<Grammar>,
    /// How reasoning is told from the answer, where the model reasons.
    pub reasoning: Option<Reasoning>,
    /// Whose computed prefixes may be reused: only requests of an equal scope share pages.
    pub scope: u64,
    /// Who shares the engine with others as one: accounts get equal parts of it while it is busy,
    /// however many requests each has.
    pub account: u64,
    /// How urgent it is.
    pub priority: Priority,
}

/// For whom something is computed: what a [`Request`] says of it, by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// As in [`Request`].
    pub scope: u64,
    /// As in [`Request`].
    pub account: u64,
    /// As in [`Request`].
    pub priority: Priority,
}

/// How urgent a request is. Nothing waits for ever: of what is computed while both are there, batch
/// work gets a ninth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// It may take its time.
    Batch,
}

/// How a model marks its reasoning, and how much of it there may be.
///
/// Reasoning is a phase of its own: stop strings, stop tokens, the grammar and
/// `answer_tokens_max` apply to what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoning {
    /// Whether the first tokens of the completion are reasoning already, because the prompt ended
    /// with `begin`. Otherwise the completion reasons only if its first token is `begin`.
    pub begun: bool,
    /// The token that begins it, such as `<think>`.
    pub begin: u32,
    /// The token that ends it, such as `</think>`.
    pub end: u32,
    /// Most tokens of reasoning, `begin` and `end` included where they are generated; then
    /// `forced` is written in the model's stead.
    pub tokens_max: Option<u32>,
    /// What is written at the budget's end; contains `end`, and may go on behind it with what the
    /// model is used to write there.
    pub forced: Vec<u32>,
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
    /// Continues `prompt` by up to `tokens_max` tokens; everything else as the defaults have it.
    #[must_use]
    pub fn new(prompt: Vec<u32>, tokens_max: u32) -> Self {
        Self {
            prompt,
            tokens_max,
            answer_tokens_max: None,
            sampling: Sampling::default(),
            stop: Stop::default(),
            logprobs: None,
            grammar: None,
            reasoning: None,
            scope: 0,
            account: 0,
            priority: Priority::Interactive,
        }
    }

    /// Whether a model with `vocab` tokens can run this with room for `tokens_max` in all.
    pub(crate) fn check(&self, vocab: u32, tokens_max: u32) -> Result<(), SubmitError> {
        let invalid = |text: String| Err(SubmitError::Invalid(text));
        check_prompt(&self.prompt, vocab, tokens_max - 1)?;
        if self.tokens_max == 0 {
            return invalid("tokens_max is 0, but must be at least 1".to_owned());
        }
        if self.answer_tokens_max == Some(0) {
            return invalid("answer_tokens_max is 0, but must be at least 1".to_owned());
        }
        if let Some(reasoning) = &self.reasoning {
            reasoning.check(vocab).or_else(invalid)?;
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

impl Reasoning {
    /// What is wrong with it, for a model with `vocab` tokens.
    fn check(&self, vocab: u32) -> Result<(), String> {
        if let Some(id) = self.forced.iter().chain([&self.begin, &self.end]).find(|&&id| id >= vocab) {
            return Err(format!("reasoning names token {id}, but the model has {vocab}"));
        }
        if !self.forced.contains(&self.end) {
            return Err("the forced end of reasoning lacks the token that ends it".to_owned());
        }
        if self.forced.len() > FORCED_MAX {
            let len = self.forced.len();
            return Err(format!("the forced end of reasoning has {len} tokens, but must have at most {FORCED_MAX}"));
        }
        Ok(())
    }
}

/// Most tokens that end reasoning by force.
const FORCED_MAX: usize = 64;

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
