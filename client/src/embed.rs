//! Texts become vectors: [`EmbedBuilder`].

use std::{fmt, future::IntoFuture};

use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use qwenda_ledger::price::{Bounds, Mode};
use qwenda_types::{
    completions::Prompt,
    dashscope::embeddings::{NativeEmbeddings, to_map},
    embeddings::{EmbeddingRequest, EmbeddingResponse, EncodingFormat, TextType, rows_max},
};

use crate::{
    Client, Error, Result,
    call::Terms,
    cost::{self, Cost},
    error::Kind,
    plain::{Meta, input_only, map_of, terms},
    reply::Usage,
    service::Protocol,
};

/// Parts of one call that are asked for at once, unless set otherwise.
const PARALLEL: usize = 4;

/// A request for vectors. Awaiting it gives [`Embeddings`].
///
/// Any number of texts may be given: they are split to what the model takes at once, each part is sent, and
/// sent again, for itself, and the vectors come in the order of the texts.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let data = serde_json::json!([{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]);
/// # let client = qwenda::Mock::new().json(serde_json::json!({"data": data, "usage": {"total_tokens": 9}})).client();
/// let vectors = client.embed("text-embedding-v4", ["a cat", "a car"]).dimensions(2).await?;
/// assert_eq!(vectors.len(), 2);
/// let best = vectors.nearest(&[0.9, 0.1], 1);
/// assert_eq!(best[0].index, 0);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct EmbedBuilder {
    client: Client,
    model: String,
    texts: Vec<String>,
    dimensions: Option<u32>,
    text_type: Option<TextType>,
    instruct: Option<String>,
    parallel: usize,
    terms: Terms,
}

impl EmbedBuilder {
    pub(crate) fn new(client: Client, model: String, texts: Vec<String>) -> Self {
        Self {
            client,
            model,
            texts,
            dimensions: None,
            text_type: None,
            instruct: None,
            parallel: PARALLEL,
            terms: Terms::default(),
        }
    }

    /// Length of the vectors, of those that the model can make; the model's own otherwise.
    pub fn dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// The texts are questions to be searched with, not what is searched.
    pub fn query(mut self) -> Self {
        self.text_type = Some(TextType::Query);
        self
    }

    /// What the questions are for, in words.
    pub fn instruct(mut self, instruct: impl Into<String>) -> Self {
        self.instruct = Some(instruct.into());
        self
    }

    /// How many parts are asked for at once; 4, at least 1.
    pub fn parallel(mut self, parts: usize) -> Self {
        self.parallel = parts.max(1);
        self
    }

    terms!();

    async fn part(&self, texts: &[String]) -> Result<(Vec<Vec<f32>>, u64, Meta)> {
        let inner = &self.client.0;
        let request = EmbeddingRequest {
            model: self.model.clone(),
            inputs: texts.iter().map(|text| Prompt::Text(text.clone())).collect(),
            dimensions: self.dimensions,
            encoding_format: EncodingFormat::Float,
            text_type: self.text_type,
            instruct: self.instruct.clone(),
            rest: serde_json::Map::new(),
        };
        let bytes = texts.iter().map(|text| text.len() as u64).sum::<u64>() + 8 * texts.len() as u64;
        let mut hold = inner.purse.hold(inner.most_of_input(&self.model, bytes).as_ref())?;
        let asked = async {
            match inner.protocol {
                Protocol::OpenAi => {
                    let mut wire = inner.post(inner.service.compat("embeddings"), &map_of(&request));
                    wire.draw_key();
                    inner
                        .counted("embeddings", wire, &self.model, &self.terms, |answer| input_only(tokens_of(answer)))
                        .await
                }
                Protocol::DashScope => {
                    let body = to_map(&request).map_err(|error| Error::of(Kind::Invalid).say(error))?;
                    let path = "services/embeddings/text-embedding/text-embedding";
                    let mut wire = inner.post(inner.service.native(path)?, &body);
                    wire.draw_key();
                    let counts = |answer: &NativeEmbeddings| input_only(answer.usage.total_tokens);
                    let (answer, meta) = inner.counted("embeddings", wire, &self.model, &self.terms, counts).await?;
                    Ok((answer.into_compat(&self.model, EncodingFormat::Float), meta))
                }
            }
        };
        let (answer, meta) = asked.await.inspect_err(|error| hold.fail(error))?;
        let tokens = tokens_of(&answer);
        hold.post(inner.cost_of_input(&self.model, tokens).as_ref());
        Ok((in_order(answer, texts.len())?, tokens, meta))
    }
}

