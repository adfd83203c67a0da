//! `POST /api/v1/services/aigc/text-generation/generation` and `…/multimodal-generation/generation`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use qwenda_types::{
    Dialect,
    chat::ChunkChoice,
    dashscope::{Endpoint, Frames, NativeResponse, chat_from_map},
    error::ApiError,
    sse,
};

use super::{
    super::{
        error::Failure,
        extract::{Authorized, Fields},
        ignored,
        stream::{self, Voice},
    },
    Streamed, Synchronous,
};
use crate::{
    app::App,
    service::{self, admit::Ask, answer::Answer},
};

pub(in crate::http) async fn text(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    _: Synchronous,
    streamed: Streamed,
    fields: Fields,
) -> Result<Response, Failure> {
    create(app, ask, streamed, fields, Endpoint::Text).await
}

pub(in crate::http) async fn multimodal(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    _: Synchronous,
    streamed: Streamed,
    fields: Fields,
) -> Result<Response, Failure> {
    create(app, ask, streamed, fields, Endpoint::Multimodal).await
}

async fn create(
    app: Arc<App>,
    ask: Ask,
    Streamed(stream): Streamed,
    Fields(fields): Fields,
    endpoint: Endpoint,
) -> Result<Response, Failure> {
    let (mut request, options) = chat_from_map(fields, endpoint)?;
    request.stream = stream;
    let begun = service::generate::start(&app, &ask, request, options, endpoint).await?;
    let header = ignored::header(&begun.answer.ignored);
    let response = if stream {
        let frames = Frames::new(begun.form, begun.choices, ask.request_id.clone());
        stream::respond(app, begun.answer, Native { frames, id: 0, request_id: ask.request_id }).await?
    } else {
        let whole = service::chat::response(begun.answer.whole(&app).await?);
        let mut response = NativeResponse::from_chat(whole, begun.form);
        response.usage = response.usage.with_text_tokens();
        Json(response).into_response()
    };
    Ok(ignored::tell(response, header))
}

/// A stream of frames, each with an id, its status and the usage so far. Nothing marks its end.
struct Native {
    frames: Frames,
    id: u64,
    request_id: String,
}

impl Native {
    fn frame(&mut self, response: &NativeResponse) -> String {
        let json = serde_json::to_string(response).expect("frames are always JSON");
        self.id += 1;
        sse::native(self.id, &json)
    }
}

impl Voice for Native {
    fn more(&mut self, answer: &Answer, choices: Vec<ChunkChoice>) -> String {
        let counts = answer.events.counts();
        self.frames.started(counts.prompt_tokens.into(), counts.cached_tokens.into());
        let mut text = String::new();
        for choice in choices {
            let tokens = answer.events.completion_tokens(choice.index);
            if let Some(response) = self.frames.push_choice(choice, tokens.into()) {
                text += &self.frame(&response);
            }
        }
        text
    }

    fn done(&mut self, answer: &Answer) -> String {
        let last = self.frames.done(&answer.usage());
        self.frame(&last)
    }

    fn failed(&mut self, error: &ApiError) -> String {
        self.id += 1;
        error.sse_frame(Dialect::Native, self.id, &self.request_id)
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}
