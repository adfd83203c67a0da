//! How a request reaches whoever answers. The network is one way; a [`Mock`](crate::Mock) is another.

pub(crate) mod http;

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use crate::Secret;

/// A way to whoever answers.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and returns the answer once its head is there. Dropping the future or the answer's
    /// body gives the request up.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>>;
}

/// What is to be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Reads.
    Get,
    /// Asks.
    Post,
    /// Puts something there.
    Put,
    /// Removes.
    Delete,
}

/// A request as it is sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// With which address.
    pub url: String,
    /// Headers by name, in lower case, but for the key's.
    pub headers: Vec<(String, String)>,
    /// Sent as `Authorization: Bearer …`.
    pub key: Option<Secret>,
    /// What is sent.
    pub body: Bytes,
    /// Its idempotency key was drawn for it, so that nobody else knows it.
    pub(crate) key_is_drawn: bool,
}

impl Request {
    pub(crate) fn new(method: Method, url: String, body: impl Into<Bytes>) -> Self {
        Self { method, url, headers: Vec::new(), key: None, body: body.into(), key_is_drawn: false }
    }

    /// The header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(crate) fn set_header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Has a service that knows idempotency keys carry it out once however often it is sent.
    pub(crate) fn draw_key(&mut self) {
        self.set_header("idempotency-key", uuid::Uuid::new_v4().to_string());
        self.key_is_drawn = true;
    }
}

impl fmt::Debug for Request {
    /// Neither key nor prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The head of an answer, and its body as it comes.
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers by name, in lower case.
    pub headers: Vec<(String, String)>,
    /// The rest.
    pub body: Body,
}

impl Response {
    /// An answer of this status.
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Body) -> Self {
        Self { status, headers, body }
    }

    /// The header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The bytes of an answer, as they come.
pub struct Body(BoxStream<'static, Result<Bytes, TransportError>>);

impl Body {
    /// The body that these pieces make.
    pub fn new(pieces: impl futures_core::Stream<Item = Result<Bytes, TransportError>> + Send + 'static) -> Self {
        Self(pieces.boxed())
    }

    /// A body that is there already.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(stream::once(async move { Ok(bytes) }))
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, TransportError>> {
        self.0.next().await
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// Why a request brought no answer, or only the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody can have read the request.
    #[error("cannot connect: {why}")]
    Connect {
        /// The cause, without the address.
        why: String,
    },
    /// The request may have been read.
    #[error("the connection broke: {why}")]
    Broken {
        /// The cause, without the address.
        why: String,
    },
}

/// Limits `future`; `None` when it took longer.
pub(crate) async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(future.await),
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
    }
}
