//! What this run does: flags over environment over file over default, decided here and nowhere else.
//!
//! The file is `qwenda.toml` in `QWENDA_HOME`, or the one that `--config` or `QWENDA_CONFIG` names.

use std::{
    env, fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use qwenda_backend::{
    local::{Isa, LocalOptions},
    models::{Catalogue, Store},
    upstream::config::{self as upstream, UpstreamConfig},
};
use qwenda_server::{
    Auth, Place, ServeConfig,
    config::{ConfigError, Written},
};
use qwenda_types::chat::{SEED_DEFAULT, SEED_MAX};
use serde::Deserialize;

use crate::{
    args,
    exit::CliError,
    lang::{Lang, messages},
    tools::servers::Written as Mcp,
};

/// The model that services are asked for where nobody names one.
const SERVICE_MODEL: &str = "qwen-plus";

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lang: Option<Lang>,
    model: Option<String>,
    threads: Option<NonZeroUsize>,
    #[serde(default)]
    chat: ChatFile,
    #[serde(default)]
    serve: ServeFile,
    #[serde(default)]
    mcp: Vec<Mcp>,
    #[serde(default)]
    upstream: Vec<upstream::Written>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatFile {
    system: Option<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    max_tokens: Option<u32>,
    seed: Option<u64>,
    #[serde(default)]
    stop: Vec<String>,
    local: Option<bool>,
    context: Option<u32>,
    summarize: Option<WrittenSummaries>,
    think: Option<bool>,
    reasoning: Option<bool>,
    plain: Option<bool>,
}

/// `true`, `false`, or a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum WrittenSummaries {
    Switch(bool),
    Model(String),
}

/// Whether what outgrows the context is summarised, and by which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summaries {
    Off,
    /// The one that answers.
    SameModel,
    Model(String),
}

impl Summaries {
    /// `on`, `off`, or a model.
    pub fn of(text: &str) -> Self {
        match text {
            "off" => Self::Off,
            "on" | "" => Self::SameModel,
            model => Self::Model(model.to_owned()),
        }
    }
}

/// The `[serve]` table: what is ours, and what the server knows itself.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "toml::Table")]
struct ServeFile {
    models: Vec<String>,
    context: Option<u32>,
    kv_tokens: Option<u32>,
    sequences: Option<u32>,
    guess: Option<bool>,
    draft: Option<String>,
    share_prefixes: Option<bool>,
    server: Written,
}

impl TryFrom<toml::Table> for ServeFile {
    type Error = toml::de::Error;

    fn try_from(mut table: toml::Table) -> Result<Self, toml::de::Error> {
        Ok(Self {
            models: take(&mut table, "models")?.unwrap_or_default(),
            context: take(&mut table, "context")?,
            kv_tokens: take(&mut table, "kv_tokens")?,
            sequences: take(&mut table, "sequences")?,
            guess: take(&mut table, "guess")?,
            draft: take(&mut table, "draft")?,
            share_prefixes: take(&mut table, "share_prefixes")?,
            server: Written::deserialize(table)?,
        })
    }
}

fn take<'a, T: Deserialize<'a>>(table: &mut toml::Table, key: &str) -> Result<Option<T>, toml::de::Error> {
    table.remove(key).map(toml::Value::try_into).transpose()
}

/// What is settled for all commands.
#[derive(Debug)]
pub struct Settings {
    pub lang: Lang,
    pub store: Store,
    pub catalogue: Catalogue,
    /// Instructions to compute with; the fastest this CPU has if `None`.
    pub isa: Option<Isa>,
    file: File,
    env: Env,
}

/// How `chat` asks. Values are in the ranges of the API; `None` is the model's own default.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    pub model: ModelSettings,
    /// Whom to ask; the embedded engine if `None`.
    pub service: Option<qwenda::Builder>,
    /// Most tokens of the conversation that are sent.
    pub context_tokens_max: Option<u32>,
    pub summaries: Summaries,
    /// Nobody else is to be asked, whatever the environment names.
    pub local: bool,
    pub think: Option<bool>,
    /// Whether reasoning is shown as it comes.
    pub reasoning: bool,
    /// Answers are shown as they are written.
    pub plain: bool,
    pub system: Option<String>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
    pub max_tokens: Option<u32>,
    pub seed: u64,
    pub stop: Vec<String>,
}

/// Which model answers, and on how many threads.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    pub name: String,
    pub threads: Option<NonZeroUsize>,
}

/// How `serve` serves.
#[derive(Debug)]
pub struct ServeSettings {
    pub server: ServeConfig,
    /// Those of the embedded engine.
    pub models: Vec<String>,
    pub upstreams: Vec<UpstreamConfig>,
    pub threads: Option<NonZeroUsize>,
    pub context_tokens_max: Option<u32>,
    pub engine: EngineSettings,
    /// The model that guesses for the others.
    pub draft: Option<String>,
}

