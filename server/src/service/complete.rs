//! Continuing texts: as a chat, without a template.

use std::sync::Arc;

use qwenda_backend::CompletionCall;
use qwenda_ledger::price::Mode;
use qwenda_types::{
    chat::{Limits, Strictness},
    completions::CompletionRequest,
    error::{ApiError, Code, Invalid},
};

use super::{
    admit::Ask,
    answer::{Answer, refusal},
    chat::running,
    draft::Draft,
    estimate,
    models::{self, Task},
    support,
};
use crate::{
    app::App,
    books::Estimate,
    meter::{Meter, MeteredStream},
};

/// Most tokens of a completion whose request does not say, under OpenAI's rules.
const OPENAI_TOKENS_MAX: u32 = 16;

/// Checks and admits a request and hands it to the backend.
pub(crate) async fn start(app: &Arc<App>, ask: &Ask, mut request: CompletionRequest) -> Result<Answer, ApiError> {
    let named = models::find(app, &request.model, Task::Complete)?;
    request.validate(ask.strictness)?;
    let forwards = named.card.abilities.forwards;
    if !forwards {
        request.validate_limits(Limits { output_tokens_max: named.card.context_tokens_max })?;
    }
    if request.is_infill() && !named.card.abilities.infill {
        let message = format!("The model {} does not fill gaps in texts. - 'suffix'", named.asked);
        return Err(Invalid::of(Code::InvalidParameter, "suffix", message).into());
    }
    running(app)?;

    if ask.strictness == Strictness::OpenAi && !forwards && request.max_tokens.is_none() {
        request.max_tokens = Some(OPENAI_TOKENS_MAX.min(named.card.context_tokens_max));
    }
    let id = format!("cmpl-{}", ask.request_id);
    let choices = request.choices();
    let draft = Draft::new(choices, false, request.logprobs.is_some());
    let ignored = match forwards {
        true => Vec::new(),
        false => support::without_effect(&request.rest).filter(|name| name != "best_of").collect(),
    };
    let estimate = Estimate {
        input_tokens: estimate::prompt(ask.counts(app), &request, &named.card),
        output_tokens_max: estimate::output(request.max_tokens, choices, &named.card),
        thinking: false,
        mode: Mode::RealTime,
    };
    request.model.clone_from(&named.card.id);
    let admission = ask.admit(app, Task::Complete, &named, estimate).await?.keep(&request);
    if let Some(each) = admission.tokens_of_each(choices)? {
        // So that the answer ends with `length` where the caller's most does.
        request.max_tokens = Some(request.max_tokens.map_or(each, |asked| asked.min(each)));
    }
    let meter = Meter::new(admission, app.totals.clone());
    let call = CompletionCall { request, request_id: ask.request_id.clone(), whose: ask.whose() };
    match app.backend.complete(call).await {
        Ok(events) => Ok(Answer {
            id,
            created: app.clock.now_seconds(),
            model: named.asked,
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
