//! Models in this process as a service: the same calls, without a network.

use std::sync::Arc;

use futures_util::{StreamExt, future::BoxFuture, stream};
use qwenda_backend::{
    Backend, BackendError, ChatCall, ChatEvent, ChatStream, CompletionCall, Counts, EmbedCall, RerankCall,
    TokenizeCall, TokenizeInput, Whose,
    local::{Local, LocalModel, LocalOptions},
    models::{Resolved, Store},
};
use qwenda_types::{
    Dialect,
    chat::{
        ChatChunk, ChatRequest, ChunkChoice, Delta, FunctionDelta, Limits, Logprobs, Strictness, TokenLogprob,
        ToolCallDelta, TopLogprob, Usage,
    },
    completions::{CompletionChoice, CompletionRequest, CompletionResponse, Prompt},
    dashscope::tokenizer::{TokenizerRequest, TokenizerResponse},
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    error::{ApiError, Code},
    models::{Model, ModelList},
    rerank::{RerankRequest, RerankResponse, RerankResult},
    sse,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    transport::{Body, Request, Response, Transport, TransportError},
};

/// Where it is not.
pub(crate) const URL: &str = "http://embedded.invalid/v1";
/// Its prices: none. What computes here is not paid for.
pub(crate) const PRICES: &str = "id = \"embedded\"\ncurrency = \"CNY\"\nseen = \"2026-01-01\"\n\n[[model]]\n\
    names = [\"-\"]\ntiers = [{ input = \"0\", output = \"0\" }]\n";

/// A backend as a way.
pub(crate) struct Embedded(pub(crate) Arc<dyn Backend>);

/// Loads a model: a name or a path, as `qwenda models` has them.
pub(crate) fn open(name: &str, options: LocalOptions) -> Result<Arc<dyn Backend>> {
    let store = Store::from_env();
    let unusable = |error: &dyn std::fmt::Display| Error::config(format!("model `{name}`: {error}"));
    let catalogue = store.catalogue().map_err(|error| unusable(&error))?;
    let (name, path) = match store.resolve(&catalogue, name).map_err(|error| unusable(&error))? {
        Resolved::Here { name, path } => (name, path),
        Resolved::Missing(entry) => {
            return Err(unusable(&format!("it is not here yet; `qwenda pull {}` fetches it", entry.name)));
        }
    };
    let options = LocalOptions { cache_dir: options.cache_dir.clone().or_else(|| Some(store.cache_dir())), ..options };
    let local = Local::open(vec![LocalModel { name, path }], options).map_err(|error| unusable(&error))?;
    Ok(Arc::new(local))
}

impl Transport for Embedded {
    fn send(&self, request: Request) -> BoxFuture<'static, std::result::Result<Response, TransportError>> {
        let backend = Arc::clone(&self.0);
        Box::pin(async move {
            let id = uuid::Uuid::new_v4().to_string();
            Ok(match answer(backend, &request, &id).await {
                Ok(response) => response,
                Err(error) => refused(&error, &id),
            })
        })
    }
}

