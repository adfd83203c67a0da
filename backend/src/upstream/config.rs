//! One upstream: as written in a `[[upstream]]` table, and as resolved.

use std::{fmt, time::Duration};

use reqwest::{Url, header::HeaderValue};
use serde::Deserialize;

mod model;

pub use model::{ModelWritten, ThinkingWritten, UpstreamModel};

/// Most times that one request is sent again.
pub const RETRIES_MAX: u32 = 10;
/// Longest timeout: a day.
pub const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// A text that no log and no error shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for who has to send it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An upstream as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub name: Option<String>,
    pub base_url: Option<String>,
    pub rerank_url: Option<String>,
    pub api_key: Option<Secret>,
    pub api_key_env: Option<String>,
    #[serde(default)]
    pub models: Vec<ModelWritten>,
    pub connect_timeout_ms: Option<u64>,
    pub first_byte_timeout_ms: Option<u64>,
    pub idle_timeout_ms: Option<u64>,
    pub retries: Option<u32>,
}

/// An upstream as resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamConfig {
    /// What the log calls it, and who owns its models.
    pub name: String,
    /// Where its OpenAI-compatible addresses begin, without a slash at the end.
    pub base_url: String,
    /// Where it ranks documents.
    pub rerank_url: String,
    /// What it knows us by; nothing is said of us if `None`.
    pub api_key: Option<Secret>,
    /// Whom it has for us. At least one.
    pub models: Vec<UpstreamModel>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take to begin.
    pub first_byte_timeout: Duration,
    /// How long an answer that has begun may be silent.
    pub idle_timeout: Duration,
    /// How often a request is sent again, `[0, RETRIES_MAX]`; only before its answer has begun.
    pub retries: u32,
}

/// What cannot be resolved. `upstream` is its name, or its place if it has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("upstream `{upstream}`: `{field}` is missing")]
    Missing { upstream: String, field: &'static str },
    #[error("two upstreams are called `{upstream}`")]
    Twice { upstream: String },
    #[error(
        "upstream `{upstream}`: `{field}` is an address such as http://127.0.0.1:8000/v1, without user, password, \
         query or fragment"
    )]
    Url { upstream: String, field: &'static str },
    #[error("upstream `{upstream}`: `base_url` ends before `{endpoint}`, which is added to it")]
    Endpoint { upstream: String, endpoint: &'static str },
    #[error("upstream `{upstream}`: give `api_key` or `api_key_env`, not both")]
    KeyTwice { upstream: String },
    #[error("upstream `{upstream}`: `api_key_env` names {variable}, which is not set")]
    KeyUnset { upstream: String, variable: String },
    #[error("upstream `{upstream}`: its key has characters that no header can carry")]
    KeyUnusable { upstream: String },
    #[error("upstream `{upstream}`: `{field}` is from {least} to {most}, not {value}")]
    OutOfRange { upstream: String, field: String, least: u64, most: u64, value: u64 },
}

/// Resolves every `[[upstream]]` table; `env` reads an environment variable.
///
/// # Errors
/// The first setting that cannot be used.
pub fn resolve(
    written: Vec<Written>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<UpstreamConfig>, ConfigError> {
    let mut resolved: Vec<UpstreamConfig> = Vec::new();
    for (place, one) in written.into_iter().enumerate() {
        let one = one.resolve(place, env)?;
        if resolved.iter().any(|other| other.name == one.name) {
            return Err(ConfigError::Twice { upstream: one.name });
        }
        resolved.push(one);
    }
    Ok(resolved)
}

impl Written {
    fn resolve(self, place: usize, env: &dyn Fn(&str) -> Option<String>) -> Result<UpstreamConfig, ConfigError> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let Some(name) = given(self.name) else {
            return Err(ConfigError::Missing { upstream: format!("#{}", place + 1), field: "name" });
        };
        let missing = |field| ConfigError::Missing { upstream: name.clone(), field };
        let base_url = base_url(&name, &given(self.base_url).ok_or_else(|| missing("base_url"))?)?;
        let rerank_url = match given(self.rerank_url) {
            Some(text) => url(&name, "rerank_url", &text)?,
            None => format!("{base_url}/rerank"),
        };
        if self.models.is_empty() {
            return Err(missing("models"));
        }
        let models = self.models.into_iter().map(|model| model.resolve(&name)).collect::<Result<_, _>>()?;
        let ms = |field: &str, value: Option<u64>, default: u64| {
            within(&name, field, value.unwrap_or(default), 1, TIMEOUT_MS_MAX).map(Duration::from_millis)
        };
        let retries = within(&name, "retries", self.retries.unwrap_or(2).into(), 0, RETRIES_MAX.into())?;
        Ok(UpstreamConfig {
            connect_timeout: ms("connect_timeout_ms", self.connect_timeout_ms, 10_000)?,
            // Who computes on a CPU may read a long prompt for minutes.
            first_byte_timeout: ms("first_byte_timeout_ms", self.first_byte_timeout_ms, 600_000)?,
            idle_timeout: ms("idle_timeout_ms", self.idle_timeout_ms, 120_000)?,
            api_key: api_key(&name, self.api_key, given(self.api_key_env), env)?,
            retries: retries as u32,
            name,
            base_url,
            rerank_url,
            models,
        })
    }
}

fn api_key(
    upstream: &str,
    key: Option<Secret>,
    variable: Option<String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, ConfigError> {
    let upstream = || upstream.to_owned();
    let key = match (key, variable) {
        (Some(_), Some(_)) => return Err(ConfigError::KeyTwice { upstream: upstream() }),
        (key, None) => key,
        (None, Some(variable)) => match env(&variable) {
            Some(value) => Some(Secret(value)),
            None => return Err(ConfigError::KeyUnset { upstream: upstream(), variable }),
        },
    };
    // A line break at the end comes with files and shells.
    let key = key.map(|key| Secret(key.0.trim().to_owned())).filter(|key| !key.0.is_empty());
    match key {
        Some(key) if HeaderValue::from_str(key.reveal()).is_err() => {
            Err(ConfigError::KeyUnusable { upstream: upstream() })
        }
        key => Ok(key),
    }
}

fn base_url(upstream: &str, text: &str) -> Result<String, ConfigError> {
    let url = url(upstream, "base_url", text)?;
    match ["/chat/completions", "/completions", "/embeddings", "/models"].into_iter().find(|end| url.ends_with(end)) {
        Some(endpoint) => Err(ConfigError::Endpoint { upstream: upstream.to_owned(), endpoint }),
        None => Ok(url),
    }
}

/// The address without a slash at its end. What is wrong with one is not shown: it may have a password.
fn url(upstream: &str, field: &'static str, text: &str) -> Result<String, ConfigError> {
    let wrong = || ConfigError::Url { upstream: upstream.to_owned(), field };
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

fn within(upstream: &str, field: &str, value: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::OutOfRange { upstream: upstream.to_owned(), field: field.to_owned(), least, most, value })
}

#[cfg(test)]
mod tests;
