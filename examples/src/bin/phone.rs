//! An app in a browser or on a phone that calls the service itself, with a key that ends by itself.
//!
//! This server gives out keys of a minute and nothing else; the key of the environment does not leave it, and what
//! is said does not pass through it. The service has to let pages of this address call: `cors` in `qwenda.toml`.
//!
//! `cargo run -p qwenda-examples --bin phone`, then open the address that it prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says where it listens")]

use std::{env, process::ExitCode};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use qwenda::{Client, Lang};
use qwenda_examples::{Result, friendly, model, say};
use serde_json::json;
use tokio::net::TcpListener;

/// How long a key is good for. An answer that has begun goes on; the next call takes another key.
const KEY_SECONDS: u32 = 60;

#[derive(Clone)]
struct App {
    client: Client,
    model: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", friendly(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<()> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3001".to_owned());
    if args.next().is_some() {
        return Err(say("usage: phone [ADDRESS]", "用法：phone [地址]").into());
    }
    let app = App { client: Client::from_env()?, model: model() };
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("http://{}", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(|| async { Html(include_str!("../pages/phone.html")) }))
        .route("/token", get(token))
        .with_state(app);
    Ok(axum::serve(listener, routes).await?)
}

/// A key for this page, and where to go with it.
///
/// Whoever may read this answer may call the service for a minute, so here is the place to ask who it is: a
/// session, an account, how much they have had today.
async fn token(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.client.temporary_key(KEY_SECONDS).models([&app.model]).await {
        Ok(made) => {
            // The one place where the key is shown: to the page that it was made for, and to no cache.
            let answer = json!({
                "token": made.key.reveal(), "expires_at": made.expires_at,
                "base_url": app.client.base_url(), "model": app.model,
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
        }
        Err(error) => {
            eprintln!("{}", error.report());
            (StatusCode::BAD_GATEWAY, error.friendly(lang_of(&headers))).into_response()
        }
    }
}

/// The language that the browser's reader has set first.
fn lang_of(headers: &HeaderMap) -> Lang {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.trim_start().starts_with("zh") { Lang::Zh } else { Lang::En }
}
