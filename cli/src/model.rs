//! From a name or a path to a model that answers: fetched first when it is not here, then loaded.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use qwenda_backend::{
    Backend,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
    models::{self, Entry, PullError, PullOptions, ResolveError, Resolved, SourceError, Tried},
};
use qwenda_types::chat::Message;
use serde_json::Value;

use crate::{
    exit::CliError,
    interrupt,
    lang::{Lang, messages},
    output::Ui,
    progress::{self, PullBar},
    settings::{ModelSettings, Settings},
};

/// A model that answers.
pub struct Loaded {
    pub name: String,
    pub context_tokens_max: u32,
    pub backend: Arc<Local>,
    /// How long loading took.
    pub took: Duration,
    path: PathBuf,
    /// Opened when a conversation grows long enough to be counted.
    inspector: OnceLock<Inspector>,
}

/// The file behind a name or path, fetched first when it is not here.
pub async fn obtain(ui: Ui, settings: &Settings, name: &str) -> Result<LocalModel, CliError> {
    match resolve(ui.lang, settings, name)? {
        Resolved::Here { name, path } => Ok(LocalModel { name, path }),
        Resolved::Missing(entry) => {
            let path = pull(ui, settings, &entry, PullOptions::default()).await?;
            Ok(LocalModel { name: entry.name.clone(), path })
        }
    }
}

/// What a name or path stands for.
pub fn resolve(lang: Lang, settings: &Settings, name: &str) -> Result<Resolved, CliError> {
    settings.store.resolve(&settings.catalogue, name).map_err(|error| match error {
        ResolveError::Unknown { name, near } => unknown(lang, &name, &near),
        ResolveError::NoFile { path } => CliError::model(messages::no_such_file(lang, &path.display().to_string())),
        ResolveError::NotAFile { path } => CliError::model(messages::not_a_file(lang, &path.display().to_string())),
        ResolveError::Io { path, cause } => {
            CliError::failure(messages::cannot_read(lang, &path.display().to_string(), &cause))
        }
    })
}

/// Nothing is called that; the names most like it.
pub fn unknown(lang: Lang, name: &str, near: &[String]) -> CliError {
    let error = CliError::model(messages::unknown_model(lang, name));
    error.hint(if near.is_empty() { messages::list_models(lang) } else { messages::did_you_mean(lang, near) })
}

/// Fetches a model of the catalogue, with a bar. Ctrl-C ends it and keeps what was fetched.
pub async fn pull(ui: Ui, settings: &Settings, entry: &Entry, options: PullOptions) -> Result<PathBuf, CliError> {
    let folder = settings.store.models_dir().display().to_string();
    ui.notice(messages::pulling(ui.lang, &entry.name, &progress::bytes(entry.bytes), &folder));
    let cancel = options.cancel.clone();
    let (store, wanted, mut bar) = (settings.store.clone(), entry.clone(), PullBar::new(ui, &entry.name));
    let stop = interrupt::ctrl_c();
    let mut work = tokio::task::spawn_blocking(move || {
        let done = models::pull(&wanted, &store, &options, &mut |progress| bar.show(progress));
        bar.end();
        done
    });
    let done = tokio::select! {
        done = &mut work => done,
        () = stop => {
            cancel.store(true, Ordering::Relaxed);
            // A second Ctrl-C does not wait for the source to notice the first.
            tokio::select! {
                done = work => done,
                () = interrupt::ctrl_c() => return Err(CliError::interrupted()),
            }
        }
    };
    let path = match done.expect("pulling reports errors and does not panic") {
        Ok(path) => path,
        Err(PullError::Cancelled) => {
            ui.notice(messages::pull_stopped(ui.lang));
            return Err(CliError::interrupted());
        }
        Err(error) => return Err(explain(ui.lang, error)),
    };
    ui.notice(messages::pulled(ui.lang, &entry.name, &path.display().to_string()));
    Ok(path)
}

