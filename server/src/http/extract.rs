//! What handlers take from a request: its id, its caller, its body. Each refuses in the contract's
//! shape. Callers are recognised before a byte of the body is kept.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use http_body_util::BodyExt;
use qwenda_types::{
    chat::ChatRequest,
    error::{ApiError, Code},
};
use serde_json::{Map, Value};

use super::error::Failure;
use crate::{app::App, service::admit::Caller};

/// The id of a request; the same in the header `x-request-id`, in error bodies and in the log.
#[derive(Debug, Clone)]
pub(super) struct RequestId(String);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::try_from(&self.0).expect("a UUID is a header value")
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let id = parts.extensions.get::<Self>().cloned();
        Ok(id.expect("`around` gives every request an id"))
    }
}

/// A caller who was recognised.
pub(super) struct Authorized(pub(super) Caller);

impl FromRequestParts<Arc<App>> for Authorized {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let header = parts.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        Ok(Self(app.doorkeeper.recognise(header).await?))
    }
}

/// The body of a chat request, of whatever content type.
pub(super) struct ChatBody(pub(super) ChatRequest);

impl FromRequest<Arc<App>> for ChatBody {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        if let Some(coding) = parts.headers.get(header::CONTENT_ENCODING)
            && coding != "identity"
        {
            return Err(bad_body("a Content-Encoding is not supported").into());
        }
        let body = read(&parts.headers, body, app).await?;
        Ok(Self(ChatRequest::from_map(object(&body)?)?))
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| bad_body(&format!("it is not UTF-8 at byte {}", error.valid_up_to())))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(bad_body("it is not a JSON object")),
        // The parser's words tell places, never content.
        Err(error) => Err(bad_body(&format!("it is not JSON: {error}"))),
    }
}

fn bad_body(why: &str) -> ApiError {
    ApiError::of(Code::InvalidParameter)
        .say(format!("Required body invalid, please check the request body format. ({why})"))
}

async fn read(headers: &HeaderMap, body: Body, app: &App) -> Result<Bytes, ApiError> {
    let bytes_max = app.config.body_bytes_max;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max, announced));
    }
    let _place = app.bodies.reserve(announced.map_or(bytes_max, |bytes| bytes as usize))?;
    let collected = collect(body, bytes_max, announced.unwrap_or(0) as usize);
    let whole = tokio::time::timeout(app.config.body_timeout, collected).await;
    whole.unwrap_or_else(|_| Err(ApiError::of(Code::RequestTimeout)))
}

async fn collect(mut body: Body, bytes_max: usize, announced: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| bad_body("it was not sent whole").log(error))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large(bytes_max, None));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

fn too_large(bytes_max: usize, announced: Option<u64>) -> ApiError {
    let size = announced.map_or_else(|| "more".to_owned(), |bytes| format!("{bytes} bytes"));
    ApiError::of(Code::TooLarge)
        .say(format!("Payload Too Large. The body has {size}; at most {bytes_max} bytes are read."))
}
