//! The story of a chat request: check, admit, dispatch, meter.
//!
//! Time and ids are made here, and nowhere below.

use std::sync::Arc;

use qwenda_backend::ChatCall;
use qwenda_ledger::price::Mode;
use qwenda_types::{
    chat::{ChatRequest, ChatResponse, Limits},
    error::{ApiError, Code},
};

use super::{
    admit::Ask,
    answer::{Answer, Whole, refusal},
    draft::Draft,
    estimate,
    models::{self, Named, Task},
    support,
};
use crate::{
    app::App,
    books::Estimate,
    meter::{Meter, MeteredStream},
    tasks::Phase,
};

/// Checks and admits a request and hands it to the backend.
pub(crate) async fn start(app: &Arc<App>, ask: &Ask, request: ChatRequest) -> Result<Answer, ApiError> {
    let named = models::find(app, &request.model, Task::Chat)?;
    start_as(app, ask, &named, request).await
}

/// As [`start`], where the model was found already.
pub(crate) async fn start_as(
    app: &Arc<App>,
    ask: &Ask,
    named: &Named,
    mut request: ChatRequest,
) -> Result<Answer, ApiError> {
    request.validate_as(ask.dialect, ask.strictness)?;
    // How much a model behind an upstream may write, only the upstream knows. What is less than a token is held for
    // nothing, whatever comes of it there.
    let output_tokens_max = if named.card.abilities.forwards { u32::MAX } else { named.card.context_tokens_max };
    request.validate_limits(Limits { output_tokens_max })?;
    let ignored = support::settle(&mut request, named)?;
    if !request.tools.is_empty() && !named.card.abilities.forwards {
        request.parallel_tool_calls = Some(request.calls_in_parallel(ask.strictness));
    }
    running(app)?;

    let id = format!("chatcmpl-{}", ask.request_id);
    let draft = Draft::new(request.choices(), support::thinks(&request, &named.card), request.logprobs);
    let choices = request.choices();
    let estimate = Estimate {
        input_tokens: estimate::chat(ask.counts(app), &request, &named.card),
        output_tokens_max: estimate::output(request.tokens_max(), request.choices(), &named.card),
        thinking: support::thinks(&request, &named.card),
        mode: Mode::RealTime,
    };
    request.model.clone_from(&named.card.id);
    let admission = ask.admit(app, Task::Chat, named, estimate).await?.keep(&request);
    if let Some(each) = admission.tokens_of_each(choices)? {
        // So that the answer ends with `length` where the caller's most does.
        request.max_tokens = Some(request.max_tokens.map_or(each, |asked| asked.min(each)));
    }
    let meter = Meter::new(admission, app.totals.clone());
    let call = ChatCall { request, request_id: ask.request_id.clone(), whose: ask.whose() };
    match app.backend.chat(call).await {
        Ok(events) => Ok(Answer {
            id,
            created: app.clock.now_seconds(),
            model: named.asked.clone(),
            ignored,
            is_chinese: ask.caller.terms.is_chinese(),
            events: MeteredStream::new(events, meter, choices),
            draft,
        }),
        Err(error) => {
            meter.void();
            Err(refusal(error, &id))
        }
    }
}

/// Nothing new is taken once the server is asked to stop.
pub(crate) fn running(app: &App) -> Result<(), ApiError> {
    match app.stop.phase() {
        Phase::Running => Ok(()),
        _ => Err(ApiError::of(Code::Stopped).retry_after_ms(1000)),
    }
}

/// A whole answer in the OpenAI-compatible dialect.
pub(crate) fn response(whole: Whole) -> ChatResponse {
    ChatResponse {
        id: whole.id,
        object: "chat.completion".to_owned(),
        created: whole.created,
        model: whole.model,
        choices: whole.choices,
        usage: whole.usage,
        ..ChatResponse::default()
    }
}
