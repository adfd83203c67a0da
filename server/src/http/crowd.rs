//! Too many at once: whoever is beyond the bounds is told so at once, with when to come again.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use qwenda_types::error::{ApiError, Code};

use super::{body::hold, error::Failure};
use crate::app::App;

const RETRY_AFTER_MS: u64 = 1000;

/// Marks requests of a connection for which there was no place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowded;

/// Gives each request one of the places, or says "busy".
pub(super) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Whoever watches over the server has to see it most when it is full.
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    if request.extensions().get::<Crowded>().is_some() {
        let mut response = busy("all connections are taken");
        if request.version() <= Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        return response;
    }
    match app.requests.clone().try_acquire_owned() {
        Ok(place) => next.run(request).await.map(|body| hold(body, place)),
        Err(_) => busy("all places for requests are taken"),
    }
}

fn busy(why: &str) -> Response {
    Failure::from(ApiError::of(Code::Busy).retry_after_ms(RETRY_AFTER_MS).log(why)).into_response()
}
