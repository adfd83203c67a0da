//! The embedded engine as a [`Backend`]: each model file one engine, each choice one engine request.
//!
//! A chat begins in `chat`: `prompt` has `template` make its text, `think` knows whether the model
//! reasons first, `tools` what it may call, `format` what the answer is held to, `sampling` and
//! `defaults` what a request means that says much or nothing. Its answer comes back through `answer`,
//! where `parse` tells text from calls and `fits` whether their arguments fit. `complete` goes on with
//! texts; `embed` and `rerank` have texts read by `probe`; `tokenize` and `inspect` answer questions
//! about texts without answering them.

mod answer;
pub mod bench;
mod chat;
mod complete;
mod defaults;
mod embed;
mod fits;
mod format;
pub mod inspect;
mod parse;
mod probe;
mod prompt;
mod rerank;
mod sampling;
pub mod template;
mod think;
mod tokenize;
mod tools;

use std::{
    fs,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use qwenda_engine::{Engine, EngineOptions, EngineStats, LoadOptions, Model, Owner, SubmitError};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

pub use qwenda_engine::Isa;

pub(crate) use self::answer::call_id;
use self::{
    complete::Markers,
    defaults::Family,
    template::{ChatTemplate, TemplateError},
};
use crate::{
    Abilities, Backend, BackendError, BoxFuture, ChatCall, ChatStream, CompletionCall, EmbedCall, Embedded, ModelCard,
    Ranked, RerankCall, TokenizeCall, Tokenized, Whose, models::near,
};

/// A model file and the name that requests use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// Name in requests.
    pub name: String,
    /// The GGUF file.
    pub path: PathBuf,
}

/// How the models are run. The default suits a machine of its own.
#[derive(Debug, Clone, Default)]
pub struct LocalOptions {
    /// Threads that compute, for each model; the machine's cores if `None`.
    pub threads: Option<NonZeroUsize>,
    /// Instructions to use; the fastest this CPU has if `None`.
    pub isa: Option<Isa>,
    /// Folder where packed weights are kept and shared between processes; see
    /// [`Store::cache_dir`](crate::models::Store::cache_dir).
    pub cache_dir: Option<PathBuf>,
    /// Most tokens of one prompt with its answer; what the model was made for if `None`.
    pub context_tokens_max: Option<u32>,
    /// A smaller model of the same tokens that guesses what the models say next; nobody if `None`.
    pub draft: Option<PathBuf>,
    /// How much each engine takes on at once.
    pub engine: EngineOptions,
    /// Whether callers reuse what was computed of each other's prompts. How fast an answer comes then
    /// tells them what others have sent.
    pub share_prefixes: bool,
}

/// Models that answer in this process.
pub struct Local {
    models: Vec<Arc<Loaded>>,
}

/// One model, ready to answer.
struct Loaded {
    card: ModelCard,
    engine: Engine,
    template: ChatTemplate,
    family: &'static Family,
    /// What all of the model's embeddings have in common, once it was needed.
    centre: OnceCell<Vec<f32>>,
    /// Sequences that the engine computes at once.
    sequences_max: u32,
    share_prefixes: bool,
    /// How long requests took lately, for callers who must come again.
    request_ms: AtomicU64,
    /// The engine refused a request because it has stopped.
    stopped: AtomicBool,
}

/// Why the models cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two models would answer to one name.
    #[error("two models are called `{name}`")]
    Duplicate { name: String },
    /// The file cannot be loaded.
    #[error("{0}")]
    Engine(#[from] qwenda_engine::Error),
    /// The chat template in the file cannot be used.
    #[error("model file `{}`: {cause}", path.display())]
    Template { path: PathBuf, cause: TemplateError },
}

/// For model files that bring no chat template: the form that the whole family was trained on.
const PLAIN_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content \
    + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

impl Local {
    /// Loads all models and starts their engines. Blocks while the files are read.
    pub fn open(models: Vec<LocalModel>, options: LocalOptions) -> Result<Self, OpenError> {
        let mut loaded: Vec<Arc<Loaded>> = Vec::new();
        for model in models {
            if loaded.iter().any(|other| other.card.id == model.name) {
                return Err(OpenError::Duplicate { name: model.name });
            }
            loaded.push(Arc::new(Loaded::open(model, &options)?));
        }
        Ok(Self { models: loaded })
    }

    fn find(&self, name: &str) -> Result<Arc<Loaded>, BackendError> {
        self.models.iter().find(|model| model.card.id == name).cloned().ok_or_else(|| BackendError::UnknownModel {
            name: name.to_owned(),
            near: near(name, self.models.iter().map(|model| model.card.id.as_str())),
        })
    }
}

