//! A desktop program without a service: the model runs in this process, the window is a page in the system's
//! browser, and nothing leaves the machine. It ends with its window.
//!
//! `cargo run --release -p qwenda-examples --bin desktop`; the model is one that `qwenda pull` has fetched.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says where its window is")]

use std::{
    convert::Infallible,
    env,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response, Sse, sse},
    routing::{get, post},
};
use futures_util::stream;
use qwenda::{ChatStream, Client, Event, Message};
use qwenda_examples::{Result, friendly, lang, say};
use tokio::{net::TcpListener, sync::watch, task};

/// A page that is loaded again is a window that closes and opens; this long it may be closed.
const CLOSED_FOR: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct App {
    client: Client,
    model: String,
    /// How many windows are open; `None` before the first.
    windows: watch::Sender<Option<usize>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", friendly(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut args = env::args().skip(1);
    let named = args.next().or_else(|| env::var("QWENDA_MODEL").ok());
    let named = named.unwrap_or_else(|| "qwen2.5-coder-0.5b-instruct".to_owned());
    if args.next().is_some() {
        return Err(say("usage: desktop [MODEL]", "用法：desktop [模型]").into());
    }
    // Loading reads a file of gigabytes, which is no work for an async runtime.
    let client = task::spawn_blocking(move || Client::builder().embedded_model(&named)?.build()).await??;
    let model = client.models().await?.into_iter().next().ok_or("the model has no name")?.id;

    // Other programs and pages of this machine can reach the port too. They do not know the path.
    let secret = uuid::Uuid::new_v4();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/{secret}/", listener.local_addr()?);
    let app = App { client, model, windows: watch::Sender::new(None) };
    let (windows, routes) = (
        app.windows.subscribe(),
        Router::new()
            .route(&format!("/{secret}/"), get(|| async { Html(include_str!("../pages/desktop.html")) }))
            .route(&format!("/{secret}/window"), get(window))
            .route(&format!("/{secret}/chat"), post(chat))
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(app),
    );
    if !open(&address) {
        println!("{}", say("Open this page:", "请打开此页面："));
        println!("{address}");
    }
    tokio::select! {
        served = axum::serve(listener, routes) => Ok(served?),
        () = closed(windows) => Ok(()),
    }
}

/// Opens an address as the system does it; says whether there is somebody who does.
fn open(address: &str) -> bool {
    let (program, args): (_, &[&str]) = match env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/c", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let started = Command::new(program).args(args).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok_and(|status| status.success())
}

/// Answers as plain text that grows. A page that leaves, or stops the answer, closes its connection; the stream is
/// dropped with it, and the model stops.
async fn chat(State(app): State<App>, Json(messages): Json<Vec<Message>>) -> Response {
    match app.client.chat(app.model).messages(messages).stream().await {
        Ok(stream) => Body::from_stream(stream::unfold(Some(stream), next)).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.friendly(lang())).into_response(),
    }
}

async fn next(stream: Option<ChatStream>) -> Option<(Result<String, Infallible>, Option<ChatStream>)> {
    let mut stream = stream?;
    loop {
        match stream.next().await? {
            Ok(Event::Text(text)) => return Some((Ok(text.text), Some(stream))),
            Ok(_) => {}
            Err(error) => return Some((Ok(format!("\n\n{}", error.friendly(lang()))), None)),
        }
    }
}

/// A stream without an event, which is there for as long as the window is.
async fn window(State(app): State<App>) -> impl IntoResponse {
    app.windows.send_modify(|open| *open = Some(open.unwrap_or(0) + 1));
    let silent = stream::unfold(Window(app.windows), |window| async {
        std::future::pending::<()>().await;
        Some((Ok::<_, Infallible>(sse::Event::default()), window))
    });
    Sse::new(silent)
}

struct Window(watch::Sender<Option<usize>>);

impl Drop for Window {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.map(|windows| windows.saturating_sub(1)));
    }
}

/// Waits until the last window has been closed for a while.
async fn closed(mut windows: watch::Receiver<Option<usize>>) {
    loop {
        if windows.wait_for(|open| *open == Some(0)).await.is_err() {
            return;
        }
        let opened = windows.wait_for(|open| *open != Some(0));
        if tokio::time::timeout(CLOSED_FOR, opened).await.is_err() {
            return;
        }
    }
}
