//! Native rerank: `{"input": {"query": …, "documents": […]}}`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    embeddings::TotalUsage,
    names,
    request::{input, model, parameters},
};
use crate::{
    chat::answer::null_default,
    error::Invalid,
    rerank::{RerankRequest, RerankResponse, RerankResult},
};

/// Reads a native request to rank documents.
///
/// # Errors
/// The first field of a wrong shape, or a required field that is missing.
pub fn from_map(map: Map<String, Value>) -> Result<RerankRequest, Invalid> {
    let mut map = map;
    let model = model(&mut map)?;
    let mut fields = input(&mut map)?;
    for (name, value) in parameters(&mut map)? {
        fields.entry(name).or_insert(value);
    }
    for (name, value) in map {
        fields.entry(name).or_insert(value);
    }
    RerankRequest::from_fields(model, fields, "input.")
}

/// Writes a request to rank documents in the native dialect.
pub fn to_map(request: &RerankRequest) -> Map<String, Value> {
    let written = serde_json::to_value(request).expect("a request is plain JSON");
    let Value::Object(mut parameters) = written else { unreachable!("a struct is written as an object") };
    let mut take = |name: &str| (name.to_owned(), parameters.shift_remove(name).unwrap_or_default());
    let model = take("model");
    let input = Map::from_iter([take("query"), take("documents")]);
    Map::from_iter([model, ("input".to_owned(), input.into()), ("parameters".to_owned(), parameters.into())])
}

/// A native answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeRanking {
    /// The results.
    pub output: RankingOutput,
    /// Tokens counted.
    #[serde(default, deserialize_with = "null_default")]
    pub usage: TotalUsage,
    /// The request's id.
    #[serde(default, deserialize_with = "null_default")]
    pub request_id: String,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The results, best first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RankingOutput {
    /// Best first.
    pub results: Vec<RerankResult>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl NativeRanking {
    /// The answer with these results.
    pub fn new(results: Vec<RerankResult>, total_tokens: u64, request_id: impl Into<String>) -> Self {
        Self {
            output: RankingOutput { results, rest: Map::new() },
            usage: TotalUsage::new(total_tokens),
            request_id: request_id.into(),
            rest: Map::new(),
        }
    }

    /// The same answer in the flat form; `model` is what the native one does not say.
    pub fn into_flat(self, model: &str) -> RerankResponse {
        let Self { output, usage, request_id, mut rest } = self;
        names::RANKING.to_compat(&mut rest, output.rest);
        RerankResponse {
            id: request_id,
            object: "list".to_owned(),
            model: model.to_owned(),
            results: output.results,
            usage,
            rest,
        }
    }
}

impl From<RerankResponse> for NativeRanking {
    fn from(response: RerankResponse) -> Self {
        let RerankResponse { id, object: _, model: _, results, usage, mut rest } = response;
        let output_rest = names::RANKING.to_native(&mut rest);
        Self { output: RankingOutput { results, rest: output_rest }, usage, request_id: id, rest }
    }
}
