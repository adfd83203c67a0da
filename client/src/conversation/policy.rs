//! What of a conversation is sent, and what becomes of the rest: [`Policy`].

use crate::memory::VectorMemory;

/// Of a budget in tokens, what is used again once turns have to be left out.
const ROOM_PERCENT: u8 = 75;

/// What of a conversation is sent when it grows. The cheapest thing goes first: old results of tools, then whole
/// turns from the oldest on. The system messages, the last turn and the person's last words always stay as they
/// are, and no tool call is ever sent without its result.
///
/// What is left out once is left out from then on, and several turns at once, so that the beginning of what is
/// sent stays the same for as long as it can and a service's cache has it.
///
/// # Example
/// ```
/// use qwenda::{Policy, memory::{VectorMemory, WordVectors}};
///
/// let simple = Policy::last_turns(10);
/// let policy = Policy::tokens(8_000)
///     .keep_tool_results(3)
///     .summarise_with("qwen-flash")
///     .remember_in(VectorMemory::in_ram(WordVectors::new()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    pub(super) tokens_max: Option<u64>,
    /// Tokens of prompt and answer together.
    pub(super) window: Option<u64>,
    pub(super) turns_max: Option<usize>,
    pub(super) tool_results_kept: Option<usize>,
    pub(super) summary_model: Option<String>,
    pub(super) memory: Option<VectorMemory>,
    pub(super) counted: bool,
    room_percent: Option<u8>,
}

impl Policy {
    /// Everything is sent, always.
    pub fn everything() -> Self {
        Self::default()
    }

    /// At most so many tokens of prompt: what the model's context holds, less what the answer may take.
    pub fn tokens(most: u64) -> Self {
        Self { tokens_max: Some(most), ..Self::default() }
    }

    /// At most so many tokens of prompt and answer together: what the model's context holds. The most that the
    /// answer may have is kept free; a quarter of the window where the request does not bound it.
    pub fn window(tokens: u64) -> Self {
        Self { window: Some(tokens), ..Self::default() }
    }

    /// At most so many turns, each a person's message with all that follows it; at least 1.
    pub fn last_turns(most: usize) -> Self {
        Self { turns_max: Some(most.max(1)), ..Self::default() }
    }

    /// Before a turn is left out, the results of tools are, but for the last so many.
    #[must_use]
    pub fn keep_tool_results(mut self, last: usize) -> Self {
        self.tool_results_kept = Some(last);
        self
    }

    /// Turns that are left out are summarised by this model, which is paid for. A summary that is cut, empty or
    /// refused is not used: the turns are then left out without one, and it is tried again.
    #[must_use]
    pub fn summarise_with(mut self, model: impl Into<String>) -> Self {
        self.summary_model = Some(model.into());
        self
    }

    /// What is left out is kept in this memory, and what of it has to do with the person's last words is sent
    /// before them.
    #[must_use]
    pub fn remember_in(mut self, memory: VectorMemory) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Tokens are counted by the service before each request ([`Client::tokenize`](crate::Client::tokenize): the
    /// cloud, Qwenda and embedded models can, free of charge) instead of estimated. Where it cannot, estimates
    /// stand in.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// When turns have to be left out, so many are that this part of the budget is used: 75, `[1, 100]`. With 100
    /// as few as can be are, and the beginning of what is sent changes at every turn.
    #[must_use]
    pub fn room(mut self, percent: u8) -> Self {
        self.room_percent = Some(percent.clamp(1, 100));
        self
    }

    pub(super) fn room_percent(&self) -> u64 {
        self.room_percent.unwrap_or(ROOM_PERCENT).into()
    }
}
