//! Rerank: documents in the order of their relevance to a question.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    chat::answer::null_default,
    dashscope::embeddings::TotalUsage,
    error::Invalid,
    fields::{count, flag, model, text},
};

/// Most documents of one request.
pub const DOCUMENTS_MAX: usize = 500;

/// What both dialects ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RerankRequest {
    /// Name of the model.
    pub model: String,
    /// The question.
    pub query: String,
    /// What may answer it; at least one.
    pub documents: Vec<String>,
    /// Most results; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u32>,
    /// What the question is for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruct: Option<String>,
    /// Whether results repeat their documents.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub return_documents: bool,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One document's relevance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RerankResult {
    /// Place of the document in the request, from 0.
    pub index: u32,
    /// `[0, 1]`, comparable within the request.
    pub relevance_score: f64,
    /// The document, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<RerankDocument>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A document as results repeat it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerankDocument {
    /// Its text; models of images repeat those instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Answer of the flat form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RerankResponse {
    /// The request's id.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Always `list`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// The model's name as the caller wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    /// Best first.
    pub results: Vec<RerankResult>,
    /// Tokens counted.
    #[serde(default, deserialize_with = "null_default")]
    pub usage: TotalUsage,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl RerankResponse {
    /// The answer with these results. The question's tokens count once for each document.
    pub fn new(results: Vec<RerankResult>, model: impl Into<String>, tokens: u64, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            object: "list".to_owned(),
            model: model.into(),
            results,
            usage: TotalUsage::new(tokens),
            rest: Map::new(),
        }
    }
}

impl RerankDocument {
    /// A document of text.
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), rest: Map::new() }
    }
}

impl RerankResult {
    /// Results best first, of the score of each document; equal scores in the order of the documents.
    pub fn ranked(scores: &[f64], request: &RerankRequest) -> Vec<Self> {
        let mut results: Vec<Self> = scores
            .iter()
            .zip(&request.documents)
            .zip(0..)
            .map(|((score, text), index)| Self {
                index,
                relevance_score: *score,
                document: request.return_documents.then(|| RerankDocument::of(text)),
                rest: Map::new(),
            })
            .collect();
        results.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
        results.truncate(request.top_n.map_or(usize::MAX, |top| top as usize));
        results
    }
}

impl RerankRequest {
    /// Reads a request's JSON, of the flat form.
    ///
    /// # Errors
    /// The first field of a wrong shape, or a required field that is missing.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, Invalid> {
        let model = model(&mut map)?;
        Self::from_fields(model, map, "")
    }

    /// Reads the fields of either form; `at` is what stands before their names.
    pub(crate) fn from_fields(model: String, mut fields: Map<String, Value>, at: &str) -> Result<Self, Invalid> {
        let query = match fields.shift_remove("query") {
            None | Some(Value::Null) => {
                return Err(Invalid::parameter(format!("{at}query"), format!("Field required: {at}query")));
            }
            Some(value) => text_item(value, &format!("{at}query"))?,
        };
        let documents = documents(fields.shift_remove("documents"), &format!("{at}documents"))?;
        Ok(Self {
            model,
            query,
            documents,
            top_n: count(&mut fields, "top_n")?,
            instruct: text(&mut fields, "instruct")?,
            return_documents: flag(&mut fields, "return_documents")?.unwrap_or(false),
            rest: fields,
        })
    }

    /// Checks every value that needs no model to be judged.
    ///
    /// # Errors
    /// No documents or too many, or a `top_n` of 0.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.documents.is_empty() {
            return Err(Invalid::parameter("documents", "[] is too short - 'documents'"));
        }
        if self.documents.len() > DOCUMENTS_MAX {
            let message = format!("documents has {} elements, more than {DOCUMENTS_MAX}", self.documents.len());
            return Err(Invalid::parameter("documents", message));
        }
        if self.top_n == Some(0) {
            return Err(Invalid::parameter("top_n", "top_n should be greater than or equal to 1"));
        }
        Ok(())
    }
}

fn documents(value: Option<Value>, at: &str) -> Result<Vec<String>, Invalid> {
    match value {
        None | Some(Value::Null) => Err(Invalid::parameter(at, format!("Field required: {at}"))),
        Some(Value::Array(list)) => {
            list.into_iter().enumerate().map(|(i, item)| text_item(item, &format!("{at}[{i}]"))).collect()
        }
        Some(_) => Err(Invalid::parameter(at, format!("'{at}' must be List"))),
    }
}

/// A text, or an object with one.
fn text_item(value: Value, at: &str) -> Result<String, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        Value::Object(mut map) => match map.shift_remove("text") {
            Some(Value::String(text)) => Ok(text),
            _ => {
                let kind: String = map.keys().next().map_or("nothing", String::as_str).chars().take(40).collect();
                Err(Invalid::parameter(at, format!("This model reads text only, not '{kind}' - '{at}'")))
            }
        },
        _ => Err(Invalid::parameter(at, format!("Input should be a string or {{\"text\": …}} - '{at}'"))),
    }
}

#[cfg(test)]
mod tests;
