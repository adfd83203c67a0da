//! An answer that is being made: events in, what callers read of them out.

use std::sync::Arc;

use futures_util::StreamExt;
use qwenda_backend::{BackendError, Counts};
use qwenda_types::{
    chat::{Choice, ChunkChoice, Usage},
    error::{ApiError, Code},
};

use super::{draft::Draft, models};
use crate::{app::App, meter::MeteredStream, tasks::Phase};

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `chatcmpl-` or `cmpl-` and the request's id.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: u64,
    /// As the caller named it.
    pub(crate) model: String,
    /// Fields of the request that changed nothing.
    pub(crate) ignored: Vec<String>,
    /// Whether errors are for a reader of Chinese.
    pub(crate) is_chinese: bool,
    pub(crate) events: MeteredStream,
    pub(crate) draft: Draft,
}

impl Answer {
    /// What comes next; `None` once all has come. Empty when an event shows nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ChunkChoice>>, ApiError> {
        let event = match self.events.next().await {
            Some(Ok(event)) => event,
            Some(Err(error)) => return Err(refusal(error, &self.id)),
            None => {
                let error = ApiError::of(Code::Internal).log("the backend's stream ended without `Done`");
                return Err(error.completion(&self.id));
            }
        };
        if matches!(event, qwenda_backend::ChatEvent::Done { .. }) {
            return Ok(None);
        }
        self.draft.take(event).map(Some)
    }

    /// Tokens so far; exact once all has come.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.events.counts())
    }

    /// Waits for all of it.
    pub(crate) async fn whole(mut self, app: &Arc<App>) -> Result<Whole, ApiError> {
        loop {
            let more = tokio::select! {
                biased;
                () = app.stop.reaches(Phase::Cut) => return Err(ApiError::of(Code::Stopped).completion(&self.id)),
                more = self.next() => more?,
            };
            if more.is_none() {
                let usage = self.usage();
                let Self { id, created, model, draft, .. } = self;
                return Ok(Whole { id, created, model, choices: draft.into_choices(), usage });
            }
        }
    }
}

/// An answer in one piece, as both dialects see it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
}

fn usage(counts: Counts) -> Usage {
    Usage::new(
        counts.prompt_tokens.into(),
        counts.completion_tokens.into(),
        counts.cached_tokens.into(),
        counts.reasoning_tokens.into(),
    )
}

/// What the caller reads when the backend does not answer.
pub(crate) fn refusal(error: BackendError, completion_id: &str) -> ApiError {
    match error {
        BackendError::UnknownModel { name, near } => models::unknown(&name, &near),
        BackendError::PromptTooLong { prompt_tokens, limit_tokens } => ApiError::of(Code::ModelParameter)
            .say(format!("Range of input length should be [1, {limit_tokens}]; the prompt has {prompt_tokens} tokens"))
            .completion(completion_id),
        BackendError::Unsupported { field, message } => {
            let text = if message.contains(&field) { message } else { format!("{message} - '{field}'") };
            ApiError::of(Code::InvalidParameter).say(text)
        }
        BackendError::Invalid(invalid) => invalid.into(),
        BackendError::Refused(error) => *error,
        BackendError::Busy { retry_after_ms } => ApiError::of(Code::Busy).retry_after_ms(retry_after_ms),
        BackendError::Internal(why) => ApiError::of(Code::Internal).log(why).completion(completion_id),
    }
}
