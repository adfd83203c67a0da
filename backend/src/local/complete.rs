//! Completions: each choice of each prompt is one engine request, a few of them at a time.

mod prompts;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use qwenda_engine::{Event, Owner, Request, Sampling, Sink, Stop, SubmitError};
use qwenda_types::chat::{FinishReason, SEED_DEFAULT};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time,
};

pub(super) use self::prompts::Markers;
use super::{
    Loaded, answer::token_logprob, blocking, chat::ANSWER_TOKENS_DEFAULT, format::too_complex, sampling::Wanted,
};
use crate::{BackendError, ChatEvent, ChatStream, CompletionCall, Counts, Timings};

/// Most choices of one request that the engine has at once.
const RUNNING_MAX: u32 = 8;
/// How long to wait when others have taken every place and none of ours is left.
const RETRY: Duration = Duration::from_millis(50);

/// Begins to answer.
pub(super) async fn complete(model: Arc<Loaded>, call: CompletionCall) -> Result<ChatStream, BackendError> {
    let preparing = Arc::clone(&model);
    let plan = blocking(move || Plan::of(&preparing, call)).await??;
    let mut running = Running {
        // Half of the places at most, so that others find one.
        running_max: (model.sequences_max / 2).clamp(1, RUNNING_MAX),
        model,
        plan,
        submitted: 0,
        events: SelectAll::new(),
        running: 0,
        full: false,
        begun: false,
        ready: VecDeque::new(),
        counts: Counts::default(),
        timings: Timings::default(),
        done: false,
    };
    running.submit()?;
    Ok(ChatStream::new(stream::unfold(Some(running), |running| async {
        let mut running = running?;
        match running.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(running))),
            Ok(None) => None,
            // Dropping the rest is what ends it.
            Err(error) => Some((Err(error), None)),
        }
    })))
}

/// What is asked for, checked.
struct Plan {
    prompts: Vec<Prepared>,
    /// Choices of each prompt.
    each: u32,
    /// Of choice 0; the others count on from its seed.
    sampling: Sampling,
    logprobs: Option<u8>,
    owner: Owner,
}

struct Prepared {
    ids: Vec<u32>,
    echo: Option<String>,
    stop: Stop,
    tokens_max: u32,
}

impl Plan {
    fn of(model: &Loaded, call: CompletionCall) -> Result<Self, BackendError> {
        let CompletionCall { mut request, whose, .. } = call;
        let wanted = Wanted::from(&request);
        let seed = request.seed.unwrap_or(SEED_DEFAULT);
        let sampling = Sampling { seed, ..wanted.sampling(model, false)? };
        let stop = wanted.stop(model)?;
        let prompts = prompts::read(model, &mut request)?.into_iter().map(|begun| {
            let room = model.card.context_tokens_max - begun.ids.len() as u32;
            let mut stop = stop.clone();
            if begun.infill {
                prompts::end_at_gap(&mut stop, model.engine.tokenizer());
            }
            let tokens_max = request.max_tokens.unwrap_or(ANSWER_TOKENS_DEFAULT).clamp(1, room);
            Prepared { ids: begun.ids, echo: begun.echo, stop, tokens_max }
        });
        Ok(Self {
            prompts: prompts.collect(),
            each: request.n.unwrap_or(1).max(1),
            sampling,
            logprobs: request.logprobs,
            owner: model.owner(&whose),
        })
    }

    fn choices(&self) -> u32 {
        self.each * self.prompts.len() as u32
    }

    fn prompt(&self, choice: u32) -> &Prepared {
        &self.prompts[(choice / self.each) as usize]
    }

    fn request(&self, choice: u32) -> Request {
        let prompt = self.prompt(choice);
        let seed = self.sampling.seed.wrapping_add(choice.into());
        Request {
            sampling: Sampling { seed, ..self.sampling.clone() },
            stop: prompt.stop.clone(),
            logprobs: self.logprobs,
            scope: self.owner.scope,
            account: self.owner.account,
            priority: self.owner.priority,
            ..Request::new(prompt.ids.clone(), prompt.tokens_max)
        }
    }
}

