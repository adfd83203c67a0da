//! What calls do, told to whoever asks: [`Observation`]s and spans. Neither has a text or a key in it.

use std::{sync::Arc, time::Duration};

use tracing::{Span, field::Empty};

use crate::{Cost, Usage, error::Kind, reply::Reply};

/// Who is told; see [`Builder::observe`](crate::Builder::observe).
pub(crate) type Observer = Arc<dyn Fn(&Observation) + Send + Sync>;

/// Something that a call did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// What kind of call: `chat`, `embeddings`, `rerank` and so on, as OpenTelemetry names them where it does.
    pub operation: &'static str,
    /// The model asked for; empty where there is none.
    pub model: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Since the call began.
    pub elapsed: Duration,
    /// What it did.
    pub what: What,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// A request is sent.
    Sent,
    /// The head of an answer of success is there.
    Began {
        /// The HTTP status.
        status: u16,
    },
    /// An attempt failed.
    Failed {
        /// What happened.
        kind: Kind,
        /// The HTTP status, where there was an answer.
        status: Option<u16>,
        /// How long is waited before the next attempt; `None` after the last.
        pause: Option<Duration>,
    },
    /// The answer is whole.
    Finished {
        /// Its tokens, where they were counted: of chats and completions, and the input of vectors and rankings.
        usage: Option<Box<Usage>>,
        /// What it costs, where that is known.
        cost: Option<Cost>,
    },
}

/// Calls whose answers have tokens of their own, as OpenTelemetry names them.
pub(crate) const CHAT: &str = "chat";
pub(crate) const COMPLETION: &str = "text_completion";

/// What the spans of calls are called, among others.
pub(crate) const SPAN: &str = "gen_ai";

/// A span with the names that OpenTelemetry has for calls of models.
pub(crate) fn span(operation: &'static str, model: &str) -> Span {
    tracing::debug_span!(
        SPAN,
        otel.name = format_args!("{operation} {model}"),
        otel.kind = "client",
        gen_ai.operation.name = operation,
        gen_ai.provider.name = "alibaba_cloud",
        gen_ai.request.model = model,
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
        otel.status_code = Empty,
        error.r#type = Empty,
    )
}

/// Fills in what a whole answer says.
pub(crate) fn record(span: &Span, reply: &Reply) {
    if span.is_disabled() {
        return;
    }
    span.record("gen_ai.response.id", reply.id.as_str());
    span.record("gen_ai.response.model", reply.model.as_str());
    let reasons: Vec<String> = reply.choices.iter().map(|choice| format!("{:?}", choice.finish)).collect();
    span.record("gen_ai.response.finish_reasons", reasons.join(","));
    if let Some(usage) = reply.usage() {
        record_usage(span, usage, CHAT);
    }
}

/// Fills in how many tokens an answer took. Vectors and scores have none of their own.
pub(crate) fn record_usage(span: &Span, usage: &Usage, operation: &str) {
    span.record("gen_ai.usage.input_tokens", usage.input_tokens);
    if !matches!(operation, CHAT | COMPLETION) {
        return;
    }
    span.record("gen_ai.usage.output_tokens", usage.output_tokens);
    span.record("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
    if operation == CHAT {
        span.record("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens);
    }
}
