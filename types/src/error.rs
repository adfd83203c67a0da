//! What can go wrong, once for all: the table of codes, the one error type at the edge, its body.
//!
//! A code is a row of [`TABLE`]: status, the names both dialects give it, what callers do about it.
//! [`ApiError`] carries two texts: `say` is for the caller, `log` is for the operator and never leaves.

use std::fmt;

use serde::{Deserialize, Serialize};

mod table;

pub use table::{Code, Row, TABLE};

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
}

impl ApiError {
    /// An error of this code with the code's own sentence.
    pub fn of(code: Code) -> Self {
        Self { code, message: None, log: None, retry_after_ms: None, completion_id: None }
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

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code.row().status
    }

    /// Milliseconds to wait before trying again.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// What the operator reads.
    pub fn logged(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// What the caller reads.
    pub fn message(&self) -> String {
        let row = self.code.row();
        let text = self.message.as_deref().unwrap_or(row.message);
        match row.prefix {
            "" => text.to_owned(),
            prefix => format!("{prefix}{text}"),
        }
    }

    /// The body of the OpenAI-compatible dialect.
    pub fn to_body(&self, request_id: &str) -> ErrorBody {
        let row = self.code.row();
        ErrorBody {
            error: ErrorDetail {
                message: self.message(),
                kind: row.kind.to_owned(),
                param: None,
                code: row.code.to_owned(),
            },
            id: self.completion_id.clone(),
            request_id: Some(request_id.to_owned()),
        }
    }

    /// The body of the OpenAI-compatible dialect as JSON.
    pub fn body(&self, request_id: &str) -> String {
        serde_json::to_string(&self.to_body(request_id)).expect("strings are always JSON")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_exactly_one_row_and_the_row_is_its_own() {
        for row in TABLE {
            assert_eq!(row.id.row(), row);
            assert_eq!(TABLE.iter().filter(|other| other.id == row.id).count(), 1, "{:?}", row.id);
        }
    }

    #[test]
    fn the_rows_are_in_the_order_of_their_statuses() {
        assert!(TABLE.is_sorted_by_key(|row| row.status));
    }

    #[test]
    fn a_body_has_the_members_of_the_contract_in_order() {
        let body = ApiError::of(Code::InvalidApiKey).body("11111111-2222-9333-8444-555555555555");
        assert_eq!(
            body,
            concat!(
                r#"{"error":{"message":"Incorrect API key provided. ","type":"invalid_request_error","#,
                r#""param":null,"code":"invalid_api_key"},"request_id":"11111111-2222-9333-8444-555555555555"}"#
            )
        );
    }

    #[test]
    fn what_the_operator_reads_never_reaches_the_caller() {
        let error = ApiError::of(Code::Internal).log("secret path");
        assert!(!error.body("r").contains("secret"));
        assert!(!error.to_string().contains("secret"));
        assert_eq!(error.logged(), Some("secret path"));
    }

    #[test]
    fn the_model_layer_speaks_with_its_prefix() {
        let error = ApiError::of(Code::ModelParameter).say("Range of max_tokens should be [1, 32768]");
        assert_eq!(
            error.message(),
            "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 32768]"
        );
    }

    #[test]
    fn what_the_caller_did_wrong_is_not_worth_a_retry_and_all_else_is() {
        for row in TABLE {
            assert_eq!(row.retryable, row.status >= 429, "{:?}", row.id);
        }
    }
}
