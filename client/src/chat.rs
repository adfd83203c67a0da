//! [`ChatBuilder`]: a chat request, to be awaited or streamed.

use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use qwenda_types::{
    chat::{ChatRequest, JsonSchemaFormat, Message, ResponseFormat, Stop, Tool, ToolChoice},
    dashscope::{Endpoint, NativeOptions, ResultFormat, chat_to_map},
};
use serde_json::{Map, Value};

use crate::{
    Client, Error, Estimate, Result, Timeouts,
    budget::OUTPUT_TOKENS_ASSUMED,
    call::Terms,
    error::Kind,
    estimate,
    plain::{map_of, terms},
    reply::Reply,
    service::{Protocol, ThinkingSwitch},
    stream::{ChatStream, How},
    transport::Request,
};

/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
const PRESERVE_THINKING: &str = "preserve_thinking";
/// The native dialect has two addresses for chats; these models are at the one for several kinds of input.
const MULTIMODAL: [&str; 10] = [
    "qwen3.5-",
    "qwen3.6-",
    "qwen3.7-plus",
    "qwen3.7-flash",
    "qwen3.8-",
    "qwen3-vl-",
    "qwen-vl-",
    "qvq-",
    "qwen-audio-",
    "qwen-omni-",
];
/// Models whose streams say everything so far in every chunk.
const CUMULATIVE: [&str; 2] = ["qwen-mt-plus", "qwen-mt-turbo"];

/// A chat request. Awaiting it gives the whole [`Reply`]; [`stream`](Self::stream) gives it as it comes.
///
/// Answers always travel as streams, awaited or not: so they do not run into time limits between, and dropping
/// the future stops the service. [`unstreamed`](Self::unstreamed) asks for one piece instead.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let client = qwenda::Mock::new().reply("4").client();
/// let reply = client
///     .chat("qwen-plus")
///     .system("Answer with a number.")
///     .user("2 + 2?")
///     .temperature(0.0)
///     .max_tokens(8)
///     .await?;
/// assert_eq!(reply.text(), "4");
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent until it is awaited or streamed"]
pub struct ChatBuilder {
    pub(crate) client: Client,
    pub(crate) request: ChatRequest,
    pub(crate) terms: Terms,
    streamed: bool,
    key: Option<String>,
    headers: Vec<(String, String)>,
}

impl ChatBuilder {
    pub(crate) fn new(client: Client, model: String) -> Self {
        Self::of(client, ChatRequest::new(model, Vec::new()))
    }

    pub(crate) fn of(client: Client, request: ChatRequest) -> Self {
        Self { client, request, terms: Terms::default(), streamed: true, key: None, headers: Vec::new() }
    }

