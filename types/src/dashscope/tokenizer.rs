//! `POST /api/v1/tokenizer`: the tokens of a text or a conversation.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Endpoint, request::chat_from_map};
use crate::{chat::ChatRequest, error::Invalid};

/// What is to be tokenized.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenizerRequest {
    /// A text as it stands.
    Prompt {
        /// Name of the model.
        model: String,
        /// The text.
        text: String,
    },
    /// A conversation, with the model's template around it.
    Chat(Box<ChatRequest>),
}

impl TokenizerRequest {
    /// Reads a request's JSON.
    ///
    /// # Errors
    /// The first field of a wrong shape, or a required field that is missing.
    pub fn from_map(map: Map<String, Value>) -> Result<Self, Invalid> {
        let input = map.get("input").and_then(Value::as_object);
        let given = |name: &str| input.and_then(|input| input.get(name)).filter(|value| !value.is_null());
        let text = match (given("prompt"), given("messages"), given("history")) {
            (Some(Value::String(text)), None, None) => Some(text.clone()),
            _ => None,
        };
        let (request, _) = chat_from_map(map, Endpoint::Text)?;
        Ok(match text {
            Some(text) => Self::Prompt { model: request.model, text },
            None => Self::Chat(Box::new(request)),
        })
    }

    /// Name of the model.
    pub fn model(&self) -> &str {
        match self {
            Self::Prompt { model, .. } => model,
            Self::Chat(request) => &request.model,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenizerResponse {
    /// The tokens.
    pub output: TokenizerOutput,
    /// Their count.
    pub usage: TokenizerUsage,
    /// The request's id.
    pub request_id: String,
}

/// Ids and texts, of one length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenizerOutput {
    /// The ids.
    pub token_ids: Vec<u32>,
    /// The text of each, as far as it is valid UTF-8.
    pub tokens: Vec<String>,
}

/// The count of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerUsage {
    /// How many there are.
    pub input_tokens: u64,
}

impl TokenizerResponse {
    /// The answer with these tokens.
    pub fn new(token_ids: Vec<u32>, tokens: Vec<String>, request_id: impl Into<String>) -> Self {
        let usage = TokenizerUsage { input_tokens: token_ids.len() as u64 };
        Self { output: TokenizerOutput { token_ids, tokens }, usage, request_id: request_id.into() }
    }
}
