//! The stream that counts and settles once: at its end, at an error, or when it is dropped.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_core::Stream;
use qwenda_backend::{BackendError, ChatEvent, ChatStream, Counts, Timings};

use crate::{service::admit::Admission, telemetry};

/// How a chat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of the answer was made.
    Finished,
    /// The backend gave up.
    Failed,
    /// The caller left, or the server stopped.
    Left,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

/// What one chat came to.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) model: String,
    pub(crate) outcome: Outcome,
    pub(crate) counts: Counts,
    pub(crate) timings: Timings,
    pub(crate) took: Duration,
}

/// Sums over all chats since the server began. Clones are the same sums.
#[derive(Debug, Clone, Default)]
pub struct Totals(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    chats: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
}

impl Totals {
    /// Chats settled, whole or not.
    pub fn chats(&self) -> u64 {
        self.0.chats.load(Ordering::Relaxed)
    }

    /// Tokens of prompts.
    pub fn prompt_tokens(&self) -> u64 {
        self.0.prompt_tokens.load(Ordering::Relaxed)
    }

    /// Tokens of answers.
    pub fn completion_tokens(&self) -> u64 {
        self.0.completion_tokens.load(Ordering::Relaxed)
    }

    fn add(&self, counts: Counts) {
        self.0.chats.fetch_add(1, Ordering::Relaxed);
        self.0.prompt_tokens.fetch_add(counts.prompt_tokens.into(), Ordering::Relaxed);
        self.0.completion_tokens.fetch_add(counts.completion_tokens.into(), Ordering::Relaxed);
    }
}

/// A chat's events, counted as they pass.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    events: ChatStreamDebug,
    // `None` once settled.
    admission: Option<Admission>,
    totals: Totals,
    began: Instant,
    // Exact counts come with the end; until then, what has passed.
    counts: Counts,
    timings: Timings,
    by_choice: Vec<u32>,
}

struct ChatStreamDebug(ChatStream);

impl std::fmt::Debug for ChatStreamDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChatStream")
    }
}

impl MeteredStream {
    pub(crate) fn new(events: ChatStream, admission: Admission, totals: Totals) -> Self {
        let by_choice = vec![0; admission.choices as usize];
        Self {
            events: ChatStreamDebug(events),
            admission: Some(admission),
            totals,
            began: Instant::now(),
            counts: Counts::default(),
            timings: Timings::default(),
            by_choice,
        }
    }

    fn count(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Started { prompt_tokens, cached_tokens } => {
                self.counts.prompt_tokens = *prompt_tokens;
                self.counts.cached_tokens = *cached_tokens;
            }
            ChatEvent::Text { choice, completion_tokens, .. } => {
                if let Some(tokens) = self.by_choice.get_mut(*choice as usize) {
                    *tokens = *completion_tokens;
                }
                self.counts.completion_tokens = self.by_choice.iter().sum();
            }
            ChatEvent::Finished { .. } => {}
            ChatEvent::Done { usage, timings } => {
                self.counts = *usage;
                self.timings = *timings;
                self.settle(Outcome::Finished);
            }
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(admission) = self.admission.take() else { return };
        self.totals.add(self.counts);
        telemetry::settled(&Settled {
            request_id: admission.request_id,
            key_id: admission.key_id,
            model: admission.model,
            outcome,
            counts: self.counts,
            timings: self.timings,
            took: self.began.elapsed(),
        });
    }
}

impl Stream for MeteredStream {
    type Item = Result<ChatEvent, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.events.0).poll_next(cx));
        match &item {
            Some(Ok(event)) => self.count(event),
            // A stream that ends without `Done` has failed too; the reader says so to the caller.
            Some(Err(_)) | None => self.settle(Outcome::Failed),
        }
        Poll::Ready(item)
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        self.settle(Outcome::Left);
    }
}
