//! What handlers take from a request: its id, its caller, its body. Each refuses in the contract's
//! shape. Callers are recognised before a byte of the body is kept.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use http_body_util::BodyExt;
use qwenda_backend::Priority;
use qwenda_ledger::money::Nanos;
use qwenda_types::{
    Dialect,
    chat::Strictness,
    error::{ApiError, Code},
};
use serde_json::{Map, Value};

use super::{coding, error::Failure};
use crate::{
    app::App,
    service::admit::{Ask, Standing},
};

/// The header by which a caller steps back behind those who wait for their answers.
const PRIORITY: &str = "x-qwenda-priority";

/// The header by which a caller limits what the answer may cost, in the account's currency.
const MAX_COST: &str = "x-qwenda-max-cost";

/// The id of a request; the same in the header `x-request-id`, in error bodies and in the log.
#[derive(Debug, Clone)]
pub(super) struct RequestId(String);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
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

/// The address a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who reads the answer: known once the caller is.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader(Arc<OnceLock<bool>>);

impl Reader {
    fn tell(&self, is_chinese: bool) {
        // A caller is recognised once.
        let _ = self.0.set(is_chinese);
    }

    pub(super) fn is_chinese(&self) -> bool {
        self.0.get().copied().unwrap_or(false)
    }
}

/// A caller who was recognised, and what they speak.
pub(super) struct Authorized(pub(super) Ask);

impl FromRequestParts<Arc<App>> for Authorized {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let header = parts.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let caller = app.doorkeeper.recognise(header, app.clock.now_seconds()).await?;
        let request_id = RequestId::from_request_parts(parts, app).await?;
        let path = parts.extensions.get::<MatchedPath>().map_or(parts.uri.path(), MatchedPath::as_str);
        let strictness = strictness(app.config.strictness, path);
        let priority = priority(&parts.headers)?;
        let figures = parts.extensions.get::<Standing>().cloned().unwrap_or_default();
        let max_cost = max_cost(&parts.headers)?;
        let address = parts.extensions.get::<Peer>().map(|peer| peer.0);
        if let Some(reader) = parts.extensions.get::<Reader>() {
            reader.tell(caller.terms.is_chinese());
        }
        let (dialect, request_id) = (dialect(path), request_id.0);
        Ok(Self(Ask { caller, dialect, strictness, request_id, priority, address, max_cost, figures }))
    }
}

/// How urgent the caller says that it is.
fn priority(headers: &HeaderMap) -> Result<Priority, ApiError> {
    match headers.get(PRIORITY).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"interactive") => Ok(Priority::Interactive),
        Some(b"batch") => Ok(Priority::Batch),
        Some(_) => Err(ApiError::of(Code::InvalidParameter)
            .say(format!("The header {PRIORITY} must be \"interactive\" or \"batch\"."))),
    }
}

/// The most that the caller will pay for the answer.
fn max_cost(headers: &HeaderMap) -> Result<Option<Nanos>, ApiError> {
    let Some(value) = headers.get(MAX_COST) else { return Ok(None) };
    let cost = value.to_str().ok().and_then(|text| Nanos::parse_unsigned(text.trim()).ok());
    cost.map(Some).ok_or_else(|| {
        let why = format!("The header {MAX_COST} must be an amount such as 0.05, with at most 9 decimals.");
        ApiError::of(Code::InvalidParameter).say(why)
    })
}

/// What is spoken at a path.
pub(super) fn dialect(path: &str) -> Dialect {
    match path.strip_prefix(super::NATIVE) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Dialect::Native,
        _ => Dialect::Compat,
    }
}

/// Whose rules count at a path: programs for OpenAI call below `/v1`, and what they send by themselves
/// is taken there.
fn strictness(setting: Strictness, path: &str) -> Strictness {
    match setting {
        Strictness::Auto if !path.starts_with(super::OPENAI) => Strictness::Qwen,
        setting => setting,
    }
}

/// The JSON object that a request's body is, of whatever content type.
pub(super) struct Fields(pub(super) Map<String, Value>);

impl FromRequest<Arc<App>> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, app).await?;
        Ok(Self(object(&body)?))
    }
}

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_str(coding::text(body)?) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(bad_body("it is not a JSON object")),
        // The parser's words tell places, never content.
        Err(error) => Err(bad_body(&format!("it is not JSON: {error}"))),
    }
}

pub(super) fn bad_body(why: &str) -> ApiError {
    ApiError::of(Code::InvalidParameter)
        .say(format!("Required body invalid, please check the request body format. ({why})"))
}

/// A body as its sender meant it, whole and without its content codings.
pub(super) async fn read(headers: &HeaderMap, body: Body, app: &App) -> Result<Bytes, ApiError> {
    let bytes_max = app.config.body_bytes_max;
    let codings = coding::codings(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max, announced));
    }
    let sent_max = announced.map_or(bytes_max, |bytes| bytes as usize);
    let _place = app.bodies.reserve(sent_max + if codings.is_empty() { 0 } else { bytes_max })?;
    let collected = collect(body, bytes_max, announced.unwrap_or(0) as usize);
    let whole = tokio::time::timeout(app.config.body_timeout, collected).await;
    let whole = whole.unwrap_or_else(|_| Err(ApiError::of(Code::RequestTimeout)))?;
    coding::decode(whole, &codings, bytes_max).await
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

pub(super) fn too_large(bytes_max: usize, announced: Option<u64>) -> ApiError {
    let size = announced.map_or_else(|| "more".to_owned(), |bytes| format!("{bytes} bytes"));
    ApiError::of(Code::TooLarge)
        .say(format!("Payload Too Large. The body has {size}; at most {bytes_max} bytes are read."))
}
