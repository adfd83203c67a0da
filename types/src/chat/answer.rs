//! What comes back from a chat: one [`ChatResponse`], or a stream of [`ChatChunk`].

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use super::finish::{FinishReason, Word};
use super::{ToolCall, ToolCallDelta};

/// Reads a `null` as the default: other services write both.
pub(crate) fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// `chatcmpl-` and the request's id.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Always `chat.completion`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "null_default")]
    pub created: u64,
    /// The model's name as the caller wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    /// The answers, by index.
    #[serde(default, deserialize_with = "null_default")]
    pub choices: Vec<Choice>,
    /// Tokens counted.
    #[serde(default, deserialize_with = "null_default")]
    pub usage: Usage,
    /// Always null.
    pub service_tier: Option<Value>,
    /// Always null.
    pub system_fingerprint: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its place, from 0.
    #[serde(default, deserialize_with = "null_default")]
    pub index: u32,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// Log-probabilities, when asked for.
    pub logprobs: Option<Logprobs>,
    /// The answer itself.
    #[serde(default, deserialize_with = "null_default")]
    pub message: AnswerMessage,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The message of a whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerMessage {
    /// Always `assistant`.
    #[serde(default, deserialize_with = "null_default")]
    pub role: String,
    /// The text; empty beside tool calls.
    pub content: Option<String>,
    /// What the model reasoned, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Always null.
    pub refusal: Option<String>,
    /// Always null.
    pub audio: Option<Value>,
    /// Always null.
    pub function_call: Option<Value>,
    /// Calls the model makes.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl AnswerMessage {
    /// An answer of plain text.
    pub fn text(content: impl Into<String>) -> Self {
        Self { role: "assistant".to_owned(), content: Some(content.into()), ..Self::default() }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The same in all chunks of an answer.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Always `chat.completion.chunk`.
    #[serde(default, deserialize_with = "null_default")]
    pub object: String,
    /// Unix seconds; the same in all chunks of an answer.
    #[serde(default, deserialize_with = "null_default")]
    pub created: u64,
    /// The model's name as the caller wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub model: String,
    /// What is new; empty in the usage chunk.
    #[serde(default, deserialize_with = "null_default")]
    pub choices: Vec<ChunkChoice>,
    /// Null before the usage chunk.
    pub usage: Option<Usage>,
    /// Always null.
    pub system_fingerprint: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What is new of one of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which answer, from 0.
    #[serde(default, deserialize_with = "null_default")]
    pub index: u32,
    /// What to add to it.
    #[serde(default, deserialize_with = "null_default")]
    pub delta: Delta,
    /// Log-probabilities of the tokens of `delta`, when asked for.
    pub logprobs: Option<Logprobs>,
    /// Set in the answer's last chunk only.
    pub finish_reason: Option<FinishReason>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What to add to an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// In the first chunk only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// More text.
    pub content: Option<String>,
    /// More reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// More of the calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Tokens counted for one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the rendered prompt.
    #[serde(default, deserialize_with = "null_default")]
    pub prompt_tokens: u64,
    /// Tokens generated for all choices, reasoning included.
    #[serde(default, deserialize_with = "null_default")]
    pub completion_tokens: u64,
    /// The sum of the two.
    #[serde(default, deserialize_with = "null_default")]
    pub total_tokens: u64,
    /// How the prompt's tokens divide.
    #[serde(default, deserialize_with = "null_default")]
    pub prompt_tokens_details: PromptTokensDetails,
    /// How the completion's tokens divide.
    #[serde(default, deserialize_with = "null_default")]
    pub completion_tokens_details: CompletionTokensDetails,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Usage {
    /// The usage with these counts.
    pub fn new(prompt_tokens: u64, completion_tokens: u64, cached_tokens: u64, reasoning_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens, rest: Map::new() },
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens, rest: Map::new() },
            rest: Map::new(),
        }
    }
}

/// How the prompt's tokens divide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that were found computed already.
    #[serde(default, deserialize_with = "null_default")]
    pub cached_tokens: u64,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How the completion's tokens divide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning.
    #[serde(default, deserialize_with = "null_default")]
    pub reasoning_tokens: u64,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Log-probabilities of the tokens of an answer, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logprobs {
    /// One entry per token.
    #[serde(default, deserialize_with = "null_default")]
    pub content: Vec<TokenLogprob>,
    /// Always null.
    #[serde(default)]
    pub refusal: Option<Value>,
}

/// Log-probability of one generated token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token's text as far as it is valid UTF-8.
    pub token: String,
    /// The token's exact bytes.
    #[serde(default, deserialize_with = "null_default")]
    pub bytes: Vec<u8>,
    /// Natural logarithm; null when too low to say.
    pub logprob: Option<f32>,
    /// The most probable tokens at this position.
    #[serde(default, deserialize_with = "null_default")]
    pub top_logprobs: Vec<TopLogprob>,
}

/// Log-probability of a token that could have stood here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// The token's text as far as it is valid UTF-8.
    pub token: String,
    /// The token's exact bytes.
    #[serde(default, deserialize_with = "null_default")]
    pub bytes: Vec<u8>,
    /// Natural logarithm; null when too low to say.
    pub logprob: Option<f32>,
}
