//! One completion: how the next token comes about, and what of the text may leave.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use crate::{
    Event, FinishReason, Request, Sink, Timings, TokenLogprob,
    grammar::{Broken, State},
    lookup::{GUESS_MAX, Lookup},
    model::Model,
    reasoning::{Part, Phase, Phases},
    sampler::{self, Allowed, NotFinite, Sampler},
    stop::{Released, Watch},
};

/// What a request asks for, on its way.
pub(crate) struct Generate {
    prompt_tokens: usize,
    /// Length of prompt and completion at which the completion is cut.
    tokens_end: usize,
    answer_tokens: u32,
    answer_tokens_max: u32,
    sampler: Sampler,
    phases: Phases,
    grammar: Option<State>,
    /// Tokens that come next whatever the model thinks.
    decided: VecDeque<u32>,
    /// The pipelines of both phases.
    reasoning: Watch,
    answer: Watch,
    /// Text of the current phase that is certain and not yet sent.
    released: Released,
    ends: Arc<[u32]>,
    logprobs: Option<u8>,
    lookup: Lookup,
    pub(crate) sink: Box<dyn Sink>,
    first_token: Option<Instant>,
}

/// What the sampler needs, shared by all sequences.
#[derive(Default)]
pub(crate) struct Buffers {
    sampler: sampler::Scratch,
    unmodified: Vec<f32>,
}

/// Why a completion is broken off.
pub(crate) enum Failure {
    NotFinite,
    Grammar(Broken),
}

impl From<NotFinite> for Failure {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Grammar(broken)
    }
}

impl Generate {
    /// `ends` are the tokens that end an answer, `tokens_max` is the most of any sequence.
    pub(crate) fn new(
        request: Request,
        sink: Box<dyn Sink>,
        model: &Model,
        ends: &Arc<[u32]>,
        tokens_max: u32,
    ) -> (Vec<u32>, Self) {
        let end = (request.prompt.len() as u64 + u64::from(request.tokens_max)).min(u64::from(tokens_max));
        let decoder = || model.tokenizer().decoder();
        let grammar = request.grammar.as_ref().map(crate::Grammar::start);
        let mut phases = Phases::new(request.reasoning, grammar.is_some());
        let generate = Self {
            prompt_tokens: request.prompt.len(),
            tokens_end: usize::try_from(end).expect("at most `tokens_max`"),
            answer_tokens: 0,
            answer_tokens_max: request.answer_tokens_max.unwrap_or(u32::MAX),
            sampler: Sampler::new(request.sampling, &request.prompt),
            decided: phases.forced().iter().copied().collect(),
            phases,
            grammar,
            reasoning: Watch::new(crate::Stop::default(), Arc::clone(ends), decoder()),
            answer: Watch::new(request.stop, Arc::clone(ends), decoder()),
            released: Released::default(),
            ends: Arc::clone(ends),
            logprobs: request.logprobs,
            lookup: Lookup::new(),
            sink,
            first_token: None,
        };
        (request.prompt, generate)
    }

    /// Tells that the prompt is computed next.
    pub(crate) fn started(&mut self, cached_tokens: usize) {
        let cached_tokens = whole(cached_tokens);
        self.sink.event(Event::Started { prompt_tokens: whole(self.prompt_tokens), cached_tokens });
    }

    /// Guesses what follows `tokens`; no more than it may still say.
    pub(crate) fn guess(&mut self, tokens: &[u32], guess: &mut Vec<u32>) {
        self.lookup.guess(tokens, self.guess_max(tokens), guess);
    }

    /// Most tokens to guess behind `tokens`: the last that it says is never computed.
    pub(crate) fn guess_max(&self, tokens: &[u32]) -> usize {
        GUESS_MAX.min(self.tokens_end.saturating_sub(tokens.len() + 1))
    }

    /// Of the last guess, rows were computed for `rows` tokens, and the first `right` were right.
    pub(crate) fn judge_guess(&mut self, rows: usize, right: usize) {
        self.lookup.judge(rows, right);
    }

    /// Takes the logits after the last token: adds the next one, and those that are decided with
    /// it. `Some` if the completion ends.
    pub(crate) fn take_logits(
        &mut self,
        tokens: &mut Vec<u32>,
        logits: &mut [f32],
        model: &Model,
        buffers: &mut Buffers,
    ) -> Result<Option<FinishReason>, Failure> {
        if self.logprobs.is_some() {
            buffers.unmodified.clear();
            buffers.unmodified.extend_from_slice(logits);
        }
        if tokens.len() == self.prompt_tokens {
            self.decide()?;
        }
        let id = match self.decided.pop_front() {
            Some(id) => id,
            None => self.choose(logits, model, buffers)?,
        };
        let logprob = self.logprobs.map(|top| sampler::logprobs(&buffers.unmodified, id, top));
        self.first_token.get_or_insert_with(Instant::now);
        let mut ends = self.take(id, logprob, tokens)?;
        // A log-probability needs logits, so then they come one at a time.
        while ends.is_none() && self.logprobs.is_none() {
            let Some(id) = self.decided.pop_front() else { break };
            ends = self.take(id, None, tokens)?;
        }
        self.send(tokens.len());
        Ok(ends.or_else(|| self.sink.enough().then_some(FinishReason::Stop)))
    }