/// How much the embedded engine takes on, and who shares what in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    pub kv_tokens_max: Option<u32>,
    pub sequences_max: Option<u32>,
    pub guess: bool,
    pub share_prefixes: bool,
}

impl EngineSettings {
    /// Writes what was said into `options`.
    pub fn apply(self, options: &mut LocalOptions) {
        let engine = &mut options.engine;
        engine.kv_tokens_max = self.kv_tokens_max.or(engine.kv_tokens_max);
        engine.sequences_max = self.sequences_max.unwrap_or(engine.sequences_max);
        if !self.guess {
            engine.guess_rows_max = 0;
        }
        options.share_prefixes = self.share_prefixes;
    }
}

/// The environment, where an empty variable is one that is not set.
#[derive(Debug, Clone, Copy)]
pub struct Env;

impl Env {
    pub fn get(self, name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    pub fn parse<T: FromStr>(self, lang: Lang, name: &str) -> Result<Option<T>, CliError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(CliError::usage(messages::bad_variable(lang, name, &value))),
        }
    }
}

impl Env {
    /// A yes or a no.
    fn switch(self, lang: Lang, name: &str) -> Result<Option<bool>, CliError> {
        match self.get(name).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes") => Ok(Some(true)),
            Some("0" | "false" | "no") => Ok(Some(false)),
            Some(value) => Err(CliError::usage(messages::bad_variable(lang, name, value))),
        }
    }
}

impl Settings {
    /// Reads the file; `lang` is what is known of the language until then.
    pub fn read(global: &args::Global, lang: Lang) -> Result<Self, CliError> {
        let store = Store::from_env();
        let named = global.config.clone().or_else(|| Env.get("QWENDA_CONFIG").map(PathBuf::from));
        let file = read_file(lang, named.as_deref(), &store.home().join("qwenda.toml"))?;
        let lang = match (global.lang, Lang::of_env(|name| Env.get(name)), file.lang) {
            (Some(lang), ..) | (None, Some(lang), _) | (None, None, Some(lang)) => lang,
            (None, None, None) => lang,
        };
        let catalogue = store.catalogue();
        let catalogue = catalogue.map_err(|error| CliError::usage(messages::bad_catalogue(lang, &error)))?;
        let isa = Env.parse(lang, "QWENDA_ISA")?;
        Ok(Self { lang, store, catalogue, isa, file, env: Env })
    }

    /// Where models and everything else of ours lies.
    pub fn home(&self) -> &Path {
        self.store.home()
    }

    /// MCP servers whose tools `chat` can let models call.
    pub fn mcp(&self) -> &[Mcp] {
        &self.file.mcp
    }

