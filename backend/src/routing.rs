//! Several backends as one: the model's name says who answers. Nothing else decides, and nothing waits.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Backend, BackendError, BoxFuture, ChatCall, ChatStream, CompletionCall, EmbedCall, Embedded, EngineStats,
    ModelCard, Ranked, RerankCall, TokenizeCall, Tokenized, models::near,
};

/// Several backends, each asked for its own models.
pub struct Routing {
    backends: Vec<Arc<dyn Backend>>,
    /// Name of a model to its backend's place.
    routes: HashMap<String, usize>,
}

/// Two models would answer to one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two models are called `{name}`")]
pub struct Duplicate {
    pub name: String,
}

impl Routing {
    /// All of these as one, in this order.
    ///
    /// # Errors
    /// A name that two models have, of one backend or of two.
    pub fn new(backends: Vec<Arc<dyn Backend>>) -> Result<Self, Duplicate> {
        let mut routes = HashMap::new();
        for (place, backend) in backends.iter().enumerate() {
            for card in backend.models() {
                if routes.insert(card.id.clone(), place).is_some() {
                    return Err(Duplicate { name: card.id });
                }
            }
        }
        Ok(Self { backends, routes })
    }

    fn find(&self, name: &str) -> Result<&dyn Backend, BackendError> {
        match self.routes.get(name) {
            Some(place) => Ok(&*self.backends[*place]),
            None => {
                // In the order in which they are listed, so that the same is always said.
                let cards = self.models();
                let near = near(name, cards.iter().map(|card| card.id.as_str()));
                Err(BackendError::UnknownModel { name: name.to_owned(), near })
            }
        }
    }
}

impl Backend for Routing {
    fn models(&self) -> Vec<ModelCard> {
        self.backends.iter().flat_map(|backend| backend.models()).collect()
    }

    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move { self.find(&call.request.model)?.chat(call).await })
    }

    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move { self.find(&call.request.model)?.complete(call).await })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        Box::pin(async move { self.find(&call.request.model)?.embed(call).await })
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        Box::pin(async move { self.find(&call.request.model)?.rerank(call).await })
    }

    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        Box::pin(async move { self.find(&call.model)?.tokenize(call).await })
    }

    /// Only if all are: what names answer must not depend on when one asks.
    fn ready(&self) -> bool {
        self.backends.iter().all(|backend| backend.ready())
    }

    fn stats(&self) -> Vec<(String, EngineStats)> {
        self.backends.iter().flat_map(|backend| backend.stats()).collect()
    }
}