    /// Asks sampler and grammar for the next token.
    fn choose(&mut self, logits: &mut [f32], model: &Model, buffers: &mut Buffers) -> Result<u32, Failure> {
        let beginning = self.phases.beginning();
        let begin = beginning.map(|(id, _)| [id]);
        let allowed = match (&mut self.grammar, self.phases.phase()) {
            // Without its answer, the completion would not be what the grammar promises.
            (Some(_), Phase::Reasoning) => Allowed::AllBut(&self.ends),
            (Some(grammar), _) => {
                let mut mask = grammar.mask()?;
                if let Some((id, within_budget)) = beginning {
                    if within_budget { mask.allow(id) } else { mask.forbid(id) }
                }
                Allowed::Only(mask)
            }
            (None, _) => match (&begin, beginning) {
                (Some(begin), Some((_, false))) => Allowed::AllBut(begin),
                _ => Allowed::All,
            },
        };
        Ok(self.sampler.sample(logits, model.unused(), &allowed, &mut buffers.sampler)?)
    }

    /// Adds a token. `Some` if the completion ends with it.
    fn take(
        &mut self,
        id: u32,
        logprob: Option<TokenLogprob>,
        tokens: &mut Vec<u32>,
    ) -> Result<Option<FinishReason>, Failure> {
        let before = self.phases.phase();
        tokens.push(id);
        self.sampler.accept(id);
        let mut ends = match self.phases.take(id) {
            Part::Reasoning => self.reasoning.push(id, logprob, &mut self.released),
            Part::Mark => false,
            Part::Answer => {
                self.answer_tokens += 1;
                let end_token = self.ends.binary_search(&id).is_ok();
                let complete = match &mut self.grammar {
                    Some(grammar) if !end_token => grammar.accept(id)?,
                    _ => false,
                };
                let stopped = self.answer.push(id, logprob, &mut self.released);
                if complete && !stopped {
                    self.answer.finish(&mut self.released);
                }
                stopped || complete
            }
        }
        .then_some(FinishReason::Stop);
        if before == Phase::Reasoning && self.phases.phase() == Phase::Answer {
            self.reasoning.finish(&mut self.released);
            self.send_as(true, tokens.len());
        }
        if ends.is_none() && (tokens.len() >= self.tokens_end || self.answer_tokens >= self.answer_tokens_max) {
            let watch = match self.phases.phase() {
                Phase::Reasoning => &mut self.reasoning,
                Phase::Open | Phase::Answer => &mut self.answer,
            };
            let stopped = watch.finish(&mut self.released);
            ends = Some(if stopped { FinishReason::Stop } else { FinishReason::Length });
        }
        if ends.is_none() {
            self.decide()?;
        }
        Ok(ends)
    }

    /// Finds out what comes next without the model, unless that is known already.
    fn decide(&mut self) -> Result<(), Failure> {
        if !self.decided.is_empty() {
            return Ok(());
        }
        self.decided.extend(self.phases.forced());
        if let Some(grammar) = &mut self.grammar
            && self.decided.is_empty()
            && self.phases.phase() == Phase::Answer
        {
            self.decided.extend(grammar.forced()?);
        }
        Ok(())
    }

    /// Sends what is certain, as a part of the current phase.
    fn send(&mut self, tokens: usize) {
        self.send_as(self.phases.phase() == Phase::Reasoning, tokens);
    }

    fn send_as(&mut self, reasoning: bool, tokens: usize) {
        if self.released.is_empty() {
            return;
        }
        let Released { text, ids, logprobs } = std::mem::take(&mut self.released);
        let tokens = whole(tokens - self.prompt_tokens);
        self.sink.event(Event::Token { text, ids, tokens, logprobs, reasoning });
    }

    /// Tells that it ended, `tokens` being the length of prompt and completion.
    pub(crate) fn finish(&mut self, reason: FinishReason, tokens: usize, submitted: Instant, started: Instant) {
        let first = self.first_token.unwrap_or(started);
        let micros = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
        };
        self.sink.event(Event::Finished {
            reason,
            prompt_tokens: whole(self.prompt_tokens),
            completion_tokens: whole(tokens - self.prompt_tokens),
            reasoning_tokens: self.phases.tokens(),
            timings: Timings {
                queued_us: micros(submitted, started),
                prefill_us: micros(started, first),
                decode_us: micros(first, Instant::now()),
            },
        });
    }
}

fn whole(number: usize) -> u32 {
    u32::try_from(number).expect("a context has fewer than 2^32 tokens")
}
