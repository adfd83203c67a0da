//! Native embeddings: `{"input": {"texts": […]}}`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    names,
    request::{input, model, parameters},
};
use crate::{
    Dialect,
    chat::answer::null_default,
    completions::Prompt,
    embeddings::{Embedding, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EncodingFormat, Vector, text_type},
    error::Invalid,
    fields::{text, whole},
};

/// Reads a native request for vectors.
///
/// # Errors
/// The first field of a wrong shape, or sparse vectors, which nothing here makes.
pub fn from_map(map: Map<String, Value>) -> Result<EmbeddingRequest, Invalid> {
    let mut map = map;
    let model = model(&mut map)?;
    let mut input = input(&mut map)?;
    let inputs = texts(&mut input)?;
    let mut parameters = parameters(&mut map)?;
    let dimensions = match parameters.shift_remove("dimension").or_else(|| parameters.shift_remove("dimensions")) {
        None | Some(Value::Null) => None,
        Some(value) => Some(whole(&value, "dimension")?),
    };
    let text_type = text_type(parameters.shift_remove("text_type"), "parameters.text_type")?;
    dense(parameters.shift_remove("output_type"))?;
    let instruct = text(&mut parameters, "instruct")?;
    parameters.extend(input);
    parameters.extend(map);
    Ok(EmbeddingRequest { model, inputs, dimensions, text_type, instruct, rest: parameters, ..Default::default() })
}

/// Writes a request for vectors in the native dialect.
///
/// # Errors
/// Token ids, which that dialect cannot say.
pub fn to_map(request: &EmbeddingRequest) -> Result<Map<String, Value>, Invalid> {
    let texts = request.inputs.iter().map(|input| match input {
        Prompt::Text(text) => Ok(Value::from(text.as_str())),
        Prompt::Tokens(_) => Err(Invalid::parameter("input", "texts cannot be given as token ids to this model")),
    });
    let input = Map::from_iter([("texts".to_owned(), Value::Array(texts.collect::<Result<_, _>>()?))]);
    let mut parameters = Map::new();
    if let Some(dimensions) = request.dimensions {
        parameters.insert("dimension".to_owned(), dimensions.into());
    }
    if let Some(text_type) = request.text_type {
        parameters.insert("text_type".to_owned(), text_type.as_str().into());
    }
    if let Some(instruct) = &request.instruct {
        parameters.insert("instruct".to_owned(), instruct.as_str().into());
    }
    parameters.extend(request.rest.clone());
    Ok(Map::from_iter([
        ("model".to_owned(), request.model.as_str().into()),
        ("input".to_owned(), input.into()),
        ("parameters".to_owned(), parameters.into()),
    ]))
}

fn texts(input: &mut Map<String, Value>) -> Result<Vec<Prompt>, Invalid> {
    let wrong =
        || Invalid::parameter("input.texts", "Value error, contents is neither str nor list of str.: input.contents");
    match input.shift_remove("texts") {
        Some(Value::String(text)) => Ok(vec![Prompt::Text(text)]),
        Some(Value::Array(list)) if list.is_empty() => {
            Err(Invalid::parameter("input.texts", "[] is too short - 'input.texts'"))
        }
        Some(Value::Array(list)) => list
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(Prompt::Text(text)),
                _ => Err(wrong()),
            })
            .collect(),
        None | Some(Value::Null) => match ["contents", "url"].into_iter().find(|name| input.contains_key(*name)) {
            Some("contents") => {
                let message = "This model embeds text only: send 'input.texts', not 'input.contents'";
                Err(Invalid::parameter("input.contents", message))
            }
            Some(_) => {
                let message =
                    "Current user api does not support asynchronous calls: send 'input.texts', not 'input.url'";
                Err(Invalid::parameter("input.url", message))
            }
            None => Err(Invalid::parameter("input.texts", "Field required: input.texts")),
        },
        Some(_) => Err(wrong()),
    }
}

