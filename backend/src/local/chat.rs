//! One chat: the request becomes token ids and engine requests, the engine's events become ours.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use qwenda_engine::{Event, Request, Sampling, Sink};
use qwenda_tokenizer::{Specials, TokenKind, Tokenizer};
use qwenda_types::chat::{ChatRequest, FinishReason, SEED_DEFAULT, Stop};
use serde_json::{Map, Value};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    Loaded,
    template::{TemplateError, message_values},
};
use crate::{BackendError, ChatEvent, ChatStream, Counts, Timings, TokenLogprob};

/// Most tokens of an answer when the request does not say: what the family answers with at most.
/// A model that has lost its way would otherwise fill its whole context.
const ANSWER_TOKENS_DEFAULT: u32 = 8_192;
/// `top_k` above this means no limit, by the contract.
const TOP_K_MAX: u32 = 100;

/// Begins to answer.
pub(super) async fn chat(model: Arc<Loaded>, request: ChatRequest) -> Result<ChatStream, BackendError> {
    // Long prompts take long to render and to encode.
    let preparing = Arc::clone(&model);
    let prepared = tokio::task::spawn_blocking(move || prepare(&preparing, &request)).await;
    let requests = prepared.map_err(|panic| BackendError::Internal(format!("preparing the prompt: {panic}")))??;

    let choices = requests.len();
    let tokens_max: usize = requests.iter().map(|request| request.tokens_max as usize).sum();
    // Each choice sends at most one event per token, one at its start, one at its end and one more for
    // text held back: the channel is never full, so a slow reader never holds the engine up.
    let (sender, events) = mpsc::channel(tokens_max + choices * 4);
    for (choice, request) in (0..).zip(requests) {
        let sink = Box::new(ToChannel { choice, sender: sender.clone() });
        // When a later choice is refused, `events` is dropped and with it the earlier ones.
        model.engine.submit(request, sink).map_err(|error| model.refusal(error))?;
    }
    let running = choices as u32;
    Ok(ChatStream::new(Answer {
        model,
        events,
        running,
        begun: false,
        ended: false,
        counts: Counts::default(),
        timings: Timings::default(),
    }))
}

/// One engine request per choice.
fn prepare(model: &Loaded, request: &ChatRequest) -> Result<Vec<Request>, BackendError> {
    supported(request)?;
    let thinking = thinking(model, request)?;
    let prompt = prompt(model, request, thinking)?;
    let context = model.card.context_tokens_max;
    let prompt_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
    // One place must be left for the answer.
    if prompt_tokens >= context {
        return Err(BackendError::PromptTooLong { prompt_tokens, limit_tokens: context - 1 });
    }
    let tokens_max = request.tokens_max().unwrap_or(ANSWER_TOKENS_DEFAULT).min(context - prompt_tokens).max(1);
    let sampling = sampling(model, request, thinking)?;
    let stop = stop(model, request)?;
    let logprobs = request.logprobs.then(|| request.top_logprobs.unwrap_or(0));
    let seed = request.seed.unwrap_or(SEED_DEFAULT);
    Ok((0..request.choices().max(1))
        .map(|choice| Request {
            prompt: prompt.clone(),
            tokens_max,
            sampling: Sampling { seed: seed.wrapping_add(choice.into()), ..sampling.clone() },
            stop: stop.clone(),
            logprobs,
        })
        .collect())
}

/// Refuses what would otherwise be passed over in silence.
fn supported(request: &ChatRequest) -> Result<(), BackendError> {
    let refuse = |field: String, message: String| Err(BackendError::Unsupported { field, message });
    if let Some((at, kind)) = request.first_media_part() {
        let message = format!("this model reads text only, not `{kind}`");
        return refuse(at, message);
    }
    if !request.tools.is_empty() {
        return refuse("tools".into(), "this model cannot be given tools here".into());
    }
    if request.response_format.as_ref().is_some_and(|format| format.get("type").is_none_or(|kind| kind != "text")) {
        return refuse("response_format".into(), "this model cannot be held to a response format here".into());
    }
    Ok(())
}

/// Whether the model is to reason before it answers.
fn thinking(model: &Loaded, request: &ChatRequest) -> Result<bool, BackendError> {
    let refuse =
        |message: &str| Err(BackendError::Unsupported { field: "enable_thinking".into(), message: message.to_owned() });
    match request.enable_thinking {
        Some(true) if !model.card.thinking => refuse("this model has no thinking phase"),
        Some(true) if request.is_partial() => refuse("an answer can only be gone on with when thinking is off"),
        // Templates with a thinking phase think unless they are told not to.
        said => Ok(model.card.thinking && said.unwrap_or(!request.is_partial())),
    }
}

