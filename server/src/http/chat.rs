//! `POST …/chat/completions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use qwenda_types::{
    chat::{ChatChunk, ChatRequest, ChunkChoice},
    error::ApiError,
    sse,
};

use super::{
    error::Failure,
    extract::{Authorized, Fields},
    ignored,
    stream::{self, Voice},
};
use crate::{
    app::App,
    service::{self, answer::Answer},
};

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    Fields(fields): Fields,
) -> Result<Response, Failure> {
    let request = ChatRequest::from_map(fields)?;
    let (stream, include_usage) = (request.stream, request.include_usage());
    let answer = service::chat::start(&app, &ask, request).await?;
    let header = ignored::header(&answer.ignored);
    let response = if stream {
        stream::respond(app, answer, Chunks { include_usage, request_id: ask.request_id }).await?
    } else {
        Json(service::chat::response(answer.whole(&app).await?)).into_response()
    };
    Ok(ignored::tell(response, header))
}

/// A stream of chunks, then the usage if it was asked for, then `[DONE]`.
struct Chunks {
    include_usage: bool,
    request_id: String,
}

impl Voice for Chunks {
    fn more(&mut self, answer: &Answer, choices: Vec<ChunkChoice>) -> String {
        // One chunk for each: many readers look at the first choice of a chunk only.
        choices.into_iter().map(|choice| event(ChatChunk { choices: vec![choice], ..chunk(answer) })).collect()
    }

    fn done(&mut self, answer: &Answer) -> String {
        let usage = self.include_usage.then(|| event(ChatChunk { usage: Some(answer.usage()), ..chunk(answer) }));
        usage.unwrap_or_default() + &sse::data(sse::DONE)
    }

    fn failed(&mut self, error: &ApiError) -> String {
        sse::data(&error.body(&self.request_id))
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

fn chunk(answer: &Answer) -> ChatChunk {
    ChatChunk {
        id: answer.id.clone(),
        object: "chat.completion.chunk".to_owned(),
        created: answer.created,
        model: answer.model.clone(),
        ..ChatChunk::default()
    }
}

fn event(chunk: ChatChunk) -> String {
    sse::data(&serde_json::to_string(&chunk).expect("chunks are always JSON"))
}
