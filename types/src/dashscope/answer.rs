//! What comes back in the native dialect: a whole answer and a frame of a stream have one shape.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::names;
use crate::{
    Dialect,
    chat::{
        FinishReason, Logprobs, ToolCallDelta, Usage,
        answer::{CompletionTokensDetails, PromptTokensDetails, null_default},
    },
};

/// A whole answer, or one frame of a streamed one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeResponse {
    /// The answer, or what is new of it.
    #[serde(default, deserialize_with = "null_default")]
    pub output: NativeOutput,
    /// Tokens counted so far.
    #[serde(default, deserialize_with = "null_default")]
    pub usage: NativeUsage,
    /// The request's id; the same in all frames.
    #[serde(default, deserialize_with = "null_default")]
    pub request_id: String,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The answer: `text` and `finish_reason`, or `choices`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeOutput {
    /// The text, under `result_format: "text"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why the text ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Finish>,
    /// The answers, under `result_format: "message"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_default")]
    pub choices: Vec<NativeChoice>,
    /// Fields without a name here, such as `search_info`, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeChoice {
    /// Its place, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Why it ended.
    #[serde(default)]
    pub finish_reason: Finish,
    /// The answer itself.
    #[serde(default, deserialize_with = "null_default")]
    pub message: NativeMessage,
    /// Log-probabilities, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Logprobs>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The message of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeMessage {
    /// Always `assistant`.
    #[serde(default, deserialize_with = "null_default")]
    pub role: String,
    /// The text.
    #[serde(default, deserialize_with = "null_default")]
    pub content: NativeContent,
    /// What the model reasoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls, or pieces of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_default")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A string on the path of text, parts on the multimodal one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NativeContent {
    /// Plain text.
    Text(String),
    /// Parts without a type: `{"text": …}`.
    Parts(Vec<Map<String, Value>>),
}

impl Default for NativeContent {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl NativeContent {
    /// The text, or the texts of the parts joined.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        }
    }

    /// Whether there is anything but text in it.
    pub(super) fn has_media(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Parts(parts) => parts.iter().any(|part| part.keys().any(|key| key != "text")),
        }
    }
}

/// Why an answer ended. While it has not, the wire says `"null"`, a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finish(pub Option<FinishReason>);

impl Serialize for Finish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref().map_or("null", FinishReason::as_str))
    }
}

impl<'de> Deserialize<'de> for Finish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reason = Option::<FinishReason>::deserialize(deserializer)?;
        Ok(Self(reason.filter(|reason| !matches!(reason.as_str(), "null" | ""))))
    }
}

/// Tokens counted, under the native names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeUsage {
    /// Tokens of the rendered prompt.
    #[serde(default, deserialize_with = "null_default")]
    pub input_tokens: u64,
    /// Tokens generated, reasoning included.
    #[serde(default, deserialize_with = "null_default")]
    pub output_tokens: u64,
    /// The sum of the two.
    #[serde(default, deserialize_with = "null_default")]
    pub total_tokens: u64,
    /// How the prompt's tokens divide.
    #[serde(default, deserialize_with = "null_default")]
    pub prompt_tokens_details: PromptTokensDetails,
    /// How the output's tokens divide, where the model reasoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<OutputTokensDetails>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How the output's tokens divide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTokensDetails {
    /// Tokens of reasoning.
    #[serde(default, deserialize_with = "null_default")]
    pub reasoning_tokens: u64,
    /// Fields without a name here, such as `text_tokens`, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl From<&Usage> for NativeUsage {
    fn from(usage: &Usage) -> Self {
        let CompletionTokensDetails { reasoning_tokens, rest } = usage.completion_tokens_details.clone();
        let reasoned = reasoning_tokens > 0 || !rest.is_empty();
        let mut unnamed = usage.rest.clone();
        names::USAGE.cross(&mut unnamed, Dialect::Native);
        Self {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens,
            prompt_tokens_details: usage.prompt_tokens_details.clone(),
            output_tokens_details: reasoned.then_some(OutputTokensDetails { reasoning_tokens, rest }),
            rest: unnamed,
        }
    }
}

impl From<&NativeUsage> for Usage {
    fn from(usage: &NativeUsage) -> Self {
        let OutputTokensDetails { reasoning_tokens, rest } = usage.output_tokens_details.clone().unwrap_or_default();
        let mut unnamed = usage.rest.clone();
        names::USAGE.cross(&mut unnamed, Dialect::Compat);
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: match usage.total_tokens {
                // Some services leave the sum out.
                0 => usage.input_tokens.saturating_add(usage.output_tokens),
                total => total,
            },
            prompt_tokens_details: usage.prompt_tokens_details.clone(),
            completion_tokens_details: CompletionTokensDetails { reasoning_tokens, rest },
            rest: unnamed,
        }
    }
}

impl NativeUsage {
    /// The same, saying too how many tokens were not reasoning.
    #[must_use]
    pub fn with_text_tokens(mut self) -> Self {
        if let Some(details) = &mut self.output_tokens_details
            && !details.rest.contains_key("text_tokens")
        {
            let text_tokens = self.output_tokens.saturating_sub(details.reasoning_tokens);
            details.rest.insert("text_tokens".to_owned(), text_tokens.into());
        }
        self
    }
}
