//! Answers as values of a type of one's own: [`ExtractBuilder`].

mod fit;
mod partial;

use std::{fmt, future::IntoFuture, marker::PhantomData, ops::Deref};

use fit::Fit;
use futures_util::future::BoxFuture;
use qwenda_types::chat::Message;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};

use crate::{
    ChatBuilder, ChatStream, Error, Event, Finish, Nanos, Reply, Result, error::Kind, stream::Piece, tools::schema_of,
};

/// How the model is held to the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// As the model can do best, by its name.
    #[default]
    Auto,
    /// By `response_format: json_schema`: what it writes fits.
    Schema,
    /// By `response_format: json_object` and the schema in the prompt.
    Json,
    /// By the schema in the prompt alone; reasoning models take nothing else.
    Prompt,
}

/// Models that take a JSON schema, by the beginnings of their names.
const SCHEMA: [&str; 10] = [
    "qwen3-max",
    "qwen-plus",
    "qwen-flash",
    "qwen3.7-plus",
    "qwen3.7-flash",
    "qwen3.7-max",
    "qwen3.8-",
    "qwen2.5-coder",
    "qwen3-coder",
    "qwen3.5-",
];

/// A chat whose answer is a value. Awaiting it gives an [`Extracted`].
///
/// What the type's schema asks for beyond its fields holds, too: `#[schemars(range(min = 1), length(max = 8), …)]`.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Invoice {
///     number: String,
///     /// In cents.
///     total: u64,
/// }
///
/// # let client = qwenda::Mock::new().reply(r#"{"number": "A7", "total": 1999}"#).client();
/// let invoice = client.chat("qwen-plus").user("Invoice A7: 19.99 EUR").extract::<Invoice>().await?;
/// assert_eq!((invoice.number.as_str(), invoice.total), ("A7", 1999));
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct ExtractBuilder<T> {
    chat: ChatBuilder,
    mode: Mode,
    repairs: u32,
    kind: PhantomData<fn() -> T>,
}

impl ChatBuilder {
    /// Asks for a value of this type. Its doc comments describe its fields to the model.
    pub fn extract<T: DeserializeOwned + JsonSchema>(self) -> ExtractBuilder<T> {
        ExtractBuilder { chat: self, mode: Mode::Auto, repairs: 0, kind: PhantomData }
    }
}

impl<T: DeserializeOwned + JsonSchema> ExtractBuilder<T> {
    /// How the model is held to the schema.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How often the model is asked again, with what is wrong, when its answer does not fit; 0. Each time is paid
    /// for. An answer is never changed here.
    pub fn repairs(mut self, most: u32) -> Self {
        self.repairs = most;
        self
    }

    /// The value as it comes: see [`ExtractStream`]. Nothing is asked again.
    ///
    /// # Errors
    /// As of [`ChatBuilder::stream`], and [`Kind::Invalid`] for a schema that is none.
    pub async fn stream_partial(self) -> Result<ExtractStream<T>> {
        let fit = Fit::of::<T>()?;
        let stream = self.prepared().stream().await?;
        Ok(ExtractStream { stream, fit, text: String::new(), shown: None, kind: PhantomData })
    }

    /// The chat with what holds the model to the schema.
    fn prepared(&self) -> ChatBuilder {
        let schema = schema_of::<T>();
        let chat = self.chat.clone();
        let name = chat.request.model.as_str();
        let reasons = chat.request.enable_thinking == Some(true);
        let mode = match self.mode {
            Mode::Auto if reasons => Mode::Prompt,
            Mode::Auto if SCHEMA.iter().any(|beginning| name.starts_with(beginning)) => Mode::Schema,
            Mode::Auto => Mode::Json,
            mode => mode,
        };
        match mode {
            Mode::Schema | Mode::Auto => chat.json_schema(name_of::<T>(), schema),
            Mode::Json => instructed(chat, &schema).json(),
            Mode::Prompt => instructed(chat, &schema),
        }
    }

    async fn ask(self) -> Result<Extracted<T>> {
        let fit = Fit::of::<T>()?;
        let mut chat = self.prepared();
        let mut replies = Vec::new();
        loop {
            let reply = chat.clone().await?;
            let read = read::<T>(&reply, &fit);
            replies.push(reply);
            match read {
                Ok(value) => return Ok(Extracted { value, replies }),
                Err(error) if replies.len() > self.repairs as usize => return Err(error),
                Err(error) => {
                    let last = &replies[replies.len() - 1];
                    let wrong =
                        format!("This does not fit: {}. Answer again, with the whole JSON alone.", error.message());
                    chat = chat.message(last.message()).message(Message::user(wrong));
                }
            }
        }
    }
}

