//! How the server serves: as written (all optional) and as resolved (nothing optional that has a
//! default). Flag over environment over file over default, in [`ServeConfig::resolve`].

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use qwenda_types::chat::Strictness;
use serde::Deserialize;

mod layers;

pub use layers::{Cors, CorsWritten, Replay, ReplayWritten};

/// Name of every environment variable read here.
pub mod env {
    /// Address and port to listen at.
    pub const LISTEN: &str = "QWENDA_LISTEN";
    /// Folder of the database and the secret.
    pub const DATA_DIR: &str = "QWENDA_DATA_DIR";
    /// `postgres://USER:PASSWORD@HOST/NAME`: a database that several servers share.
    pub const DATABASE_URL: &str = "QWENDA_DATABASE_URL";
    /// `keys` or `none`.
    pub const AUTH: &str = "QWENDA_AUTH";
    /// `auto`, `qwen` or `openai`.
    pub const STRICTNESS: &str = "QWENDA_STRICTNESS";
    /// Whether the models also answer to the cloud's names.
    pub const STAND_IN: &str = "QWENDA_STAND_IN";
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Whoever has a working key.
    #[default]
    Keys,
    /// Anyone; only on a loopback address.
    None,
}

impl FromStr for Auth {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "keys" => Ok(Self::Keys),
            "none" => Ok(Self::None),
            other => Err(ConfigError::Auth { value: other.to_owned() }),
        }
    }
}

/// The URL of a database. It prints as `***`: it has a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if qwenda_store::is_server_url(text) { Ok(Self(text.to_owned())) } else { Err(ConfigError::DatabaseUrl) }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The settings as written, in a file's `[serve]` table or as flags.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub database_url: Option<String>,
    pub auth: Option<Auth>,
    pub strictness: Option<String>,
    pub stand_in: Option<bool>,
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    pub body_bytes_max: Option<usize>,
    pub connections_max: Option<usize>,
    pub requests_max: Option<usize>,
    pub header_timeout_ms: Option<u64>,
    pub body_timeout_ms: Option<u64>,
    pub keep_alive_ms: Option<u64>,
    pub drain_timeout_ms: Option<u64>,
    pub cors: Option<CorsWritten>,
    pub replay: Option<ReplayWritten>,
}

/// The settings as resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Folder of the database and the secret.
    pub data_dir: PathBuf,
    /// A PostgreSQL server's database in place of the one in the folder.
    pub database_url: Option<DatabaseUrl>,
    /// Who may call.
    pub auth: Auth,
    /// Whose rules hold where the contract and OpenAI differ.
    pub strictness: Strictness,
    /// Whether the models also answer to the cloud's names.
    pub stand_in: bool,
    /// More names that models answer to: name to model.
    pub aliases: BTreeMap<String, String>,
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Most connections at once; a few more are told "busy", and the rest wait in the system's backlog.
    pub connections_max: usize,
    /// Most requests at once, of all connections together; more are told "busy".
    pub requests_max: usize,
    /// How long a connection may take to send a request's head, and how long it may idle before.
    pub header_timeout: Duration,
    /// How long a connection may take to send a request's body.
    pub body_timeout: Duration,
    /// How often a silent stream sends a comment.
    pub keep_alive: Duration,
    /// How long running answers may go on once the server is asked to stop.
    pub drain_timeout: Duration,
    /// Pages of which origins may call from a browser.
    pub cors: Cors,
    /// How answers of requests with an `Idempotency-Key` are kept.
    pub replay: Replay,
}

/// What cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("`{value}` is not an address to listen at; write it as 127.0.0.1:8080 or [::1]:8080")]
    Listen { value: String },
    #[error("the database's URL begins with postgres://, as in postgres://USER:PASSWORD@HOST/NAME")]
    DatabaseUrl,
    #[error("auth is `keys` or `none`, not `{value}`")]
    Auth { value: String },
    #[error("strictness is `auto`, `qwen` or `openai`, not `{value}`")]
    Strictness { value: String },
    #[error("{name} is a yes or a no: `1`, `true`, `0` or `false`, not `{value}`")]
    Flag { name: &'static str, value: String },
    #[error("the alias `{alias}` stands for `{model}`, which is not served; served are: {served}")]
    AliasTarget { alias: String, model: String, served: String },
    #[error("the alias `{alias}` is the name of a model that is served")]
    AliasTaken { alias: String },
    #[error("an alias needs a name and a model, written NAME=MODEL, not `{value}`")]
    AliasShape { value: String },
    #[error("auth `none` is only for loopback addresses; {listen} can be reached from outside")]
    OpenToAll { listen: SocketAddr },
    #[error(
        "`{value}` is not an origin; write `*` alone, or origins such as https://app.example or http://localhost:3000"
    )]
    Origin { value: String },
    #[error("{field} must be {least} or more, not {value}")]
    TooSmall { field: &'static str, least: u64, value: u64 },
    #[error("{0}")]
    File(String),
}