fn dense(value: Option<Value>) -> Result<(), Invalid> {
    match value.as_ref().map(|value| (value, value.as_str())) {
        None | Some((Value::Null, _) | (_, Some("dense"))) => Ok(()),
        Some((_, Some("sparse" | "dense&sparse"))) => Err(Invalid::parameter(
            "parameters.output_type",
            "This model makes dense vectors only; output_type should be \"dense\"",
        )),
        Some(_) => Err(Invalid::parameter(
            "parameters.output_type",
            "output_type is one of the strings that should be [\"dense\", \"sparse\", \"dense&sparse\"]",
        )),
    }
}

/// Vectors of a native answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeEmbeddings {
    /// The vectors.
    pub output: EmbeddingsOutput,
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

/// The vectors, in the order of the texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingsOutput {
    /// One for each text.
    pub embeddings: Vec<NativeEmbedding>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One vector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeEmbedding {
    /// Place of the text, from 0.
    #[serde(default, deserialize_with = "null_default")]
    pub text_index: u32,
    /// The vector; empty where only sparse ones were asked for.
    #[serde(default, deserialize_with = "null_default")]
    pub embedding: Vec<f32>,
    /// Fields without a name here, such as `sparse_embedding`, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Tokens counted where output is free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalUsage {
    /// All of them.
    #[serde(default, deserialize_with = "null_default")]
    pub total_tokens: u64,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl TotalUsage {
    /// So many tokens.
    pub fn new(total_tokens: u64) -> Self {
        Self { total_tokens, rest: Map::new() }
    }
}

impl NativeEmbeddings {
    /// The answer with these vectors, in the order of the texts.
    pub fn new(vectors: Vec<Vec<f32>>, total_tokens: u64, request_id: impl Into<String>) -> Self {
        let embeddings = vectors.into_iter().zip(0..).map(|(embedding, text_index)| NativeEmbedding {
            text_index,
            embedding,
            rest: Map::new(),
        });
        Self {
            output: EmbeddingsOutput { embeddings: embeddings.collect(), rest: Map::new() },
            usage: TotalUsage::new(total_tokens),
            request_id: request_id.into(),
            rest: Map::new(),
        }
    }

    /// The same answer in the OpenAI-compatible dialect; `model` is what the native one does not say.
    /// A sparse vector stands beside its dense one.
    pub fn into_compat(self, model: &str, format: EncodingFormat) -> EmbeddingResponse {
        let Self { output, mut usage, request_id, mut rest } = self;
        let mut embeddings = output.embeddings;
        embeddings.sort_by_key(|one| one.text_index);
        let data = embeddings.into_iter().map(|mut one| {
            names::EMBEDDING.cross(&mut one.rest, Dialect::Compat);
            let embedding = Vector::new(one.embedding, format);
            Embedding { object: "embedding".to_owned(), index: one.text_index, embedding, rest: one.rest }
        });
        names::EMBEDDINGS.to_compat(&mut rest, output.rest);
        names::EMBEDDING_USAGE.cross(&mut usage.rest, Dialect::Compat);
        let total_tokens = usage.total_tokens;
        EmbeddingResponse {
            object: "list".to_owned(),
            data: data.collect(),
            model: model.to_owned(),
            usage: EmbeddingUsage { prompt_tokens: total_tokens, total_tokens, rest: usage.rest },
            id: request_id,
            rest,
        }
    }

    /// The same answer in the native dialect; `None` where a vector cannot be read.
    pub fn from_compat(response: EmbeddingResponse) -> Option<Self> {
        let EmbeddingResponse { object: _, mut data, model: _, mut usage, id, mut rest } = response;
        data.sort_by_key(|one| one.index);
        let native = |mut one: Embedding| {
            names::EMBEDDING.cross(&mut one.rest, Dialect::Native);
            let embedding = one.embedding.numbers()?;
            Some(NativeEmbedding { text_index: one.index, embedding, rest: one.rest })
        };
        let embeddings = data.into_iter().map(native).collect::<Option<_>>()?;
        let output_rest = names::EMBEDDINGS.to_native(&mut rest);
        names::EMBEDDING_USAGE.cross(&mut usage.rest, Dialect::Native);
        Some(Self {
            output: EmbeddingsOutput { embeddings, rest: output_rest },
            usage: TotalUsage { total_tokens: usage.total_tokens, rest: usage.rest },
            request_id: id,
            rest,
        })
    }
}