/// The prompt's tokens.
fn prompt(model: &Loaded, request: &ChatRequest, thinking: bool) -> Result<Vec<u32>, BackendError> {
    let tokenizer = model.engine.tokenizer();
    let mut messages = message_values(&request.messages);
    // The beginning of the answer stands behind the template's words, where the model would have
    // written it, and is encoded by itself as the model would have.
    let begun = if request.is_partial() { messages.pop() } else { None };
    let mut extra = Map::new();
    if model.card.thinking {
        extra.insert("enable_thinking".to_owned(), thinking.into());
    }
    let text = model.template.render(&messages, None, true, &extra).map_err(unrenderable)?;
    let mut ids = tokenizer.encode(&text, Specials::Parse);
    if let Some(begun) = begun.as_ref().and_then(|message| message.get("content")).and_then(Value::as_str) {
        ids.extend(tokenizer.encode(begun, Specials::Parse));
    }
    Ok(ids)
}

/// A conversation that the model's own template does not take is the caller's to change.
fn unrenderable(error: TemplateError) -> BackendError {
    match error {
        TemplateError::Refused { .. } | TemplateError::Exhausted { .. } | TemplateError::Failed { .. } => {
            BackendError::Unsupported { field: "messages".to_owned(), message: error.to_string() }
        }
        TemplateError::TooLong { .. } | TemplateError::Syntax { .. } => BackendError::Internal(error.to_string()),
    }
}

fn sampling(model: &Loaded, request: &ChatRequest, thinking: bool) -> Result<Sampling, BackendError> {
    let defaults = model.family.defaults(thinking);
    let vocab = model.engine.info().vocab;
    if let Some(id) = request.logit_bias.keys().find(|id| **id >= vocab) {
        return Err(BackendError::Unsupported {
            field: format!("logit_bias.{id}"),
            message: format!("token {id} is not one of the model's {vocab}"),
        });
    }
    // The contract's ranges are open to numbers that f32 rounds to a forbidden end.
    let positive = |value: f64, most: f32| (value as f32).clamp(f32::MIN_POSITIVE, most);
    let top_k = request.top_k.unwrap_or(defaults.top_k);
    Ok(Sampling {
        temperature: request.temperature.map_or(defaults.temperature, |value| value as f32),
        top_p: request.top_p.map_or(defaults.top_p, |value| positive(value, 1.0)),
        top_k: if top_k > TOP_K_MAX { 0 } else { top_k },
        min_p: request.min_p.map_or(0.0, |value| value as f32),
        repetition_penalty: request
            .repetition_penalty
            .map_or(defaults.repetition_penalty, |value| positive(value, 1e6)),
        presence_penalty: request.presence_penalty.map_or(defaults.presence_penalty, |value| value as f32),
        frequency_penalty: request.frequency_penalty.map_or(0.0, |value| value as f32),
        seed: 0,
        logit_bias: request.logit_bias.iter().map(|(id, bias)| (*id, *bias)).collect(),
    })
}

fn stop(model: &Loaded, request: &ChatRequest) -> Result<qwenda_engine::Stop, BackendError> {
    let mut stop = qwenda_engine::Stop::default();
    match request.stop.clone() {
        None => {}
        Some(Stop::One(text)) => stop.strings = vec![text],
        Some(Stop::Strings(texts)) => stop.strings = texts,
        Some(Stop::Tokens(ids)) => stop.tokens = ids.into_iter().map(|id| vec![id]).collect(),
        Some(Stop::TokenLists(lists)) => stop.tokens = lists,
    }
    // Control tokens have no text in an answer, so their names could never be found there.
    let tokenizer = model.engine.tokenizer();
    let named = stop.strings.iter().filter_map(|text| tokenizer.id(text));
    stop.tokens.extend(named.filter(|id| tokenizer.kind(*id) == TokenKind::Control).map(|id| vec![id]));
    let vocab = model.engine.info().vocab;
    if let Some(id) = stop.tokens.iter().flatten().find(|id| **id >= vocab) {
        let message = format!("token {id} is not one of the model's {vocab}");
        return Err(BackendError::Unsupported { field: "stop".to_owned(), message });
    }
    Ok(stop)
}

