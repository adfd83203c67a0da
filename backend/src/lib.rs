//! Who answers a request: one trait, [`Backend`], and its implementations.
//!
//! Read this file, then `local/mod.rs` (the embedded engine) `upstream/mod.rs` (services
//! behind us) and `routing.rs` (several as one).

pub mod local;
pub mod models;
pub mod routing;
pub mod upstream;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
pub use qwenda_engine::{EngineStats, Priority, STEP_BOUNDS_US, StepKind, StepTimes};
use qwenda_types::{
    chat::{ChatRequest, FinishReason},
    completions::{CompletionRequest, Prompt},
    embeddings::EmbeddingRequest,
    error::{ApiError, Invalid},
    rerank::RerankRequest,
};

/// A future that can be named and boxed.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever answers: the embedded engine or an upstream.
pub trait Backend: Send + Sync + 'static {
    /// The models that answer here, in the order they were configured.
    fn models(&self) -> Vec<ModelCard>;

    /// Starts a chat. The stream's first event is [`ChatEvent::Started`]; dropping it stops the work
    /// at the engine's next step.
    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>>;

    /// Starts to continue texts. As [`chat`](Self::chat); choice `p × n + k` is the `k`-th of prompt `p`.
    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>>;

    /// Makes vectors of texts.
    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>>;

    /// Says how relevant documents are to a question.
    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>>;

    /// Tokens of a text or of a rendered conversation, without answering it.
    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>>;

    /// Whether requests would be answered now.
    fn ready(&self) -> bool;

    /// What the embedded engines have done, by the model's name; nothing of upstreams.
    fn stats(&self) -> Vec<(String, EngineStats)> {
        Vec::new()
    }
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
    /// Whether the model reasons before it answers.
    pub thinking: Thinking,
    /// What it can be asked for.
    pub abilities: Abilities,
}

/// Whether a model reasons before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thinking {
    /// It cannot.
    #[default]
    Never,
    /// As the request asks; `default` when it does not say.
    Optional { default: bool },
    /// Always.
    Always,
}

/// What a model can be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Chats, and continues texts.
    pub chat: bool,
    /// Fills the gap between two texts.
    pub infill: bool,
    /// Takes content parts that are not text.
    pub media: bool,
    /// Searches the web.
    pub search: bool,
    /// Judges every field of a request itself: what it is not known to do is passed on, not refused.
    pub forwards: bool,
    /// Makes vectors.
    pub embed: Option<EmbedAbility>,
    /// Ranks documents.
    pub rerank: bool,
}

/// The bounds of a model's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedAbility {
    /// Length of a vector when the request does not say.
    pub dimensions_default: u32,
    /// Most tokens of one text.
    pub text_tokens_max: u32,
    /// Whether a question has another vector than the same words in a document: `text_type` and
    /// `instruct` count.
    pub tells_questions: bool,
}

/// For whom a call is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// Calls of an equal account reuse what was computed of each other's prompts, and get one share of
    /// a busy engine together. Those of different ones see nothing of each other, unless the operator
    /// has them reuse everything.
    pub account: String,
    /// How urgent it is.
    pub priority: Priority,
}

/// One admitted chat request.
#[derive(Debug, Clone)]
pub struct ChatCall {
    /// The request, checked by `types` and with `model` naming one of [`Backend::models`].
    pub request: ChatRequest,
    /// The id the caller sees: for logs, and the root of the ids of calls the model makes.
    pub request_id: String,
    /// For whom.
    pub whose: Whose,
}

/// One admitted request to continue texts.
#[derive(Debug, Clone)]
pub struct CompletionCall {
    /// The request, checked by `types`.
    pub request: CompletionRequest,
    /// The id the caller sees.
    pub request_id: String,
    /// As in [`ChatCall`].
    pub whose: Whose,
}

/// One admitted request for vectors.
#[derive(Debug, Clone)]
pub struct EmbedCall {
    /// The request, checked by `types`.
    pub request: EmbeddingRequest,
    /// The id the caller sees.
    pub request_id: String,
    /// As in [`ChatCall`].
    pub whose: Whose,
}

/// Vectors, in the order of the texts, each of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of each text alone, as the caller wrote it; where an upstream tells only their sum, that.
    pub text_tokens: Vec<u32>,
}

/// One admitted request to rank documents.
#[derive(Debug, Clone)]
pub struct RerankCall {
    /// The request, checked by `types`.
    pub request: RerankRequest,
    /// The id the caller sees.
    pub request_id: String,
    /// As in [`ChatCall`].
    pub whose: Whose,
}

/// Relevance of each document, in the order of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// `[0, 1]`.
    pub scores: Vec<f64>,
    /// Tokens of the question, once for each document, and of the documents.
    pub tokens: u32,
}

/// A request for tokens.
#[derive(Debug, Clone)]
pub struct TokenizeCall {
    /// Whose tokens.
    pub model: String,
    /// What is tokenized.
    pub input: TokenizeInput,
}

/// What is tokenized.
#[derive(Debug, Clone)]
pub enum TokenizeInput {
    /// A text as it stands.
    Prompt(Prompt),
    /// A conversation, rendered with the model's template up to where the answer begins.
    Chat(Box<ChatRequest>),
}

/// Tokens, with the text of each as far as it is valid UTF-8.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokenized {
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
}

/// What happens while a chat is answered, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The prompt was accepted; its exact length in tokens.
    Started { prompt_tokens: u32, cached_tokens: u32 },
    /// More of choice `choice`'s answer. `completion_tokens` is the count of that choice so far.
    Text { choice: u32, text: String, completion_tokens: u32, logprobs: Vec<TokenLogprob> },
    /// More of choice `choice`'s reasoning, which comes before its answer.
    Reasoning { choice: u32, text: String, completion_tokens: u32 },
    /// Choice `choice` calls a function; `index` counts its calls from 0.
    ToolCall { choice: u32, index: u32, id: String, name: String, completion_tokens: u32 },
    /// More of the arguments of that call; the pieces concatenate to JSON.
    ToolArguments { choice: u32, index: u32, text: String, completion_tokens: u32 },
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
    /// A value only the backend could judge is wrong; the text is for the caller.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Whoever answers behind us refused; the text is for the caller.
    #[error(transparent)]
    Refused(Box<ApiError>),
    /// The queue is full; try again after about this long.
    #[error("all places are taken")]
    Busy { retry_after_ms: u64 },
    /// A bug or a broken model; the text is for the operator.
    #[error("{0}")]
    Internal(String),
}
