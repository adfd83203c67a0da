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

use futures_core::{Stream, future::BoxFuture};
use qwenda_backend::{BackendError, ChatEvent, ChatStream, Counts, Timings};
use qwenda_ledger::price::Usage;
use qwenda_types::error::ApiError;

use crate::{
    books::{Came, Charged, Covered},
    content::Kept,
    service::{admit::Admission, models::Task},
    telemetry,
};

/// How a request ended.
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

/// What one request came to.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) task: Task,
    pub(crate) model: String,
    pub(crate) outcome: Outcome,
    pub(crate) counts: Counts,
    pub(crate) timings: Timings,
    pub(crate) took: Duration,
}

/// Sums over all requests that models worked on since the server began. Clones are the same sums.
#[derive(Debug, Clone, Default)]
pub struct Totals(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    requests: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
}

impl Totals {
    /// Requests settled, whole or not.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
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
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.prompt_tokens.fetch_add(counts.prompt_tokens.into(), Ordering::Relaxed);
        self.0.completion_tokens.fetch_add(counts.completion_tokens.into(), Ordering::Relaxed);
    }
}

/// One request's account: settled exactly once, and as left when it is dropped before.
#[derive(Debug)]
pub(crate) struct Meter {
    // `None` once settled.
    admission: Option<Admission>,
    totals: Totals,
    began: Instant,
    /// When the first of the answer had been made.
    first: Option<Instant>,
    counts: Counts,
    timings: Timings,
}

impl Meter {
    pub(crate) fn new(admission: Admission, totals: Totals) -> Self {
        Self {
            admission: Some(admission),
            totals,
            began: Instant::now(),
            first: None,
            counts: Counts::default(),
            timings: Timings::default(),
        }
    }

    /// All was made, and this is what it came to. Once this returns, it is paid.
    pub(crate) async fn finish(mut self, counts: Counts) -> Result<(), ApiError> {
        self.counts = counts;
        match self.close(Outcome::Finished) {
            Some((charged, came)) => charged.settle_tracked(came).await,
            None => Ok(()),
        }
    }

    /// Nothing was made: the request was refused before any work.
    pub(crate) fn void(mut self) {
        self.admission = None;
    }

    /// Counts and logs what it came to, and pays for it beside whatever else goes on.
    fn settle(&mut self, outcome: Outcome) {
        if let Some((charged, came)) = self.close(outcome) {
            // It logs what goes wrong; nobody is there to be told.
            drop(charged.settle_tracked(came));
        }
    }

    /// Counts and logs what it came to. What is returned is still to be paid.
    fn close(&mut self, outcome: Outcome) -> Option<(Charged, Came)> {
        let mut admission = self.admission.take()?;
        let (thinking, content) = (admission.thinking, admission.content.take());
        let paid = admission.charged.take().map(|charged| (charged, self.came(outcome, thinking, content)));
        self.totals.add(self.counts);
        telemetry::settled(&Settled {
            request_id: admission.request_id,
            key_id: admission.key_id,
            task: admission.task,
            model: admission.model,
            outcome,
            counts: self.counts,
            timings: self.timings,
            took: self.began.elapsed(),
        });
        paid
    }

    fn came(&self, outcome: Outcome, thinking: bool, content: Option<Kept>) -> Came {
        let ms = |took: Duration| i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        // What the backend did not finish is for nothing; who leaves pays for what was made until then.
        let usage = match outcome {
            Outcome::Failed => Usage::default(),
            Outcome::Finished | Outcome::Left => Usage {
                input_tokens: self.counts.prompt_tokens.into(),
                implicit_hit_tokens: self.counts.cached_tokens.min(self.counts.prompt_tokens).into(),
                output_tokens: self.counts.completion_tokens.into(),
                reasoning_tokens: self.counts.reasoning_tokens.min(self.counts.completion_tokens).into(),
                thinking,
                ..Usage::default()
            },
        };
        Came {
            usage,
            status: outcome.as_str(),
            first_token_ms: self.first.map(|first| ms(first.duration_since(self.began))),
            took_ms: ms(self.began.elapsed()),
            content,
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.settle(Outcome::Left);
    }
}

/// An answer's events, counted as they pass.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    events: ChatStreamDebug,
    meter: Meter,
    // Exact counts come with the end; until then, what has passed.
    by_choice: Vec<ChoiceTokens>,
    work: Option<Work>,
    /// What is handed on once the work is done.
    kept: Option<ChatEvent>,
    /// Whether nothing more comes.
    over: bool,
}

