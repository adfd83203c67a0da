//! Why an answer ended. Other services have words of their own for it; they pass through unchanged.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended it, or a stop matched.
    Stop,
    /// The most tokens allowed were reached.
    Length,
    /// The model asks for tools to be called.
    ToolCalls,
    /// A word of an upstream, such as `content_filter`; never made here.
    Other(Word),
}

impl FinishReason {
    /// The reason as written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Other(word) => word.as_str(),
        }
    }

    /// The reason this word stands for.
    pub fn of(word: &str) -> Self {
        match word {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            other => Self::Other(Word::new(other)),
        }
    }
}

impl Serialize for FinishReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FinishReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = FinishReason;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("why an answer ended")
            }

            fn visit_str<E>(self, word: &str) -> Result<FinishReason, E> {
                Ok(FinishReason::of(word))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A short word that is copied as a number is; what is longer than [`Word::BYTES_MAX`] is cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word {
    length: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Word {
    /// Longest word in bytes.
    pub const BYTES_MAX: usize = 31;

    /// The word, cut after its last whole character that fits.
    pub fn new(word: &str) -> Self {
        let word = &word[..word.floor_char_boundary(Self::BYTES_MAX)];
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..word.len()].copy_from_slice(word.as_bytes());
        Self { length: word.len() as u8, bytes }
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).expect("`new` copied whole characters")
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
