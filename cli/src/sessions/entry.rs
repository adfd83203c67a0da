//! A line of a session.

use qwenda::Message;
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
}

impl Turn {
    /// What was asked, and what was answered last.
    pub fn texts(&self) -> (String, String) {
        let text = |message: Option<&Message>| message.map(|m| m.plain_text().into_owned()).unwrap_or_default();
        (text(self.messages.first()), text(self.messages.iter().skip(1).next_back()))
    }
}
