//! One request's life: waiting, prefill, decode, end.

use std::{sync::mpsc, time::Instant};

use crate::{
    Error, Event, FinishReason, ScoredAll, Sink, Timings,
    engine::{Job, Task},
    model::Model,
    sampler::{self, NotFinite, Sampler},
    scheduler::View,
    stop::{Released, Watch},
};

/// A request on its way.
pub(crate) struct Sequence {
    /// Prompt and completion so far.
    pub(crate) tokens: Vec<u32>,
    /// Tokens whose keys and values are stored in `pages`.
    pub(crate) done: usize,
    /// Pages of the KV store, in the order of positions.
    pub(crate) pages: Vec<u32>,
    /// Whether it may hold pages.
    pub(crate) running: bool,
    goal: Goal,
    submitted: Instant,
    started: Option<Instant>,
}

/// What is made of the logits.
enum Goal {
    Generate(Box<Generate>),
    Score { scored: ScoredAll, keep_last: bool, reply: mpsc::SyncSender<Result<ScoredAll, Error>> },
}

struct Generate {
    prompt_tokens: usize,
    /// Length of `tokens` at which the completion is cut.
    tokens_end: usize,
    sampler: Sampler,
    watch: Watch,
    logprobs: Option<u8>,
    sink: Box<dyn Sink>,
    first_token: Option<Instant>,
}

/// Whether a sequence goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Goes,
    Ended,
}

impl Sequence {
    /// `tokens_max` is the most tokens any sequence may have.
    pub(crate) fn new(job: Job, model: &Model, ends: &std::sync::Arc<[u32]>, tokens_max: u32) -> Self {
        let (tokens, goal) = match job.task {
            Task::Generate(request, sink) => {
                let prompt_tokens = request.prompt.len();
                let end = (prompt_tokens as u64 + u64::from(request.tokens_max)).min(u64::from(tokens_max));
                let decoder = model.tokenizer().decoder();
                let generate = Generate {
                    prompt_tokens,
                    tokens_end: usize::try_from(end).expect("at most `tokens_max`"),
                    sampler: Sampler::new(request.sampling, &request.prompt),
                    watch: Watch::new(request.stop, std::sync::Arc::clone(ends), decoder),
                    logprobs: request.logprobs,
                    sink,
                    first_token: None,
                };
                (request.prompt, Goal::Generate(Box::new(generate)))
            }
            Task::Score { tokens, keep_last, reply } => {
                (tokens, Goal::Score { scored: ScoredAll::default(), keep_last, reply })
            }
        };
        Self { tokens, done: 0, pages: Vec::new(), running: false, goal, submitted: job.submitted, started: None }
    }

    pub(crate) fn view(&self) -> View {
        let count = |number: usize| u32::try_from(number).expect("a context has fewer than 2^32 tokens");
        View {
            tokens: count(self.tokens.len()),
            done: count(self.done),
            pages: count(self.pages.len()),
            running: self.running,
        }
    }

    /// Whether it ever had a place.
    pub(crate) fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn gone(&self) -> bool {
        match &self.goal {
            Goal::Generate(generate) => generate.sink.gone(),
            Goal::Score { .. } => false,
        }
    }

    /// Whether the logits of every token are wanted, or only those after the last.
    pub(crate) fn wants_all(&self) -> bool {
        matches!(self.goal, Goal::Score { .. })
    }

    /// Gets a place. After having lost one, it goes on where it was.
    pub(crate) fn start(&mut self) {
        self.running = true;
        if self.started.is_some() {
            return;
        }
        self.started = Some(Instant::now());
        if let Goal::Generate(generate) = &mut self.goal {
            let prompt_tokens = whole(generate.prompt_tokens);
            generate.sink.event(Event::Started { prompt_tokens, cached_tokens: 0 });
        }
    }

    /// Loses its place; its pages are already given back.
    pub(crate) fn preempt(&mut self) {
        self.running = false;
        self.done = 0;
    }

    /// Takes the logits after token `position`.
    pub(crate) fn take_logits(
        &mut self,
        position: usize,
        logits: &mut [f32],
        model: &Model,
        scratch: &mut Buffers,
    ) -> Outcome {
        match &mut self.goal {
            Goal::Score { scored, keep_last, .. } => {
                // A preempted text is computed again; what it has is the same.
                if position >= scored.argmax.len()
                    && !scored.push(logits, self.tokens.get(position + 1).copied(), *keep_last)
                {
                    self.fail(NOT_FINITE);
                    return Outcome::Ended;
                }
                if position + 1 < self.tokens.len() {
                    return Outcome::Goes;
                }
                let Goal::Score { scored, reply, .. } = &mut self.goal else { unreachable!("it has just matched") };
                // Whoever asked may have left; then nobody misses it.
                let _ = reply.try_send(Ok(std::mem::take(scored)));
                Outcome::Ended
            }
            Goal::Generate(generate) => match generate.take_logits(&mut self.tokens, logits, model, scratch) {
                Ok(None) => Outcome::Goes,
                Ok(Some(reason)) => {
                    let started = self.started.unwrap_or(self.submitted);
                    generate.finish(reason, self.tokens.len(), self.submitted, started);
                    Outcome::Ended
                }
                Err(NotFinite) => {
                    self.fail(NOT_FINITE);
                    Outcome::Ended
                }
            },
        }
    }

    /// Tells whoever waits that there is no more.
    pub(crate) fn fail(&mut self, why: &str) {
        match &mut self.goal {
            Goal::Generate(generate) => generate.sink.event(Event::Failed(why.to_owned())),
            Goal::Score { reply, .. } => {
                let _ = reply.try_send(Err(Error::Failed(why.to_owned())));
            }
        }
    }
}

const NOT_FINITE: &str = "the model's logits are not finite";

/// What the sampler needs, shared by all sequences.
#[derive(Default)]
pub(crate) struct Buffers {
    sampler: sampler::Scratch,
    unmodified: Vec<f32>,
}

impl Generate {
    /// Chooses a token and passes on what is certain. `Some` if the completion ends with it.
    fn take_logits(
        &mut self,
        tokens: &mut Vec<u32>,
        logits: &mut [f32],
        model: &Model,
        buffers: &mut Buffers,
    ) -> Result<Option<FinishReason>, NotFinite> {
        if self.logprobs.is_some() {
            buffers.unmodified.clear();
            buffers.unmodified.extend_from_slice(logits);
        }
        let id = self.sampler.sample(logits, model.unused(), &mut buffers.sampler)?;
        let logprob = self.logprobs.map(|top| sampler::logprobs(&buffers.unmodified, id, top));
        self.first_token.get_or_insert_with(Instant::now);
        tokens.push(id);

        let mut released = Released::default();
        let mut ends = self.watch.push(id, logprob, &mut released).then_some(FinishReason::Stop);
        if ends.is_none() && tokens.len() >= self.tokens_end {
            let stopped = self.watch.finish(&mut released);
            ends = Some(if stopped { FinishReason::Stop } else { FinishReason::Length });
        }
        if !released.is_empty() {
            let Released { text, ids, logprobs } = released;
            let so_far = whole(tokens.len() - self.prompt_tokens);
            self.sink.event(Event::Token { text, ids, tokens: so_far, logprobs });
        }
        Ok(ends)
    }

    fn finish(&mut self, reason: FinishReason, tokens: usize, submitted: Instant, started: Instant) {
        let first = self.first_token.unwrap_or(started);
        let micros = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
        };
        self.sink.event(Event::Finished {
            reason,
            prompt_tokens: whole(self.prompt_tokens),
            completion_tokens: whole(tokens - self.prompt_tokens),
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