    /// Adds instructions.
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::system(text))
    }

    /// Adds what the person says.
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::user(text))
    }

    /// Adds what the model said before.
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.message(Message::assistant(text))
    }

    /// Adds a message.
    pub fn message(mut self, message: Message) -> Self {
        self.request.messages.push(message);
        self
    }

    /// Adds messages.
    pub fn messages(mut self, messages: impl IntoIterator<Item = Message>) -> Self {
        self.request.messages.extend(messages);
        self
    }

    /// How freely the next token is drawn, `[0, 2)`; 0 always takes the likeliest.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.request.temperature = Some(temperature);
        self
    }

    /// Draws only from the likeliest tokens that make up this probability, `(0, 1]`.
    pub fn top_p(mut self, top_p: f64) -> Self {
        self.request.top_p = Some(top_p);
        self
    }

    /// Draws only from so many of the likeliest tokens; 0 is no limit.
    pub fn top_k(mut self, top_k: u32) -> Self {
        self.request.top_k = Some(top_k);
        self
    }

    /// Repeats the same answer where the service can, `[0, 2^31-1]`.
    pub fn seed(mut self, seed: u64) -> Self {
        self.request.seed = Some(seed);
        self
    }

    /// Most tokens of the answer; at least 1.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.request.max_tokens = Some(tokens);
        self
    }

    /// Most tokens of reasoning and answer together; at least 1.
    pub fn max_completion_tokens(mut self, tokens: u32) -> Self {
        self.request.max_completion_tokens = Some(tokens);
        self
    }

    /// Ends the answer before any of these.
    pub fn stop<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.request.stop = Some(Stop::Strings(texts.into_iter().map(Into::into).collect()));
        self
    }

    /// How many answers are made, `[1, 4]`.
    pub fn choices(mut self, n: u32) -> Self {
        self.request.n = Some(n);
        self
    }

    /// Whether the model reasons first; its own default otherwise. How services are told differs:
    /// [`Builder::thinking_switch`](crate::Builder::thinking_switch).
    pub fn thinking(mut self, thinking: bool) -> Self {
        self.request.enable_thinking = Some(thinking);
        self
    }

    /// Whether the model reads again what it reasoned in earlier turns, billed as input; its own default otherwise.
    /// Conversations and runs of tools keep the reasoning in their messages then. Within a turn, while calls of tools
    /// get their results, models always read it: their templates want it so.
    pub fn preserve_thinking(self, preserve: bool) -> Self {
        self.field(PRESERVE_THINKING, preserve)
    }

    pub(crate) fn preserves_thinking(&self) -> bool {
        self.request.rest.get(PRESERVE_THINKING) == Some(&Value::Bool(true))
    }

    /// Most tokens of reasoning; at least 1.
    pub fn thinking_budget(mut self, tokens: u32) -> Self {
        self.request.thinking_budget = Some(tokens);
        self
    }

    /// Reports the log-probability of each token, and of so many rivals, `[0, 5]`.
    pub fn logprobs(mut self, rivals: u8) -> Self {
        (self.request.logprobs, self.request.top_logprobs) = (true, Some(rivals));
        self
    }

    /// Adds a function that the model may call.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.request.tools.push(tool);
        self
    }

    /// Whether the model calls, and what.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.request.tool_choice = Some(choice);
        self
    }

    /// Whether one answer may call several times; false, as the contract has it.
    pub fn parallel_tool_calls(mut self, parallel: bool) -> Self {
        self.request.parallel_tool_calls = Some(parallel);
        self
    }

    /// Holds the answer to JSON. Some message has to ask for it by that word.
    pub fn json(mut self) -> Self {
        self.request.response_format = Some(ResponseFormat::JsonObject);
        self
    }

    /// Holds the answer to a JSON schema. `name` has letters, digits, `_` and `-`, at most 64.
    pub fn json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        let json_schema = JsonSchemaFormat {
            name: name.into(),
            description: None,
            schema: Some(schema),
            strict: Some(true),
            rest: Map::new(),
        };
        self.request.response_format = Some(ResponseFormat::JsonSchema { json_schema });
        self
    }

    /// Any other field of the request, such as `enable_search`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.request.rest.insert(name.into(), value.into());
        self
    }

    /// A header of this request alone.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into().to_ascii_lowercase(), value.into()));
        self
    }

    terms!();

    /// Another limit of the whole call than the client's.
    pub fn total_timeout(self, limit: Duration) -> Self {
        let limits = self.terms.limits.unwrap_or(self.client.0.limits);
        self.timeouts(Timeouts { total: Some(limit), ..limits })
    }

    /// The key under which a service that knows such keys makes the answer once, even over several processes:
    /// 1 to [`IDEMPOTENCY_KEY_CHARS_MAX`] visible ASCII characters. One is drawn for each call otherwise.
    ///
    /// Where the call is dropped, the answer goes on for whoever comes back with this key, until
    /// [`Client::give_up`](crate::Client::give_up) or the service's patience ends it.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Asks for the answer in one piece.
    pub fn unstreamed(mut self) -> Self {
        self.streamed = false;
        self
    }

    /// The request as it would be sent in the OpenAI-compatible dialect.
    pub fn request(&self) -> &ChatRequest {
        &self.request
    }

    /// What the request will use and may cost.
    ///
    /// # Example
    /// ```
    /// # let client = qwenda::Mock::new().client();
    /// let estimate = client.chat("qwen-plus").user("Why is the sky blue?").max_tokens(500).estimate();
    /// println!("about {} tokens, at most {}", estimate.input_tokens, estimate.most.expect("it is listed"));
    /// ```
    pub fn estimate(&self) -> Estimate {
        estimate::chat(&self.client.0.prices, &self.request, None)
    }

    /// Sends the request; returns once an answer begins.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if the request has no message, [`Kind::OverBudget`] if it may cost more than the client
    /// may spend; else as the service has it, after what [`Retry`](crate::Retry) allows.
    pub async fn stream(mut self) -> Result<ChatStream> {
        let request = self.wire()?;
        let inner = &self.client.0;
        let estimate = estimate::chat(&inner.prices, &self.request, Some(OUTPUT_TOKENS_ASSUMED));
        let hold = inner.purse.hold(estimate.most.as_ref())?;
        let cumulative = CUMULATIVE.iter().any(|model| self.request.model.starts_with(model));
        let call = inner.call("chat", request, &self.request.model, &self.terms);
        call.asks(&self.request.messages);
        let cumulative = cumulative && inner.protocol == Protocol::OpenAi;
        let how = How { cumulative, accept_open: inner.accept_open, client: self.client.clone() };
        ChatStream::open(call, how, hold).await
    }

    fn wire(&mut self) -> Result<Request> {
        if self.request.messages.is_empty() {
            return Err(Error::of(Kind::Invalid).say("the request has no message"));
        }
        let inner = Arc::clone(&self.client.0);
        let mut request = match inner.protocol {
            Protocol::OpenAi => {
                let url = inner.service.compat("chat/completions");
                let in_template = inner.thinking == ThinkingSwitch::Template;
                let request = self.compat_request();
                if in_template {
                    inner.post(url, &switched_in_template(request))
                } else if !request.rest.is_empty() {
                    // A field that was given by hand goes before one of the same name.
                    inner.post(url, &map_of(request))
                } else {
                    inner.post(url, request)
                }
            }
            Protocol::DashScope => {
                let endpoint = endpoint(&self.request.model);
                let path = match endpoint {
                    Endpoint::Text => "services/aigc/text-generation/generation",
                    Endpoint::Multimodal => "services/aigc/multimodal-generation/generation",
                };
                let mut request = inner.post(inner.service.native(path)?, &self.native_body(endpoint));
                if self.streamed {
                    request.set_header("x-dashscope-sse", "enable");
                }
                request
            }
        };
        if self.streamed {
            request.set_header("accept", "text/event-stream");
        }
        for (name, value) in &self.headers {
            request.set_header(name, value.clone());
        }
        match &self.key {
            Some(key) => request.set_header("idempotency-key", valid_key(key)?),
            // Once for the call, however often it is sent.
            None => request.draw_key(),
        }
        Ok(request)
    }

    fn compat_request(&mut self) -> &ChatRequest {
        let request = &mut self.request;
        if self.streamed {
            request.stream = true;
            request.stream_options.get_or_insert_default().include_usage = true;
        }
        request
    }

    fn native_body(&self, endpoint: Endpoint) -> Map<String, Value> {
        let options = NativeOptions {
            result_format: Some(ResultFormat::Message),
            incremental_output: self.streamed.then_some(true),
            ..NativeOptions::default()
        };
        chat_to_map(&self.request, &options, endpoint)
    }
}

