//! What makes vectors of texts.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::{Client, Result};

/// What the vectors are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wanted {
    /// The texts will be searched.
    Document,
    /// The texts are searched with.
    Query,
}

/// What makes vectors of texts: a model, or [`WordVectors`](super::WordVectors).
pub trait Embedder: Send + Sync + 'static {
    /// The name of the space that the vectors are of. Vectors of different models are not compared.
    fn space(&self) -> String;

    /// The vectors of these texts, in their order.
    ///
    /// # Errors
    /// As what makes them has it.
    fn embed(&self, texts: Vec<String>, wanted: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>>;
}

/// A model of the service as an [`Embedder`]; [`Client::embedder`] makes one.
#[derive(Clone)]
pub struct ModelEmbedder {
    client: Client,
    model: String,
    dimensions: Option<u32>,
}

impl ModelEmbedder {
    /// Length of the vectors, of those that the model can make; the model's own otherwise.
    #[must_use]
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }
}

impl Client {
    /// This model as what makes the vectors of a [`VectorMemory`](crate::memory::VectorMemory).
    pub fn embedder(&self, model: impl Into<String>) -> ModelEmbedder {
        ModelEmbedder { client: self.clone(), model: model.into(), dimensions: None }
    }
}

impl Embedder for ModelEmbedder {
    fn space(&self) -> String {
        match self.dimensions {
            Some(dimensions) => format!("{}-{dimensions}", self.model),
            None => self.model.clone(),
        }
    }

    fn embed(&self, texts: Vec<String>, wanted: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        let mut embed = self.client.embed(self.model.clone(), texts);
        if let Some(dimensions) = self.dimensions {
            embed = embed.dimensions(dimensions);
        }
        if wanted == Wanted::Query {
            embed = embed.query();
        }
        Box::pin(async move { Ok(embed.await?.vectors) })
    }
}

impl fmt::Debug for ModelEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelEmbedder").field("space", &self.space()).finish_non_exhaustive()
    }
}