impl Written {
    /// Reads the text of a TOML table.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::File(error.to_string()))
    }

    fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: env(env::LISTEN),
            data_dir: env(env::DATA_DIR).map(PathBuf::from),
            database_url: env(env::DATABASE_URL),
            auth: env(env::AUTH).map(|text| text.parse()).transpose()?,
            strictness: env(env::STRICTNESS),
            stand_in: env(env::STAND_IN).map(|value| yes_or_no(env::STAND_IN, value)).transpose()?,
            ..Self::default()
        })
    }

    fn or(self, under: Self) -> Self {
        Self {
            listen: self.listen.or(under.listen),
            data_dir: self.data_dir.or(under.data_dir),
            database_url: self.database_url.or(under.database_url),
            auth: self.auth.or(under.auth),
            strictness: self.strictness.or(under.strictness),
            stand_in: self.stand_in.or(under.stand_in),
            // Name by name: an alias given here hides one of the same name below.
            aliases: under.aliases.into_iter().chain(self.aliases).collect(),
            body_bytes_max: self.body_bytes_max.or(under.body_bytes_max),
            connections_max: self.connections_max.or(under.connections_max),
            requests_max: self.requests_max.or(under.requests_max),
            header_timeout_ms: self.header_timeout_ms.or(under.header_timeout_ms),
            body_timeout_ms: self.body_timeout_ms.or(under.body_timeout_ms),
            keep_alive_ms: self.keep_alive_ms.or(under.keep_alive_ms),
            drain_timeout_ms: self.drain_timeout_ms.or(under.drain_timeout_ms),
            cors: self.cors.or(under.cors),
            replay: self.replay.or(under.replay),
        }
    }
}

impl ServeConfig {
    /// Serving at this address from this folder, all else by default.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            database_url: None,
            auth: Auth::Keys,
            strictness: Strictness::Auto,
            stand_in: false,
            aliases: BTreeMap::new(),
            body_bytes_max: 8 << 20,
            connections_max: 512,
            requests_max: 1024,
            // Longer than callers keep connections they do not use (Go and Rust 90 s, others less), so
            // that it is they who close them, and never we just as one is used again.
            header_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(30),
            cors: Cors::Off,
            replay: Replay::default(),
        }
    }

    /// Flags over environment over file over default; `home` is where data lies by default.
    pub fn resolve(
        flags: Written,
        env: &dyn Fn(&str) -> Option<String>,
        file: Written,
        home: &Path,
    ) -> Result<Self, ConfigError> {
        let written = flags.or(Written::from_env(env)?).or(file);
        let listen = match written.listen {
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            Some(value) => value.parse().map_err(|_| ConfigError::Listen { value })?,
        };
        let data_dir = written.data_dir.unwrap_or_else(|| home.join("server"));
        let mut config = Self::new(listen, data_dir);
        let set_ms = |place: &mut Duration, value: Option<u64>| {
            if let Some(ms) = value {
                *place = Duration::from_millis(ms);
            }
        };
        config.database_url = written.database_url.map(|url| url.parse()).transpose()?;
        config.auth = written.auth.unwrap_or_default();
        if let Some(value) = written.strictness {
            config.strictness = strictness(&value).ok_or(ConfigError::Strictness { value })?;
        }
        config.stand_in = written.stand_in.unwrap_or(false);
        config.aliases = written.aliases;
        config.body_bytes_max = written.body_bytes_max.unwrap_or(config.body_bytes_max);
        config.connections_max = written.connections_max.unwrap_or(config.connections_max);
        set_ms(&mut config.header_timeout, written.header_timeout_ms);
        set_ms(&mut config.body_timeout, written.body_timeout_ms);
        set_ms(&mut config.keep_alive, written.keep_alive_ms);
        set_ms(&mut config.drain_timeout, written.drain_timeout_ms);
        config.requests_max = written.requests_max.unwrap_or(config.requests_max);
        config.cors = written.cors.unwrap_or_default().resolve()?;
        config.replay = written.replay.unwrap_or_default().resolve();
        config.check()?;
        Ok(config)
    }

    /// Refuses settings that cannot work or that open the server to strangers.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.auth == Auth::None && !self.listen.ip().to_canonical().is_loopback() {
            return Err(ConfigError::OpenToAll { listen: self.listen });
        }
        if let Some((alias, model)) = self.aliases.iter().find(|(alias, model)| alias.is_empty() || model.is_empty()) {
            return Err(ConfigError::AliasShape { value: format!("{alias}={model}") });
        }
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        for (field, least, value) in [
            ("body_bytes_max", 1024, self.body_bytes_max as u64),
            ("connections_max", 1, self.connections_max as u64),
            ("requests_max", 1, self.requests_max as u64),
            ("replay.entries_max", 1, self.replay.entries_max as u64),
            ("replay.bytes_max", 1 << 16, self.replay.bytes_max as u64),
            ("header_timeout_ms", 1, ms(self.header_timeout)),
            ("body_timeout_ms", 1, ms(self.body_timeout)),
            ("keep_alive_ms", 1, ms(self.keep_alive)),
        ] {
            if value < least {
                return Err(ConfigError::TooSmall { field, least, value });
            }
        }
        Ok(())
    }
}

