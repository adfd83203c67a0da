//! How a row of the table is written down.

use super::Code;
use crate::Dialect;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which code.
    pub id: Code,
    /// The HTTP status.
    pub status: u16,
    /// `error.code` of the OpenAI-compatible dialect.
    pub code: &'static str,
    /// `error.type` of the OpenAI-compatible dialect.
    pub kind: &'static str,
    /// `code` of the native dialect, by which the row is also found.
    pub native: &'static str,
    /// The status and the `code` the native dialect has instead, where it calls this otherwise.
    pub native_instead: Option<(u16, &'static str)>,
    /// What stands before every message of this code.
    pub prefix: &'static str,
    /// The sentence when nothing more exact is known.
    pub message: &'static str,
    /// The native dialect's sentence, where it has one of its own.
    pub native_message: Option<&'static str>,
    /// Whether the same request may succeed later; the header `x-should-retry` says so.
    pub retryable: bool,
    /// What it means.
    pub means: Words,
    /// What a caller does about it.
    pub advice: Words,
}

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// In English.
    pub en: &'static str,
    /// In Simplified Chinese.
    pub zh: &'static str,
}

impl Row {
    /// The HTTP status in this dialect.
    pub fn status_in(&self, dialect: Dialect) -> u16 {
        match (dialect, self.native_instead) {
            (Dialect::Native, Some((status, _))) => status,
            _ => self.status,
        }
    }

    /// The name in this dialect.
    pub fn name_in(&self, dialect: Dialect) -> &'static str {
        match (dialect, self.native_instead) {
            (Dialect::Compat, _) => self.code,
            (Dialect::Native, Some((_, name))) => name,
            (Dialect::Native, None) => self.native,
        }
    }

    /// The sentence in this dialect, when nothing more exact is known.
    pub fn message_in(&self, dialect: Dialect) -> &'static str {
        match (dialect, self.native_message) {
            (Dialect::Native, Some(message)) => message,
            _ => self.message,
        }
    }
}

/// A code whose type is `invalid_request_error`.
pub(super) const fn request(
    id: Code,
    status: u16,
    code: &'static str,
    native: &'static str,
    message: &'static str,
) -> Row {
    Row {
        id,
        status,
        code,
        kind: "invalid_request_error",
        native,
        native_instead: None,
        prefix: "",
        message,
        native_message: None,
        retryable: false,
        means: Words { en: "", zh: "" },
        advice: Words { en: "", zh: "" },
    }
}

/// A code that is its own type.
pub(super) const fn own(id: Code, status: u16, code: &'static str, native: &'static str, message: &'static str) -> Row {
    let mut row = request(id, status, code, native, message);
    row.kind = code;
    row
}

/// A code that is its own type and has one name in both dialects.
pub(super) const fn same(id: Code, status: u16, name: &'static str, message: &'static str) -> Row {
    own(id, status, name, name, message)
}

impl Row {
    /// The same request may succeed later.
    pub(super) const fn again(mut self) -> Self {
        self.retryable = true;
        self
    }

    pub(super) const fn prefixed(mut self, prefix: &'static str) -> Self {
        self.prefix = prefix;
        self
    }

    pub(super) const fn native_says(mut self, message: &'static str) -> Self {
        self.native_message = Some(message);
        self
    }

    pub(super) const fn native_status(mut self, status: u16, name: &'static str) -> Self {
        self.native_instead = Some((status, name));
        self
    }

    pub(super) const fn means(mut self, en: &'static str, zh: &'static str) -> Self {
        self.means = Words { en, zh };
        self
    }

    pub(super) const fn advice(mut self, en: &'static str, zh: &'static str) -> Self {
        self.advice = Words { en, zh };
        self
    }

    /// Whether it says in both languages what it means and what to do.
    pub(super) const fn is_whole(&self) -> bool {
        !(self.means.en.is_empty()
            || self.means.zh.is_empty()
            || self.advice.en.is_empty()
            || self.advice.zh.is_empty())
    }
}
