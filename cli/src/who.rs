//! Who answers: a model in this process, or a service that the environment names.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use qwenda::{Client, Kind, Message, Retry, Timeouts};
use qwenda_backend::{
    Backend, BackendError, BoxFuture, ChatCall, ChatEvent, ChatStream, CompletionCall, EmbedCall, Embedded, ModelCard,
    Ranked, RerankCall, Timings, TokenizeCall, Tokenized,
};

use crate::{
    exit::{CliError, Exit},
    lang::{Lang, chat as words, messages},
    model::{self, Loaded},
    output::{Ui, harmless},
    settings::{ChatSettings, Settings},
};

/// Who answers.
pub struct Who {
    pub client: Client,
    /// The name that requests use.
    pub model: String,
    place: Place,
}

/// Where a question goes.
enum Place {
    Here(Box<Here>),
    /// The service's host, with its port where that says more.
    Service(String),
}

struct Here {
    loaded: Loaded,
    seen: Arc<Mutex<Seen>>,
}

/// What the SDK does not hand on, because no service says it.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    timings: Option<Timings>,
    /// Tokens of a prompt that did not fit, and how many would have.
    too_long: Option<(u32, u32)>,
}

/// Gets ready whoever these settings ask: fetches and loads the model, or nothing of that.
pub async fn find(ui: Ui, settings: &Settings, chat: &ChatSettings) -> Result<Who, CliError> {
    let usage = |error: &qwenda::Error| CliError::usage(error.friendly(ui.lang.sdk()));
    if let Some(service) = &chat.service {
        let client = service.clone().build().map_err(|error| usage(&error))?;
        let place = Place::Service(host(client.base_url()));
        return Ok(Who { client, model: chat.model.name.clone(), place });
    }
    let loaded = model::load(ui, settings, &chat.model).await?;
    let seen = Arc::default();
    let backend = Watched { inner: loaded.backend.clone(), seen: Arc::clone(&seen) };
    // Who waits can see that it computes, and has Ctrl-C.
    let never = Timeouts { connect: None, first_byte: None, idle: None, total: None };
    let client = Client::builder().embedded(Arc::new(backend)).timeouts(never).retry(Retry::none()).build();
    let client = client.map_err(|error| usage(&error))?;
    Ok(Who { client, model: loaded.name.clone(), place: Place::Here(Box::new(Here { loaded, seen })) })
}

impl Who {
    pub fn is_here(&self) -> bool {
        self.here().is_some()
    }

    fn here(&self) -> Option<&Here> {
        match &self.place {
            Place::Here(here) => Some(here),
            Place::Service(_) => None,
        }
    }

    /// Most tokens of prompt and answer together; `None` where only the service knows.
    pub fn context_tokens_max(&self) -> Option<u32> {
        self.here().map(|here| here.loaded.context_tokens_max)
    }

    /// How long the model took to load.
    pub fn load_time(&self) -> std::time::Duration {
        self.here().map_or(std::time::Duration::ZERO, |here| here.loaded.took)
    }

    /// What the engine did for the last answer.
    pub fn timings(&self) -> Option<Timings> {
        self.here().and_then(|here| look(&here.seen).timings)
    }

    /// Exactly how many tokens a prompt has, where that can be known without asking.
    pub fn prompt_tokens(&self, lang: Lang, messages: &[Message]) -> Result<Option<usize>, CliError> {
        self.here().map(|here| here.loaded.prompt_tokens(lang, messages)).transpose()
    }

    /// About how many tokens a text has.
    pub fn tokens_about(&self, text: &str) -> u64 {
        self.client.chat(self.model.as_str()).user(text).estimate().input_tokens
    }

