//! Answers that survive a dropped connection.
//!
//! A request with an `Idempotency-Key` is answered in a task of its own, which goes on for a while when
//! its reader is gone. The same request again is given the same answer: what has been made so far and
//! then the rest as it comes, or all of it once it has ended. `Last-Event-ID` skips what was read
//! already. The answer is made, and counted, once. Whoever does not want it any more gives it up, and then it
//! is not made again either.
//!
//! Handlers know nothing of this. `store` says which answers are kept, `record` is one of them, `maker`
//! fills it, `events` finds the events in what a handler writes.

mod events;
mod maker;
mod record;
mod store;

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use qwenda_types::{
    Dialect,
    error::{ApiError, Code, Invalid},
    sse,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::{
    maker::Maker,
    record::Reader,
    store::{Entered, Print, Scope},
};
use super::{
    coding, dashscope,
    error::{Failure, REQUEST_ID},
    extract::{Authorized, read},
};
use crate::app::App;

pub(crate) use store::Replays;

// Requests carry these two; answers that were made for an earlier request carry the third.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const REPLAYED: HeaderName = HeaderName::from_static("x-qwenda-replayed");
const KEY_CHARS_MAX: usize = 255;

pub(super) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    answer(app, request, next).await.unwrap_or_else(Failure::into_response)
}

async fn answer(app: Arc<App>, request: Request, next: Next) -> Result<Response, Failure> {
    let after = last_event_id(request.headers())?;
    let Some(key) = idempotency_key(request.headers())? else {
        if after.is_some() {
            return Err(Invalid::parameter(
                "Last-Event-ID",
                "Last-Event-ID goes on with an earlier request; send that request's Idempotency-Key and body with it.",
            )
            .into());
        }
        return Ok(next.run(request).await);
    };
    let (mut parts, body) = request.into_parts();
    let Authorized(ask) = Authorized::from_request_parts(&mut parts, &app).await?;
    let body = read(&parts.headers, body, &app).await?;
    let scope = Scope { caller: ask.caller.key_id, dialect: ask.dialect, key };
    let print = print(&parts, ask.dialect, &body);

    let entered = app.replays.enter(&scope, print, after.is_some(), app.clock.now_ms())?;
    let (mut reader, replayed) = match entered {
        Entered::Known(reader) => (reader, true),
        Entered::New(reader, record) => {
            let made = next.run(decoded(parts, body));
            let maker = Maker { app: app.clone(), scope, record, request_id: ask.request_id };
            app.tasks.spawn(maker.run(made));
            (reader, false)
        }
    };
    let head = reader.head().await?;
    if let Some(after) = after {
        reader.seek(after)?;
    }
    let mut response = respond(&app, reader, head.is_stream);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers.clone();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::try_from(&head.request_id).expect("a UUID is a header value"));
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `DELETE …/replay`: nobody will come back for the answer under this key.
pub(super) async fn give_up(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let Some(key) = idempotency_key(&headers)? else {
        return Err(Invalid::parameter(
            "Idempotency-Key",
            "The header Idempotency-Key is missing: it says whose answer is given up.",
        )
        .into());
    };
    let scope = Scope { caller: ask.caller.key_id, dialect: ask.dialect, key };
    app.replays.give_up(&scope, app.clock.now_ms())?;
    Ok(StatusCode::NO_CONTENT)
}

fn respond(app: &Arc<App>, reader: Reader, is_stream: bool) -> Response {
    let keep_alive = app.config.keep_alive;
    let body = stream::unfold(reader, move |mut reader| async move {
        let item = tokio::select! {
            biased;
            item = reader.next() => item?,
            () = tokio::time::sleep(keep_alive), if is_stream => Ok(sse::comment("keep-alive").into()),
        };
        Some((item, reader))
    });
    Response::new(Body::from_stream(body.fuse()))
}

/// The request as its handler gets it: the body is at hand, and without its codings.
fn decoded(mut parts: Parts, body: Bytes) -> Request {
    for name in [header::CONTENT_ENCODING, header::TRANSFER_ENCODING, header::EXPECT] {
        parts.headers.remove(name);
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Request::from_parts(parts, Body::from(body))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Invalid> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
            if values.next().is_some() {
                return Err(Invalid::parameter("Idempotency-Key", "The request has more than one Idempotency-Key."));
            }
            Ok(Some(key.to_owned()))
        }
        _ => Err(Invalid::parameter(
            "Idempotency-Key",
            format!("An Idempotency-Key has 1 to {KEY_CHARS_MAX} visible ASCII characters and no spaces."),
        )),
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Invalid> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(Invalid::parameter(
            "Last-Event-ID",
            "Last-Event-ID is the id of the last event that was read, a whole number from 0.",
        )),
    }
}

/// A body as it is meant. Of a JSON object neither spaces counts nor the order of its fields, nor of theirs;
/// further in an order may mean something, such as that of a schema's properties.
fn meant(body: &[u8]) -> Cow<'_, [u8]> {
    let json = coding::text(body).ok().and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Object(mut fields)) = json else { return body.into() };
    fields.sort_keys();
    fields.values_mut().filter_map(Value::as_object_mut).for_each(Map::sort_keys);
    Value::Object(fields).to_string().into_bytes().into()
}

/// What tells one request from another under the same key.
fn print(parts: &Parts, dialect: Dialect, body: &[u8]) -> Print {
    let path = parts.uri.path();
    // Both paths lead to the same answer.
    let path = path.strip_prefix("/compatible-mode").unwrap_or(path);
    let mut print = Sha256::new();
    let mut part = |bytes: &[u8]| {
        print.update((bytes.len() as u64).to_le_bytes());
        print.update(bytes);
    };
    part(parts.method.as_str().as_bytes());
    part(path.as_bytes());
    part(parts.uri.query().unwrap_or_default().as_bytes());
    part(&meant(body));
    if dialect == Dialect::Native {
        // Here headers say whether the answer is a stream, in more ways than one.
        part(&[dashscope::streamed(&parts.headers).into()]);
    }
    print.finalize().into()
}

/// The entry of this key is of an answer that nobody wanted any more.
fn given_up() -> ApiError {
    ApiError::of(Code::Conflict).say(
        "The answer under this Idempotency-Key was given up by its caller, and is not made again. \
         Send the request with another key to begin it anew.",
    )
}

/// The entry of this key is another request's.
fn conflict() -> ApiError {
    ApiError::of(Code::Conflict)
        .say("The Idempotency-Key was used for another request. Send the same method, path and body, or another key.")
}