fn tokens_of(answer: &EmbeddingResponse) -> u64 {
    answer.usage.total_tokens.max(answer.usage.prompt_tokens)
}

/// The vectors in the order of the texts, whatever order they came in.
fn in_order(answer: EmbeddingResponse, texts: usize) -> Result<Vec<Vec<f32>>> {
    let wrong = |what: &str| Error::of(Kind::Malformed).say(what);
    let mut vectors = vec![None; texts];
    for one in answer.data {
        let place = vectors.get_mut(one.index as usize).ok_or_else(|| wrong("a vector of no text"))?;
        *place = Some(one.embedding.numbers().ok_or_else(|| wrong("a vector that cannot be read"))?);
    }
    vectors.into_iter().collect::<Option<_>>().ok_or_else(|| wrong("a text without a vector"))
}

impl IntoFuture for EmbedBuilder {
    type Output = Result<Embeddings>;
    type IntoFuture = BoxFuture<'static, Result<Embeddings>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.texts.is_empty() {
                return Err(Error::of(Kind::Invalid).say("the request has no text"));
            }
            let parts: Vec<Vec<String>> = self.texts.chunks(rows_max(&self.model)).map(<[String]>::to_vec).collect();
            let this = &self;
            let asked = stream::iter(parts.into_iter().map(|part| async move { this.part(&part).await }));
            let parts: Vec<_> = asked.buffered(self.parallel).try_collect().await?;
            let mut all = Embeddings { vectors: Vec::new(), input_tokens: 0, cost: None, parts: Vec::new() };
            for (vectors, tokens, meta) in parts {
                all.vectors.extend(vectors);
                all.input_tokens += tokens;
                all.parts.push(meta);
            }
            all.cost = self.client.0.cost_of_input(&self.model, all.input_tokens);
            Ok(all)
        })
    }
}

impl fmt::Debug for EmbedBuilder {
    /// Without the texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedBuilder")
            .field("model", &self.model)
            .field("texts", &self.texts.len())
            .finish_non_exhaustive()
    }
}

/// Vectors, in the order of their texts.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub input_tokens: u64,
    /// What they cost; `None` for a model without a price.
    pub cost: Option<Cost>,
    /// How each part came.
    pub parts: Vec<Meta>,
}

/// A vector near another.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Near {
    /// Its place, from 0.
    pub index: usize,
    /// Cosine of the angle between the two, `[-1, 1]`.
    pub score: f32,
}

impl Embeddings {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The `most` vectors nearest to this one, nearest first. Vectors of another length are passed over.
    pub fn nearest(&self, query: &[f32], most: usize) -> Vec<Near> {
        let same = |vector: &&Vec<f32>| vector.len() == query.len();
        let mut near: Vec<Near> = (0..)
            .zip(&self.vectors)
            .filter(|(_, vector)| same(vector))
            .map(|(index, vector)| Near { index, score: cosine(vector, query) })
            .collect();
        near.sort_by(|a, b| b.score.total_cmp(&a.score));
        near.truncate(most);
        near
    }
}

impl std::ops::Index<usize> for Embeddings {
    type Output = [f32];

    /// # Panics
    /// Where there is none at that place.
    fn index(&self, index: usize) -> &[f32] {
        &self.vectors[index]
    }
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("vectors", &self.vectors.len())
            .field("input_tokens", &self.input_tokens)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

impl crate::client::Inner {
    /// The most that a call without output can cost.
    pub(crate) fn most_of_input(&self, model: &str, tokens: u64) -> Option<Cost> {
        let (thinking, explicit_cache, mode) = (false, false, Mode::RealTime);
        let bounds = Bounds { input_tokens: tokens, output_tokens_max: 0, thinking, explicit_cache, mode };
        cost::most(&self.prices, model, &bounds)
    }

    /// What a call without output costs.
    pub(crate) fn cost_of_input(&self, model: &str, tokens: u64) -> Option<Cost> {
        cost::cost(&self.prices, model, &Usage { input_tokens: tokens, ..Usage::default() })
    }
}