fn strictness(text: &str) -> Option<Strictness> {
    match text {
        "auto" => Some(Strictness::Auto),
        "qwen" => Some(Strictness::Qwen),
        "openai" => Some(Strictness::OpenAi),
        _ => None,
    }
}

fn yes_or_no(name: &'static str, value: String) -> Result<bool, ConfigError> {
    match value.as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(ConfigError::Flag { name, value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &str, env: &[(&str, &str)], file: &str) -> Result<ServeConfig, ConfigError> {
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let (flags, file) = (Written::from_toml(flags)?, Written::from_toml(file)?);
        ServeConfig::resolve(flags, &env, file, Path::new("/home/x"))
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let listen = |flags, env, file| resolve(flags, env, file).unwrap().listen.to_string();
        let (flags, file) = ("listen = '127.0.0.1:1'", "listen = '127.0.0.1:3'");
        let env = &[(env::LISTEN, "127.0.0.1:2")];
        assert_eq!(listen(flags, env, file), "127.0.0.1:1");
        assert_eq!(listen("", env, file), "127.0.0.1:2");
        assert_eq!(listen("", &[], file), "127.0.0.1:3");
        assert_eq!(listen("", &[], ""), "127.0.0.1:8080");
        let config = resolve("", &[], "drain_timeout_ms = 5").unwrap();
        assert_eq!(config.drain_timeout, Duration::from_millis(5));
        assert_eq!(config.data_dir, Path::new("/home/x/server"));
    }

    #[test]
    fn aliases_of_flag_and_file_come_together_and_the_flag_s_wins() {
        let config = resolve("[aliases]\na = 'x'", &[], "[aliases]\na = 'y'\nb = 'z'").unwrap();
        let aliases: Vec<_> = config.aliases.iter().map(|(alias, model)| format!("{alias}={model}")).collect();
        assert_eq!(aliases, ["a=x", "b=z"]);
        assert!(!config.stand_in);
        assert!(resolve("", &[(env::STAND_IN, "1")], "stand_in = false").unwrap().stand_in);
        let config = resolve("", &[(env::STRICTNESS, "openai")], "strictness = 'qwen'").unwrap();
        assert_eq!(config.strictness, Strictness::OpenAi);
        assert_eq!(resolve("", &[], "").unwrap().strictness, Strictness::Auto);
        assert_eq!(resolve("", &[], "strictness = 'qwen'").unwrap().strictness, Strictness::Qwen);
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        for (file, env, want) in [
            ("listn = '127.0.0.1:1'", &[][..], "listn"),
            ("auth = 'maybe'", &[], "maybe"),
            ("", &[(env::AUTH, "maybe")], "not `maybe`"),
            ("listen = 'localhost'", &[], "`localhost` is not an address"),
            ("listen = '0.0.0.0:80'\nauth = 'none'", &[], "0.0.0.0:80 can be reached"),
            ("listen = '[::]:80'\nauth = 'none'", &[], "[::]:80 can be reached"),
            ("strictness = 'lax'", &[], "strictness is `auto`, `qwen` or `openai`, not `lax`"),
            ("", &[(env::STAND_IN, "maybe")], "QWENDA_STAND_IN is a yes or a no"),
            ("", &[(env::STRICTNESS, "Qwen")], "not `Qwen`"),
            ("[aliases]\n'' = 'm'", &[], "NAME=MODEL"),
            ("connections_max = 0", &[], "connections_max must be 1 or more, not 0"),
            ("body_bytes_max = 5", &[], "body_bytes_max"),
            ("cors = { origin = ['*'] }", &[], "origin"),
            ("cors = { origins = ['app.example'] }", &[], "`app.example` is not an origin"),
            ("replay = { entries_max = 0 }", &[], "replay.entries_max must be 1 or more"),
        ] {
            let error = resolve("", env, file).unwrap_err().to_string();
            assert!(error.contains(want), "{file}: {error}");
        }
        for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            resolve("", &[], &format!("listen = '{listen}'\nauth = 'none'")).unwrap();
        }
    }
}
