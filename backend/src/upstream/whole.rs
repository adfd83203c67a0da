//! Answers that come in one piece: vectors and scores.

use qwenda_types::{embeddings::EmbeddingResponse, rerank::RerankResponse};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    reader::{is_error, malformed},
    refusal::Fault,
    transport::Sending,
};
use crate::{Embedded, Ranked};

/// The vectors of so many texts.
pub(super) async fn embed(sending: Sending, texts: usize) -> Result<Embedded, Fault> {
    let name = sending.transport.name.clone();
    let answer: EmbeddingResponse = ask(sending).await?;
    let wrong = |what: &str| Fault::malformed(format!("upstream `{name}`: {what}"));
    let tokens = u32::try_from(answer.usage.prompt_tokens.max(answer.usage.total_tokens)).unwrap_or(u32::MAX);
    let mut vectors = vec![None; texts];
    for one in answer.data {
        let place = vectors.get_mut(one.index as usize).ok_or_else(|| wrong("a vector of no text"))?;
        *place = Some(one.embedding.numbers().ok_or_else(|| wrong("a vector that cannot be read"))?);
    }
    let vectors: Option<Vec<_>> = vectors.into_iter().collect();
    Ok(Embedded { vectors: vectors.ok_or_else(|| wrong("a text without a vector"))?, text_tokens: vec![tokens] })
}

/// The scores of so many documents.
pub(super) async fn rerank(sending: Sending, documents: usize) -> Result<Ranked, Fault> {
    let name = sending.transport.name.clone();
    let answer: RerankResponse = ask(sending).await?;
    let wrong = |what: &str| Fault::malformed(format!("upstream `{name}`: {what}"));
    let mut scores = vec![None; documents];
    for one in answer.results {
        let place = scores.get_mut(one.index as usize).ok_or_else(|| wrong("a score of no document"))?;
        *place = Some(one.relevance_score);
    }
    let scores: Option<Vec<_>> = scores.into_iter().collect();
    let tokens = u32::try_from(answer.usage.total_tokens).unwrap_or(u32::MAX);
    Ok(Ranked { scores: scores.ok_or_else(|| wrong("a document without a score"))?, tokens })
}

async fn ask<T: DeserializeOwned>(sending: Sending) -> Result<T, Fault> {
    let (transport, model) = (sending.transport.clone(), sending.model.clone());
    let body = sending.whole().await?;
    let malformed = |error: serde_json::Error| malformed(&transport.name, &error);
    let value: Value = serde_json::from_slice(&body).map_err(malformed)?;
    match value {
        Value::Object(map) if is_error(&map) => Err(transport.refused(&model).in_stream(None, &map)),
        value => serde_json::from_value(value).map_err(malformed),
    }
}
