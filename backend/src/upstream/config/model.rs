//! A model of an upstream: a name alone, or a table that says what it can.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{ConfigError, within};
use crate::{Abilities, EmbedAbility, Thinking};

/// Tokens of prompt and completion that a model is listed with unless its context is told.
const CONTEXT_DEFAULT: u32 = 131_072;
/// Length of vectors unless it is told; only models that stand in for one of the cloud's need it.
const DIMENSIONS_DEFAULT: u32 = 1024;
const EMBED_TOKENS_DEFAULT: u32 = 8192;

/// A model of an upstream as written: `"qwen-plus"`, or a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelWritten {
    pub id: Option<String>,
    pub upstream: Option<String>,
    pub context: Option<u32>,
    pub chat: Option<bool>,
    pub media: bool,
    pub search: bool,
    pub thinking: ThinkingWritten,
    pub embed: bool,
    pub dimensions: Option<u32>,
    pub rerank: bool,
}

/// Whether a model reasons, as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThinkingWritten {
    /// It cannot.
    #[default]
    Never,
    /// If the request asks for it.
    Off,
    /// Unless the request asks for none.
    On,
    /// Whatever the request asks.
    Always,
}

/// A model of an upstream as resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamModel {
    /// What requests here call it.
    pub id: String,
    /// What the upstream calls it.
    pub upstream: String,
    /// Most tokens of prompt and completion together, as it is listed; the upstream judges requests.
    pub context_tokens_max: u32,
    /// Whether it reasons.
    pub thinking: Thinking,
    /// What it can be asked for.
    pub abilities: Abilities,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: Option<String>,
    upstream: Option<String>,
    context: Option<u32>,
    chat: Option<bool>,
    #[serde(default)]
    media: bool,
    #[serde(default)]
    search: bool,
    #[serde(default)]
    thinking: ThinkingWritten,
    #[serde(default)]
    embed: bool,
    dimensions: Option<u32>,
    #[serde(default)]
    rerank: bool,
}

impl<'de> Deserialize<'de> for ModelWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = ModelWritten;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a model or a table with its `id`")
            }

            fn visit_str<E>(self, id: &str) -> Result<ModelWritten, E> {
                Ok(ModelWritten { id: Some(id.to_owned()), ..ModelWritten::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelWritten, A::Error> {
                let Table { id, upstream, context, chat, media, search, thinking, embed, dimensions, rerank } =
                    Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ModelWritten { id, upstream, context, chat, media, search, thinking, embed, dimensions, rerank })
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

impl ModelWritten {
    pub(super) fn resolve(self, of: &str) -> Result<UpstreamModel, ConfigError> {
        let Some(id) = self.id.filter(|id| !id.trim().is_empty()) else {
            return Err(ConfigError::Missing { upstream: of.to_owned(), field: "models.id" });
        };
        let count = |field: &str, value: Option<u32>, default: u32| {
            let field = format!("{field} of {id}");
            within(of, &field, value.unwrap_or(default).into(), 1, u32::MAX.into()).map(|value| value as u32)
        };
        let embed = EmbedAbility {
            dimensions_default: count("dimensions", self.dimensions, DIMENSIONS_DEFAULT)?,
            text_tokens_max: EMBED_TOKENS_DEFAULT,
            // Upstreams judge their fields themselves.
            tells_questions: true,
        };
        // Who makes vectors or ranks does nothing else, unless it is said to.
        let chat = self.chat.unwrap_or(!self.embed && !self.rerank);
        let abilities = Abilities {
            chat,
            infill: chat,
            media: self.media,
            search: self.search,
            forwards: true,
            embed: self.embed.then_some(embed),
            rerank: self.rerank,
        };
        let thinking = match self.thinking {
            ThinkingWritten::Never => Thinking::Never,
            ThinkingWritten::Off => Thinking::Optional { default: false },
            ThinkingWritten::On => Thinking::Optional { default: true },
            ThinkingWritten::Always => Thinking::Always,
        };
        Ok(UpstreamModel {
            context_tokens_max: count("context", self.context, CONTEXT_DEFAULT)?,
            upstream: self.upstream.filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone()),
            id,
            thinking,
            abilities,
        })
    }
}
