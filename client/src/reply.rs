//! A whole answer, however it came: [`Reply`].

use std::fmt;

use qwenda_types::chat::{Content, FinishReason, FunctionCall, Logprobs, Message, Role};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    Cost, Error, Result,
    error::{Attempt, Kind},
};

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended it, or a stop matched.
    Stop,
    /// The most tokens allowed were reached.
    Length,
    /// The model asks for tools to be called.
    ToolCalls,
    /// A word of the service.
    Other(String),
    /// It did not end: this is the beginning of an answer that was cut.
    Cut,
}

impl Finish {
    pub(crate) fn of(reason: Option<FinishReason>) -> Self {
        match reason {
            None => Self::Cut,
            Some(FinishReason::Stop) => Self::Stop,
            Some(FinishReason::Length) => Self::Length,
            Some(FinishReason::ToolCalls) => Self::ToolCalls,
            Some(FinishReason::Other(word)) => Self::Other(word.as_str().to_owned()),
        }
    }
}

/// The tokens of an answer, as the service counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer; those of the reasoning are among them.
    pub output_tokens: u64,
    /// Tokens of the prompt that a cache had; they are among the input.
    pub cached_tokens: u64,
    /// Tokens of the reasoning; they are among the output.
    pub reasoning_tokens: u64,
    /// The counts as the service wrote them, with all its details.
    pub raw: qwenda_types::chat::Usage,
}

impl From<qwenda_types::chat::Usage> for Usage {
    fn from(raw: qwenda_types::chat::Usage) -> Self {
        Self {
            input_tokens: raw.prompt_tokens,
            output_tokens: raw.completion_tokens,
            cached_tokens: raw.prompt_tokens_details.cached_tokens,
            reasoning_tokens: raw.completion_tokens_details.reasoning_tokens,
            raw,
        }
    }
}

/// A call that the model asks for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall {
    /// Which answer asks for it, from 0.
    pub choice: u32,
    /// Its place among the calls of the answer, from 0.
    pub index: u32,
    /// What its result refers to; never empty.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON, unless it made a mistake. Never repaired.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments as JSON; none at all are an empty object.
    ///
    /// # Errors
    /// [`Kind::Malformed`] when the model wrote something else, without a word of it.
    pub fn json(&self) -> Result<Value> {
        self.parse()
    }

    /// The arguments as a value of a type of one's own.
    ///
    /// # Errors
    /// [`Kind::Malformed`] when they are no JSON, or of another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let text = if self.arguments.trim().is_empty() { "{}" } else { &self.arguments };
        serde_json::from_str(text).map_err(|error| {
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            let message = format!("arguments of `{}` cannot be read ({kind:?} at {line}:{column})", self.name);
            Error::of(Kind::Malformed).say(message)
        })
    }

    fn to_wire(&self) -> qwenda_types::chat::ToolCall {
        let function = FunctionCall { name: self.name.clone(), arguments: self.arguments.clone(), rest: Map::new() };
        qwenda_types::chat::ToolCall { id: self.id.clone(), kind: "function".to_owned(), function, rest: Map::new() }
    }
}

impl fmt::Debug for ToolCall {
    /// Without the arguments: they are somebody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// One of the answers to a request. Unless several were asked for, it is the only one.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// Its place, from 0.
    pub index: u32,
    /// What the model says.
    pub text: String,
    /// What it reasoned before.
    pub reasoning: String,
    /// The calls it asks for. Of an answer that was cut, only those that were whole.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// Log-probabilities of its tokens, when asked for.
    pub logprobs: Option<Logprobs>,
    /// Fields of the message without a name here, as written.
    pub rest: Map<String, Value>,
}

impl Choice {
    pub(crate) fn new(index: u32) -> Self {
        Self {
            index,
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            finish: Finish::Cut,
            logprobs: None,
            rest: Map::new(),
        }
    }
}

impl fmt::Debug for Choice {
    /// Sizes instead of texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice")
            .field("index", &self.index)
            .field("text_bytes", &self.text.len())
            .field("reasoning_bytes", &self.reasoning.len())
            .field("tool_calls", &self.tool_calls)
            .field("finish", &self.finish)
            .finish_non_exhaustive()
    }
}

/// An answer. Whether it came as a stream or whole makes no difference.
///
/// Its `Debug` shows sizes, not texts, so that it may be logged.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Finish, Mock};
///
/// let client = Mock::new().reply("Because of Rayleigh scattering.").client();
/// let reply = client.chat("qwen-plus").user("Why is the sky blue?").await?;
/// assert_eq!(reply.text(), "Because of Rayleigh scattering.");
/// assert_eq!(reply.finish(), &Finish::Stop);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The service's id of the answer.
    pub id: String,
    /// The model, as the service names it.
    pub model: String,
    /// When it was made, Unix seconds; 0 where the service does not say.
    pub created: u64,
    /// The answers, by index; at least one unless the answer was cut.
    pub choices: Vec<Choice>,
    /// The service's id of the request.
    pub request_id: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<Cost>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Reply {
    fn first(&self) -> Option<&Choice> {
        self.choices.first()
    }

    /// What the model says.
    pub fn text(&self) -> &str {
        self.first().map_or("", |choice| &choice.text)
    }

    /// As [`text`](Self::text), to keep.
    pub fn into_text(self) -> String {
        self.choices.into_iter().next().map_or_else(String::new, |choice| choice.text)
    }

    /// What it reasoned before.
    pub fn reasoning(&self) -> &str {
        self.first().map_or("", |choice| &choice.reasoning)
    }

    /// The calls it asks for.
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.first().map_or(&[], |choice| &choice.tool_calls)
    }

    /// Why it ended.
    pub fn finish(&self) -> &Finish {
        self.first().map_or(&Finish::Cut, |choice| &choice.finish)
    }

    /// Its tokens; `None` where the service did not count them.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// What it costs by the client's price list; `None` where the list does not have the model, or the service did
    /// not count.
    pub fn cost(&self) -> Option<&Cost> {
        self.cost.as_ref()
    }

    /// The attempts that failed before it came.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// As [`message`](Self::message), with its reasoning: for who answers calls of tools, and for services that are
    /// to preserve it.
    pub fn message_with_reasoning(&self) -> Message {
        let reasoning = Some(self.reasoning()).filter(|reasoning| !reasoning.is_empty());
        Message { reasoning_content: reasoning.map(str::to_owned), ..self.message() }
    }

    /// The message to put into the next request. Its reasoning is left out, as most models want it.
    pub fn message(&self) -> Message {
        let mut message = Message::text(Role::Assistant, self.text());
        message.tool_calls = self.tool_calls().iter().map(ToolCall::to_wire).collect();
        if message.tool_calls.is_empty() || !self.text().is_empty() {
            return message;
        }
        message.content = Some(Content::Text(String::new()));
        message
    }
}
