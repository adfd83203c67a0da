//! From the engine's events to those of a chat.
//!
//! What the engine tells of a choice goes through its [`ToAnswer`], on the engine's thread, which
//! tells text from calls there so that an answer ends with its last call whoever reads it how fast.
//! [`Answer`] is the stream that the caller reads.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use qwenda_engine::{Event, Request, Sink};
use qwenda_tokenizer::{TokenKind, Tokenizer};
use qwenda_types::chat::FinishReason;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    Loaded,
    format::too_complex,
    parse::{Parser, Piece},
};
use crate::{BackendError, ChatEvent, Counts, Timings, TokenLogprob};

/// What is told of one choice.
pub(super) enum Told {
    /// As it came.
    Event(Event),
    /// More of an answer that may call.
    Pieces { pieces: Vec<Piece>, tokens: u32, logprobs: Vec<qwenda_engine::TokenLogprob> },
}

/// Carries one choice's events from the engine's thread to the stream.
pub(super) struct ToAnswer {
    choice: u32,
    sender: mpsc::Sender<(u32, Told)>,
    parser: Option<Parser>,
}

impl ToAnswer {
    pub(super) fn new(choice: u32, sender: mpsc::Sender<(u32, Told)>, parser: Option<Parser>) -> Self {
        Self { choice, sender, parser }
    }

    /// Most events of a request: one per token, and a few at its start, between its reasoning and its
    /// answer, and at its end. A channel with this much room is never full, so a slow reader never
    /// holds the engine up.
    pub(super) fn events_max(request: &Request) -> usize {
        request.tokens_max as usize + 6
    }

    fn tell(&self, told: Told) {
        match self.sender.try_send((self.choice, told)) {
            // Closed when the caller has left, which `gone` says next.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => panic!("the channel has room for every event, see `events_max`"),
        }
    }
}

impl Sink for ToAnswer {
    fn event(&mut self, event: Event) {
        let Some(parser) = &mut self.parser else { return self.tell(Told::Event(event)) };
        let mut pieces = Vec::new();
        match event {
            Event::Token { text, tokens, logprobs, reasoning: false, .. } => {
                parser.push(&text, &mut pieces);
                if !pieces.is_empty() || !logprobs.is_empty() {
                    self.tell(Told::Pieces { pieces, tokens, logprobs });
                }
            }
            Event::Finished { completion_tokens, .. } => {
                parser.end(&mut pieces);
                if !pieces.is_empty() {
                    self.tell(Told::Pieces { pieces, tokens: completion_tokens, logprobs: Vec::new() });
                }
                self.tell(Told::Event(event));
            }
            Event::Started { .. } | Event::Token { .. } | Event::TooComplex(_) | Event::Failed(_) => {
                self.tell(Told::Event(event));
            }
        }
    }

    fn gone(&self) -> bool {
        self.sender.is_closed()
    }

    fn enough(&self) -> bool {
        self.parser.as_ref().is_some_and(Parser::full)
    }
}

/// The stream of one answer. Dropping it closes the channel, which ends the engine's work.
pub(super) struct Answer {
    model: Arc<Loaded>,
    told: mpsc::Receiver<(u32, Told)>,
    choices: Vec<Choice>,
    /// Choices that have not ended.
    running: u32,
    /// What is handed out next.
    ready: VecDeque<ChatEvent>,
    begun: bool,
    /// The last event was handed out.
    ended: bool,
    request_id: String,
    counts: Counts,
    timings: Timings,
}

/// How far one choice is.
#[derive(Default)]
struct Choice {
    /// Calls begun.
    calls: u32,
    /// Log-probabilities of tokens whose text is still held back.
    logprobs: VecDeque<TokenLogprob>,
    /// Bytes of text handed out beyond the tokens whose log-probabilities were.
    ahead: usize,
}

impl Answer {
    pub(super) fn new(model: Arc<Loaded>, told: mpsc::Receiver<(u32, Told)>, choices: u32, request_id: String) -> Self {
        Self {
            model,
            told,
            choices: (0..choices).map(|_| Choice::default()).collect(),
            running: choices,
            ready: VecDeque::new(),
            begun: false,
            ended: false,
            request_id,
            counts: Counts::default(),
            timings: Timings::default(),
        }
    }

    /// Nothing follows; choices that still run are no longer wanted.
    fn end(&mut self) {
        self.ended = true;
        self.told.close();
    }

