//! The native dialect, below `/api/v1`.

pub(super) mod embeddings;
pub(super) mod generation;
pub(super) mod models;
pub(super) mod rerank;
pub(super) mod tokenizer;
pub(super) mod tokens;

use axum::{
    extract::{FromRequestParts, Query, rejection::QueryRejection},
    http::{HeaderMap, header, request::Parts},
};
use qwenda_types::error::{ApiError, Code, Invalid};

use super::error::Failure;

/// A call that is answered at once. Asynchronous ones are refused, as the contract has it for these.
pub(super) struct Synchronous;

impl<S: Sync> FromRequestParts<S> for Synchronous {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if enables(&parts.headers, "x-dashscope-async") {
            let message = "Current user api does not support asynchronous calls.";
            return Err(ApiError::of(Code::AccessDenied).say(message).into());
        }
        Ok(Self)
    }
}

/// Whether the answer is to come as events: the contract's header says, or else what is accepted.
pub(super) struct Streamed(pub(super) bool);

impl<S: Sync> FromRequestParts<S> for Streamed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(streamed(&parts.headers)))
    }
}

/// What [`Streamed`] says of these headers.
pub(super) fn streamed(headers: &HeaderMap) -> bool {
    match headers.get("x-dashscope-sse").map(|value| value.as_bytes().trim_ascii()) {
        Some(value) if value.eq_ignore_ascii_case(b"enable") => true,
        Some(value) if value.eq_ignore_ascii_case(b"disable") => false,
        _ => {
            let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
            accepts.flat_map(|value| value.split(',')).any(|kind| {
                kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
            })
        }
    }
}

fn enables(headers: &HeaderMap, name: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("enable"))
}

type Pairs = Vec<(String, String)>;

/// What a query string asks for.
fn asked(query: Result<Query<Pairs>, QueryRejection>) -> Result<Pairs, Invalid> {
    query.map(|Query(pairs)| pairs).map_err(|_| {
        let message = "Required parameter missing or invalid, please check the request parameters. (the query)";
        Invalid::parameter("query", message)
    })
}