/// The chat with the schema among its instructions, which come first: what begins alike is cached.
fn instructed(mut chat: ChatBuilder, schema: &Value) -> ChatBuilder {
    let text = format!("Answer with one JSON object, and nothing else, that fits this JSON schema:\n{schema}");
    chat.request.messages.insert(0, Message::system(text));
    chat
}

/// The name of the type as services take it.
fn name_of<T: JsonSchema>() -> String {
    let name = T::schema_name();
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' });
    let name: String = plain.take(64).collect();
    if name.is_empty() { "value".to_owned() } else { name }
}

fn read<T: DeserializeOwned>(reply: &Reply, fit: &Fit) -> Result<T> {
    let wrong = |message: String| {
        Error::of(Kind::Malformed).say(message).with(|facts| {
            facts.request_id.clone_from(&reply.request_id);
            facts.partial = Some(reply.clone());
        })
    };
    let text = unfenced(reply.text());
    match parse(text).and_then(|value| fit.check(text).map(|()| value)) {
        Ok(value) => Ok(value),
        // What the limit cut is no mistake of the model.
        Err(_) if reply.finish() == &Finish::Length => Err(wrong("the answer was cut at its most tokens".to_owned())),
        Err(what) => Err(wrong(what)),
    }
}

/// Reads all of a text; what is wrong is said without the value that is: it is somebody's text.
fn parse<T: DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let what = match error.classify() {
            Category::Data => without_values(&error.to_string()),
            _ => "the answer is no JSON".to_owned(),
        };
        format!("{what} at line {} column {}", error.line(), error.column())
    })
}

/// `invalid type: string "secret", expected u64 at line 1 column 5` without the text between the quotes.
fn without_values(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(what, _)| what);
    match (message.find('"'), message.rfind('"')) {
        (Some(begin), Some(end)) if begin < end => format!("{}…{}", &message[..=begin], &message[end..]),
        _ => message.to_owned(),
    }
}

/// The text inside of a code fence, where there is one.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.and_then(|inner| inner.split_once('\n')).map(|(_, body)| body.trim());
    inner.unwrap_or(text)
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> IntoFuture for ExtractBuilder<T> {
    type Output = Result<Extracted<T>>;
    type IntoFuture = BoxFuture<'static, Result<Extracted<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}

impl<T> fmt::Debug for ExtractBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractBuilder").field("chat", &self.chat).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A value, and the answers it took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Extracted<T> {
    /// The value.
    pub value: T,
    /// The answers, the one with the value last.
    pub replies: Vec<Reply>,
}

impl<T> Extracted<T> {
    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// What the answers cost together; `None` where that is not known of each.
    pub fn cost(&self) -> Option<Nanos> {
        let mut costs = self.replies.iter().map(|reply| reply.cost().map(|cost| cost.amount));
        costs.try_fold(Nanos::ZERO, |sum, next| sum.checked_add(next?))
    }
}

impl<T> Deref for Extracted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value as it comes: each time with more of it.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Haiku {
///     lines: Vec<String>,
/// }
///
/// # let client = qwenda::Mock::new().stream([r#"{"lines": ["old po"#, r#"nd", "a frog"]}"#]).client();
/// let mut stream = client.chat("qwen-plus").user("A haiku, please.").extract::<Haiku>().stream_partial().await?;
/// let mut seen = Vec::new();
/// while let Some(value) = stream.next().await {
///     seen.push(value?.to_string());
/// }
/// assert_eq!(seen, [r#"{"lines":["old po"]}"#, r#"{"lines":["old pond","a frog"]}"#]);
/// assert_eq!(stream.finish()?.lines.len(), 2);
/// # Ok(()) }
/// ```
pub struct ExtractStream<T> {
    stream: ChatStream,
    fit: Fit,
    text: String,
    shown: Option<Value>,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> ExtractStream<T> {
    /// What is known of the value, whenever that changes; `None` at the end. The last text in it may still grow.
    pub async fn next(&mut self) -> Option<Result<Value>> {
        loop {
            match self.stream.next().await? {
                Err(error) => return Some(Err(error)),
                Ok(Event::Text(Piece { choice: 0, text })) => {
                    self.text.push_str(&text);
                    let value = partial::value(&self.text);
                    if value.is_some() && value != self.shown {
                        self.shown.clone_from(&value);
                        return value.map(Ok);
                    }
                }
                Ok(_) => {}
            }
        }
    }

    /// The whole value, once [`next`](Self::next) has returned `None`.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it does not fit the type and its schema, [`Kind::Truncated`] before its end.
    pub fn finish(self) -> Result<Extracted<T>> {
        let reply = self.stream.finish()?;
        Ok(Extracted { value: read(&reply, &self.fit)?, replies: vec![reply] })
    }
}

impl<T> fmt::Debug for ExtractStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
