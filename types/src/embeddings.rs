//! Embeddings: texts become vectors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Dialect, base64,
    chat::{Strictness, answer::null_default, parse},
    completions::{Prompt, one_or_many},
    error::Invalid,
    fields::{count, model, prompts, required, text},
};

/// Most texts of one request where the model's name sets no other bound.
pub const ROWS_MAX: usize = 2048;
/// Longest vector anyone may ask for; the model has a bound of its own. No model's are longer, and
/// [`ROWS_MAX`] of them still fit into memory, written out.
pub const DIMENSIONS_MAX: u32 = 4096;

/// What both dialects ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EmbeddingRequest {
    /// Name of the model.
    pub model: String,
    /// The texts, or their token ids; at least one.
    #[serde(rename = "input", serialize_with = "one_or_many")]
    pub inputs: Vec<Prompt>,
    /// Length of the vectors; the model's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// How the vectors are written.
    #[serde(skip_serializing_if = "EncodingFormat::is_float")]
    pub encoding_format: EncodingFormat,
    /// Whether the texts are questions or what is searched; `document` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_type: Option<TextType>,
    /// What a question is for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruct: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// As a list of numbers.
    #[default]
    Float,
    /// As base64 of little-endian `f32`.
    Base64,
}

impl EncodingFormat {
    fn is_float(&self) -> bool {
        *self == Self::Float
    }
}

/// What a text is to a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextType {
    /// The question.
    Query,
    /// What is searched.
    Document,
}

/// Answer of the OpenAI-compatible dialect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingResponse {
    /// Always `list`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// One for each text, in order.
    pub data: Vec<Embedding>,
    /// The model's name as the caller wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    /// Tokens counted.
    #[serde(default, deserialize_with = "null_default")]
    pub usage: EmbeddingUsage,
    /// The request's id.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Always `embedding`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// Place of the text, from 0.
    #[serde(default, deserialize_with = "null_default")]
    pub index: u32,
    /// A list of numbers, or base64.
    pub embedding: Vector,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A vector as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64 of little-endian `f32`.
    Base64(String),
}

impl Default for Vector {
    fn default() -> Self {
        Self::Floats(Vec::new())
    }
}

impl TextType {
    /// The type as written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Document => "document",
        }
    }
}

impl Vector {
    /// The numbers, written so.
    pub fn new(numbers: Vec<f32>, format: EncodingFormat) -> Self {
        match format {
            EncodingFormat::Float => Self::Floats(numbers),
            EncodingFormat::Base64 => Self::Base64(base64::encode(&numbers)),
        }
    }

    /// The numbers; `None` where an upstream wrote what is no base64 of numbers.
    pub fn numbers(self) -> Option<Vec<f32>> {
        match self {
            Self::Floats(numbers) => Some(numbers),
            Self::Base64(text) => base64::decode(&text),
        }
    }
}

impl EmbeddingResponse {
    /// The answer with these vectors, in the order of the texts.
    pub fn new(vectors: Vec<Vec<f32>>, format: EncodingFormat, model: &str, tokens: u64, request_id: &str) -> Self {
        let data = vectors.into_iter().zip(0..).map(|(numbers, index)| Embedding {
            object: "embedding".to_owned(),
            index,
            embedding: Vector::new(numbers, format),
            rest: Map::new(),
        });
        Self {
            object: "list".to_owned(),
            data: data.collect(),
            model: model.to_owned(),
            usage: EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens, rest: Map::new() },
            id: request_id.to_owned(),
            rest: Map::new(),
        }
    }
}

