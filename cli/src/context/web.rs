//! A page behind an address.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Client, header::CONTENT_TYPE, redirect};

use super::{IMAGE_BYTES_MAX, Kind, html, kind_of};
use crate::{
    exit::{CliError, Exit},
    interrupt,
    lang::{Lang, chat as words, messages},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the whole page.
const TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 5;

/// Fetches a page. Of HTML the text is taken. Ctrl-C ends it.
pub(super) async fn fetch(lang: Lang, url: &str) -> Result<Kind, CliError> {
    tokio::select! {
        page = page(lang, url) => page,
        () = interrupt::ctrl_c() => Err(CliError::interrupted()),
    }
}

async fn page(lang: Lang, url: &str) -> Result<Kind, CliError> {
    let cannot = |why: String| CliError::new(Exit::Network, words::cannot_fetch(lang, url, &why));
    // A process may have chosen its provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("qwenda/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX));
    if url.starts_with("http://127.0.0.1") || url.starts_with("http://localhost") {
        // Neither a proxy of the environment nor the system's certificates are needed there.
        client = client.no_proxy().tls_certs_only([]);
    }
    let client = client.build().map_err(|error| cannot(reason(&error)))?;
    let response = client.get(url).send().await.map_err(|error| cannot(reason(&error)))?;
    if !response.status().is_success() {
        return Err(cannot(format!("HTTP {}", response.status().as_u16())));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_html = kind.contains("html");
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| cannot(reason(&error)))?);
        if bytes.len() as u64 > IMAGE_BYTES_MAX {
            let mib = IMAGE_BYTES_MAX >> 20;
            return Err(CliError::new(Exit::TooLong, messages::input_too_large(lang, url, mib)));
        }
    }
    Ok(match kind_of(lang, url, bytes)? {
        Kind::Text(text) if is_html => Kind::Text(html::text(&text)),
        kind => kind,
    })
}

/// The innermost cause.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
