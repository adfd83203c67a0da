//! Texts become vectors.

use std::sync::Arc;

use qwenda_backend::{Counts, EmbedCall};
use qwenda_ledger::price::Mode;
use qwenda_types::{
    embeddings::{EmbeddingRequest, TextType, dimensions_of},
    error::{ApiError, Invalid},
};

use super::{
    admit::Ask,
    answer::refusal,
    chat::running,
    estimate,
    models::{self, Named, Task},
    support,
};
use crate::{app::App, books::Estimate, meter::Meter};

/// What both dialects write.
#[derive(Debug)]
pub(crate) struct Vectors {
    /// As the caller named it.
    pub(crate) model: String,
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Of all texts.
    pub(crate) tokens: u64,
    /// Fields of the request that changed nothing.
    pub(crate) ignored: Vec<String>,
}

/// Checks and admits a request and waits for the backend's vectors.
pub(crate) async fn vectors(app: &Arc<App>, ask: &Ask, mut request: EmbeddingRequest) -> Result<Vectors, ApiError> {
    let named = models::find(app, &request.model, Task::Embed)?;
    request.validate(ask.dialect, ask.strictness)?;
    let padded = padded(&mut request, &named)?;
    running(app)?;

    let ignored = without_effect(&request, &named);
    let instruct_bytes = request.instruct.as_ref().map_or(0, |instruct| instruct.len());
    let estimate = Estimate {
        input_tokens: estimate::texts(ask.counts(app), &request, request.inputs.len(), instruct_bytes),
        output_tokens_max: 0,
        thinking: false,
        mode: Mode::RealTime,
    };
    request.model.clone_from(&named.card.id);
    let admission = ask.admit(app, Task::Embed, &named, estimate).await?.keep(&request);
    let meter = Meter::new(admission, app.totals.clone());
    let call = EmbedCall { request, request_id: ask.request_id.clone(), whose: ask.whose() };
    let embedded = match app.backend.embed(call).await {
        Ok(embedded) => embedded,
        Err(error) => {
            meter.void();
            return Err(refusal(error, &ask.request_id));
        }
    };
    let tokens: u32 = embedded.text_tokens.iter().fold(0, |sum, tokens| sum.saturating_add(*tokens));
    meter.finish(Counts { prompt_tokens: tokens, ..Counts::default() }).await?;
    let mut vectors = embedded.vectors;
    if let Some(length) = padded {
        vectors.iter_mut().for_each(|vector| vector.resize(length as usize, 0.0));
    }
    Ok(Vectors { model: named.asked, vectors, tokens: tokens.into(), ignored })
}

/// Fields that change nothing: most models here make the same vectors of a question as of a document.
fn without_effect(request: &EmbeddingRequest, named: &Named) -> Vec<String> {
    if named.card.abilities.forwards {
        return Vec::new();
    }
    let tells = named.card.abilities.embed.is_some_and(|ability| ability.tells_questions);
    let asks = request.text_type == Some(TextType::Query);
    let query = (asks && !tells).then(|| "text_type".to_owned());
    let instruct = (request.instruct.is_some() && !(asks && tells)).then(|| "instruct".to_owned());
    query.into_iter().chain(instruct).chain(support::without_effect(&request.rest)).collect()
}

/// The length to which vectors are filled up with zeros, which change no angle and no length, where the
/// model makes shorter ones than the cloud's that it stands in for.
fn padded(request: &mut EmbeddingRequest, named: &Named) -> Result<Option<u32>, Invalid> {
    let (Some(usual), Some(ability)) = (named.cloud_dimensions(), named.card.abilities.embed) else { return Ok(None) };
    let length = request.dimensions.unwrap_or(usual);
    let most = dimensions_of(&named.asked).iter().copied().max().unwrap_or(usual);
    if length > most {
        return Err(Invalid::parameter("dimensions", format!("Range of dimensions should be [1, {most}]")));
    }
    request.dimensions = Some(length.min(ability.dimensions_default));
    Ok(Some(length))
}
