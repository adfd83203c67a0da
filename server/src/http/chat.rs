//! `POST …/chat/completions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};

use super::{
    error::Failure,
    extract::{Authorized, ChatBody, RequestId},
    sse,
};
use crate::{app::App, service};

const IGNORED_FIELDS: HeaderName = HeaderName::from_static("x-qwenda-ignored-fields");

pub(super) async fn create(
    State(app): State<Arc<App>>,
    request_id: RequestId,
    Authorized(caller): Authorized,
    ChatBody(request): ChatBody,
) -> Result<Response, Failure> {
    let ignored = ignored(service::ignored_fields(&request));
    let stream = request.stream;
    let answer = service::chat::start(&app, caller, request, request_id.as_str()).await?;
    let mut response = if stream {
        sse::respond(app, answer, request_id).await?
    } else {
        Json(service::chat::whole(&app, answer).await?).into_response()
    };
    if let Some(ignored) = ignored {
        response.headers_mut().insert(IGNORED_FIELDS, ignored);
    }
    Ok(response)
}

/// The names as a header: bounded, and without anything a header cannot hold.
fn ignored<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let mut list = String::new();
    for name in names.take(32) {
        let clean = name.chars().take(64).map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' });
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.extend(clean);
    }
    if list.is_empty() {
        return None;
    }
    HeaderValue::try_from(list).ok()
}