/// Carries one choice's events from the engine's thread to the stream.
struct ToChannel {
    choice: u32,
    sender: mpsc::Sender<(u32, Event)>,
}

impl Sink for ToChannel {
    fn event(&mut self, event: Event) {
        match self.sender.try_send((self.choice, event)) {
            // Closed when the caller has left, which `gone` says next.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => panic!("the channel has room for every event, see `chat`"),
        }
    }

    fn gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The stream of one answer. Dropping it closes the channel, which ends the engine's work.
struct Answer {
    model: Arc<Loaded>,
    events: mpsc::Receiver<(u32, Event)>,
    /// Choices that have not ended.
    running: u32,
    begun: bool,
    /// The last event was handed out.
    ended: bool,
    counts: Counts,
    timings: Timings,
}

impl Stream for Answer {
    type Item = Result<ChatEvent, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = &mut *self;
        loop {
            if answer.ended {
                return Poll::Ready(None);
            }
            if answer.running == 0 {
                answer.end();
                answer
                    .model
                    .took((answer.timings.queued_us + answer.timings.prefill_us + answer.timings.decode_us) / 1000);
                return Poll::Ready(Some(Ok(ChatEvent::Done { usage: answer.counts, timings: answer.timings })));
            }
            let Poll::Ready(event) = answer.events.poll_recv(cx) else { return Poll::Pending };
            let Some((choice, event)) = event else {
                answer.end();
                return Poll::Ready(Some(Err(BackendError::Internal(
                    "the engine has left a request unfinished".into(),
                ))));
            };
            match answer.take(choice, event) {
                Ok(None) => {}
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Err(error) => {
                    answer.end();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Answer {
    /// Nothing follows; choices that still run are no longer wanted.
    fn end(&mut self) {
        self.ended = true;
        self.events.close();
    }

    /// What an event of the engine is to the caller.
    fn take(&mut self, choice: u32, event: Event) -> Result<Option<ChatEvent>, BackendError> {
        match event {
            Event::Started { prompt_tokens, cached_tokens } => {
                if std::mem::replace(&mut self.begun, true) {
                    return Ok(None);
                }
                self.counts.prompt_tokens = prompt_tokens;
                self.counts.cached_tokens = cached_tokens;
                Ok(Some(ChatEvent::Started { prompt_tokens, cached_tokens }))
            }
            Event::Token { text, tokens, logprobs, .. } => {
                if text.is_empty() && logprobs.is_empty() {
                    return Ok(None);
                }
                let tokenizer = self.model.engine.tokenizer();
                let logprobs = logprobs.into_iter().map(|one| token_logprob(tokenizer, one)).collect();
                Ok(Some(ChatEvent::Text { choice, text, completion_tokens: tokens, logprobs }))
            }
            Event::Finished { reason, completion_tokens, timings, .. } => {
                self.running -= 1;
                self.counts.completion_tokens += completion_tokens;
                // Choices run beside each other: the answer takes as long as the longest.
                self.timings.queued_us = self.timings.queued_us.max(timings.queued_us);
                self.timings.prefill_us = self.timings.prefill_us.max(timings.prefill_us);
                self.timings.decode_us = self.timings.decode_us.max(timings.decode_us);
                let reason = match reason {
                    qwenda_engine::FinishReason::Stop => FinishReason::Stop,
                    qwenda_engine::FinishReason::Length => FinishReason::Length,
                };
                Ok(Some(ChatEvent::Finished { choice, reason }))
            }
            Event::Failed(why) => Err(BackendError::Internal(why)),
        }
    }
}

fn token_logprob(tokenizer: &Tokenizer, one: qwenda_engine::TokenLogprob) -> TokenLogprob {
    let spelled = |id: u32| {
        let bytes = tokenizer.token_bytes(id);
        let text = String::from_utf8_lossy(bytes).into_owned();
        // A control token is no part of the text, and the bytes of all tokens are the text's bytes.
        let silent = matches!(tokenizer.kind(id), TokenKind::Control | TokenKind::Unused);
        (text, if silent { Vec::new() } else { bytes.to_vec() })
    };
    let (token, bytes) = spelled(one.id);
    let top = one.top.into_iter().map(|(id, logprob)| {
        let (token, bytes) = spelled(id);
        (token, bytes, logprob)
    });
    TokenLogprob { token, bytes, logprob: one.logprob, top: top.collect() }
}
