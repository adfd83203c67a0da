//! Which models: a name, or the beginning of one.

use std::{fmt, str::FromStr};

/// Longest pattern, in bytes.
pub const MODEL_PATTERN_BYTES_MAX: usize = 256;

/// An exact model name, or with `*` at its end the beginning of one. `*` alone is every model.
///
/// # Example
/// ```
/// use qwenda_ledger::policy::ModelPattern;
/// let pattern: ModelPattern = "qwen3-*".parse().unwrap();
/// assert!(pattern.matches("qwen3-max") && !pattern.matches("qwen3"));
/// assert!("qwen-*-max".parse::<ModelPattern>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern {
    // Without the `*`.
    text: String,
    is_prefix: bool,
}

/// Why a text is no model pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadModelPattern {
    /// It is empty or too long.
    #[error("a model pattern has 1 to {MODEL_PATTERN_BYTES_MAX} bytes, this one has {bytes}")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// It has a `*` before its end.
    #[error("a model pattern may have one `*`, at its end: `{text}` has one at byte {at}")]
    Star {
        /// The pattern.
        text: String,
        /// Where the first of them is.
        at: usize,
    },
    /// It has white space or a control character.
    #[error("a model pattern has no white space: {text:?} has {character:?}")]
    Space {
        /// The pattern.
        text: String,
        /// The character.
        character: char,
    },
}

impl ModelPattern {
    /// Whether a model of this name is meant. Upper and lower case differ.
    pub fn matches(&self, model: &str) -> bool {
        if self.is_prefix { model.starts_with(&self.text) } else { model == self.text }
    }

    /// Whether every model that `other` means is meant by this, too.
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_prefix { other.text.starts_with(&self.text) } else { self == other }
    }
}

impl FromStr for ModelPattern {
    type Err = BadModelPattern;

    fn from_str(text: &str) -> Result<Self, BadModelPattern> {
        if !(1..=MODEL_PATTERN_BYTES_MAX).contains(&text.len()) {
            return Err(BadModelPattern::Length { bytes: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(BadModelPattern::Space { text: text.to_owned(), character });
        }
        let name = text.strip_suffix('*');
        if let Some(at) = name.unwrap_or(text).find('*') {
            return Err(BadModelPattern::Star { text: text.to_owned(), at });
        }
        Ok(Self { text: name.unwrap_or(text).to_owned(), is_prefix: name.is_some() })
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_prefix { "*" } else { "" })
    }
}
