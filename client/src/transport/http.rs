//! Over the network.

use std::{
    error::Error as _,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture};
use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};

use super::{Body, Method, Request, Response, Transport, TransportError};
use crate::{Error, service::Service};

/// How long a connection waits for its next request. Some servers keep one for no longer than 5 s.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// HTTP/1.1 and HTTP/2 with rustls.
pub(crate) struct Http {
    client: Client,
    /// The address asked last, which is mostly the one asked next.
    last: Mutex<Option<Url>>,
}

impl Http {
    pub(crate) fn new(service: &Service, connect_timeout: Option<Duration>) -> Result<Self, Error> {
        Self::to(&service.compat, connect_timeout)
    }

    /// To whatever begins with this URL.
    pub(crate) fn to(url: &str, connect_timeout: Option<Duration>) -> Result<Self, Error> {
        Ok(Self { client: client(url, connect_timeout)?, last: Mutex::default() })
    }

    /// An address to ask; it is parsed only if it is not that of the request before.
    fn address(&self, url: &str) -> Result<Url, TransportError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.as_str() == url) {
            return Ok(last.clone());
        }
        let parsed = Url::parse(url).map_err(|error| TransportError::Connect { why: error.to_string() })?;
        *last = Some(parsed.clone());
        Ok(parsed)
    }
}

/// A client for this address alone.
pub(crate) fn client(url: &str, connect_timeout: Option<Duration>) -> Result<Client, Error> {
    // A process may have chosen its provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("qwenda-rust/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(POOL_IDLE)
        // The key is for this address and no other.
        .redirect(redirect::Policy::none());
    if let Some(limit) = connect_timeout {
        client = client.connect_timeout(limit);
    }
    if url.starts_with("http://") {
        // The system's certificates are neither needed nor, on a bare machine, there.
        client = client.tls_certs_only([]);
    }
    if is_here(url) {
        // No proxy of the environment leads back to this machine.
        client = client.no_proxy();
    }
    client.build().map_err(|error| Error::config(format!("no HTTP client: {}", reason(&error))))
}

impl Transport for Http {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>> {
        let client = self.client.clone();
        let address = self.address(&request.url);
        Box::pin(async move {
            let (headers, address) = (headers(&request)?, address?);
            let method = match request.method {
                Method::Get => reqwest::Method::GET,
                Method::Post => reqwest::Method::POST,
                Method::Put => reqwest::Method::PUT,
                Method::Delete => reqwest::Method::DELETE,
            };
            let sending = client.request(method, address).headers(headers).body(request.body);
            let response = sending.send().await.map_err(|error| broken(&error))?;
            let headers = response.headers().iter().filter_map(|(name, value)| {
                let value = value.to_str().ok()?;
                Some((name.as_str().to_owned(), value.to_owned()))
            });
            let (status, headers) = (response.status().as_u16(), headers.collect());
            let body = response.bytes_stream().map(|piece| piece.map_err(|error| broken(&error)));
            Ok(Response { status, headers, body: Body::new(body) })
        })
    }
}

fn headers(request: &Request) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let unusable = || TransportError::Connect { why: format!("no request can carry the header `{name}`") };
        let header: HeaderName = name.parse().map_err(|_| unusable())?;
        headers.insert(header, HeaderValue::from_str(value).map_err(|_| unusable())?);
    }
    if let Some(key) = &request.key {
        let unusable = |_| TransportError::Connect { why: "no header can carry the key".to_owned() };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).map_err(unusable)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

fn broken(error: &reqwest::Error) -> TransportError {
    let why = reason(error);
    if error.is_connect() || error.is_builder() {
        TransportError::Connect { why }
    } else {
        TransportError::Broken { why }
    }
}

/// The innermost cause: the outer ones only repeat the address, which may carry a secret.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::from("the address cannot be asked");
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}

/// Whether an address is one of this machine.
fn is_here(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
