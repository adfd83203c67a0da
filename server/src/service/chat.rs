//! The story of a chat request: check, admit, dispatch, meter.
//!
//! Time and ids are made here, and nowhere below.

use std::sync::Arc;

use futures_util::StreamExt;
use qwenda_backend::{BackendError, ChatCall, ChatEvent};
use qwenda_types::{
    chat::{
        AnswerMessage, ChatRequest, ChatResponse, Choice, FinishReason, Limits, Logprobs, TokenLogprob, TopLogprob,
        Usage,
    },
    error::{ApiError, Code},
};

use super::{
    admit::{Admission, Caller},
    models, support,
};
use crate::{app::App, meter::MeteredStream, tasks::Phase};

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `chatcmpl-` and the request's id.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: u32,
    pub(crate) logprobs: bool,
    pub(crate) include_usage: bool,
    pub(crate) events: MeteredStream,
}

/// Checks and admits a request and hands it to the backend.
pub(crate) async fn start(
    app: &Arc<App>,
    caller: Caller,
    request: ChatRequest,
    request_id: &str,
) -> Result<Answer, ApiError> {
    request.validate()?;
    let card = models::find(app.backend.models(), &request.model)?;
    request.validate_limits(Limits { output_tokens_max: card.context_tokens_max })?;
    support::check(&request, &card)?;
    if app.stop.phase() >= Phase::Draining {
        return Err(ApiError::of(Code::Stopped).retry_after_ms(1000));
    }

    let admission = Admission {
        request_id: request_id.to_owned(),
        key_id: caller.key_id,
        model: request.model.clone(),
        choices: request.choices(),
    };
    let id = format!("chatcmpl-{request_id}");
    let model = request.model.clone();
    let (choices, logprobs, include_usage) = (request.choices(), request.logprobs, request.include_usage());
    let call = ChatCall { request, request_id: request_id.to_owned() };
    let events = app.backend.chat(call).await.map_err(|error| refusal(error, &id))?;
    Ok(Answer {
        id,
        created: app.clock.now_seconds(),
        model,
        choices,
        logprobs,
        include_usage,
        events: MeteredStream::new(events, admission, app.totals.clone()),
    })
}

/// Waits for the whole answer.
pub(crate) async fn whole(app: &Arc<App>, answer: Answer) -> Result<ChatResponse, ApiError> {
    let Answer { id, created, model, choices, logprobs, include_usage: _, mut events } = answer;
    let mut texts = vec![String::new(); choices as usize];
    let mut reasons: Vec<Option<FinishReason>> = vec![None; choices as usize];
    let mut tokens: Vec<Vec<TokenLogprob>> = vec![Vec::new(); choices as usize];
    let usage = loop {
        let event = tokio::select! {
            biased;
            () = app.stop.reaches(Phase::Cut) => return Err(ApiError::of(Code::Stopped).completion(id)),
            event = events.next() => event,
        };
        match event {
            None => return Err(cut_short().completion(id)),
            Some(Err(error)) => return Err(refusal(error, &id)),
            Some(Ok(ChatEvent::Started { .. })) => {}
            Some(Ok(ChatEvent::Text { choice, text, logprobs: more, .. })) => {
                let place = place(choice, choices)?;
                texts[place].push_str(&text);
                tokens[place].extend(more.into_iter().map(token_logprob));
            }
            Some(Ok(ChatEvent::Finished { choice, reason })) => {
                reasons[place(choice, choices)?] = Some(reason);
            }
            Some(Ok(ChatEvent::Done { usage: counts, .. })) => break usage(counts),
        }
    };
    let choices = texts.into_iter().zip(reasons).zip(tokens).zip(0..).map(|(((text, reason), tokens), index)| Choice {
        index,
        finish_reason: reason,
        logprobs: logprobs.then_some(Logprobs { content: tokens, refusal: None }),
        message: AnswerMessage::text(text),
    });
    Ok(ChatResponse {
        id,
        object: "chat.completion".to_owned(),
        created,
        model,
        choices: choices.collect(),
        usage,
        service_tier: None,
        system_fingerprint: None,
    })
}

/// The place of a choice, if the backend names one that was asked for.
pub(crate) fn place(choice: u32, choices: u32) -> Result<usize, ApiError> {
    if choice < choices {
        return Ok(choice as usize);
    }
    Err(ApiError::of(Code::Internal).log(format!("the backend answers choice {choice} of {choices}")))
}

/// The backend's stream ended before it was done.
pub(crate) fn cut_short() -> ApiError {
    ApiError::of(Code::Internal).log("the backend's stream ended without `Done`")
}

pub(crate) fn usage(counts: qwenda_backend::Counts) -> Usage {
    Usage::new(
        counts.prompt_tokens.into(),
        counts.completion_tokens.into(),
        counts.cached_tokens.into(),
        counts.reasoning_tokens.into(),
    )
}

pub(crate) fn token_logprob(token: qwenda_backend::TokenLogprob) -> TokenLogprob {
    let finite = |logprob: f32| logprob.is_finite().then_some(logprob);
    TokenLogprob {
        token: token.token,
        bytes: token.bytes,
        logprob: finite(token.logprob),
        top_logprobs: token
            .top
            .into_iter()
            .map(|(token, bytes, logprob)| TopLogprob { token, bytes, logprob: finite(logprob) })
            .collect(),
    }
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
        BackendError::Busy { retry_after_ms } => ApiError::of(Code::Busy).retry_after_ms(retry_after_ms),
        BackendError::Internal(why) => ApiError::of(Code::Internal).log(why).completion(completion_id),
    }
}