/// What has to be durable before the stream goes on.
enum Work {
    Paying(BoxFuture<'static, Result<(), ApiError>>),
    ToppingUp(BoxFuture<'static, Result<Covered, ApiError>>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Paying(_) => "Paying",
            Self::ToppingUp(_) => "ToppingUp",
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct ChoiceTokens {
    completion: u32,
    reasoning: u32,
}

struct ChatStreamDebug(ChatStream);

impl std::fmt::Debug for ChatStreamDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChatStream")
    }
}

impl MeteredStream {
    pub(crate) fn new(events: ChatStream, meter: Meter, choices: u32) -> Self {
        let by_choice = vec![ChoiceTokens::default(); choices as usize];
        Self { events: ChatStreamDebug(events), meter, by_choice, work: None, kept: None, over: false }
    }

    /// What has been made so far; exact once everything has passed.
    pub(crate) fn counts(&self) -> Counts {
        self.meter.counts
    }

    /// What has been made of this choice so far.
    pub(crate) fn completion_tokens(&self, choice: u32) -> u32 {
        self.by_choice.get(choice as usize).map_or(0, |tokens| tokens.completion)
    }

    fn count(&mut self, event: &ChatEvent) {
        if let Some(kept) = self.meter.admission.as_mut().and_then(|admission| admission.content.as_mut()) {
            kept.made(event);
        }
        match event {
            ChatEvent::Started { prompt_tokens, cached_tokens } => {
                self.meter.counts.prompt_tokens = *prompt_tokens;
                self.meter.counts.cached_tokens = *cached_tokens;
            }
            ChatEvent::Reasoning { choice, completion_tokens, .. } => self.made(*choice, *completion_tokens, true),
            ChatEvent::Text { choice, completion_tokens, .. }
            | ChatEvent::ToolCall { choice, completion_tokens, .. }
            | ChatEvent::ToolArguments { choice, completion_tokens, .. } => {
                self.made(*choice, *completion_tokens, false);
            }
            ChatEvent::Finished { .. } => {}
            ChatEvent::Done { usage, timings } => {
                self.meter.counts = *usage;
                self.meter.timings = *timings;
            }
        }
    }

    /// Begins what the event has to wait for.
    fn must_wait(&mut self, event: &ChatEvent) -> Option<Work> {
        if matches!(event, ChatEvent::Done { .. }) {
            let (charged, came) = self.meter.close(Outcome::Finished)?;
            return Some(Work::Paying(charged.settle_tracked(came)));
        }
        let charged = self.meter.admission.as_ref()?.charged.as_ref()?;
        let covers = charged.covers(self.meter.counts.completion_tokens.into());
        (!covers).then(|| Work::ToppingUp(charged.top_up()))
    }

    fn made(&mut self, choice: u32, completion_tokens: u32, reasoning: bool) {
        self.meter.first.get_or_insert_with(Instant::now);
        if let Some(tokens) = self.by_choice.get_mut(choice as usize) {
            tokens.completion = completion_tokens;
            if reasoning {
                tokens.reasoning = completion_tokens;
            }
        }
        let counts = &mut self.meter.counts;
        counts.completion_tokens = self.by_choice.iter().map(|tokens| tokens.completion).sum();
        counts.reasoning_tokens = self.by_choice.iter().map(|tokens| tokens.reasoning).sum();
    }
}

impl Stream for MeteredStream {
    type Item = Result<ChatEvent, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let done = match &mut self.work {
                None => Ok(()),
                Some(Work::Paying(paying)) => ready!(paying.as_mut().poll(cx)),
                Some(Work::ToppingUp(more)) => {
                    let result = ready!(more.as_mut().poll(cx));
                    let charged = self.meter.admission.as_mut().and_then(|admission| admission.charged.as_mut());
                    result.map(|covered| {
                        if let Some(charged) = charged {
                            charged.covered(covered);
                        }
                    })
                }
            };
            self.work = None;
            let kept = self.kept.take();
            if let Err(error) = done {
                // What was made until here is paid; nothing more is.
                self.meter.settle(Outcome::Left);
                self.over = true;
                return Poll::Ready(Some(Err(BackendError::Refused(Box::new(error)))));
            }
            if let Some(event) = kept {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.events.0).poll_next(cx)) {
                Some(Ok(event)) => {
                    self.count(&event);
                    match self.must_wait(&event) {
                        Some(work) => (self.work, self.kept) = (Some(work), Some(event)),
                        None => return Poll::Ready(Some(Ok(event))),
                    }
                }
                // A stream that ends without `Done` has failed too; the reader says so to the caller.
                other => {
                    self.meter.settle(Outcome::Failed);
                    return Poll::Ready(other);
                }
            }
        }
    }
}
