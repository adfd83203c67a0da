//! How the next token is chosen and what ends an answer, from what a request says: alike for chats
//! and for completions.

use std::collections::BTreeMap;

use qwenda_engine::Sampling;
use qwenda_tokenizer::TokenKind;
use qwenda_types::{
    chat::{ChatRequest, Stop},
    completions::CompletionRequest,
};

use super::Loaded;
use crate::BackendError;

/// `top_k` above this means no limit, by the contract.
const TOP_K_MAX: u32 = 100;

/// The values of a request that steer sampling.
pub(super) struct Wanted<'a> {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u32>,
    min_p: Option<f64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    repetition_penalty: Option<f64>,
    logit_bias: &'a BTreeMap<u32, f32>,
    stop: Option<&'a Stop>,
}

/// Both requests name these fields alike.
macro_rules! wanted_of {
    ($request:ty) => {
        impl<'a> From<&'a $request> for Wanted<'a> {
            fn from(request: &'a $request) -> Self {
                Self {
                    temperature: request.temperature,
                    top_p: request.top_p,
                    top_k: request.top_k,
                    min_p: request.min_p,
                    presence_penalty: request.presence_penalty,
                    frequency_penalty: request.frequency_penalty,
                    repetition_penalty: request.repetition_penalty,
                    logit_bias: &request.logit_bias,
                    stop: request.stop.as_ref(),
                }
            }
        }
    };
}
wanted_of!(ChatRequest);
wanted_of!(CompletionRequest);

impl Wanted<'_> {
    /// What the engine is told; the seed is left to the caller.
    pub(super) fn sampling(&self, model: &Loaded, thinking: bool) -> Result<Sampling, BackendError> {
        let defaults = model.family.defaults(thinking);
        let vocab = model.engine.info().vocab;
        if let Some(id) = self.logit_bias.keys().find(|id| **id >= vocab) {
            return Err(not_a_token(format!("logit_bias.{id}"), *id, vocab));
        }
        // The contract's ranges are open to numbers that f32 rounds to a forbidden end.
        let positive = |value: f64, most: f32| (value as f32).clamp(f32::MIN_POSITIVE, most);
        let top_k = self.top_k.unwrap_or(defaults.top_k);
        Ok(Sampling {
            temperature: self.temperature.map_or(defaults.temperature, |value| value as f32),
            top_p: self.top_p.map_or(defaults.top_p, |value| positive(value, 1.0)),
            top_k: if top_k > TOP_K_MAX { 0 } else { top_k },
            min_p: self.min_p.map_or(0.0, |value| value as f32),
            repetition_penalty: self
                .repetition_penalty
                .map_or(defaults.repetition_penalty, |value| positive(value, 1e6)),
            presence_penalty: self.presence_penalty.map_or(defaults.presence_penalty, |value| value as f32),
            frequency_penalty: self.frequency_penalty.map_or(0.0, |value| value as f32),
            seed: 0,
            logit_bias: self.logit_bias.iter().map(|(id, bias)| (*id, *bias)).collect(),
        })
    }

    /// What ends an answer besides the model's own end tokens.
    pub(super) fn stop(&self, model: &Loaded) -> Result<qwenda_engine::Stop, BackendError> {
        let mut stop = qwenda_engine::Stop::default();
        match self.stop.cloned() {
            None => {}
            Some(Stop::One(text)) => stop.strings = vec![text],
            Some(Stop::Strings(texts)) => stop.strings = texts,
            Some(Stop::Tokens(ids)) => stop.tokens = ids.into_iter().map(|id| vec![id]).collect(),
            Some(Stop::TokenLists(lists)) => stop.tokens = lists,
        }
        // Control tokens have no text in an answer, so their names could never be found there.
        let tokenizer = model.engine.tokenizer();
        let named = stop.strings.iter().filter_map(|text| tokenizer.id(text));
        stop.tokens.extend(named.filter(|id| tokenizer.kind(*id) == TokenKind::Control).map(|id| vec![id]));
        let vocab = model.engine.info().vocab;
        match stop.tokens.iter().flatten().find(|id| **id >= vocab) {
            Some(id) => Err(not_a_token("stop".to_owned(), *id, vocab)),
            None => Ok(stop),
        }
    }
}

/// The field names a token that the model does not have.
pub(super) fn not_a_token(field: String, id: u32, vocab: u32) -> BackendError {
    let message = format!("token {id} is not one of the model's {vocab}");
    BackendError::Unsupported { field, message }
}