impl Backend for Local {
    fn models(&self) -> Vec<ModelCard> {
        self.models.iter().map(|model| model.card.clone()).collect()
    }

    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move { chat::chat(self.find(&call.request.model)?, call).await })
    }

    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        Box::pin(async move { complete::complete(self.find(&call.request.model)?, call).await })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        Box::pin(async move { embed::embed(self.find(&call.request.model)?, call).await })
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        Box::pin(async move { rerank::rerank(self.find(&call.request.model)?, call).await })
    }

    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        Box::pin(async move { tokenize::tokenize(self.find(&call.model)?, call).await })
    }

    fn ready(&self) -> bool {
        !self.models.is_empty() && self.models.iter().all(|model| !model.stopped.load(Ordering::Relaxed))
    }

    fn stats(&self) -> Vec<(String, EngineStats)> {
        self.models.iter().map(|model| (model.card.id.clone(), model.engine.stats())).collect()
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.models.iter().map(|model| &model.card)).finish()
    }
}

impl Loaded {
    fn open(model: LocalModel, options: &LocalOptions) -> Result<Self, OpenError> {
        let file = Model::load(&model.path, &load_options(options))?;
        let template = template_of(&model.path, file.info())?;
        let family = Family::of(file.info());
        let engine = match &options.draft {
            None => Engine::start(file, options.engine.clone()),
            Some(draft) => {
                let draft = Model::load(draft, &load_options(options))?;
                Engine::start_with_draft(file, draft, options.engine.clone())?
            }
        };
        let most = engine.tokens_max();
        let context = options.context_tokens_max.map_or(most, |limit| limit.clamp(2, most));
        let (tokenizer, thinks) = (engine.tokenizer(), template.thinking());
        let abilities = Abilities {
            chat: engine.info().generates,
            infill: engine.info().generates && Markers::of(tokenizer).is_some(),
            embed: embed::ability(engine.info(), tokenizer, thinks, context),
            rerank: rerank::able(engine.info(), tokenizer, thinks, context),
            ..Abilities::default()
        };
        // Since when it is here is the file's own time: a restart does not change it.
        let created = fs::metadata(&model.path).and_then(|meta| meta.modified()).ok();
        let created = created.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |age| age.as_secs());
        Ok(Self {
            card: ModelCard {
                id: model.name,
                created,
                owned_by: "qwen".to_owned(),
                context_tokens_max: context,
                thinking: think::ability(&template),
                abilities,
            },
            engine,
            template,
            family,
            centre: OnceCell::new(),
            sequences_max: options.engine.sequences_max.max(1),
            share_prefixes: options.share_prefixes,
            request_ms: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    /// For whom the engine computes.
    fn owner(&self, whose: &Whose) -> Owner {
        let account = number(&whose.account);
        let scope = if self.share_prefixes { 0 } else { account };
        Owner { scope, account, priority: whose.priority }
    }

    /// What to tell the caller whom the engine did not take.
    fn refusal(&self, error: SubmitError) -> BackendError {
        match error {
            SubmitError::Busy { queued } => BackendError::Busy { retry_after_ms: self.retry_after_ms(queued) },
            SubmitError::TooLong { prompt, limit } => {
                BackendError::PromptTooLong { prompt_tokens: prompt, limit_tokens: limit }
            }
            SubmitError::Invalid(text) => BackendError::Internal(format!("the engine refuses the request: {text}")),
            SubmitError::Stopped => {
                self.stopped.store(true, Ordering::Relaxed);
                BackendError::Internal("the engine has stopped".to_owned())
            }
        }
    }

    /// About how long until a place is free, from how long requests took lately.
    fn retry_after_ms(&self, queued: usize) -> u64 {
        let rounds = (queued as u64).div_ceil(u64::from(self.sequences_max));
        (self.request_ms.load(Ordering::Relaxed) * rounds).clamp(1_000, 60_000)
    }

    /// Remembers how long a request took: a running mean over about the last eight.
    fn took(&self, ms: u64) {
        let before = self.request_ms.load(Ordering::Relaxed);
        let mean = if before == 0 { ms } else { before - before / 8 + ms / 8 };
        self.request_ms.store(mean, Ordering::Relaxed);
    }
}

/// An account as the engine names it. Callers choose neither it nor what it hashes to.
fn number(account: &str) -> u64 {
    let hash = Sha256::digest(account.as_bytes());
    u64::from_le_bytes(hash[..8].try_into().expect("a digest has 32 bytes"))
}

/// Runs what computes for long where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BackendError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| BackendError::Internal(format!("reading the request: {panic}")))
}

fn load_options(options: &LocalOptions) -> LoadOptions {
    LoadOptions {
        isa: options.isa,
        threads: options.threads,
        cache_dir: options.cache_dir.clone(),
        ..LoadOptions::default()
    }
}

fn template_of(path: &std::path::Path, info: &qwenda_engine::ModelInfo) -> Result<ChatTemplate, OpenError> {
    let source = info.chat_template.as_deref().unwrap_or(PLAIN_TEMPLATE);
    let text = |token: &Option<String>| token.clone().unwrap_or_default();
    ChatTemplate::new(source, &text(&info.bos_text), &text(&info.eos_text))
        .map_err(|cause| OpenError::Template { path: path.to_owned(), cause })
}
