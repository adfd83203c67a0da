//! The cloud's names that a model here can stand in for, with what the contract says of each.

use qwenda_backend::Thinking;
use qwenda_types::dashscope::Endpoint;

/// One of the cloud's models, as far as its name decides how a request is read.
#[derive(Debug)]
pub(crate) struct CloudName {
    pub(crate) name: &'static str,
    /// Whether the cloud has `NAME-latest` too.
    pub(crate) latest: bool,
    pub(crate) kind: CloudKind,
}

/// What a model is for.
#[derive(Debug)]
pub(crate) enum CloudKind {
    Chat(CloudChat),
    Embed {
        /// Length of a vector when the request does not say.
        dimensions: u32,
    },
    Rerank,
}

#[derive(Debug)]
pub(crate) struct CloudChat {
    pub(crate) thinking: Thinking,
    /// The one native endpoint that takes it.
    pub(crate) endpoint: Endpoint,
}

/// The row of a name. Snapshots (`-2025-07-28`, `-0728`) and `-latest` are rows of their model.
pub(crate) fn find(name: &str) -> Option<&'static CloudName> {
    let exact = |name: &str| TABLE.iter().find(|row| row.name == name);
    exact(name).or_else(|| exact(without_version(name)?))
}

/// Every name that is listed.
pub(crate) fn names() -> impl Iterator<Item = (String, &'static CloudName)> {
    TABLE.iter().flat_map(|row| {
        let latest = row.latest.then(|| (format!("{}-latest", row.name), row));
        [(row.name.to_owned(), row)].into_iter().chain(latest)
    })
}

fn without_version(name: &str) -> Option<&str> {
    if let Some(model) = name.strip_suffix("-latest") {
        return Some(model);
    }
    let bytes = name.as_bytes();
    let date = |pattern: &[u8]| {
        let at = bytes.len().checked_sub(pattern.len())?;
        let fits = bytes[at..].iter().zip(pattern).all(|(byte, want)| match want {
            b'0' => byte.is_ascii_digit(),
            want => byte == want,
        });
        fits.then(|| &name[..at])
    };
    date(b"-0000-00-00").or_else(|| date(b"-0000"))
}

const HYBRID: Thinking = Thinking::Optional { default: false };
const HYBRID_ON: Thinking = Thinking::Optional { default: true };

const fn chat(name: &'static str, latest: bool, thinking: Thinking, endpoint: Endpoint) -> CloudName {
    CloudName { name, latest, kind: CloudKind::Chat(CloudChat { thinking, endpoint }) }
}

const fn embed(name: &'static str, dimensions: u32) -> CloudName {
    CloudName { name, latest: false, kind: CloudKind::Embed { dimensions } }
}

const fn rerank(name: &'static str) -> CloudName {
    CloudName { name, latest: false, kind: CloudKind::Rerank }
}

static TABLE: &[CloudName] = &[
    chat("qwen-max", true, Thinking::Never, Endpoint::Text),
    chat("qwen-plus", true, HYBRID, Endpoint::Text),
    chat("qwen-turbo", true, HYBRID, Endpoint::Text),
    chat("qwen-flash", false, HYBRID, Endpoint::Text),
    chat("qwen-long", true, Thinking::Never, Endpoint::Text),
    chat("qwen-coder-plus", true, Thinking::Never, Endpoint::Text),
    chat("qwen-coder-turbo", true, Thinking::Never, Endpoint::Text),
    chat("qwen3-max", false, HYBRID, Endpoint::Text),
    chat("qwen3-max-preview", false, HYBRID, Endpoint::Text),
    chat("qwen3-coder-plus", false, Thinking::Never, Endpoint::Text),
    chat("qwen3-coder-flash", false, Thinking::Never, Endpoint::Text),
    chat("qwen3.5-plus", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.5-flash", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.6-plus", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.6-flash", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.7-plus", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.7-flash", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.7-max", false, HYBRID_ON, Endpoint::Text),
    chat("qwen3.8-max", false, HYBRID_ON, Endpoint::Multimodal),
    chat("qwen3.8-flash", false, HYBRID_ON, Endpoint::Multimodal),
    embed("text-embedding-v1", 1536),
    embed("text-embedding-v2", 1536),
    embed("text-embedding-v3", 1024),
    embed("text-embedding-v4", 1024),
    rerank("qwen3-rerank"),
    rerank("gte-rerank"),
    rerank("gte-rerank-v2"),
];

#[cfg(test)]
mod tests {
    use qwenda_types::embeddings::dimensions_of;

    use super::*;

    #[test]
    fn snapshots_and_latest_are_their_model_and_nothing_else_is() {
        for (asked, want) in [
            ("qwen-plus", Some("qwen-plus")),
            ("qwen-plus-latest", Some("qwen-plus")),
            ("qwen-plus-2025-07-28", Some("qwen-plus")),
            ("qwen-max-0919", Some("qwen-max")),
            ("qwen3-max-preview", Some("qwen3-max-preview")),
            ("gte-rerank-v2", Some("gte-rerank-v2")),
            ("qwen-plus-2025", Some("qwen-plus")),
            ("qwen-plus-2025-7-28", None),
            ("qwen-plus-new", None),
            ("Qwen-Plus", None),
            ("-latest", None),
            ("", None),
            ("密-0728", None),
        ] {
            assert_eq!(find(asked).map(|row| row.name), want, "{asked}");
        }
    }

    #[test]
    fn every_name_is_there_once_and_its_default_length_is_one_it_allows() {
        let all: Vec<String> = names().map(|(name, _)| name).collect();
        for name in &all {
            assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        for row in TABLE {
            if let CloudKind::Embed { dimensions } = row.kind {
                assert!(dimensions_of(row.name).contains(&dimensions), "{}", row.name);
            }
        }
    }
}
