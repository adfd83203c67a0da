//! Requests to one upstream: sent, sent again, read to their end.

use std::{error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use tokio::time::timeout;

use super::{
    UpstreamError,
    config::{Secret, UpstreamConfig},
    refusal::{Fault, Refused},
    retry,
};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Longest answer: the vectors of 2,048 texts, written out. No stream comes near it.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long a connection waits for its next request. Some servers keep one for no longer than 5 s.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// What an answer is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON in one piece.
    Whole,
    /// Server-sent events.
    Events,
}

/// The way to one upstream.
pub(super) struct Transport {
    pub(super) name: String,
    client: Client,
    key: Option<Secret>,
    first_byte_timeout: Duration,
    pub(super) idle_timeout: Duration,
    retries: u32,
}

impl Transport {
    pub(super) fn new(config: &UpstreamConfig) -> Result<Self, UpstreamError> {
        // A process may have chosen its provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("qwenda/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            // Our key is for this address and no other.
            .redirect(redirect::Policy::none());
        if config.base_url.starts_with("http://") && config.rerank_url.starts_with("http://") {
            // The system's certificates are neither needed nor, on a bare machine, there.
            client = client.tls_certs_only([]);
        }
        if is_here(&config.base_url) && is_here(&config.rerank_url) {
            // No proxy of the environment leads back to this machine.
            client = client.no_proxy();
        }
        let client =
            client.build().map_err(|error| UpstreamError { name: config.name.clone(), why: reason(&error) })?;
        Ok(Self {
            name: config.name.clone(),
            client,
            key: config.api_key.clone(),
            first_byte_timeout: config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
            retries: config.retries,
        })
    }

    fn headers(&self, form: Form) -> HeaderMap {
        let accept = match form {
            Form::Whole => "application/json",
            Form::Events => "text/event-stream",
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(key) = &self.key {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()));
            let mut bearer = bearer.expect("a key was tried when it was resolved");
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        headers
    }

    /// What the upstream's refusals of this model become.
    pub(super) fn refused<'a>(&'a self, model: &'a str) -> Refused<'a> {
        Refused { upstream: &self.name, model, key: self.key.as_ref() }
    }

    pub(super) fn fault(&self, error: reqwest::Error) -> Fault {
        let why = format!("upstream `{}`: {}", self.name, reason(&error));
        if error.is_connect() || !error.is_timeout() { Fault::unreachable(why) } else { Fault::timeout(why) }
    }

    pub(super) fn silent(&self) -> Fault {
        Fault::timeout(format!("upstream `{}` says nothing", self.name))
    }
}

/// One request, which may be sent several times.
pub(super) struct Sending {
    pub(super) transport: Arc<Transport>,
    url: String,
    body: Bytes,
    form: Form,
    /// Our name of the model.
    pub(super) model: String,
    /// How often it was sent again.
    again: u32,
}

impl Sending {
    pub(super) fn new(transport: &Arc<Transport>, url: String, body: Vec<u8>, form: Form, model: &str) -> Self {
        Self { transport: Arc::clone(transport), url, body: body.into(), form, model: model.to_owned(), again: 0 }
    }

    /// Sends it until an answer begins, or nothing is left to try.
    pub(super) async fn send(&mut self) -> Result<Response, Fault> {
        loop {
            match self.send_once().await {
                Ok(response) => return Ok(response),
                Err(fault) => self.pause(fault).await?,
            }
        }
    }

    /// Sends it again after this fault, if that may help.
    pub(super) async fn send_again(&mut self, fault: Fault) -> Result<Response, Fault> {
        self.pause(fault).await?;
        self.send().await
    }

    /// Waits as long as is right after this fault, or hands it back if the request is not to be sent again.
    async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.again || self.again >= self.transport.retries {
            return Err(fault);
        }
        // Without a random number all waits are the shortest, which is no reason to fail.
        let random = getrandom::u64().unwrap_or(0);
        let Some(pause) = retry::pause(self.again + 1, fault.error.retry_after(), random) else { return Err(fault) };
        self.again += 1;
        let why = fault.error.logged().unwrap_or_default();
        tracing::debug!(why, again = self.again, pause_ms = pause.as_millis() as u64, "asking the upstream again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn send_once(&self) -> Result<Response, Fault> {
        let transport = &self.transport;
        let request = transport.client.post(&self.url).headers(transport.headers(self.form)).body(self.body.clone());
        let response = match timeout(transport.first_byte_timeout, request.send()).await {
            Err(_) => return Err(transport.silent()),
            Ok(Err(error)) => return Err(transport.fault(error)),
            Ok(Ok(response)) => response,
        };
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn refusal(&self, response: Response) -> Fault {
        let status = response.status().as_u16();
        let header = |name: &HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after_ms = retry::asked_ms(header(&RETRY_AFTER_MS), header(&RETRY_AFTER));
        // A refusal that is cut or too long is one all the same.
        let body = read(&self.transport, response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        self.transport.refused(&self.model).with_status(status, &body, retry_after_ms)
    }

    /// The body of a whole answer; one that is cut is asked for again.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, Fault> {
        let mut response = self.send().await?;
        loop {
            match read(&self.transport, response, ANSWER_BYTES_MAX).await {
                Ok(body) => return Ok(body),
                Err(fault) => response = self.send_again(fault).await?,
            }
        }
    }
}

/// All of a body, if it is no longer than this.
pub(super) async fn read(transport: &Transport, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let chunk = match timeout(transport.idle_timeout, response.chunk()).await {
            Err(_) => return Err(transport.silent()),
            Ok(Err(error)) => return Err(transport.fault(error)),
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(chunk))) => chunk,
        };
        if body.len() + chunk.len() > bytes_max {
            let why = format!("upstream `{}` answers more than {bytes_max} bytes", transport.name);
            return Err(Fault::malformed(why));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Whether an address is one of this machine.
fn is_here(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The innermost cause: the outer ones only repeat the address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::from("cannot be asked");
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn this_machine_has_several_names() {
        for url in ["http://127.0.0.1:8000/v1", "http://127.9.9.9/v1", "http://[::1]:8000/v1", "http://localhost/v1"] {
            assert!(is_here(url), "{url}");
        }
        for url in ["http://10.0.0.1/v1", "https://localhost.example/v1", "http://[2001:db8::1]/v1", "here"] {
            assert!(!is_here(url), "{url}");
        }
    }
}
