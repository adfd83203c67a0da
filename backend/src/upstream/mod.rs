//! A service behind us as a [`Backend`]: one that speaks the OpenAI-compatible dialect, such as Alibaba's
//! cloud, vLLM, SGLang, llama-server or another Qwenda.
//!
//! `body` writes the request as the caller sent it; `transport` sends it, and again where that may help
//! (`retry`); `refusal` knows what an error of the upstream is to our caller. A chat's answer comes through
//! `reader` (bytes to events) and `events` (events to [`ChatEvent`](crate::ChatEvent)s), held together by
//! `stream`; vectors and scores come whole.

mod body;
pub mod config;
mod events;
mod reader;
mod refusal;
mod retry;
mod stream;
mod transport;
mod whole;

use std::{sync::Arc, time::SystemTime};

use self::{
    config::{UpstreamConfig, UpstreamModel},
    events::{Kind, Progress},
    transport::{Form, Sending, Transport},
};
use crate::{
    Backend, BackendError, BoxFuture, ChatCall, ChatStream, CompletionCall, EmbedCall, Embedded, ModelCard, Ranked,
    RerankCall, TokenizeCall, Tokenized, models::near,
};

/// A service behind us.
pub struct Upstream {
    transport: Arc<Transport>,
    base_url: String,
    rerank_url: String,
    models: Vec<UpstreamModel>,
    /// Unix seconds.
    since: u64,
}

/// Why an upstream cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("upstream `{name}` cannot be asked: {why}")]
pub struct UpstreamError {
    pub name: String,
    pub why: String,
}

impl Upstream {
    /// Gets ready to ask it. Nothing is sent yet.
    ///
    /// # Errors
    /// TLS cannot be had on this machine, as where it has no certificates to trust.
    pub fn new(config: UpstreamConfig) -> Result<Self, UpstreamError> {
        tracing::info!(upstream = config.name, base_url = config.base_url, models = config.models.len(), "an upstream");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            transport: Arc::new(Transport::new(&config)?),
            base_url: config.base_url,
            rerank_url: config.rerank_url,
            models: config.models,
            since: now.map_or(0, |now| now.as_secs()),
        })
    }

    fn find(&self, name: &str) -> Result<&UpstreamModel, BackendError> {
        self.models.iter().find(|model| model.id == name).ok_or_else(|| BackendError::UnknownModel {
            name: name.to_owned(),
            near: near(name, self.models.iter().map(|model| model.id.as_str())),
        })
    }

    fn sending(&self, path: &str, body: Vec<u8>, form: Form, model: &str) -> Sending {
        Sending::new(&self.transport, format!("{}/{path}", self.base_url), body, form, model)
    }

    fn card(&self, model: &UpstreamModel) -> ModelCard {
        ModelCard {
            id: model.id.clone(),
            created: self.since,
            owned_by: self.transport.name.clone(),
            context_tokens_max: model.context_tokens_max,
            thinking: model.thinking,
            abilities: model.abilities,
        }
    }
}

impl Backend for Upstream {
    fn models(&self) -> Vec<ModelCard> {
        self.models.iter().map(|model| self.card(model)).collect()
    }

    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move {
            let ChatCall { request, request_id, .. } = call;
            let model = self.find(&request.model)?;
            let (choices, name) = (request.choices(), self.transport.name.clone());
            let body = body::chat(request, &model.upstream);
            let sending = self.sending("chat/completions", body, Form::Events, &model.id);
            stream::start(sending, move || Progress::new(Kind::Chat, &name, &request_id, choices)).await
        })
    }

    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move {
            let CompletionCall { request, request_id, .. } = call;
            let model = self.find(&request.model)?;
            let (choices, name) = (request.choices(), self.transport.name.clone());
            let body = body::completion(request, &model.upstream);
            let sending = self.sending("completions", body, Form::Events, &model.id);
            stream::start(sending, move || Progress::new(Kind::Completion, &name, &request_id, choices)).await
        })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        Box::pin(async move {
            let model = self.find(&call.request.model)?;
            let texts = call.request.inputs.len();
            let body = body::embedding(call.request, &model.upstream);
            Ok(whole::embed(self.sending("embeddings", body, Form::Whole, &model.id), texts).await?)
        })
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        Box::pin(async move {
            let model = self.find(&call.request.model)?;
            let documents = call.request.documents.len();
            let body = body::rerank(call.request, &model.upstream);
            let sending = Sending::new(&self.transport, self.rerank_url.clone(), body, Form::Whole, &model.id);
            Ok(whole::rerank(sending, documents).await?)
        })
    }

    /// Upstreams have no address for this that all of them share.
    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        Box::pin(async move {
            let model = self.find(&call.model)?;
            let message = format!("Counting tokens is not supported by this model, {}.", model.id);
            Err(BackendError::Unsupported { field: "model".to_owned(), message })
        })
    }

    /// What is behind is known only by asking, which every request does.
    fn ready(&self) -> bool {
        true
    }
}