/// Tokens counted for embeddings: output is free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingUsage {
    /// Tokens of all texts.
    #[serde(default, deserialize_with = "null_default")]
    pub prompt_tokens: u64,
    /// The same.
    #[serde(default, deserialize_with = "null_default")]
    pub total_tokens: u64,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl EmbeddingRequest {
    /// Reads a request's JSON, of the OpenAI-compatible dialect.
    ///
    /// # Errors
    /// The first field of a wrong shape, or a required field that is missing.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, Invalid> {
        let fields = &mut map;
        parse::unpack_extra_body(fields);
        Ok(Self {
            model: model(fields)?,
            inputs: inputs(required(fields, "input")?)?,
            dimensions: count(fields, "dimensions")?,
            encoding_format: encoding_format(fields.shift_remove("encoding_format"))?,
            text_type: text_type(fields.shift_remove("text_type"), "text_type")?,
            instruct: text(fields, "instruct")?,
            rest: map,
        })
    }

    /// Checks every value that needs no model, but for its name, to be judged.
    ///
    /// # Errors
    /// More texts than a model of this name takes, or a length it does not make.
    pub fn validate(&self, dialect: Dialect, strictness: Strictness) -> Result<(), Invalid> {
        let rows_max = match (dialect, strictness) {
            (Dialect::Compat, Strictness::OpenAi) => ROWS_MAX,
            _ => rows_max(&self.model),
        };
        let (rows, length) = match dialect {
            Dialect::Compat => ("input", "dimensions"),
            Dialect::Native => ("input.texts", "parameters.dimension"),
        };
        if self.inputs.len() > rows_max {
            let message = format!("Value error, batch size is invalid, it should not be larger than {rows_max}.");
            return Err(Invalid::parameter(rows, message));
        }
        let Some(dimensions) = self.dimensions else { return Ok(()) };
        let known = dimensions_of(&self.model);
        if strictness != Strictness::OpenAi && !known.is_empty() && !known.contains(&dimensions) {
            let message = format!("Value error, dimension {dimensions} is invalid, it should be one of {known:?}.");
            return Err(Invalid::parameter(length, message));
        }
        if dimensions == 0 || dimensions > DIMENSIONS_MAX {
            return Err(Invalid::parameter(length, format!("Range of dimensions should be [1, {DIMENSIONS_MAX}]")));
        }
        Ok(())
    }
}

/// Most texts of one request to a model of this name.
pub fn rows_max(model: &str) -> usize {
    match model {
        "text-embedding-v1" | "text-embedding-v2" => 25,
        "text-embedding-v3" | "text-embedding-v4" => 10,
        // Sources say 10 or 20.
        name if name.starts_with("qwen3.7-text-embedding") => 20,
        _ => ROWS_MAX,
    }
}

/// Lengths of the vectors of the model of this name; empty where the name says nothing.
pub fn dimensions_of(model: &str) -> &'static [u32] {
    match model {
        "text-embedding-v1" | "text-embedding-v2" => &[1536],
        "text-embedding-v3" => &[1024, 768, 512, 256, 128, 64],
        "text-embedding-v4" => &[2048, 1536, 1024, 768, 512, 256, 128, 64],
        _ => &[],
    }
}

fn inputs(value: Value) -> Result<Vec<Prompt>, Invalid> {
    let wrong = "Value error, contents is neither str nor list of str.: input.contents";
    match prompts(value, "input") {
        Err(error) if !error.message.starts_with("[]") => Err(Invalid::parameter("input", wrong)),
        other => other,
    }
}

fn encoding_format(value: Option<Value>) -> Result<EncodingFormat, Invalid> {
    match value.as_ref().map(|value| (value, value.as_str())) {
        None | Some((Value::Null, _) | (_, Some("float"))) => Ok(EncodingFormat::Float),
        Some((_, Some("base64"))) => Ok(EncodingFormat::Base64),
        Some(_) => Err(Invalid::parameter(
            "encoding_format",
            "encoding_format is one of the strings that should be [\"float\", \"base64\"]",
        )),
    }
}

/// What the texts are to a search.
pub(crate) fn text_type(value: Option<Value>, field: &str) -> Result<Option<TextType>, Invalid> {
    match value.as_ref().map(|value| (value, value.as_str())) {
        None | Some((Value::Null, _)) => Ok(None),
        Some((_, Some("query"))) => Ok(Some(TextType::Query)),
        Some((_, Some("document"))) => Ok(Some(TextType::Document)),
        Some(_) => {
            let message = "text_type is one of the strings that should be [\"query\", \"document\"]";
            Err(Invalid::parameter(field, message))
        }
    }
}

#[cfg(test)]
mod tests;