/// Completions on their way. Dropping it closes the channels, which ends the engine's work.
struct Running {
    model: Arc<Loaded>,
    plan: Plan,
    running_max: u32,
    /// Choices handed to the engine: all before this one.
    submitted: u32,
    /// Those that have not ended.
    running: u32,
    events: SelectAll<BoxStream<'static, (u32, Event)>>,
    /// The engine took no more when it was last asked, and nothing has ended since.
    full: bool,
    begun: bool,
    /// What is to be handed out next.
    ready: VecDeque<ChatEvent>,
    counts: Counts,
    timings: Timings,
    done: bool,
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
            Err(TrySendError::Full(_)) => panic!("the channel has room for every event, see `submit`"),
        }
    }

    fn gone(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Running {
    async fn next(&mut self) -> Result<Option<ChatEvent>, BackendError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.done {
                return Ok(None);
            }
            self.submit()?;
            if self.running > 0 {
                let Some((choice, event)) = self.events.next().await else {
                    return Err(BackendError::Internal("the engine has left a completion unfinished".to_owned()));
                };
                self.take(choice, event)?;
            } else if self.submitted < self.plan.choices() {
                time::sleep(RETRY).await;
                self.full = false;
            } else {
                self.done = true;
                self.ready.push_back(ChatEvent::Done { usage: self.counts, timings: self.timings });
            }
        }
    }

    /// Hands choices to the engine while there is room. Only who gets no place at all is refused.
    fn submit(&mut self) -> Result<(), BackendError> {
        while !self.full && self.running < self.running_max && self.submitted < self.plan.choices() {
            let choice = self.submitted;
            let request = self.plan.request(choice);
            // At most one event per token, one at the start, one at the end and one more for text held
            // back: the channel is never full, so a slow reader never holds the engine up.
            let (sender, mut events) = mpsc::channel(request.tokens_max as usize + 4);
            match self.model.engine.submit(request, Box::new(ToChannel { choice, sender })) {
                Ok(()) => {}
                Err(SubmitError::Busy { .. }) if choice > 0 => {
                    self.full = true;
                    return Ok(());
                }
                Err(error) => return Err(self.model.refusal(error)),
            }
            self.events.push(stream::poll_fn(move |cx| events.poll_recv(cx)).boxed());
            self.submitted += 1;
            self.running += 1;
        }
        Ok(())
    }

    /// What an event of the engine is to the caller.
    fn take(&mut self, choice: u32, event: Event) -> Result<(), BackendError> {
        match event {
            Event::Started { cached_tokens, .. } => self.started(choice, cached_tokens),
            Event::Token { text, tokens, logprobs, .. } => {
                if !text.is_empty() || !logprobs.is_empty() {
                    let tokenizer = self.model.engine.tokenizer();
                    let logprobs = logprobs.into_iter().map(|one| token_logprob(tokenizer, one)).collect();
                    self.ready.push_back(ChatEvent::Text { choice, text, completion_tokens: tokens, logprobs });
                }
            }
            Event::Finished { reason, completion_tokens, timings, .. } => {
                self.running -= 1;
                self.full = false;
                self.counts.completion_tokens += completion_tokens;
                let Timings { queued_us, prefill_us, decode_us } = self.timings;
                self.timings = Timings {
                    queued_us: queued_us.max(timings.queued_us),
                    prefill_us: prefill_us.max(timings.prefill_us),
                    decode_us: decode_us.max(timings.decode_us),
                };
                self.model.took((timings.queued_us + timings.prefill_us + timings.decode_us) / 1000);
                let reason = match reason {
                    qwenda_engine::FinishReason::Stop => FinishReason::Stop,
                    qwenda_engine::FinishReason::Length => FinishReason::Length,
                };
                self.ready.push_back(ChatEvent::Finished { choice, reason });
            }
            Event::TooComplex(why) => return Err(too_complex(&why)),
            Event::Failed(why) => return Err(BackendError::Internal(why)),
        }
        Ok(())
    }

    fn started(&mut self, choice: u32, cached_tokens: u32) {
        // A prompt counts once, however many choices it has, and so does what was known of it.
        if choice.is_multiple_of(self.plan.each) {
            self.counts.cached_tokens += cached_tokens;
        }
        if !std::mem::replace(&mut self.begun, true) {
            let prompt_tokens = self.plan.prompts.iter().map(|prompt| prompt.ids.len() as u32).sum();
            self.counts.prompt_tokens = prompt_tokens;
            self.ready.push_back(ChatEvent::Started { prompt_tokens, cached_tokens });
        }
        if let Some(text) = self.plan.prompt(choice).echo.clone().filter(|text| !text.is_empty()) {
            self.ready.push_back(ChatEvent::Text { choice, text, completion_tokens: 0, logprobs: Vec::new() });
        }
    }
}
