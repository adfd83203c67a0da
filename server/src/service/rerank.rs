//! Documents in the order of their relevance.

use std::sync::Arc;

use qwenda_backend::{Counts, RerankCall};
use qwenda_ledger::price::Mode;
use qwenda_types::{
    error::{ApiError, Code},
    rerank::{RerankRequest, RerankResult},
};

use super::{
    admit::Ask,
    answer::refusal,
    chat::running,
    estimate,
    models::{self, Task},
    support,
};
use crate::{app::App, books::Estimate, meter::Meter};

/// What both dialects write.
#[derive(Debug)]
pub(crate) struct Ranking {
    /// As the caller named it.
    pub(crate) model: String,
    /// Best first.
    pub(crate) results: Vec<RerankResult>,
    pub(crate) tokens: u64,
    /// Fields of the request that changed nothing.
    pub(crate) ignored: Vec<String>,
}

/// Checks and admits a request and waits for the backend's scores.
pub(crate) async fn ranking(app: &Arc<App>, ask: &Ask, mut request: RerankRequest) -> Result<Ranking, ApiError> {
    let named = models::find(app, &request.model, Task::Rerank)?;
    request.validate()?;
    running(app)?;

    let ignored = match named.card.abilities.forwards {
        true => Vec::new(),
        false => support::without_effect(&request.rest).collect(),
    };
    // Question and instruction are read again with every document.
    let repeated_bytes = request.query.len() + request.instruct.as_ref().map_or(0, |instruct| instruct.len());
    let estimate = Estimate {
        input_tokens: estimate::texts(ask.counts(app), &request, request.documents.len(), repeated_bytes),
        output_tokens_max: 0,
        thinking: false,
        mode: Mode::RealTime,
    };
    request.model.clone_from(&named.card.id);
    let asked = request.clone();
    let admission = ask.admit(app, Task::Rerank, &named, estimate).await?.keep(&request);
    let meter = Meter::new(admission, app.totals.clone());
    let call = RerankCall { request, request_id: ask.request_id.clone(), whose: ask.whose() };
    let ranked = match app.backend.rerank(call).await {
        Ok(ranked) => ranked,
        Err(error) => {
            meter.void();
            return Err(refusal(error, &ask.request_id));
        }
    };
    meter.finish(Counts { prompt_tokens: ranked.tokens, ..Counts::default() }).await?;
    if ranked.scores.len() != asked.documents.len() {
        let why = format!("the backend scores {} of {} documents", ranked.scores.len(), asked.documents.len());
        return Err(ApiError::of(Code::Internal).log(why));
    }
    let results = RerankResult::ranked(&ranked.scores, &asked);
    Ok(Ranking { model: named.asked, results, tokens: ranked.tokens.into(), ignored })
}
