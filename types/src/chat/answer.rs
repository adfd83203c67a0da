//! What comes back from a chat: one [`ChatResponse`], or a stream of [`ChatChunk`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ToolCall;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop matched.
    Stop,
    /// The most tokens allowed were reached.
    Length,
    /// The model asks for tools to be called.
    ToolCalls,
}

impl FinishReason {
    /// The reason as written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// `chatcmpl-` and the request's id.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model's name as the caller wrote it.
    pub model: String,
    /// The answers, by index.
    pub choices: Vec<Choice>,
    /// Tokens counted.
    pub usage: Usage,
    /// Always null.
    pub service_tier: Option<Value>,
    /// Always null.
    pub system_fingerprint: Option<String>,
}

/// One of the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its place, from 0.
    pub index: u32,
    /// Why it ended.
    pub finish_reason: Option<FinishReason>,
    /// Log-probabilities, when asked for.
    pub logprobs: Option<Logprobs>,
    /// The answer itself.
    pub message: AnswerMessage,
}

/// The message of a whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerMessage {
    /// Always `assistant`.
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
}

impl AnswerMessage {
    /// An answer of plain text.
    pub fn text(content: impl Into<String>) -> Self {
        Self {
            role: "assistant".to_owned(),
            content: Some(content.into()),
            reasoning_content: None,
            refusal: None,
            audio: None,
            function_call: None,
            tool_calls: None,
        }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The same in all chunks of an answer.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Unix seconds; the same in all chunks of an answer.
    pub created: u64,
    /// The model's name as the caller wrote it.
    pub model: String,
    /// What is new; empty in the usage chunk.
    pub choices: Vec<ChunkChoice>,
    /// Null before the usage chunk.
    pub usage: Option<Usage>,
    /// Always null.
    pub system_fingerprint: Option<String>,
}

/// What is new of one of the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which answer, from 0.
    pub index: u32,
    /// What to add to it.
    pub delta: Delta,
    /// Log-probabilities of the tokens of `delta`, when asked for.
    pub logprobs: Option<Logprobs>,
    /// Set in the answer's last chunk only.
    pub finish_reason: Option<FinishReason>,
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
}

/// Tokens counted for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u64,
    /// Tokens generated for all choices, reasoning included.
    pub completion_tokens: u64,
    /// The sum of the two.
    pub total_tokens: u64,
    /// How the prompt's tokens divide.
    pub prompt_tokens_details: PromptTokensDetails,
    /// How the completion's tokens divide.
    pub completion_tokens_details: CompletionTokensDetails,
}

impl Usage {
    /// The usage with these counts.
    pub fn new(prompt_tokens: u64, completion_tokens: u64, cached_tokens: u64, reasoning_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens },
        }
    }
}

/// How the prompt's tokens divide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens that were found computed already.
    pub cached_tokens: u64,
}

/// How the completion's tokens divide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: u64,
}

/// Log-probabilities of the tokens of an answer, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logprobs {
    /// One entry per token.
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
    pub bytes: Vec<u8>,
    /// Natural logarithm; null when too low to say.
    pub logprob: Option<f32>,
    /// The most probable tokens at this position.
    pub top_logprobs: Vec<TopLogprob>,
}

/// Log-probability of a token that could have stood here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// The token's text as far as it is valid UTF-8.
    pub token: String,
    /// The token's exact bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm; null when too low to say.
    pub logprob: Option<f32>,
}
