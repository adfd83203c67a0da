//! Chat completions: the request, its messages, and (in [`answer`]) what comes back.
//!
//! Reading a request is in two steps, both pure: [`ChatRequest::from_map`] finds wrong shapes
//! (`'temperature' must be Float`), [`ChatRequest::validate`] finds wrong values
//! (`Temperature should be in [0.0, 2.0)`). Fields this crate has no name for stay in `rest`.

pub mod answer;
pub(crate) mod calls;
mod finish;
pub(crate) mod parse;
pub mod tools;
pub(crate) mod validate;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::{Dialect, fields::short_numbers};
use answer::null_default;
pub use answer::{
    AnswerMessage, ChatChunk, ChatResponse, Choice, ChunkChoice, Delta, FinishReason, Logprobs, TokenLogprob,
    TopLogprob, Usage, Word,
};
pub use tools::{FunctionDelta, JsonSchemaFormat, ResponseFormat, Tool, ToolCallDelta, ToolChoice, ToolFunction};
pub use validate::{
    LOGIT_BIAS_MAX, Limits, N_MAX, SEED_DEFAULT, SEED_MAX, SEED_MAX_WIDE, STOP_BYTES_MAX, STOP_COUNT_MAX, Strictness,
    TOOLS_MAX, TOP_LOGPROBS_MAX, TOP_LOGPROBS_MAX_OPENAI,
};

/// Body of `POST …/chat/completions`.
///
/// Numbers are kept as the caller wrote them; a field that is absent or `null` is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChatRequest {
    /// Name of the model; case-sensitive.
    pub model: String,
    /// The conversation, oldest message first.
    pub messages: Vec<Message>,
    /// Whether the answer comes as server-sent events.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Only read when `stream` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// `[0, 2)`; 0 is greedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// `(0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// At least 0. 0 or more than 100 means no limit; so does an explicit `null`, read as 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// `[0, 1]`; tokens below this part of the best token's probability are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// `[-2, 2]`; subtracted once from tokens already generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// `[-2, 2]`; subtracted for each time a token was generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// More than 0; 1 changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// How many answers, `[1, 4]`; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// `[0, 2^31-1]`; [`SEED_DEFAULT`] when absent. Choice `i` is sampled with `seed + i`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Where to end the answer; what matched is not part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Most tokens of the answer, `[1, the model's most]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Most tokens of reasoning and answer together, `[1, the model's most]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Added to the logits of these token ids, `[-100, 100]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "short_numbers")]
    pub logit_bias: BTreeMap<u32, f32>,
    /// Whether to report the log-probability of each token.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub logprobs: bool,
    /// How many rivals to report for each token, `[0, 5]`; wants `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u8>,
    /// Functions the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether the model calls, and what; [`ToolChoice::Auto`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether one answer may call several times; false when absent, as the contract has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Whether the model reasons first; the model's own default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_thinking: Option<bool>,
    /// Most tokens of reasoning; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u32>,
    /// How hard to reason, in words; excludes `thinking_budget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ChatRequest {
    /// A request for this model with these messages and everything else left to defaults.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { model: model.into(), messages, ..Self::default() }
    }

    /// How many answers are asked for.
    pub fn choices(&self) -> u32 {
        self.n.unwrap_or(1)
    }

    /// Most tokens of one answer, whichever of the two fields says so; `None` is the model's most.
    pub fn tokens_max(&self) -> Option<u32> {
        match (self.max_tokens, self.max_completion_tokens) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether the last message is the beginning of the answer, to be continued.
    pub fn is_partial(&self) -> bool {
        self.messages.last().is_some_and(|m| m.role == Role::Assistant && m.partial)
    }

    /// Whether a stream ends with a usage chunk.
    pub fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|o| o.include_usage)
    }
}

impl<'de> Deserialize<'de> for ChatRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_map(Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What a streaming caller may ask for besides the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Whether a last chunk carries the usage.
    #[serde(default)]
    pub include_usage: bool,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where to end the answer. The elements of one request are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    /// One string.
    One(String),
    /// Any of these strings.
    Strings(Vec<String>),
    /// Any of these token ids.
    Tokens(Vec<u32>),
    /// Any of these runs of token ids.
    TokenLists(Vec<Vec<u32>>),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions; `developer` is read as this.
    #[serde(alias = "developer")]
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The role as written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; `None` only beside tool calls.
    pub content: Option<Content>,
    /// Calls the model made in this turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call a tool message answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What the model reasoned in this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Whether the model is to go on from this text; only in the last message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            tool_calls: Vec::new(),
            tool_call_id: None,
            reasoning_content: None,
            partial: false,
            rest: Map::new(),
        }
    }

    /// A system message.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }

    /// A user message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    /// An assistant message.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, text)
    }

    /// The text of the message; its text parts joined, other parts left out.
    pub fn plain_text(&self) -> Cow<'_, str> {
        self.content.as_ref().map_or(Cow::Borrowed(""), Content::plain_text)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?, "message", Dialect::Compat).map_err(de::Error::custom)
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text and other things, in order.
    Parts(Vec<Part>),
}

impl Content {
    /// The text, or the text parts joined; other parts are left out.
    pub fn plain_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => {
                let mut texts = parts.iter().filter_map(Part::as_text);
                match (texts.next(), texts.next()) {
                    (None, _) => Cow::Borrowed(""),
                    (Some(only), None) => Cow::Borrowed(only),
                    (Some(first), Some(second)) => Cow::Owned([first, second].into_iter().chain(texts).collect()),
                }
            }
        }
    }
}

/// One part of a message's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `text`, `image_url`, `video`, `video_url`, `input_audio`; a `refusal` is read as `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The payload of other parts, and fields without a name here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Part {
    /// A part of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: "text".to_owned(), text: Some(text.into()), rest: Map::new() }
    }

    fn as_text(&self) -> Option<&str> {
        if self.kind == "text" { self.text.as_deref() } else { None }
    }
}

/// A call the model made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id its result refers to.
    #[serde(default, deserialize_with = "null_default")]
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type", default = "function_kind")]
    pub kind: String,
    /// What is called.
    #[serde(default, deserialize_with = "null_default")]
    pub function: FunctionCall,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ToolCall {
    /// The `index`-th call of an answer; answers say the place of each call.
    pub fn new(index: u32, id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let function = FunctionCall { name: name.into(), arguments: arguments.into(), rest: Map::new() };
        let rest = Map::from_iter([("index".to_owned(), index.into())]);
        Self { id: id.into(), kind: function_kind(), function, rest }
    }
}

fn function_kind() -> String {
    "function".to_owned()
}

/// The function a call names, with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Arguments as a JSON **string**; may be invalid JSON when a model wrote it.
    #[serde(default, deserialize_with = "null_default")]
    pub arguments: String,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[cfg(test)]
mod tests;