async fn answer(backend: Arc<dyn Backend>, request: &Request, id: &str) -> std::result::Result<Response, ApiError> {
    let path = request.url.rsplit_once("/v1/").map_or("", |(_, path)| path);
    let map = || -> std::result::Result<Map<String, Value>, ApiError> {
        serde_json::from_slice(&request.body).map_err(|error| ApiError::of(Code::InvalidParameter).log(error))
    };
    let (request_id, whose) = (id.to_owned(), Whose::default());
    match path {
        "chat/completions" => chat(backend, ChatRequest::from_map(map()?)?, request_id).await,
        "completions" => {
            let request = CompletionRequest::from_map(map()?)?;
            request.validate(Strictness::default())?;
            let model = request.model.clone();
            let call = CompletionCall { request, request_id, whose };
            let events = backend.complete(call).await.map_err(refusal)?;
            Ok(whole(&complete(events, model, id).await?, id))
        }
        "embeddings" => {
            let request = EmbeddingRequest::from_map(map()?)?;
            request.validate(Dialect::Compat, Strictness::default())?;
            let (model, format) = (request.model.clone(), request.encoding_format);
            let made = backend.embed(EmbedCall { request, request_id, whose }).await.map_err(refusal)?;
            let tokens = made.text_tokens.iter().map(|tokens| u64::from(*tokens)).sum();
            Ok(whole(&EmbeddingResponse::new(made.vectors, format, &model, tokens, id), id))
        }
        "rerank" => {
            let request = RerankRequest::from_map(map()?)?;
            request.validate()?;
            let call = RerankCall { request: request.clone(), request_id, whose };
            let ranked = backend.rerank(call).await.map_err(refusal)?;
            let results = RerankResult::ranked(&ranked.scores, &request);
            Ok(whole(&RerankResponse::new(results, request.model, ranked.tokens.into(), id), id))
        }
        "tokenizer" => {
            let request = TokenizerRequest::from_map(map()?)?;
            let model = request.model().to_owned();
            let input = match request {
                TokenizerRequest::Prompt { text, .. } => TokenizeInput::Prompt(Prompt::Text(text)),
                TokenizerRequest::Chat(chat) => TokenizeInput::Chat(chat),
            };
            let tokens = backend.tokenize(TokenizeCall { model, input }).await.map_err(refusal)?;
            Ok(whole(&TokenizerResponse::new(tokens.ids, tokens.tokens, id), id))
        }
        "models" => {
            let models = backend.models().into_iter();
            let models = models.map(|card| Model::new(card.id, card.created, card.owned_by));
            Ok(whole(&ModelList::new(models.collect()), id))
        }
        _ => Err(ApiError::of(Code::PathNotFound)),
    }
}

