//! Settings of what goes around all routes: origins of browsers, answers that can be picked up again.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// `[serve.cors]` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsWritten {
    /// `["*"]`, or origins such as `https://app.example`.
    pub origins: Option<Vec<String>>,
}

/// Pages of which origins may call from a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cors {
    /// None.
    #[default]
    Off,
    /// Those of any origin.
    Any,
    /// Those of these origins.
    Origins(Vec<String>),
}

impl CorsWritten {
    pub(super) fn resolve(self) -> Result<Cors, ConfigError> {
        let origins = self.origins.unwrap_or_default();
        match origins.as_slice() {
            [] => Ok(Cors::Off),
            [one] if one == "*" => Ok(Cors::Any),
            list => match list.iter().find(|origin| !is_origin(origin)) {
                Some(origin) => Err(ConfigError::Origin { value: origin.clone() }),
                None => Ok(Cors::Origins(origins)),
            },
        }
    }
}

/// Whether this is how a browser writes an origin: scheme, host, perhaps a port, and nothing after.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let clean = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase();
    let is_host = |c: char| clean(c) && !matches!(c, '/' | '?' | '#' | '@' | '*' | ',');
    !scheme.is_empty() && scheme.chars().all(clean) && !host.is_empty() && host.chars().all(is_host)
}

/// `[serve.replay]` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayWritten {
    pub window_ms: Option<u64>,
    pub grace_ms: Option<u64>,
    pub entries_max: Option<usize>,
    pub bytes_max: Option<usize>,
}

/// How answers of requests with an `Idempotency-Key` are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// How long an answer is kept after its end.
    pub window: Duration,
    /// How long an answer goes on while nobody reads it.
    pub grace: Duration,
    /// Most answers that are kept or being made.
    pub entries_max: usize,
    /// Most bytes that all of them have together.
    pub bytes_max: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            entries_max: 1024,
            bytes_max: 64 << 20,
        }
    }
}

impl ReplayWritten {
    pub(super) fn resolve(self) -> Replay {
        let default = Replay::default();
        let ms = |value: Option<u64>, default| value.map_or(default, Duration::from_millis);
        Replay {
            window: ms(self.window_ms, default.window),
            grace: ms(self.grace_ms, default.grace),
            entries_max: self.entries_max.unwrap_or(default.entries_max),
            bytes_max: self.bytes_max.unwrap_or(default.bytes_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let resolve = |origins: &[&str]| {
            let origins = origins.iter().map(|o| (*o).to_owned()).collect();
            CorsWritten { origins: Some(origins) }.resolve()
        };
        assert_eq!(resolve(&[]), Ok(Cors::Off));
        assert_eq!(resolve(&["*"]), Ok(Cors::Any));
        for good in ["https://app.example", "http://localhost:3000", "http://[::1]:80", "app://obsidian.md"] {
            assert_eq!(resolve(&[good]), Ok(Cors::Origins(vec![good.to_owned()])), "{good}");
        }
        for bad in ["app.example", "https://app.example/", "https://App.example", "https://*.example", "", "a://"] {
            assert_eq!(resolve(&["http://a", bad]), Err(ConfigError::Origin { value: bad.to_owned() }), "{bad}");
        }
        assert!(resolve(&["*", "http://a"]).is_err());
    }
}
