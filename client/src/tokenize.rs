//! The tokens of a text, counted by the service: [`TokenizeBuilder`].

use std::{fmt, future::IntoFuture};

use futures_util::future::BoxFuture;
use qwenda_types::{
    chat::{Message, Tool},
    dashscope::tokenizer::TokenizerResponse,
};
use serde_json::{Map, Value, json};

use crate::{Client, Result, call::Terms, plain::terms};

/// A request to count tokens, exactly and free of charge. Awaiting it gives [`Tokens`].
///
/// The cloud and Qwenda can do this; the call is DashScope's own in either protocol.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let output = serde_json::json!({"token_ids": [9707], "tokens": ["Hello"]});
/// # let answer = serde_json::json!({"output": output, "usage": {"input_tokens": 1}, "request_id": "r"});
/// # let client = qwenda::Mock::new().json(answer).client();
/// let tokens = client.tokenize("qwen-plus", "Hello").await?;
/// assert_eq!(tokens.ids, [9707]);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct TokenizeBuilder {
    client: Client,
    model: String,
    input: Value,
    tools: Vec<Tool>,
    terms: Terms,
}

/// What is tokenized: a text as it stands, or a conversation with the model's template around it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum TokenizeInput {
    /// A text.
    Text(String),
    /// A conversation.
    Messages(Vec<Message>),
}

impl From<&str> for TokenizeInput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for TokenizeInput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Message>> for TokenizeInput {
    fn from(messages: Vec<Message>) -> Self {
        Self::Messages(messages)
    }
}

impl fmt::Debug for TokenizeInput {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Messages(_) => "Messages",
        })
    }
}

impl TokenizeBuilder {
    pub(crate) fn new(client: Client, model: String, input: TokenizeInput) -> Self {
        let input = match input {
            TokenizeInput::Text(text) => json!({"prompt": text}),
            TokenizeInput::Messages(messages) => json!({"messages": messages}),
        };
        let terms = Terms { reads: true, ..Terms::default() };
        Self { client, model, input, tools: Vec::new(), terms }
    }

    /// Counts these tools too, which a template writes into a conversation.
    pub fn tools(mut self, tools: Vec<Tool>) -> Self {
        self.tools = tools;
        self
    }

    terms!();
}

impl IntoFuture for TokenizeBuilder {
    type Output = Result<Tokens>;
    type IntoFuture = BoxFuture<'static, Result<Tokens>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let inner = &self.client.0;
            let parameters = if self.tools.is_empty() { json!({}) } else { json!({"tools": self.tools}) };
            let body = Map::from_iter([
                ("model".to_owned(), self.model.clone().into()),
                ("input".to_owned(), self.input),
                ("parameters".to_owned(), parameters),
            ]);
            let wire = inner.post(inner.service.native("tokenizer")?, &body);
            let (answer, _): (TokenizerResponse, _) = inner.json("tokenize", wire, &self.model, &self.terms).await?;
            Ok(Tokens { ids: answer.output.token_ids, texts: answer.output.tokens })
        })
    }
}

impl fmt::Debug for TokenizeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenizeBuilder").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Tokens.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tokens {
    /// Their ids.
    pub ids: Vec<u32>,
    /// The text of each, as far as it is valid UTF-8.
    pub texts: Vec<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.ids.len())
    }
}