fn headers(kind: &str, id: &str) -> Vec<(String, String)> {
    [("content-type", kind), ("x-request-id", id)].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn whole(answer: &impl Serialize, id: &str) -> Response {
    let body = serde_json::to_vec(answer).expect("answers are plain JSON");
    Response::new(200, headers("application/json", id), Body::whole(body))
}

fn refused(error: &ApiError, id: &str) -> Response {
    let mut headers = headers("application/json", id);
    headers.push(("x-should-retry".to_owned(), error.is_retryable().to_string()));
    headers.extend(error.retry_after().map(|ms| ("retry-after-ms".to_owned(), ms.to_string())));
    Response::new(error.status(), headers, Body::whole(error.body(id)))
}

async fn chat(backend: Arc<dyn Backend>, request: ChatRequest, id: String) -> std::result::Result<Response, ApiError> {
    request.validate(Strictness::default())?;
    if let Some(card) = backend.models().into_iter().find(|card| card.id == request.model)
        && !card.abilities.forwards
    {
        request.validate_limits(Limits { output_tokens_max: card.context_tokens_max })?;
    }
    let model = request.model.clone();
    let call = ChatCall { request, request_id: id.clone(), whose: Whose::default() };
    let events = backend.chat(call).await.map_err(refusal)?;
    let head = ChatChunk { id: format!("chatcmpl-{id}"), model, ..ChatChunk::default() };
    let answered = (events, head, id.clone(), false);
    let pieces = stream::unfold(answered, |(mut events, head, id, over)| async move {
        if over {
            return None;
        }
        let (text, over) = match events.next().await? {
            Ok(event) => written(event, &head),
            Err(error) => (refusal(error).sse_frame(Dialect::Compat, 0, &id), true),
        };
        Some((Ok(text.into()), (events, head, id, over)))
    });
    Ok(Response::new(200, headers("text/event-stream", &id), Body::new(pieces)))
}

/// What an event is on the wire, and whether it was the last.
fn written(event: ChatEvent, head: &ChatChunk) -> (String, bool) {
    let chunk = |chunk: ChatChunk| sse::data(&serde_json::to_string(&chunk).expect("chunks are plain JSON"));
    let more = |index: u32, delta: Delta, logprobs: Option<Logprobs>, finish_reason| {
        let choice = ChunkChoice { index, delta, logprobs, finish_reason, ..ChunkChoice::default() };
        (chunk(ChatChunk { choices: vec![choice], ..head.clone() }), false)
    };
    let call = |index: u32, id: Option<String>, function: FunctionDelta| Delta {
        tool_calls: Some(vec![ToolCallDelta { index, id, function, ..ToolCallDelta::default() }]),
        ..Delta::default()
    };
    match event {
        ChatEvent::Started { .. } => (String::new(), false),
        ChatEvent::Text { choice, text, logprobs, .. } => {
            let logprobs = (!logprobs.is_empty()).then(|| logprobs_of(logprobs));
            more(choice, Delta { content: Some(text), ..Delta::default() }, logprobs, None)
        }
        ChatEvent::Reasoning { choice, text, .. } => {
            more(choice, Delta { reasoning_content: Some(text), ..Delta::default() }, None, None)
        }
        ChatEvent::ToolCall { choice, index, id, name, .. } => more(
            choice,
            call(index, Some(id), FunctionDelta { name: Some(name), ..FunctionDelta::default() }),
            None,
            None,
        ),
        ChatEvent::ToolArguments { choice, index, text, .. } => {
            let function = FunctionDelta { arguments: Some(text), ..FunctionDelta::default() };
            more(choice, call(index, None, function), None, None)
        }
        ChatEvent::Finished { choice, reason } => more(choice, Delta::default(), None, Some(reason)),
        ChatEvent::Done { usage, .. } => {
            let text = chunk(ChatChunk { usage: Some(counted(usage)), ..head.clone() });
            (format!("{text}{}", sse::data(sse::DONE)), true)
        }
    }
}

fn counted(counts: Counts) -> Usage {
    let Counts { prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens } = counts;
    Usage::new(prompt_tokens.into(), completion_tokens.into(), cached_tokens.into(), reasoning_tokens.into())
}

fn logprobs_of(tokens: Vec<qwenda_backend::TokenLogprob>) -> Logprobs {
    let rival = |(token, bytes, logprob)| TopLogprob { token, bytes, logprob: Some(logprob) };
    let tokens = tokens.into_iter().map(|token| TokenLogprob {
        token: token.token,
        bytes: token.bytes,
        logprob: Some(token.logprob),
        top_logprobs: token.top.into_iter().map(rival).collect(),
    });
    Logprobs { content: tokens.collect(), refusal: None }
}

async fn complete(
    mut events: ChatStream,
    model: String,
    id: &str,
) -> std::result::Result<CompletionResponse, ApiError> {
    let mut answer =
        CompletionResponse { id: id.to_owned(), model, object: "text_completion".to_owned(), ..Default::default() };
    let place = |choices: &mut Vec<CompletionChoice>, index: u32| {
        while choices.len() <= index as usize {
            choices.push(CompletionChoice { index: choices.len() as u32, ..Default::default() });
        }
    };
    while let Some(event) = events.next().await {
        match event.map_err(refusal)? {
            ChatEvent::Text { choice, text, .. } => {
                place(&mut answer.choices, choice);
                answer.choices[choice as usize].text.push_str(&text);
            }
            ChatEvent::Finished { choice, reason } => {
                place(&mut answer.choices, choice);
                answer.choices[choice as usize].finish_reason = Some(reason);
            }
            ChatEvent::Done { usage, .. } => answer.usage = Some(counted(usage)),
            _ => {}
        }
    }
    Ok(answer)
}

/// What the caller reads when the backend does not answer.
fn refusal(error: BackendError) -> ApiError {
    match error {
        BackendError::UnknownModel { name, near } => {
            let near = if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) };
            ApiError::of(Code::ModelNotFound).say(format!("The model `{name}` does not exist{near}."))
        }
        BackendError::PromptTooLong { prompt_tokens, limit_tokens } => ApiError::of(Code::ModelParameter)
            .say(format!("Range of input length should be [1, {limit_tokens}]; the prompt has {prompt_tokens} tokens")),
        BackendError::Unsupported { message, .. } => ApiError::of(Code::InvalidParameter).say(message),
        BackendError::Invalid(invalid) => invalid.into(),
        BackendError::Refused(error) => *error,
        BackendError::Busy { retry_after_ms } => ApiError::of(Code::Busy).retry_after_ms(retry_after_ms),
        // Who calls is who operates: both read what broke.
        BackendError::Internal(why) => ApiError::of(Code::Internal).say(why),
    }
}
