//! A text is continued, or the gap between two is filled: [`CompleteBuilder`].

use std::{fmt, future::IntoFuture};

use futures_util::future::BoxFuture;
use qwenda_ledger::price::{Bounds, Mode};
use qwenda_types::{
    chat::{Stop, StreamOptions},
    completions::{CompletionRequest, CompletionResponse, Prompt},
};
use serde_json::Value;

use crate::{
    ChatStream, Client, Error, Finish, Result, Usage,
    budget::OUTPUT_TOKENS_ASSUMED,
    call::{Call, Terms},
    cost::{self, Cost},
    error::Kind,
    observe::COMPLETION,
    plain::{Meta, map_of, terms},
    service::Protocol,
    stream::{How, Reading},
};

/// A request to continue a text. Awaiting it gives a [`Completion`]; [`stream`](Self::stream) gives it as it comes.
///
/// It is OpenAI's dialect in either protocol; DashScope's own has no such call.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let choices = serde_json::json!([{"text": "a + b", "index": 0, "finish_reason": "stop"}]);
/// # let client = qwenda::Mock::new().json(serde_json::json!({"choices": choices})).client();
/// let completion = client
///     .complete("qwen-coder-turbo", "fn add(a: i32, b: i32) -> i32 {\n    ")
///     .suffix("\n}\n")
///     .max_tokens(32)
///     .await?;
/// assert_eq!(completion.text, "a + b");
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct CompleteBuilder {
    client: Client,
    request: CompletionRequest,
    terms: Terms,
}

impl CompleteBuilder {
    pub(crate) fn new(client: Client, model: String, prompt: String) -> Self {
        let request = CompletionRequest { model, prompts: vec![Prompt::Text(prompt)], ..CompletionRequest::default() };
        Self { client, request, terms: Terms::default() }
    }

    /// What follows the gap to be filled.
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.request.suffix = Some(suffix.into());
        self
    }

    /// Most tokens of the completion; at least 1.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.request.max_tokens = Some(tokens);
        self
    }

    /// How freely the next token is drawn, `[0, 2)`; 0 always takes the likeliest.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.request.temperature = Some(temperature);
        self
    }

    /// Repeats the same completion where the service can, `[0, 2^31-1]`.
    pub fn seed(mut self, seed: u64) -> Self {
        self.request.seed = Some(seed);
        self
    }

    /// Ends the completion before any of these.
    pub fn stop<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.request.stop = Some(Stop::Strings(texts.into_iter().map(Into::into).collect()));
        self
    }

    /// Any other field of the request.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.request.rest.insert(name.into(), value.into());
        self
    }

    terms!();

    /// Sends the request; returns once the completion begins. It comes as the text of a chat does, and
    /// [`ChatStream::finish`] has it whole. A model in this process hands it out in one piece.
    ///
    /// # Errors
    /// As of awaiting it.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
    /// # let piece = |text, finish| serde_json::json!({"choices": [{"text": text, "index": 0, "finish_reason": finish}]});
    /// # let client = qwenda::Mock::new().events([piece("a + ", None), piece("b", Some("stop"))]).client();
    /// let mut stream = client.complete("qwen-coder-turbo", "fn add(a: i32, b: i32) -> i32 {\n    ").stream().await?;
    /// while let Some(event) = stream.next().await {
    ///     if let qwenda::Event::Text(text) = event? {
    ///         print!("{text}");
    ///     }
    /// }
    /// assert_eq!(stream.finish()?.text(), "a + b");
    /// # Ok(()) }
    /// ```
    pub async fn stream(mut self) -> Result<ChatStream> {
        let inner = &self.client.0;
        let hold = inner.purse.hold(self.most().as_ref())?;
        let options = self.request.stream_options.take().unwrap_or_default();
        self.request.stream = true;
        self.request.stream_options = Some(StreamOptions { include_usage: true, ..options });
        let mut wire = inner.post(inner.service.compat("completions"), &map_of(&self.request));
        wire.set_header("accept", "text/event-stream");
        wire.draw_key();
        // It is OpenAI's dialect in either protocol.
        let reading = Reading { protocol: Protocol::OpenAi, completes: true, ..inner.reading(&self.request.model) };
        let call = Call::new(inner, COMPLETION, wire, reading, &self.terms);
        let how = How { cumulative: false, accept_open: inner.accept_open, client: self.client.clone() };
        ChatStream::open(call, how, hold).await
    }

    fn most(&self) -> Option<Cost> {
        let text = |prompt: &Prompt| match prompt {
            Prompt::Text(text) => text.len() as u64,
            Prompt::Tokens(ids) => ids.len() as u64,
        };
        let suffix = self.request.suffix.as_ref().map_or(0, |suffix| suffix.len() as u64);
        let input_tokens = self.request.prompts.iter().map(text).sum::<u64>() + suffix + 8;
        let output_tokens_max = self.request.max_tokens.map_or(OUTPUT_TOKENS_ASSUMED, u64::from);
        let (thinking, explicit_cache, mode) = (false, false, Mode::RealTime);
        let bounds = Bounds { input_tokens, output_tokens_max, thinking, explicit_cache, mode };
        cost::most(&self.client.0.prices, &self.request.model, &bounds)
    }
}

impl IntoFuture for CompleteBuilder {
    type Output = Result<Completion>;
    type IntoFuture = BoxFuture<'static, Result<Completion>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (inner, model) = (&self.client.0, &self.request.model);
            let mut hold = inner.purse.hold(self.most().as_ref())?;
            let mut wire = inner.post(inner.service.compat("completions"), &map_of(&self.request));
            wire.draw_key();
            let counts = |answer: &CompletionResponse| answer.usage.clone().map(Usage::from);
            let asked = inner.counted(COMPLETION, wire, model, &self.terms, counts).await;
            let (answer, meta) = asked.inspect_err(|error| hold.fail(error))?;
            let usage = answer.usage.map(Usage::from);
            let cost = usage.as_ref().and_then(|usage| cost::cost(&inner.prices, model, usage));
            hold.post(cost.as_ref());
            let choice = answer.choices.into_iter().next();
            let choice = choice.ok_or_else(|| Error::of(Kind::Malformed).say("the answer has no choice"))?;
            Ok(Completion { text: choice.text, finish: Finish::of(choice.finish_reason), usage, cost, meta })
        })
    }
}

impl fmt::Debug for CompleteBuilder {
    /// Without the prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompleteBuilder").field("model", &self.request.model).finish_non_exhaustive()
    }
}

/// What follows a text.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// It.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Its tokens; `None` where the service did not count them.
    pub usage: Option<Usage>,
    /// What it costs; `None` where that is not known.
    pub cost: Option<Cost>,
    /// How the answer came.
    pub meta: Meta,
}

impl fmt::Debug for Completion {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("text_bytes", &self.text.len())
            .field("finish", &self.finish)
            .field("usage", &self.usage)
            .field("cost", &self.cost)
            .field("meta", &self.meta)
            .finish()
    }
}
