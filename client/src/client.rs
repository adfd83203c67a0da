//! [`Client`]: what all calls share.

use std::{fmt, sync::Arc};

use qwenda_ledger::{money::Nanos, price::PriceList};
use qwenda_types::chat::ChatRequest;
use serde::Serialize;

use crate::{
    Batches, Builder, ChatBuilder, CompleteBuilder, EmbedBuilder, Files, ModelsBuilder, RerankBuilder, Result, Retry,
    Secret, Timeouts, TokenizeBuilder, TokenizeInput,
    budget::Purse,
    call::{Answered, Call, Terms},
    chat::valid_key,
    giving_up::Bounds,
    observe::Observer,
    pace::Pacer,
    retry::Allowance,
    service::{Protocol, Service, ThinkingSwitch},
    stream::Reading,
    transport::{Method, Request, Transport},
};

/// The way to a service. Cloning is cheap, and clones share connections and what may be spent on retries.
///
/// # Example
/// ```no_run
/// # async fn run() -> qwenda::Result<()> {
/// let client = qwenda::Client::from_env()?;
/// let reply = client.chat("qwen-plus").user("Why is the sky blue?").await?;
/// println!("{}", reply.text());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    pub(crate) thinking: ThinkingSwitch,
    pub(crate) key: Option<Secret>,
    pub(crate) limits: Timeouts,
    pub(crate) retry: Retry,
    pub(crate) allowance: Allowance,
    pub(crate) pacer: Option<Arc<Pacer>>,
    pub(crate) prices: PriceList,
    pub(crate) purse: Arc<Purse>,
    pub(crate) observer: Option<Observer>,
    /// Spans may have texts in them.
    pub(crate) content: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) event_bytes_max: usize,
    pub(crate) answer_bytes_max: usize,
    pub(crate) accept_open: bool,
    /// The service is told of answers that nobody waits for.
    pub(crate) gives_up: bool,
    pub(crate) leaving: Bounds,
}

impl Client {
    /// A client with the settings of the environment; see [`Builder::from_env`].
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) where the environment names no service, or a wrong one.
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build()
    }

    /// The address that OpenAI-compatible calls go to, for programs that make some of their own.
    pub fn base_url(&self) -> &str {
        &self.0.service.compat
    }

    /// A client to be set up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A chat with this model.
    pub fn chat(&self, model: impl Into<String>) -> ChatBuilder {
        ChatBuilder::new(self.clone(), model.into())
    }

    /// A chat that begins as this request, whose `stream` does not count.
    ///
    /// # Example
    /// ```
    /// # let client = qwenda::Mock::new().client();
    /// use qwenda::{Message, types::chat::ChatRequest};
    ///
    /// let request = ChatRequest::new("qwen-plus", vec![Message::user("Why is the sky blue?")]);
    /// assert_eq!(client.chat_of(request).request().messages.len(), 1);
    /// ```
    pub fn chat_of(&self, request: ChatRequest) -> ChatBuilder {
        ChatBuilder::of(self.clone(), request)
    }

    /// Continues a text.
    pub fn complete(&self, model: impl Into<String>, prompt: impl Into<String>) -> CompleteBuilder {
        CompleteBuilder::new(self.clone(), model.into(), prompt.into())
    }

    /// Makes vectors of texts.
    pub fn embed<T: Into<String>>(&self, model: impl Into<String>, texts: impl IntoIterator<Item = T>) -> EmbedBuilder {
        EmbedBuilder::new(self.clone(), model.into(), texts.into_iter().map(Into::into).collect())
    }

    /// Ranks documents by their relevance to a question.
    pub fn rerank<T: Into<String>>(
        &self,
        model: impl Into<String>,
        query: impl Into<String>,
        documents: impl IntoIterator<Item = T>,
    ) -> RerankBuilder {
        let documents = documents.into_iter().map(Into::into).collect();
        RerankBuilder::new(self.clone(), model.into(), query.into(), documents)
    }

    /// Counts tokens.
    pub fn tokenize(&self, model: impl Into<String>, input: impl Into<TokenizeInput>) -> TokenizeBuilder {
        TokenizeBuilder::new(self.clone(), model.into(), input.into())
    }

    /// Files at the service.
    pub fn files(&self) -> Files {
        Files(self.clone())
    }

    /// Requests that nobody waits for, at half the price.
    pub fn batches(&self) -> Batches {
        Batches(self.clone())
    }

    /// What this client and its clones have spent in the period of its [`Budget`](crate::Budget), in the budget's
    /// currency; zero without one.
    pub fn spent(&self) -> Nanos {
        self.0.purse.spent()
    }

    /// Tells a service that keeps answers, as a Qwenda does, that nobody comes back for the one under this idempotency
    /// key: it stops at once and is charged for what was made of it. The same request under the same key is
    /// [`Kind::Conflict`](crate::Kind::Conflict) from then on; an answer that has ended stays as it is.
    ///
    /// Calls with a key that was drawn for them do this by themselves when they are dropped. One that you chose with
    /// [`ChatBuilder::idempotency_key`] is given up by you alone, as another process may come back with it.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) where no answer is being made or kept under the key, and where the
    /// service keeps none at all.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
    /// # let client = qwenda::Mock::new().client();
    /// client.give_up("order-8123").await?;
    /// # Ok(()) }
    /// ```
    pub async fn give_up(&self, idempotency_key: &str) -> Result<()> {
        let key = valid_key(idempotency_key)?;
        let request = self.0.giving_up(key, self.0.protocol == Protocol::DashScope)?;
        let terms = Terms { reads: true, ..Terms::default() };
        let mut call = self.0.call("give_up", request, "", &terms);
        call.whole().await?;
        call.succeeded(Answered::Uncounted);
        Ok(())
    }

    /// Which models the service has.
    pub fn models(&self) -> ModelsBuilder {
        ModelsBuilder::new(self.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.0.service.compat)
            .field("protocol", &self.0.protocol)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// A request with JSON in it.
    pub(crate) fn post(&self, url: String, body: &impl Serialize) -> Request {
        let body = serde_json::to_vec(body).expect("a request is plain JSON");
        let mut request = self.request(Method::Post, url, body);
        request.set_header("content-type", "application/json");
        request
    }

    pub(crate) fn request(&self, method: Method, url: String, body: Vec<u8>) -> Request {
        let mut request = Request::new(method, url, body);
        request.key.clone_from(&self.key);
        request.headers.clone_from(&self.headers);
        request.set_header("accept", "application/json");
        request
    }

    pub(crate) fn reading(&self, model: &str) -> Reading {
        Reading {
            protocol: self.protocol,
            completes: false,
            model: model.to_owned(),
            key: self.key.clone(),
            event_bytes_max: self.event_bytes_max,
            answer_bytes_max: self.answer_bytes_max,
        }
    }

    pub(crate) fn call(
        self: &Arc<Self>,
        operation: &'static str,
        request: Request,
        model: &str,
        terms: &Terms,
    ) -> Call {
        Call::new(self, operation, request, self.reading(model), terms)
    }
}
