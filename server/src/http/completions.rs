//! `POST …/completions`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use qwenda_types::{
    chat::{ChunkChoice, FinishReason, Logprobs, TokenLogprob},
    completions::{CompletionChoice, CompletionLogprobs, CompletionRequest, CompletionResponse},
    error::ApiError,
    sse,
};
use serde_json::Map;

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
    let request = CompletionRequest::from_map(fields)?;
    let (stream, include_usage) = (request.stream, request.include_usage());
    let places = vec![0; request.choices() as usize];
    let answer = service::complete::start(&app, &ask, request).await?;
    let header = ignored::header(&answer.ignored);
    let response = if stream {
        stream::respond(app, answer, Pieces { include_usage, places, request_id: ask.request_id }).await?
    } else {
        let whole = answer.whole(&app).await?;
        let choices = whole.choices.into_iter().map(|choice| {
            let text = choice.message.content.unwrap_or_default();
            self::choice(choice.index, text, choice.logprobs, choice.finish_reason, &mut 0)
        });
        let response = CompletionResponse {
            id: whole.id,
            created: whole.created,
            model: whole.model,
            choices: choices.collect(),
            usage: Some(whole.usage),
            ..completion()
        };
        Json(response).into_response()
    };
    Ok(ignored::tell(response, header))
}

/// A stream of pieces, each of the shape of a whole answer.
struct Pieces {
    include_usage: bool,
    /// Characters of each choice so far.
    places: Vec<u32>,
    request_id: String,
}

impl Voice for Pieces {
    fn more(&mut self, answer: &Answer, choices: Vec<ChunkChoice>) -> String {
        // There are no roles here, so a choice begins with its text.
        let told = choices.into_iter().filter(|choice| choice.delta.role.is_none());
        told.map(|more| {
            let place = &mut self.places[more.index as usize];
            let text = more.delta.content.unwrap_or_default();
            let choice = choice(more.index, text, more.logprobs, more.finish_reason, place);
            event(CompletionResponse { choices: vec![choice], ..piece(answer) })
        })
        .collect()
    }

    fn done(&mut self, answer: &Answer) -> String {
        let usage =
            self.include_usage.then(|| event(CompletionResponse { usage: Some(answer.usage()), ..piece(answer) }));
        usage.unwrap_or_default() + &sse::data(sse::DONE)
    }

    fn failed(&mut self, error: &ApiError) -> String {
        sse::data(&error.body(&self.request_id))
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

fn completion() -> CompletionResponse {
    CompletionResponse { object: "text_completion".to_owned(), ..CompletionResponse::default() }
}

fn piece(answer: &Answer) -> CompletionResponse {
    CompletionResponse { id: answer.id.clone(), created: answer.created, model: answer.model.clone(), ..completion() }
}

fn event(piece: CompletionResponse) -> String {
    sse::data(&serde_json::to_string(&piece).expect("pieces are always JSON"))
}

/// A choice, or what is new of it. `place` counts the characters of its tokens so far.
fn choice(
    index: u32,
    text: String,
    logprobs: Option<Logprobs>,
    finish_reason: Option<FinishReason>,
    place: &mut u32,
) -> CompletionChoice {
    let logprobs = logprobs.map(|logprobs| in_lists(logprobs.content, place));
    CompletionChoice { text, index, logprobs, finish_reason, ..CompletionChoice::default() }
}

fn in_lists(tokens: Vec<TokenLogprob>, place: &mut u32) -> CompletionLogprobs {
    let mut lists = CompletionLogprobs::default();
    for token in tokens {
        let rivals = token.top_logprobs.into_iter().map(|rival| (rival.token, rival.logprob.into()));
        lists.top_logprobs.get_or_insert_default().push(Some(Map::from_iter(rivals)));
        lists.text_offset.push(*place);
        *place = place.saturating_add(u32::try_from(token.token.chars().count()).unwrap_or(u32::MAX));
        lists.tokens.push(token.token);
        lists.token_logprobs.push(token.logprob);
    }
    lists
}