    /// The words and the exit code for an answer that did not come.
    pub fn explain(&self, lang: Lang, error: &qwenda::Error) -> CliError {
        let exit = exit_of(error.kind());
        let Some(here) = self.here() else {
            let text = harmless(&error.friendly(lang.sdk())).into_owned();
            let (first, rest) = text.split_once('\n').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
            let explained = CliError::new(exit, first);
            return match rest {
                Some(rest) => explained.hint(rest),
                None => explained,
            };
        };
        // Between us and the engine there is no wire: its own words say it best.
        match (error.kind(), look(&here.seen).too_long) {
            (_, Some((prompt, limit))) => CliError::new(Exit::TooLong, messages::prompt_too_long(lang, prompt, limit)),
            (Kind::Throttled(_), None) => CliError::new(exit, messages::busy(lang)),
            (_, None) if error.message().is_empty() => CliError::new(exit, error.friendly(lang.sdk())),
            (_, None) => CliError::new(exit, error.message()),
        }
    }

    /// What is said of who answers, at the beginning of a conversation.
    pub fn introduce(&self, lang: Lang) -> String {
        match &self.place {
            Place::Here(_) => messages::welcome(lang, &self.model),
            Place::Service(host) => words::welcome_service(lang, &harmless(&self.model), host),
        }
    }

    /// That it is this one who answers from here on.
    pub fn answers(&self, lang: Lang) -> String {
        match &self.place {
            Place::Here(_) => messages::model_is(lang, &self.model),
            Place::Service(host) => words::model_is_at(lang, &harmless(&self.model), host),
        }
    }

    /// Says that a question leaves this machine, to who sits in front of it.
    pub fn say_where(&self, ui: Ui) {
        if let Place::Service(host) = &self.place
            && ui.stderr_terminal
        {
            ui.notice(words::asks_service(ui.lang, &harmless(&self.model), host));
        }
    }
}

/// The host of an address, with its port where it has one of its own.
fn host(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    host.unwrap_or_else(|| url.to_owned())
}

/// The documented exit code of what went wrong with a call.
pub fn exit_of(kind: Kind) -> Exit {
    match kind {
        Kind::Config | Kind::Invalid | Kind::Refused | Kind::Conflict => Exit::Usage,
        Kind::NotFound => Exit::Model,
        Kind::ContextOverflow => Exit::TooLong,
        Kind::Unauthorized | Kind::Forbidden => Exit::Key,
        Kind::Arrears | Kind::FreeTierEnded | Kind::BudgetSpent | Kind::OverBudget => Exit::Money,
        Kind::Throttled(_) => Exit::Throttled,
        Kind::Connect | Kind::Disconnected | Kind::Timeout(_) => Exit::Network,
        Kind::Service | Kind::Truncated | Kind::Malformed | Kind::TooLarge => Exit::Service,
        Kind::Moderation => Exit::Moderation,
        _ => Exit::Failure,
    }
}

fn look(seen: &Mutex<Seen>) -> Seen {
    // A plain copy: whoever panicked with the lock left nothing half done.
    *seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A backend that remembers what the SDK's dialect has no words for.
struct Watched {
    inner: Arc<dyn Backend>,
    seen: Arc<Mutex<Seen>>,
}

fn note(seen: &Mutex<Seen>, change: impl FnOnce(&mut Seen)) {
    change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
}

fn refused(seen: &Mutex<Seen>, error: &BackendError) {
    if let BackendError::PromptTooLong { prompt_tokens, limit_tokens } = error {
        note(seen, |seen| seen.too_long = Some((*prompt_tokens, *limit_tokens)));
    }
}

impl Backend for Watched {
    fn models(&self) -> Vec<ModelCard> {
        self.inner.models()
    }

    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        note(&self.seen, |seen| *seen = Seen::default());
        Box::pin(async move {
            let events = self.inner.chat(call).await.inspect_err(|error| refused(&self.seen, error))?;
            let seen = Arc::clone(&self.seen);
            Ok(ChatStream::new(events.inspect(move |event| match event {
                Ok(ChatEvent::Done { timings, .. }) => note(&seen, |seen| seen.timings = Some(*timings)),
                Ok(_) => {}
                Err(error) => refused(&seen, error),
            })))
        })
    }

    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        self.inner.complete(call)
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        self.inner.embed(call)
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        self.inner.rerank(call)
    }

    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        self.inner.tokenize(call)
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }
}
