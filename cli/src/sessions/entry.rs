//! A line of a session.

use std::fmt;

use qwenda::{Currency, Message, Nanos};
use serde::{Deserialize, Serialize};

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A question and all that came of it.
    Turn(Turn),
    /// The instructions from here on.
    System { text: Option<String> },
    /// What was said before is no longer sent.
    Cleared,
    /// The oldest turns are no longer sent; this is, in their place.
    Summary(Told),
}

/// What is told of turns that are no longer sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many turns it tells of, from the first on since the last [`Entry::Cleared`].
    pub turns: usize,
    pub text: String,
    /// Who told it.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Used>,
}

/// A question and all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// When it was over, Unix seconds.
    pub at: i64,
    /// Who answered.
    pub model: String,
    /// The question first.
    pub messages: Vec<Message>,
    /// The answer was stopped, or broke off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What it took; absent where nobody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Used>,
}

/// What a turn took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Of all its prompts: calls of tools make several.
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Of its last prompt and answer: what the next prompt begins with.
    pub context_tokens: u64,
    /// At list price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Price>,
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub amount: Nanos,
    pub currency: Currency,
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

impl Turn {
    /// What was asked, and what was answered last.
    pub fn texts(&self) -> (String, String) {
        let text = |message: Option<&Message>| message.map(|m| m.plain_text().into_owned()).unwrap_or_default();
        (text(self.messages.first()), text(self.messages.iter().skip(1).next_back()))
    }
}
