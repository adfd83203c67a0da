//! One question put to a backend and its answer taken in, piece by piece, until it ends or the person
//! has heard enough. Knows nothing of terminals: what to do with the text is the caller's.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use qwenda_backend::{Backend, BackendError, ChatCall, ChatEvent, Counts, Timings, Whose};
use qwenda_types::chat::{ChatRequest, FinishReason};
use serde_json::{Value, json};

use crate::{
    exit::CliError,
    lang::{Lang, messages},
};

/// What came back, and what it took.
#[derive(Debug, Default)]
pub struct Answer {
    pub text: String,
    /// `None` when it was stopped by Ctrl-C.
    pub finish: Option<FinishReason>,
    pub usage: Counts,
    pub timings: Timings,
    /// From the question to the first piece of text.
    pub first_token: Option<Duration>,
    pub total: Duration,
}

/// Why there is no answer.
pub enum AnswerError {
    /// The backend would not or could not.
    Backend(BackendError),
    /// The text could not be handed on, most likely because the reader left.
    Output(CliError),
}

/// Asks, and gives `on_text` every piece as it comes. When `stop` is done first the work is dropped and
/// the answer so far is the answer.
pub async fn ask(
    backend: &dyn Backend,
    request: ChatRequest,
    mut on_text: impl FnMut(&str) -> Result<(), CliError>,
    stop: impl Future<Output = ()>,
) -> Result<Answer, AnswerError> {
    let start = Instant::now();
    let mut answer = Answer::default();
    let work = async {
        let call = ChatCall { request, request_id: "cli".to_owned(), whose: Whose::default() };
        let mut events = backend.chat(call).await.map_err(AnswerError::Backend)?;
        while let Some(event) = events.next().await {
            match event.map_err(AnswerError::Backend)? {
                ChatEvent::Started { prompt_tokens, cached_tokens } => {
                    answer.usage.prompt_tokens = prompt_tokens;
                    answer.usage.cached_tokens = cached_tokens;
                }
                ChatEvent::Text { text, completion_tokens, .. } => {
                    answer.usage.completion_tokens = completion_tokens;
                    if !text.is_empty() {
                        answer.first_token.get_or_insert_with(|| start.elapsed());
                        on_text(&text).map_err(AnswerError::Output)?;
                        answer.text.push_str(&text);
                    }
                }
                // A terminal that reasons aloud and calls functions comes with the SDK; neither is asked for here.
                ChatEvent::Reasoning { .. } | ChatEvent::ToolCall { .. } | ChatEvent::ToolArguments { .. } => {}
                ChatEvent::Finished { reason, .. } => answer.finish = Some(reason),
                ChatEvent::Done { usage, timings } => {
                    answer.usage = usage;
                    answer.timings = timings;
                }
            }
        }
        Ok(())
    };
    tokio::select! {
        // A backend that is done wins over a Ctrl-C that came at the same moment.
        biased;
        done = work => done?,
        () = stop => answer.finish = None,
    }
    answer.total = start.elapsed();
    Ok(answer)
}

impl Answer {
    /// Tokens after the first per second of decode: the first comes with the prefill. `None` when there
    /// was none.
    pub fn tokens_per_second(&self) -> Option<f64> {
        rate(self.usage.completion_tokens.saturating_sub(1), self.timings.decode_us)
    }

    /// The line under an answer.
    pub fn usage_line(&self, lang: Lang) -> String {
        let Counts { prompt_tokens, completion_tokens, .. } = self.usage;
        let mut line = messages::usage_tokens(lang, prompt_tokens, completion_tokens);
        if let Some(first) = self.first_token {
            line += &messages::usage_first_token(lang, first.as_secs_f64());
        }
        if let Some(rate) = self.tokens_per_second() {
            line += &messages::usage_rate(lang, rate);
        }
        format!("[{line}]")
    }

    /// The record that `--json` prints. Its shape is documented in `docs/cli.md`.
    pub fn record(&self, model: &str, seed: u64, load: Duration) -> Value {
        let Counts { prompt_tokens, completion_tokens, cached_tokens, .. } = self.usage;
        json!({
            "model": model,
            "text": self.text,
            "finish_reason": self.finish.as_ref().map(FinishReason::as_str),
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "cached_tokens": cached_tokens,
            },
            "timings": {
                "load_ms": ms(load),
                "queued_ms": ms(Duration::from_micros(self.timings.queued_us)),
                "prefill_ms": ms(Duration::from_micros(self.timings.prefill_us)),
                "decode_ms": ms(Duration::from_micros(self.timings.decode_us)),
                "ttft_ms": self.first_token.map(ms),
                "total_ms": ms(self.total),
                "prefill_tokens_per_second": rate(prompt_tokens - cached_tokens, self.timings.prefill_us).map(tenths),
                "tokens_per_second": self.tokens_per_second().map(tenths),
            },
            "seed": seed,
        })
    }
}

fn rate(tokens: u32, micros: u64) -> Option<f64> {
    (tokens > 0 && micros > 0).then(|| f64::from(tokens) * 1e6 / micros as f64)
}

fn ms(duration: Duration) -> f64 {
    tenths(duration.as_secs_f64() * 1e3)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
