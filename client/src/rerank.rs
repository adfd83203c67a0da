//! Documents in the order of their relevance: [`RerankBuilder`].

use std::{fmt, future::IntoFuture};

use futures_util::future::BoxFuture;
use qwenda_types::{
    dashscope::rerank::{NativeRanking, to_map},
    rerank::{DOCUMENTS_MAX, RerankRequest, RerankResponse},
};

use crate::{
    Client, Error, Result,
    call::Terms,
    cost::Cost,
    error::Kind,
    plain::{Meta, input_only, map_of, terms},
    service::Protocol,
};

/// A request to rank documents. Awaiting it gives a [`Ranking`].
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let results = serde_json::json!([{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]);
/// # let client = qwenda::Mock::new().json(serde_json::json!({"results": results, "usage": {"total_tokens": 9}})).client();
/// let ranking = client.rerank("qwen3-rerank", "what purrs?", ["a car", "a cat"]).top(1).await?;
/// assert_eq!(ranking.hits[0].index, 1);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct RerankBuilder {
    client: Client,
    request: RerankRequest,
    terms: Terms,
}

impl RerankBuilder {
    pub(crate) fn new(client: Client, model: String, query: String, documents: Vec<String>) -> Self {
        let request = RerankRequest { model, query, documents, ..RerankRequest::default() };
        Self { client, request, terms: Terms::default() }
    }

    /// Only the best so many; all otherwise.
    pub fn top(mut self, hits: u32) -> Self {
        self.request.top_n = Some(hits);
        self
    }

    /// What the question is for, in words.
    pub fn instruct(mut self, instruct: impl Into<String>) -> Self {
        self.request.instruct = Some(instruct.into());
        self
    }

    terms!();
}

impl IntoFuture for RerankBuilder {
    type Output = Result<Ranking>;
    type IntoFuture = BoxFuture<'static, Result<Ranking>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (inner, request) = (&self.client.0, &self.request);
            let count = request.documents.len();
            if !(1..=DOCUMENTS_MAX).contains(&count) {
                let message = format!("a request ranks from 1 to {DOCUMENTS_MAX} documents, not {count}");
                return Err(Error::of(Kind::Invalid).say(message));
            }
            // The question counts once for each document.
            let bytes = request.documents.iter().map(|text| text.len() + request.query.len() + 32).sum::<usize>();
            let mut hold = inner.purse.hold(inner.most_of_input(&request.model, bytes as u64).as_ref())?;
            let asked = async {
                match inner.protocol {
                    Protocol::OpenAi => {
                        let mut wire = inner.post(inner.service.rerank.clone(), &map_of(request));
                        wire.draw_key();
                        let counts = |answer: &RerankResponse| input_only(answer.usage.total_tokens);
                        let (answer, meta) = inner.counted("rerank", wire, &request.model, &self.terms, counts).await?;
                        Ok((answer.results, answer.usage.total_tokens, meta))
                    }
                    Protocol::DashScope => {
                        let url = inner.service.native("services/rerank/text-rerank/text-rerank")?;
                        let mut wire = inner.post(url, &to_map(request));
                        wire.draw_key();
                        let counts = |answer: &NativeRanking| input_only(answer.usage.total_tokens);
                        let (answer, meta) = inner.counted("rerank", wire, &request.model, &self.terms, counts).await?;
                        Ok((answer.output.results, answer.usage.total_tokens, meta))
                    }
                }
            };
            let (results, input_tokens, meta) = asked.await.inspect_err(|error| hold.fail(error))?;
            let cost = inner.cost_of_input(&request.model, input_tokens);
            hold.post(cost.as_ref());
            let mut hits = Vec::with_capacity(results.len());
            for result in results {
                let index = result.index as usize;
                if index >= count {
                    return Err(Error::of(Kind::Malformed).say("a score of no document"));
                }
                hits.push(Hit { index, score: result.relevance_score });
            }
            Ok(Ranking { hits, input_tokens, cost, meta })
        })
    }
}

impl fmt::Debug for RerankBuilder {
    /// Without the texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RerankBuilder")
            .field("model", &self.request.model)
            .field("documents", &self.request.documents.len())
            .finish_non_exhaustive()
    }
}

/// A document's relevance.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// Its place in the request, from 0.
    pub index: usize,
    /// `[0, 1]`, comparable within the request.
    pub score: f64,
}

/// Documents, most relevant first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ranking {
    /// The best, best first.
    pub hits: Vec<Hit>,
    /// Tokens counted.
    pub input_tokens: u64,
    /// What it costs; `None` for a model without a price.
    pub cost: Option<Cost>,
    /// How the answer came.
    pub meta: Meta,
}
