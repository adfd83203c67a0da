//! Where calls go: the cloud's regions, any compatible address, a service of one's own.

use crate::{Error, error::Kind};

/// How a call is written on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI's, as the contract has it. Every service speaks it.
    #[default]
    OpenAi,
    /// DashScope's own. The cloud and Qwenda speak it.
    DashScope,
}

/// How a service is told whether the model reasons first; see
/// [`Builder::thinking_switch`](crate::Builder::thinking_switch).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThinkingSwitch {
    /// By `enable_thinking` beside the other fields: the cloud, a Qwenda.
    #[default]
    Field,
    /// By `chat_template_kwargs`, which the model's chat template reads: vLLM, SGLang, llama-server.
    Template,
}

/// A region of the cloud. A key works in the region it was made in, and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Region {
    /// Mainland China (Beijing).
    #[default]
    Beijing,
    /// International (Singapore).
    Singapore,
    /// United States (Virginia).
    Virginia,
    /// Hong Kong.
    HongKong,
    /// The cloud for finance.
    Finance,
}

impl Region {
    /// The region of this name: `beijing`, `singapore`, `virginia`, `hong-kong`, `finance`, or the cloud's
    /// own name of it, such as `cn-beijing`.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "beijing" | "cn-beijing" | "cn" => Self::Beijing,
            "singapore" | "ap-southeast-1" | "intl" => Self::Singapore,
            "virginia" | "us-east-1" | "us" => Self::Virginia,
            "hong-kong" | "cn-hongkong" => Self::HongKong,
            "finance" => Self::Finance,
            _ => return None,
        })
    }

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Beijing => "dashscope.aliyuncs.com",
            Self::Singapore => "dashscope-intl.aliyuncs.com",
            Self::Virginia => "dashscope-us.aliyuncs.com",
            Self::HongKong => "cn-hongkong.dashscope.aliyuncs.com",
            Self::Finance => "dashscope-finance.aliyuncs.com",
        }
    }
}

/// The addresses of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Where the OpenAI-compatible addresses begin, without a slash at the end.
    pub(crate) compat: String,
    /// Where the native addresses begin, where they can be told.
    pub(crate) native: Option<String>,
    /// Where documents are ranked in the OpenAI-compatible dialect.
    pub(crate) rerank: String,
    /// Whether what is sent again under its idempotency key is made and billed once.
    pub(crate) replays: bool,
}

impl Service {
    pub(crate) fn cloud(host: &str) -> Self {
        Self {
            compat: format!("https://{host}/compatible-mode/v1"),
            native: Some(format!("https://{host}/api/v1")),
            rerank: format!("https://{host}/compatible-api/v1/reranks"),
            replays: false,
        }
    }

    /// The service at this base URL: `…/v1`, `…/compatible-mode/v1` or `…/api/v1`.
    pub(crate) fn at(base_url: &str, replays: bool) -> Result<Self, Error> {
        let url = plain_url(base_url)?;
        for end in ["/chat/completions", "/completions", "/embeddings", "/models"] {
            if url.ends_with(end) {
                return Err(Error::config(format!("the base URL ends before `{end}`, which is added to it")));
            }
        }
        let (root, compat) = match ["/compatible-mode/v1", "/api/v1", "/v1"].iter().find_map(|end| {
            let root = url.strip_suffix(end)?;
            Some((root, if *end == "/api/v1" { "/compatible-mode/v1" } else { *end }))
        }) {
            Some((root, end)) => (Some(root), format!("{root}{end}")),
            None => (None, url.clone()),
        };
        let rerank = match root {
            Some(root) if compat.ends_with("/compatible-mode/v1") => format!("{root}/compatible-api/v1/reranks"),
            _ => format!("{compat}/rerank"),
        };
        Ok(Self { native: root.map(|root| format!("{root}/api/v1")), compat, rerank, replays })
    }

    /// The native address of this path.
    pub(crate) fn native(&self, path: &str) -> Result<String, Error> {
        let native = self.native.as_ref().ok_or_else(|| {
            Error::config("this call is DashScope's own, and its address cannot be told from a base URL without `/v1`")
        })?;
        Ok(format!("{native}/{path}"))
    }

    /// The OpenAI-compatible address of this path.
    pub(crate) fn compat(&self, path: &str) -> String {
        format!("{}/{path}", self.compat)
    }
}

/// The address without a slash at its end. What is wrong with one is not shown: it may have a password.
pub(crate) fn plain_url(text: &str) -> Result<String, Error> {
    let wrong = || {
        Error::of(Kind::Config)
            .say("a base URL is an address such as http://127.0.0.1:8080/v1, without user, password, query or fragment")
    };
    let url = reqwest::Url::parse(text.trim()).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_tells_the_addresses_of_both_dialects() {
        for (base, compat, native, rerank) in [
            ("http://h:1/v1", "http://h:1/v1", Some("http://h:1/api/v1"), "http://h:1/v1/rerank"),
            ("http://h:1/v1/", "http://h:1/v1", Some("http://h:1/api/v1"), "http://h:1/v1/rerank"),
            (
                "https://h/compatible-mode/v1",
                "https://h/compatible-mode/v1",
                Some("https://h/api/v1"),
                "https://h/compatible-api/v1/reranks",
            ),
            (
                "https://h/api/v1",
                "https://h/compatible-mode/v1",
                Some("https://h/api/v1"),
                "https://h/compatible-api/v1/reranks",
            ),
            ("https://h/openai", "https://h/openai", None, "https://h/openai/rerank"),
        ] {
            let service = Service::at(base, false).unwrap();
            let got = (service.compat.as_str(), service.native.as_deref(), service.rerank.as_str());
            assert_eq!(got, (compat, native, rerank), "{base}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_not_shown() {
        for base in ["", "h/v1", "ftp://h/v1", "http://u:secret@h/v1", "http://h/v1?key=secret", "http://h/v1#secret"] {
            let error = Service::at(base, false).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{base}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{base}");
        }
        assert!(Service::at("http://h/v1/chat/completions", false).is_err());
    }
}
