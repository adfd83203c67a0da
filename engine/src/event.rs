//! What comes out of the engine: the [`Event`]s of a request, and the [`Sink`] they go into.

/// What happens to a request, in order: one `Started`, any number of `Token`, then `Finished`,
/// `TooComplex` or `Failed`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The sequence was given room; its prompt is computed next.
    Started {
        /// Length of the prompt.
        prompt_tokens: u32,
        /// How many of them needed no computing, because an earlier request of the same scope, or
        /// one beside it, has computed them; fewer than all.
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
        /// Whether this is reasoning rather than answer; one event is never both. The tokens that
        /// begin and end the reasoning have no text.
        reasoning: bool,
    },
    /// The completion ended.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Length of the prompt.
        prompt_tokens: u32,
        /// Every token generated: also the end-of-text token, and those of a stop string.
        completion_tokens: u32,
        /// How many of them were reasoning, the tokens that begin and end it included.
        reasoning_tokens: u32,
        /// How long the phases took.
        timings: Timings,
    },
    /// The completion was broken off, because its grammar has outgrown what one may take. That shows
    /// only on the way, and whoever wrote the grammar can help it; the text says what grew.
    TooComplex(String),
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

    /// Whether nothing more is wanted of the completion. Asked after each [`Event::Token`]; once true
    /// it ends with [`FinishReason::Stop`], what was held back of its text left out.
    fn enough(&self) -> bool {
        false
    }
}