    /// What an event of the engine is to the caller.
    fn take(&mut self, choice: u32, event: Event) -> Result<(), BackendError> {
        match event {
            Event::Started { prompt_tokens, cached_tokens } => {
                if !std::mem::replace(&mut self.begun, true) {
                    self.counts.prompt_tokens = prompt_tokens;
                    self.counts.cached_tokens = cached_tokens;
                    self.ready.push_back(ChatEvent::Started { prompt_tokens, cached_tokens });
                }
            }
            Event::Token { text, tokens, reasoning: true, .. } => {
                if !text.is_empty() {
                    self.ready.push_back(ChatEvent::Reasoning { choice, text, completion_tokens: tokens });
                }
            }
            Event::Token { text, tokens, logprobs, .. } => {
                if !text.is_empty() || !logprobs.is_empty() {
                    let logprobs = self.spelled(logprobs).collect();
                    self.ready.push_back(ChatEvent::Text { choice, text, completion_tokens: tokens, logprobs });
                }
            }
            Event::Finished { reason, completion_tokens, reasoning_tokens, timings, .. } => {
                self.running -= 1;
                self.counts.completion_tokens += completion_tokens;
                self.counts.reasoning_tokens += reasoning_tokens;
                // Choices run beside each other: the answer takes as long as the longest.
                self.timings.queued_us = self.timings.queued_us.max(timings.queued_us);
                self.timings.prefill_us = self.timings.prefill_us.max(timings.prefill_us);
                self.timings.decode_us = self.timings.decode_us.max(timings.decode_us);
                let reason = match reason {
                    qwenda_engine::FinishReason::Length => FinishReason::Length,
                    qwenda_engine::FinishReason::Stop if self.choices[choice as usize].calls > 0 => {
                        FinishReason::ToolCalls
                    }
                    qwenda_engine::FinishReason::Stop => FinishReason::Stop,
                };
                self.ready.push_back(ChatEvent::Finished { choice, reason });
            }
            Event::TooComplex(why) => return Err(too_complex(&why)),
            Event::Failed(why) => return Err(BackendError::Internal(why)),
        }
        Ok(())
    }

    /// More of an answer that may call.
    fn pieces(&mut self, choice: u32, pieces: Vec<Piece>, tokens: u32, logprobs: Vec<qwenda_engine::TokenLogprob>) {
        let logprobs: Vec<_> = self.spelled(logprobs).collect();
        let state = &mut self.choices[choice as usize];
        state.logprobs.extend(logprobs);
        for piece in pieces {
            self.ready.push_back(match piece {
                Piece::Text(text) => {
                    let logprobs = state.logprobs_of(text.len());
                    ChatEvent::Text { choice, text, completion_tokens: tokens, logprobs }
                }
                Piece::Call { name } => {
                    state.calls += 1;
                    let index = state.calls - 1;
                    let id = call_id(&self.request_id, choice, index);
                    ChatEvent::ToolCall { choice, index, id, name, completion_tokens: tokens }
                }
                Piece::Arguments(text) => {
                    // Log-probabilities are reported of text only.
                    state.logprobs.clear();
                    let index = state.calls.saturating_sub(1);
                    ChatEvent::ToolArguments { choice, index, text, completion_tokens: tokens }
                }
            });
        }
    }

    fn spelled(&self, logprobs: Vec<qwenda_engine::TokenLogprob>) -> impl Iterator<Item = TokenLogprob> {
        let tokenizer = Arc::clone(self.model.engine.tokenizer());
        logprobs.into_iter().map(move |one| token_logprob(&tokenizer, one))
    }
}

impl Choice {
    /// Those of the tokens that begin within the next `bytes` of text.
    fn logprobs_of(&mut self, bytes: usize) -> Vec<TokenLogprob> {
        let mut found = Vec::new();
        while self.ahead < bytes
            && let Some(one) = self.logprobs.pop_front()
        {
            self.ahead += one.bytes.len();
            found.push(one);
        }
        self.ahead = self.ahead.saturating_sub(bytes);
        found
    }
}

impl Stream for Answer {
    type Item = Result<ChatEvent, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = &mut *self;
        loop {
            if let Some(event) = answer.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if answer.ended {
                return Poll::Ready(None);
            }
            if answer.running == 0 {
                answer.end();
                let Timings { queued_us, prefill_us, decode_us } = answer.timings;
                answer.model.took((queued_us + prefill_us + decode_us) / 1000);
                return Poll::Ready(Some(Ok(ChatEvent::Done { usage: answer.counts, timings: answer.timings })));
            }
            let Poll::Ready(told) = answer.told.poll_recv(cx) else { return Poll::Pending };
            let taken = match told {
                Some((choice, Told::Event(event))) => answer.take(choice, event),
                Some((choice, Told::Pieces { pieces, tokens, logprobs })) => {
                    answer.pieces(choice, pieces, tokens, logprobs);
                    Ok(())
                }
                None => Err(BackendError::Internal("the engine has left a request unfinished".into())),
            };
            if let Err(error) = taken {
                answer.end();
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Bytes of a hash in the id of a call.
const CALL_ID_BYTES: usize = 12;

/// The id of a call: no two calls of this server share one, and it says nothing else.
pub(crate) fn call_id(request_id: &str, choice: u32, index: u32) -> String {
    let hash = Sha256::digest(format!("{request_id}/{choice}/{index}"));
    hash[..CALL_ID_BYTES].iter().fold("call_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

pub(super) fn token_logprob(tokenizer: &Tokenizer, one: qwenda_engine::TokenLogprob) -> TokenLogprob {
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
