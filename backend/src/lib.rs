//! Who answers a request: one trait, [`Backend`], and its implementations.
//!
//! Read this file, then `local/mod.rs` (the embedded engine).

pub mod local;
pub mod models;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use qwenda_types::chat::{ChatRequest, FinishReason};

/// A future that can be named and boxed.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever answers: the embedded engine or an upstream.
pub trait Backend: Send + Sync + 'static {
    /// The models that answer here, in the order they were configured.
    fn models(&self) -> Vec<ModelCard>;

    /// Starts a chat. The stream's first event is [`ChatEvent::Started`]; dropping it stops the work
    /// at the engine's next step.
    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>>;

    /// Whether requests would be answered now.
    fn ready(&self) -> bool;
}

/// What a caller may know of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// Name that requests use.
    pub id: String,
    /// Unix seconds at which this model was made available here.
    pub created: u64,
    /// Who made the model.
    pub owned_by: String,
    /// Most tokens of prompt and completion together.
    pub context_tokens_max: u32,
    /// Whether the chat template knows a thinking phase.
    pub thinking: bool,
}

/// One admitted chat request.
#[derive(Debug, Clone)]
pub struct ChatCall {
    /// The request, checked by `types` and with `model` naming one of [`Backend::models`].
    pub request: ChatRequest,
    /// The id the caller sees; for logs only.
    pub request_id: String,
}

/// What happens while a chat is answered, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The prompt was accepted; its exact length in tokens.
    Started { prompt_tokens: u32, cached_tokens: u32 },
    /// More of choice `choice`'s answer. `completion_tokens` is the count of that choice so far.
    Text { choice: u32, text: String, completion_tokens: u32, logprobs: Vec<TokenLogprob> },
    /// Choice `choice` ended.
    Finished { choice: u32, reason: FinishReason },
    /// Everything ended; nothing follows.
    Done { usage: Counts, timings: Timings },
}

/// Natural-log probability of one generated token and of its best rivals.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token's text as far as it is valid UTF-8.
    pub token: String,
    /// The token's exact bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The most probable tokens at this position: text, bytes, natural logarithm.
    pub top: Vec<(String, Vec<u8>, f32)>,
}

/// Tokens counted for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub cached_tokens: u32,
    pub reasoning_tokens: u32,
}

/// How long the phases of one request took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    pub queued_us: u64,
    pub prefill_us: u64,
    pub decode_us: u64,
}

/// Events of one chat; dropping it stops the work.
pub struct ChatStream(Pin<Box<dyn Stream<Item = Result<ChatEvent, BackendError>> + Send>>);

impl ChatStream {
    /// Wraps any stream of events.
    pub fn new(events: impl Stream<Item = Result<ChatEvent, BackendError>> + Send + 'static) -> Self {
        Self(Box::pin(events))
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Why a backend did not answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No model of that name; `near` are the names most like it.
    #[error("no model `{name}` here")]
    UnknownModel { name: String, near: Vec<String> },
    /// The prompt does not fit.
    #[error("the prompt has {prompt_tokens} tokens, the model takes {limit_tokens}")]
    PromptTooLong { prompt_tokens: u32, limit_tokens: u32 },
    /// The request is well-formed but this model cannot do it; the text is for the caller.
    #[error("{message}")]
    Unsupported { field: String, message: String },
    /// The queue is full; try again after about this long.
    #[error("all places are taken")]
    Busy { retry_after_ms: u64 },
    /// A bug or a broken model; the text is for the operator.
    #[error("{0}")]
    Internal(String),
}
