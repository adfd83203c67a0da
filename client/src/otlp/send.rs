//! The way to the collector: our HTTP client, on the runtime that there is.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use crate::{Error, Result, transport::http};

/// What a collector may answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Sender {
    client: reqwest::Client,
    timeout: Duration,
    runtime: Handle,
}

impl Sender {
    pub(super) fn new(endpoint: &str, timeout: Duration, runtime: Handle) -> Result<Self> {
        if !reqwest::Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::config(format!("the collector's address is none of HTTP: `{endpoint}`")));
        }
        Ok(Self { client: http::client(endpoint, Some(timeout))?, timeout, runtime })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        let (client, timeout) = (self.client.clone(), self.timeout);
        // Whoever asks is a thread outside of any runtime.
        let sending = self.runtime.spawn(async move {
            let mut request = reqwest::Request::try_from(request)?;
            *request.timeout_mut() = Some(timeout);
            let mut response = client.execute(request).await?;
            let (status, mut body) = (response.status(), Vec::new());
            while let Some(piece) = response.chunk().await? {
                if body.len() + piece.len() > ANSWER_BYTES_MAX {
                    return Err(HttpError::from(format!("the collector's answer has over {ANSWER_BYTES_MAX} bytes")));
                }
                body.extend_from_slice(&piece);
            }
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = status;
            Ok(answer)
        });
        sending.await?
    }
}
