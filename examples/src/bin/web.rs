//! A web backend: a page in a browser talks to a model, and the key stays on the server.
//!
//! `cargo run -p qwenda-examples --bin web`, then open the address that it prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it says where it listens")]

use std::{convert::Infallible, env, process::ExitCode};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        Html, IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::stream;
use qwenda::{ChatBuilder, ChatStream, Client, Event, Finish, Lang, Message};
use qwenda_examples::{Result, friendly, model, say};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;

/// What one request may cost us is bounded: its bytes, its turns, and the length of the answer.
const BODY_BYTES_MAX: usize = 256 << 10;
const MESSAGES_MAX: usize = 40;
const ANSWER_TOKENS_MAX: u32 = 2_000;

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
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    if args.next().is_some() {
        return Err(say("usage: web [ADDRESS]", "用法：web [地址]").into());
    }
    let app = App { client: Client::from_env()?, model: model() };
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("http://{}", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(|| async { Html(include_str!("../pages/web.html")) }))
        .route("/chat", post(chat))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app);
    Ok(axum::serve(listener, routes).await?)
}

/// What the page sends: all that was said, its last words at the end. The roles are ours to give out; a page that
/// could write system messages could make the model whatever it likes, at our cost.
#[derive(Deserialize)]
struct Asked {
    messages: Vec<Said>,
}

#[derive(Deserialize)]
#[serde(tag = "role", content = "content", rename_all = "lowercase")]
enum Said {
    User(String),
    Assistant(String),
}

async fn chat(State(app): State<App>, headers: HeaderMap, Json(asked): Json<Asked>) -> Response {
    let lang = lang_of(&headers);
    if !(1..=MESSAGES_MAX).contains(&asked.messages.len()) {
        let text = match lang {
            Lang::Zh => format!("一次对话有 1 到 {MESSAGES_MAX} 条消息，请开始新的对话。"),
            _ => format!("A conversation has 1 to {MESSAGES_MAX} messages. Begin a new one."),
        };
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let messages = asked.messages.into_iter().map(|said| match said {
        Said::User(text) => Message::user(text),
        Said::Assistant(text) => Message::assistant(text),
    });
    let chat = app.client.chat(app.model).system("You are a helpful assistant.").messages(messages);
    let answer = Answer::Asked(Box::new(chat.max_tokens(ANSWER_TOKENS_MAX)));
    // A browser that leaves closes its connection; axum then drops the stream, which closes ours to the service, and
    // the service stops.
    let events = stream::unfold(answer, move |answer| next(answer, lang));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

enum Answer {
    Asked(Box<ChatBuilder>),
    Coming(Box<ChatStream>),
    Over,
}

/// The next event for the page, and what is left of the answer.
async fn next(answer: Answer, lang: Lang) -> Option<(Result<sse::Event, Infallible>, Answer)> {
    let failed = |error: qwenda::Error| Some((event("error", &error.friendly(lang)), Answer::Over));
    let mut stream = match answer {
        Answer::Over => return None,
        Answer::Coming(stream) => stream,
        Answer::Asked(chat) => match chat.stream().await {
            Ok(stream) => Box::new(stream),
            Err(error) => return failed(error),
        },
    };
    while let Some(seen) = stream.next().await {
        let event = match seen {
            Ok(Event::Text(text)) => event("text", &*text),
            Ok(Event::Reasoning(text)) => event("reasoning", &*text),
            Ok(_) => continue,
            Err(error) => return failed(error),
        };
        return Some((event, Answer::Coming(stream)));
    }
    match stream.finish() {
        Ok(reply) => {
            let whole = reply.finish() != &Finish::Length;
            Some((
                event("done", &json!({"whole": whole, "tokens": reply.usage().map(|usage| usage.output_tokens)})),
                Answer::Over,
            ))
        }
        Err(error) => failed(error),
    }
}

fn event(name: &str, data: &(impl Serialize + ?Sized)) -> Result<sse::Event, Infallible> {
    // As JSON, so that line breaks in a text are not those of the protocol.
    Ok(sse::Event::default().event(name).json_data(data).expect("texts and numbers are JSON"))
}

/// The language that the browser's reader has set first.
fn lang_of(headers: &HeaderMap) -> Lang {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.trim_start().starts_with("zh") { Lang::Zh } else { Lang::En }
}