    /// Names a model can be called by, for completion.
    pub fn model_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.catalogue.entries().iter().map(|entry| entry.name.clone()).collect();
        for installed in self.store.installed(&self.catalogue).unwrap_or_default() {
            if !names.contains(&installed.name) {
                names.push(installed.name);
            }
        }
        names
    }

    pub fn model(&self, flag: Option<&str>, threads: Option<NonZeroUsize>) -> Result<ModelSettings, CliError> {
        let name = flag.map(str::to_owned).or_else(|| self.env.get("QWENDA_MODEL")).or_else(|| self.file.model.clone());
        Ok(ModelSettings {
            name: name.unwrap_or_else(|| self.catalogue.default_entry().name.clone()),
            threads: self.threads(threads)?,
        })
    }

    pub fn chat(&self, args: &args::Chat) -> Result<ChatSettings, CliError> {
        let file = &self.file.chat;
        let sampling = &args.sampling;
        let lang = self.lang;
        let temperature = sampling.temperature.or(file.temperature);
        within(lang, "--temperature", temperature, "[0, 2)", |value| (0.0..2.0).contains(&value))?;
        let top_p = sampling.top_p.or(file.top_p);
        within(lang, "--top-p", top_p, "(0, 1]", |value| value > 0.0 && value <= 1.0)?;
        let top_k = sampling.top_k.or(file.top_k);
        let top_k_max = u32::MAX;
        within(lang, "--top-k", top_k, &format!("[0, {top_k_max}]"), |value| u32::try_from(value).is_ok())?;
        let max_tokens = sampling.max_tokens.or(file.max_tokens);
        within(lang, "--max-tokens", max_tokens, &format!("[1, {}]", u32::MAX), |value| value > 0)?;
        let seed = sampling.seed.or(file.seed);
        within(lang, "--seed", seed, &format!("[0, {SEED_MAX}]"), |value| value <= SEED_MAX)?;
        let stop = if sampling.stop.is_empty() { file.stop.clone() } else { sampling.stop.clone() };
        if stop.iter().any(String::is_empty) {
            return Err(CliError::usage(messages::empty_stop(lang)));
        }
        let context_tokens_max = args.context.or(file.context);
        within(lang, "--context", context_tokens_max, &format!("[1, {}]", u32::MAX), |value| value > 0)?;
        let local = args.local || file.local.unwrap_or(false);
        let (model, service) = self.answerer(args.model.model.as_deref(), args.model.threads, local)?;
        let written = || match &file.summarize {
            None | Some(WrittenSummaries::Switch(false)) => Summaries::Off,
            Some(WrittenSummaries::Switch(true)) => Summaries::SameModel,
            Some(WrittenSummaries::Model(name)) => Summaries::of(name),
        };
        let think = args.think.then_some(true).or(args.no_think.then_some(false));
        Ok(ChatSettings {
            model,
            service,
            local,
            context_tokens_max,
            summaries: args.summarize.as_deref().map_or_else(written, Summaries::of),
            think: think.or(file.think),
            plain: args.plain || file.plain.unwrap_or(false),
            reasoning: args.reasoning || file.reasoning.unwrap_or(false),
            system: args.system.clone().or_else(|| file.system.clone()),
            temperature,
            top_p,
            top_k: top_k.and_then(|value| u32::try_from(value).ok()),
            max_tokens,
            seed: seed.unwrap_or(SEED_DEFAULT),
            stop,
        })
    }

    /// Which model answers, and at which service. A file that is here answers here; so does all else with `local`, and
    /// where the environment names no service.
    pub fn answerer(
        &self,
        flag: Option<&str>,
        threads: Option<NonZeroUsize>,
        local: bool,
    ) -> Result<(ModelSettings, Option<qwenda::Builder>), CliError> {
        let mut model = self.model(flag, threads)?;
        let named = flag.is_some() || self.names_a_model();
        let is_file = named && (model.name.ends_with(".gguf") || Path::new(&model.name).is_file());
        let names_service = ["QWENDA_BASE_URL", "DASHSCOPE_API_KEY"].iter().any(|name| self.env.get(name).is_some());
        if local || is_file || !names_service {
            return Ok((model, None));
        }
        if !named {
            model.name = SERVICE_MODEL.to_owned();
        }
        let service = qwenda::Builder::from_env();
        let service = service.map_err(|error| CliError::usage(error.friendly(self.lang.sdk())))?;
        Ok((model, Some(service)))
    }

    pub fn serve(&self, args: &args::Serve) -> Result<ServeSettings, CliError> {
        let file = &self.file.serve;
        let lang = self.lang;
        let context_tokens_max = match args.context {
            Some(context) => Some(context),
            None => self.env.parse(lang, "QWENDA_CONTEXT")?.or(file.context),
        };
        within(lang, "--context", context_tokens_max, &format!("[1, {}]", u32::MAX), |value| value > 0)?;
        let engine = self.engine(args)?;
        let models = match (args.models.is_empty(), file.models.is_empty()) {
            (false, _) => args.models.clone(),
            (true, false) if self.env.get("QWENDA_MODEL").is_none() => file.models.clone(),
            // Whoever has upstreams and names no model here needs none here.
            (true, _) if !self.file.upstream.is_empty() && !self.names_a_model() => Vec::new(),
            (true, _) => vec![self.model(None, None)?.name],
        };
        let flags = Written {
            listen: args.listen.clone(),
            data_dir: args.data_dir.clone(),
            auth: args.no_auth.then_some(Auth::None),
            strictness: args.strictness.clone(),
            stand_in: args.stand_in.then_some(true),
            aliases: args.aliases.iter().map(|text| self.alias(text)).collect::<Result<_, _>>()?,
            ..Written::default()
        };
        Ok(ServeSettings {
            server: self.server(flags)?,
            models,
            upstreams: self.upstreams()?,
            threads: self.threads(args.threads)?,
            context_tokens_max,
            engine,
            draft: args.draft.clone().or_else(|| self.env.get("QWENDA_DRAFT")).or_else(|| file.draft.clone()),
        })
    }

    fn engine(&self, args: &args::Serve) -> Result<EngineSettings, CliError> {
        let (file, lang) = (&self.file.serve, self.lang);
        let number = |flag: Option<u32>, variable: &str, file: Option<u32>| match flag {
            Some(value) => Ok(Some(value)),
            None => Ok::<_, CliError>(self.env.parse(lang, variable)?.or(file)),
        };
        let switch = |flag: Option<bool>, variable: &str, file: Option<bool>| match flag {
            Some(value) => Ok(Some(value)),
            None => Ok::<_, CliError>(self.env.switch(lang, variable)?.or(file)),
        };
        let kv_tokens_max = number(args.kv_tokens, "QWENDA_KV_TOKENS", file.kv_tokens)?;
        within(lang, "--kv-tokens", kv_tokens_max, &format!("[1, {}]", u32::MAX), |value| value > 0)?;
        let sequences_max = number(args.sequences, "QWENDA_SEQUENCES", file.sequences)?;
        within(lang, "--sequences", sequences_max, "[1, 256]", |value| (1..=256).contains(&value))?;
        let guess = switch(args.no_guess.then_some(false), "QWENDA_GUESS", file.guess)?.unwrap_or(true);
        let share = args.share_prefixes.then_some(true);
        let share_prefixes = switch(share, "QWENDA_SHARE_PREFIXES", file.share_prefixes)?.unwrap_or(false);
        Ok(EngineSettings { kv_tokens_max, sequences_max, guess, share_prefixes })
    }

    fn names_a_model(&self) -> bool {
        self.env.get("QWENDA_MODEL").is_some() || self.file.model.is_some()
    }

    fn upstreams(&self) -> Result<Vec<UpstreamConfig>, CliError> {
        upstream::resolve(self.file.upstream.clone(), &|name| self.env.get(name))
            .map_err(|error| CliError::usage(messages::bad_upstream(self.lang, &error)))
    }

    fn alias(&self, text: &str) -> Result<(String, String), CliError> {
        let Some((name, model)) = text.split_once('=') else {
            let error = ConfigError::AliasShape { value: text.to_owned() };
            return Err(CliError::usage(messages::bad_serve_settings(self.lang, &error)));
        };
        Ok((name.to_owned(), model.to_owned()))
    }

    /// Where keys and the like are kept: where `serve` with the same settings looks for them.
    pub fn place(&self, data_dir: Option<&Path>) -> Result<Place, CliError> {
        let flags = Written { data_dir: data_dir.map(Path::to_owned), ..Written::default() };
        Ok(Place::from(&self.server(flags)?))
    }

    fn server(&self, flags: Written) -> Result<ServeConfig, CliError> {
        ServeConfig::resolve(flags, &|name| self.env.get(name), self.file.serve.server.clone(), self.home())
            .map_err(|error| CliError::usage(messages::bad_serve_settings(self.lang, &error)))
    }

    fn threads(&self, flag: Option<NonZeroUsize>) -> Result<Option<NonZeroUsize>, CliError> {
        match flag {
            Some(threads) => Ok(Some(threads)),
            None => Ok(self.env.parse(self.lang, "QWENDA_THREADS")?.or(self.file.threads)),
        }
    }
}

