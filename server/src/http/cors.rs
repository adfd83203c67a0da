//! Pages of other origins: which may call from a browser, and what they may read.
//!
//! Off unless configured. It is outside of everything else, so that errors carry its headers too and a
//! preflight needs no key.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{error::REQUEST_ID, extract::RequestId};
use crate::{app::App, config::Cors};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-qwenda-ignored-fields, x-qwenda-replayed, \
     x-dashscope-partialresponse, etag",
);
// Two hours: what browsers cap it to.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

pub(super) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let cors = &app.config.cors;
    if *cors == Cors::Off {
        return next.run(request).await;
    }
    let allowed = allowed(cors, request.headers().get(header::ORIGIN));
    let asked = &request.headers();
    let mut response =
        if request.method() == Method::OPTIONS && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            preflight(asked, allowed.is_some())
        } else {
            next.run(request).await
        };
    let headers = response.headers_mut();
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    if matches!(cors, Cors::Origins(_)) {
        // A cache must not hand one origin what another was told.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// What `Access-Control-Allow-Origin` says, if the origin may call.
fn allowed(cors: &Cors, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    let origin = origin?;
    match cors {
        Cors::Off => None,
        Cors::Any => Some(HeaderValue::from_static("*")),
        Cors::Origins(list) => list.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone()),
    }
}

fn preflight(asked: &HeaderMap, allowed: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, RequestId::new().header());
    if !allowed {
        return response;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // SDKs send headers of their own, and `*` would leave `Authorization` out.
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    // A page of the public net may call a server of this machine only if that says so.
    if asked.contains_key(ASKS_PRIVATE) {
        headers.insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
    }
    response
}
