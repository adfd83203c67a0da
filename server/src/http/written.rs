//! Answers of many numbers: writing them out takes long enough to be kept off the async runtime.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use qwenda_types::error::{ApiError, Code};
use serde::Serialize;

/// The JSON of what `make` makes.
pub(super) async fn json<T: Serialize>(make: impl FnOnce() -> T + Send + 'static) -> Result<Response, ApiError> {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&make())).await;
    let internal = |why: String| ApiError::of(Code::Internal).log(why);
    let bytes = written.map_err(|error| internal(error.to_string()))?.map_err(|error| internal(error.to_string()))?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
