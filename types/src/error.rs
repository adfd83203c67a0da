//! What can go wrong, once for all: the table of codes, the one error type at the edge, its body.
//!
//! A code is a row of [`TABLE`]: status, the names both dialects give it, what callers do about it.
//! [`ApiError`] carries two texts: `say` is for the caller, `log` is for the operator and never leaves.

use std::fmt;

use serde::{Deserialize, Serialize};

mod code;
mod read;
mod row;
mod table;

use crate::{Dialect, sse};

pub use code::Code;
pub use row::{Row, Words};
pub use table::TABLE;

/// A value of a request that cannot be served, found by a pure check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Which code of the table.
    pub code: Code,
    /// Path of the field, as in `messages[2].content`.
    pub field: String,
    /// The contract's sentence.
    pub message: String,
}

impl Invalid {
    /// An error of this code about this field.
    pub fn of(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }

    /// An [`Code::InvalidParameter`] about this field.
    pub fn parameter(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Code::InvalidParameter, field, message)
    }
}

/// The one error type at the edge: a code, what the caller reads, what the operator reads.
///
/// # Example
/// ```
/// use qwenda_types::error::{ApiError, Code};
/// let error = ApiError::of(Code::Internal).log("disk is full");
/// assert_eq!(error.status(), 500);
/// assert!(!error.body("some-id").contains("disk"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: Code,
    message: Option<String>,
    log: Option<String>,
    retry_after_ms: Option<u64>,
    completion_id: Option<String>,
    // The name an upstream gave it, where the table has none like it, or a shorter one.
    relayed: Option<Box<Relayed>>,
}

/// What an upstream called an error that our table does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relayed {
    code: String,
    kind: String,
}

impl ApiError {
    /// An error of this code with the code's own sentence.
    pub fn of(code: Code) -> Self {
        Self { code, message: None, log: None, retry_after_ms: None, completion_id: None, relayed: None }
    }

    /// What the caller reads instead of the code's own sentence.
    #[must_use]
    pub fn say(mut self, message: impl fmt::Display) -> Self {
        self.message = Some(message.to_string());
        self
    }

    /// What the operator reads; it never leaves the process but by the log.
    #[must_use]
    pub fn log(mut self, message: impl fmt::Display) -> Self {
        self.log = Some(message.to_string());
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, retry_after_ms: u64) -> Self {
        self.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// The id of the completion, for errors of requests that reached a model.
    #[must_use]
    pub fn completion(mut self, id: impl Into<String>) -> Self {
        self.completion_id = Some(id.into());
        self
    }

    /// The same error for a reader of Chinese: what its code means and what to do about it, and then the sentence as it
    /// was, which names fields and values. Codes stay as they are: programs go by them.
    ///
    /// # Example
    /// ```
    /// use qwenda_types::error::{ApiError, Code};
    /// let error = ApiError::of(Code::Arrearage).say("The account can spend 0.12.").in_chinese();
    /// assert_eq!(error.message(), "账户欠费。请充值，数分钟后恢复。（The account can spend 0.12.）");
    /// ```
    #[must_use]
    pub fn in_chinese(mut self) -> Self {
        let row = self.code.row();
        let said = self.message.take().unwrap_or_else(|| row.message.to_owned());
        self.message = Some(format!("{}{}（{said}）", row.means.zh, row.advice.zh));
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The HTTP status in the OpenAI-compatible dialect.
    pub fn status(&self) -> u16 {
        self.status_in(Dialect::Compat)
    }

    /// The HTTP status in this dialect.
    pub fn status_in(&self, dialect: Dialect) -> u16 {
        self.code.row().status_in(dialect)
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.code.row().retryable
    }

    /// Milliseconds to wait before trying again.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// What the operator reads.
    pub fn logged(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// What the caller reads in the OpenAI-compatible dialect.
    pub fn message(&self) -> String {
        self.message_in(Dialect::Compat)
    }

    /// What the caller reads in this dialect.
    pub fn message_in(&self, dialect: Dialect) -> String {
        let row = self.code.row();
        let own = row.message_in(dialect);
        let text = match &self.message {
            None => own.to_owned(),
            // Programs look for the dialect's own sentence; what is said more exactly follows it.
            Some(said) if own != row.message && !said.contains(own) => {
                let more = said.strip_prefix(row.message).unwrap_or(said).trim();
                format!("{own} {more}").trim_end().to_owned()
            }
            Some(said) => said.clone(),
        };
        if text.starts_with(row.prefix) { text } else { format!("{}{text}", row.prefix) }
    }

    /// The name of the error in this dialect.
    pub fn name_in(&self, dialect: Dialect) -> &str {
        self.relayed_in(dialect).map_or(self.code.row().name_in(dialect), |relayed| &relayed.code)
    }

    /// What an upstream called it, unless this dialect has a name for all that is called so: a
    /// `Throttling.Anything` is a `limit_requests` to programs for OpenAI.
    fn relayed_in(&self, dialect: Dialect) -> Option<&Relayed> {
        let row = self.code.row();
        let known = |relayed: &Relayed| row.code != row.native && read::is_longer(&relayed.code, row);
        self.relayed.as_deref().filter(|relayed| dialect == Dialect::Native || !known(relayed))
    }

    /// The body of the OpenAI-compatible dialect.
    pub fn to_body(&self, request_id: &str) -> ErrorBody {
        let kind = self.relayed_in(Dialect::Compat).map_or(self.code.row().kind, |relayed| &relayed.kind);
        ErrorBody {
            error: ErrorDetail {
                message: self.message(),
                kind: kind.to_owned(),
                param: None,
                code: self.name_in(Dialect::Compat).to_owned(),
            },
            id: self.completion_id.clone(),
            request_id: Some(request_id.to_owned()),
        }
    }

    /// The body of the native dialect.
    pub fn to_native_body(&self, request_id: &str) -> NativeErrorBody {
        NativeErrorBody {
            code: self.name_in(Dialect::Native).to_owned(),
            message: self.message_in(Dialect::Native),
            request_id: request_id.to_owned(),
        }
    }

    /// The body of the OpenAI-compatible dialect as JSON.
    pub fn body(&self, request_id: &str) -> String {
        self.body_in(Dialect::Compat, request_id)
    }

    /// The body of the native dialect as JSON.
    pub fn native_body(&self, request_id: &str) -> String {
        self.body_in(Dialect::Native, request_id)
    }

    /// The body of this dialect as JSON.
    pub fn body_in(&self, dialect: Dialect, request_id: &str) -> String {
        match dialect {
            Dialect::Compat => serde_json::to_string(&self.to_body(request_id)),
            Dialect::Native => serde_json::to_string(&self.to_native_body(request_id)),
        }
        .expect("strings are always JSON")
    }

    /// The event that ends a stream which has begun. Native events are counted: it is the `id`-th.
    pub fn sse_frame(&self, dialect: Dialect, id: u64, request_id: &str) -> String {
        let body = self.body_in(dialect, request_id);
        match dialect {
            Dialect::Compat => sse::data(&body),
            Dialect::Native => sse::native_error(id, self.status_in(dialect), &body),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for ApiError {}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::of(invalid.code).say(invalid.message)
    }
}

/// An error on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
    /// The completion's id, where the request reached a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The same as the header `x-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The inside of an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For a person.
    pub message: String,
    /// The family of the error.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always null.
    pub param: Option<String>,
    /// For a program.
    pub code: String,
}

/// An error of the native dialect on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeErrorBody {
    /// For a program.
    pub code: String,
    /// For a person.
    pub message: String,
    /// The same as the header `x-request-id`.
    pub request_id: String,
}

#[cfg(test)]
mod tests;
