//! One chat: the request becomes a prompt, what the answer is held to, and one engine request per choice.

use std::sync::Arc;

use qwenda_engine::{Owner, Request, Sampling};
use qwenda_types::chat::{ChatRequest, SEED_DEFAULT};
use tokio::sync::mpsc;

use super::{
    Loaded,
    answer::{Answer, ToAnswer},
    blocking, format,
    parse::{Menu, Parser},
    prompt::{self, Prompt},
    sampling::Wanted,
    think,
    tools::Offer,
};
use crate::{BackendError, ChatCall, ChatStream};

/// Most tokens of an answer when the request does not say: what the family answers with at most.
/// A model that has lost its way would otherwise fill its whole context.
pub(super) const ANSWER_TOKENS_DEFAULT: u32 = 8_192;

/// Begins to answer.
pub(super) async fn chat(model: Arc<Loaded>, call: ChatCall) -> Result<ChatStream, BackendError> {
    let ChatCall { request, request_id, whose } = call;
    let owner = model.owner(&whose);
    // Long prompts take long to render and to encode, and schemas to compile.
    let preparing = Arc::clone(&model);
    let Plan { requests, menu } = blocking(move || Plan::of(&preparing, &request, owner)).await??;

    let choices = requests.len() as u32;
    let (sender, told) = mpsc::channel(requests.iter().map(ToAnswer::events_max).sum());
    for (choice, request) in (0..).zip(requests) {
        let sink = ToAnswer::new(choice, sender.clone(), menu.clone().map(Parser::new));
        // When a later choice is refused, `told` is dropped and with it the earlier ones.
        model.engine.submit(request, Box::new(sink)).map_err(|error| model.refusal(error))?;
    }
    Ok(ChatStream::new(Answer::new(model, told, choices, request_id)))
}

/// What is asked for, checked.
struct Plan {
    /// One for each choice.
    requests: Vec<Request>,
    /// What answers may call, if anything.
    menu: Option<Arc<Menu>>,
}

impl Plan {
    fn of(model: &Loaded, request: &ChatRequest, owner: Owner) -> Result<Self, BackendError> {
        prompt::supported(request)?;
        let thinking = think::wanted(model, request)?;
        let Prompt { ids, reasoning_begun } = prompt::prompt(model, request, thinking)?;
        let context = model.card.context_tokens_max;
        let prompt_tokens = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        // One place must be left for the answer.
        if prompt_tokens >= context {
            return Err(BackendError::PromptTooLong { prompt_tokens, limit_tokens: context - 1 });
        }
        let offer = Offer::of(request);
        let wanted = Wanted::from(request);
        let sampling = wanted.sampling(model, thinking)?;
        let reasoning = if thinking { think::rules(model.engine.tokenizer(), request, reasoning_begun) } else { None };
        let room = context - prompt_tokens;
        let (tokens_max, answer_tokens_max) = match reasoning {
            // Reasoning has a budget of its own, and only one of the two fields counts it.
            Some(_) => {
                (request.max_completion_tokens.unwrap_or(room), request.max_tokens.or(Some(ANSWER_TOKENS_DEFAULT)))
            }
            None => (request.tokens_max().unwrap_or(ANSWER_TOKENS_DEFAULT), None),
        };
        let every = Request {
            answer_tokens_max,
            stop: wanted.stop(model)?,
            logprobs: request.logprobs.then(|| request.top_logprobs.unwrap_or(0)),
            grammar: format::grammar(model, request, offer.as_ref())?,
            reasoning,
            scope: owner.scope,
            account: owner.account,
            priority: owner.priority,
            ..Request::new(ids, tokens_max.clamp(1, room))
        };
        let seed = request.seed.unwrap_or(SEED_DEFAULT);
        let requests = (0..request.choices().max(1)).map(|choice| Request {
            sampling: Sampling { seed: seed.wrapping_add(choice.into()), ..sampling.clone() },
            ..every.clone()
        });
        Ok(Self { requests: requests.collect(), menu: offer.map(|offer| Arc::new(offer.into_menu())) })
    }
}
