//! What goes around every request: its id, its error body, its line in the log.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use qwenda_types::{
    Dialect,
    error::{ApiError, Code, Invalid},
};

use super::{
    body::Rest,
    extract::{Reader, RequestId, dialect},
};
use crate::{service::admit::Standing, telemetry};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
// When to come again where all that is known is that it may help.
const RETRY_AFTER_MS_DEFAULT: u64 = 1000;

/// An error on its way out. Its body is written by [`around`], which knows the request's id.
#[derive(Debug, Clone)]
pub(super) struct Failure(Box<ApiError>);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        ApiError::from(invalid).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

pub(super) async fn around(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::new();
    let method = request.method().clone();
    let dialect = dialect(request.uri().path());
    // Routes are a fixed set of texts; the path itself may hold anything.
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(id.clone());
    let standing = Standing::default();
    request.extensions_mut().insert(standing.clone());
    let reader = Reader::default();
    request.extensions_mut().insert(reader.clone());
    let (request, rest) = Rest::lend(request);

    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Failure::from(ApiError::of(Code::Internal).log("a handler panicked")).into_response(),
    };
    if let Some(Failure(error)) = response.extensions_mut().remove::<Failure>() {
        telemetry::failed(id.as_str(), &error);
        // Who was too slow already is not waited for again.
        if error.code() != Code::RequestTimeout {
            rest.discard().await;
        }
        let headers = std::mem::take(response.headers_mut());
        let error = if reader.is_chinese() { error.in_chinese() } else { *error };
        response = render(&error, &id, dialect);
        response.headers_mut().extend(headers);
    }
    for (name, value) in standing.headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    // An answer that was made for an earlier request keeps that one's id.
    response.headers_mut().entry(REQUEST_ID).or_insert_with(|| id.header());
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    telemetry::answered(id.as_str(), method.as_str(), route, response.status().as_u16(), began.elapsed());
    response
}

fn render(error: &ApiError, id: &RequestId, dialect: Dialect) -> Response {
    let mut response = Response::new(Body::from(error.body_in(dialect, id.as_str())));
    let status = StatusCode::from_u16(error.status_in(dialect)).expect("the table has real statuses");
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let again = error.is_retryable();
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(if again { "true" } else { "false" }));
    let later = again && matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(ms) = error.retry_after().or(later.then_some(RETRY_AFTER_MS_DEFAULT)) {
        // Whole seconds and never 0: many callers take 0 as "at once".
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
    }
    response
}

pub(super) async fn no_such_path() -> Failure {
    ApiError::of(Code::PathNotFound).into()
}

/// A verb that a path does not have. axum adds which ones it has.
pub(super) async fn no_such_method(method: Method) -> Result<StatusCode, Failure> {
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT);
    }
    let method: String = method.as_str().chars().take(20).collect();
    Err(Invalid::parameter("method", format!("Request method '{method}' is not supported.")).into())
}