fn within<T: Copy + ToString>(
    lang: Lang,
    name: &str,
    value: Option<T>,
    range: &str,
    ok: impl Fn(T) -> bool,
) -> Result<(), CliError> {
    match value {
        Some(value) if !ok(value) => {
            Err(CliError::usage(messages::out_of_range(lang, name, range, &value.to_string())))
        }
        _ => Ok(()),
    }
}

/// The file that was named, which must be there, or the one in its usual place, which need not.
fn read_file(lang: Lang, named: Option<&Path>, usual: &Path) -> Result<File, CliError> {
    let path = named.unwrap_or(usual);
    let place = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if absent(&error) && named.is_none() => return Ok(File::default()),
        Err(error) => return Err(CliError::usage(messages::cannot_read(lang, &place, &error))),
    };
    toml::from_str(&text)
        .map_err(|error| CliError::usage(messages::bad_config(lang, &place, &complaint(&text, &error))))
}

/// What is wrong, with the line it is on; the line itself is not shown where it may have a key.
fn complaint(text: &str, error: &toml::de::Error) -> String {
    if !text.contains("upstream") {
        return error.to_string();
    }
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("{}: ", before.matches('\n').count() + 1));
    format!("{}{}", line.unwrap_or_default(), error.message())
}

/// Whether there is no such file, or no folder it could be in.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_nobody_knows_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qwenda.toml");
        fs::write(&path, "[chat]\ntemprature = 0.5\n").unwrap();
        let error = read_file(Lang::En, None, &path).unwrap_err();
        assert!(error.message.contains("temprature") && error.message.contains("qwenda.toml"), "{}", error.message);
    }

    #[test]
    fn only_a_file_that_was_named_has_to_be_there() {
        let missing = Path::new("/no/such/qwenda.toml");
        assert!(read_file(Lang::En, None, missing).is_ok());
        assert!(read_file(Lang::En, Some(missing), missing).is_err());
    }
}