/// Loads the model with a spinner. Ctrl-C ends it.
pub async fn load(ui: Ui, settings: &Settings, model: &ModelSettings) -> Result<Loaded, CliError> {
    let file = obtain(ui, settings, &model.name).await?;
    let start = Instant::now();
    let options = options(settings, model.threads);
    let (name, path) = (file.name.clone(), file.path.clone());
    let spinner = progress::spinner(ui, messages::loading(ui.lang, &name));
    let backend = blocking(move || Local::open(vec![file], options)).await;
    spinner.clear();
    let backend = backend?.map_err(|error| CliError::model(messages::unusable_model(ui.lang, &name, &error)))?;
    let card = backend.models().into_iter().next().expect("it was opened with one model");
    let context_tokens_max = card.context_tokens_max;
    let took = start.elapsed();
    Ok(Loaded { name: card.id, context_tokens_max, backend: Arc::new(backend), took, path, inspector: OnceLock::new() })
}

/// How models are run for one person.
pub fn options(settings: &Settings, threads: Option<NonZeroUsize>) -> LocalOptions {
    let cache_dir = Some(settings.store.cache_dir());
    LocalOptions { threads, isa: settings.isa, cache_dir, ..LocalOptions::default() }
}

impl Loaded {
    /// Exactly how many tokens these messages are to the model.
    pub fn prompt_tokens(&self, lang: Lang, messages: &[Message]) -> Result<usize, CliError> {
        let inspector = match self.inspector.get() {
            Some(inspector) => inspector,
            None => {
                let opened = Inspector::open(&self.path);
                let opened =
                    opened.map_err(|error| CliError::model(messages::unusable_model(lang, &self.name, &error)))?;
                self.inspector.get_or_init(|| opened)
            }
        };
        let values: Vec<Value> =
            messages.iter().map(|message| serde_json::to_value(message).expect("a message is JSON")).collect();
        let prompt = inspector.render(&values, None).map_err(|error| CliError::usage(error.to_string()))?;
        Ok(inspector.count(&prompt))
    }
}

/// Runs what computes or waits for the disk where it holds up nothing, until it is done or Ctrl-C.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CliError> {
    let stop = interrupt::ctrl_c();
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => Ok(done.expect("it reports errors and does not panic")),
        () = stop => Err(CliError::interrupted()),
    }
}

/// The words for a pull that brought no model.
pub fn explain(lang: Lang, error: PullError) -> CliError {
    let place = |path: &PathBuf| path.display().to_string();
    match error {
        PullError::Cancelled => CliError::interrupted(),
        PullError::NoNetwork { model, tried } => CliError::model(messages::no_network(lang, &model)).hint(format!(
            "{}\n{}",
            list(lang, &tried),
            messages::pull_from(lang, &model)
        )),
        PullError::NoSource { model, tried } => CliError::model(messages::no_source(lang, &model)).hint(format!(
            "{}\n{}",
            list(lang, &tried),
            messages::pull_from(lang, &model)
        )),
        PullError::WrongHash { model, source_name, want, got, .. } => {
            CliError::model(messages::wrong_hash(lang, &model, &source_name, &want, &got))
        }
        PullError::NotThere { path, what } => CliError::model(messages::not_there(lang, &place(&path), &what)),
        PullError::DiskFull { path, needed, free } => CliError::failure(messages::disk_full(
            lang,
            &place(&path),
            &progress::bytes(needed),
            &progress::bytes(free),
        )),
        PullError::Io { path, cause } => CliError::failure(messages::cannot_write(lang, &place(&path), &cause)),
    }
}

/// One line per source that was tried in vain.
fn list(lang: Lang, tried: &[Tried]) -> String {
    let line = |one: &Tried| {
        let why = match &one.error {
            SourceError::Unreachable(why) => messages::source_unreachable(lang, why),
            SourceError::NotFound(why) => messages::source_lacks(lang, why),
            SourceError::WrongLength { want, got } => messages::source_wrong_length(lang, *want, *got),
            SourceError::WrongHash { .. } => messages::source_wrong_hash(lang),
            SourceError::NoPip => messages::source_no_pip(lang),
            SourceError::Failed(why) => messages::source_failed(lang, why),
        };
        format!("  {}: {why}", one.source)
    };
    tried.iter().map(line).collect::<Vec<_>>().join("\n")
}