pub(crate) fn valid_key(key: &str) -> Result<&str> {
    if !(1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let most = IDEMPOTENCY_KEY_CHARS_MAX;
        let message = format!("an idempotency key has 1 to {most} visible ASCII characters and no spaces");
        return Err(Error::of(Kind::Invalid).say(message));
    }
    Ok(key)
}

/// The request for a service whose template switches the reasoning.
fn switched_in_template(request: &ChatRequest) -> Map<String, Value> {
    let mut request = request.clone();
    let thinking = request.enable_thinking.take().map(|thinking| ("enable_thinking", thinking.into()));
    let preserve = request.rest.shift_remove(PRESERVE_THINKING).map(|preserve| (PRESERVE_THINKING, preserve));
    for (name, value) in thinking.into_iter().chain(preserve) {
        let kwargs = request.rest.entry("chat_template_kwargs").or_insert_with(|| Map::new().into());
        // What the caller wrote there counts more; what is no object is for the service to judge.
        if let Some(kwargs) = kwargs.as_object_mut() {
            kwargs.entry(name).or_insert(value);
        }
    }
    map_of(&request)
}

fn endpoint(model: &str) -> Endpoint {
    let multimodal = MULTIMODAL.iter().any(|beginning| model.starts_with(beginning));
    if multimodal { Endpoint::Multimodal } else { Endpoint::Text }
}

impl IntoFuture for ChatBuilder {
    type Output = Result<Reply>;
    type IntoFuture = BoxFuture<'static, Result<Reply>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.stream().await?.collect().await })
    }
}

impl fmt::Debug for ChatBuilder {
    /// Without the messages: they are somebody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatBuilder")
            .field("model", &self.request.model)
            .field("messages", &self.request.messages.len())
            .finish_non_exhaustive()
    }
}
