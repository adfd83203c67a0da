//! One request's life: waiting, prefill, decode, end.

use std::{sync::mpsc, time::Instant};

use crate::{
    Error, Event, Owner, ScoredAll,
    cache::{Cache, Held},
    draft::Wanting,
    engine::{Job, Task},
    generate::{Buffers, Failure, Generate},
    grammar::Broken,
    model::Model,
    probe::{Lane, Next},
    request::Priority,
    scheduler::{Flow, Span, Text, View},
};

/// A request on its way.
pub(crate) struct Sequence {
    /// Given out once by the worker.
    pub(crate) id: u64,
    /// Prompt and completion so far.
    pub(crate) tokens: Vec<u32>,
    /// Tokens whose keys and values are stored in `held`.
    pub(crate) done: usize,
    /// Pages of the KV store that it holds.
    pub(crate) held: Held,
    /// Whether it may hold pages.
    pub(crate) running: bool,
    /// Whose pages it may share; nobody's if there is none.
    pub(crate) scope: Option<u64>,
    account: u64,
    priority: Priority,
    /// What may follow `tokens`.
    guess: Guess,
    /// Whether it has a state beside its pages.
    has_state: bool,
    /// Lengths of its text at which the state is kept for others, where there is one; whole pages.
    marks: [usize; 2],
    goal: Goal,
    /// Whether its job takes a place in the queue.
    queued: bool,
    submitted: Instant,
    started: Option<Instant>,
}

/// Tokens guessed to come next.
#[derive(Debug, Default)]
struct Guess {
    tokens: Vec<u32>,
    /// How many of them the step has rows for.
    rows: usize,
    /// How many of those were right.
    right: usize,
}

/// What is made of the logits.
enum Goal {
    Generate(Box<Generate>),
    Score { scored: ScoredAll, keep_last: bool, reply: mpsc::SyncSender<Result<ScoredAll, Error>> },
    Probe(Lane),
}

/// Whether a sequence goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Goes,
    /// It begins again with other tokens, behind all others.
    Again,
    Ended,
}

impl Sequence {
    /// The sequences that a job needs. `tokens_max` is the most tokens any may have,
    /// `sequences_max` the most that all jobs together may have.
    pub(crate) fn of(
        job: Job,
        model: &Model,
        ends: &std::sync::Arc<[u32]>,
        tokens_max: u32,
        sequences_max: u32,
    ) -> Vec<Self> {
        let submitted = job.submitted;
        let new = |tokens, scope: Option<u64>, (account, priority), goal| Self {
            id: 0,
            tokens,
            done: 0,
            held: Held::default(),
            running: false,
            scope,
            has_state: model.has_state(),
            marks: [0; 2],
            account,
            priority,
            guess: Guess::default(),
            goal,
            queued: true,
            submitted,
            started: None,
        };
        match job.task {
            Task::Generate(request, sink) => {
                let (scope, whose) = (Some(request.scope), (request.account, request.priority));
                let (prompt, generate) = Generate::new(request, sink, model, ends, tokens_max);
                vec![new(prompt, scope, whose, Goal::Generate(Box::new(generate)))]
            }
            Task::Score { tokens, keep_last, reply } => {
                let goal = Goal::Score { scored: ScoredAll::default(), keep_last, reply };
                vec![new(tokens, None, (0, Priority::Interactive), goal)]
            }
            Task::Probe(probing) => {
                let Owner { scope, account, priority } = probing.owner;
                let (scope, whose) = (Some(scope), (account, priority));
                let lanes = probing.lanes(sequences_max).into_iter();
                lanes.map(|(tokens, lane)| new(tokens, scope, whose, Goal::Probe(lane))).collect()
            }
        }
    }

    /// What the scheduler is to know of it.
    pub(crate) fn view(&self, follows: bool, flow: Flow) -> View<'_> {
        let count = |number: usize| u32::try_from(number).expect("a context has fewer than 2^32 tokens");
        View {
            tokens: count(self.tokens.len()),
            done: count(self.done),
            pages: self.held.pages(),
            running: self.running,
            follows,
            guessed: count(self.guess.tokens.len()),
            flow,
        }
    }

    /// The account and the priority that it is computed for.
    pub(crate) fn whose(&self) -> (u64, Priority) {
        (self.account, self.priority)
    }

    /// The token at a position, which may be a guess.
    pub(crate) fn token(&self, at: usize) -> u32 {
        match at.checked_sub(self.tokens.len()) {
            None => self.tokens[at],
            Some(beyond) => self.guess.tokens[beyond],
        }
    }

    /// Guesses what it says next, if only its newest token has yet to be computed.
    pub(crate) fn guess(&mut self) {
        self.guess.tokens.clear();
        if let Goal::Generate(generate) = &mut self.goal
            && self.running
            && self.done + 1 == self.tokens.len()
        {
            generate.guess(&self.tokens, &mut self.guess.tokens);
        }
    }

    /// What the draft model may guess for, if nothing is guessed yet and its newest token has yet to be
    /// computed.
    pub(crate) fn wanting(&mut self) -> Option<Wanting<'_>> {
        let Goal::Generate(generate) = &self.goal else { return None };
        let decodes = self.running && self.done + 1 == self.tokens.len() && self.guess.tokens.is_empty();
        let max = generate.guess_max(&self.tokens);
        let Self { id, tokens, guess, .. } = self;
        (decodes && max > 0).then_some(Wanting { id: *id, tokens, max, guess: &mut guess.tokens })
    }

    /// A step computes its tokens up to `end`, guesses included.
    pub(crate) fn expect(&mut self, end: usize) {
        self.guess.rows = end.saturating_sub(self.tokens.len());
    }

    /// A step has computed its tokens up to `end`. How far guesses hold is yet to be seen.
    pub(crate) fn computed(&mut self, end: usize) {
        self.done = end.min(self.tokens.len());
    }

    /// Whether the logits of a row of token `id` at `position` are to be taken: the token must be what
    /// the text has there, and its newest.
    pub(crate) fn stands(&mut self, position: usize, id: u32) -> bool {
        if position < self.done {
            return true;
        }
        let right = position == self.done && self.tokens.get(position) == Some(&id);
        if right {
            self.done += 1;
            self.guess.right += 1;
        }
        right && self.done == self.tokens.len()
    }

    /// Ends a step: how many guesses were computed, and how many of them were right.
    pub(crate) fn judge_guess(&mut self, cache: &mut Cache) -> (usize, usize) {
        let Guess { rows, right, .. } = std::mem::take(&mut self.guess);
        if let Goal::Generate(generate) = &mut self.goal {
            generate.judge_guess(rows, right);
        }
        if right > 0 {
            self.keep(cache);
        }
        (rows, right)
    }

    /// Its text and whose it is.
    pub(crate) fn text(&self) -> Text<'_> {
        // What another has computed is of use only from where it leaves its state, so none waits for it.
        let scope = self.scope.filter(|_| !self.has_state);
        Text { scope, tokens: &self.tokens, done: self.done, running: self.running }
    }

    /// Uses what others have computed of its text.
    pub(crate) fn adopt(&mut self, cache: &mut Cache) {
        if let Some(scope) = self.scope {
            self.done = cache.adopt(scope, &self.tokens, &mut self.held, self.done);
        }
    }

    /// It was let in: where will its state be of use to others? At the end of its prompt, which may
    /// be said again or gone on with, and where its text parts from one that others had before.
    pub(crate) fn mark(&mut self, page_tokens: usize) {
        if self.has_state && self.scope.is_some() {
            let whole = if self.answers() { (self.tokens.len() - 1) / page_tokens * page_tokens } else { 0 };
            self.marks = [whole, self.held.parted()];
        }
    }

    /// Whether its state is now to be kept.
    pub(crate) fn is_marked(&self) -> bool {
        self.marks.contains(&self.done)
    }

    /// Cuts a span of its tokens where the state is to be kept.
    pub(crate) fn cut(&self, span: &mut Span) {
        let inside = |mark: &&usize| (span.start as usize) < **mark;
        if let Some(&mark) = self.marks.iter().filter(inside).min() {
            let left = u32::try_from(mark).unwrap_or(u32::MAX) - span.start;
            span.len = span.len.min(left);
        }
    }

    /// Leaves what it has computed to others.
    pub(crate) fn keep(&mut self, cache: &mut Cache) {
        if let Some(scope) = self.scope {
            cache.keep(scope, &self.tokens, &mut self.held, self.done);
        }
    }

    /// Whether its job took a place in the queue until now.
    pub(crate) fn leave_queue(&mut self) -> bool {
        match &self.goal {
            Goal::Generate(_) | Goal::Score { .. } => std::mem::replace(&mut self.queued, false),
            Goal::Probe(lane) => lane.leave_queue(),
        }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn gone(&self) -> bool {
        match &self.goal {
            Goal::Generate(generate) => generate.sink.gone(),
            Goal::Score { .. } => false,
            Goal::Probe(lane) => lane.gone(),
        }
    }

    /// Whether the logits of every token are wanted, or only those after the last.
    pub(crate) fn wants_all(&self) -> bool {
        matches!(self.goal, Goal::Score { .. })
    }

    /// Whether the hidden vector after the last token is wanted instead of logits.
    pub(crate) fn wants_hidden(&self) -> bool {
        matches!(&self.goal, Goal::Probe(lane) if lane.wants_hidden())
    }

    /// Whether tokens are added to its text.
    pub(crate) fn answers(&self) -> bool {
        matches!(self.goal, Goal::Generate(_))
    }

    /// Its first rows are computed next. False if there have been some before it lost its place.
    pub(crate) fn start(&mut self) -> bool {
        if self.started.is_some() {
            return false;
        }
        self.started = Some(Instant::now());
        if let Goal::Generate(generate) = &mut self.goal {
            generate.started(self.done);
        }
        true
    }

    /// Loses its place and its pages.
    pub(crate) fn give_back(&mut self, cache: &mut Cache) {
        cache.release(&mut self.held);
        self.running = false;
        self.done = 0;
    }

    /// Takes the hidden vector after its last token.
    pub(crate) fn take_hidden(&mut self, hidden: &[f32]) -> Outcome {
        match &mut self.goal {
            Goal::Probe(lane) => {
                let next = lane.take(hidden);
                self.go_on(next)
            }
            Goal::Generate(_) | Goal::Score { .. } => unreachable!("they want logits"),
        }
    }

    /// What follows a probe's text.
    fn go_on(&mut self, next: Option<Next>) -> Outcome {
        match next {
            Some(Next::Text(tokens)) => {
                self.tokens = tokens;
                Outcome::Again
            }
            Some(Next::Nothing) => Outcome::Ended,
            None => {
                self.fail(NOT_FINITE);
                Outcome::Ended
            }
        }
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
            Goal::Probe(lane) => {
                let next = lane.take(logits);
                self.go_on(next)
            }
            Goal::Generate(generate) => match generate.take_logits(&mut self.tokens, logits, model, scratch) {
                Ok(None) => Outcome::Goes,
                Ok(Some(reason)) => {
                    let started = self.started.unwrap_or(self.submitted);
                    generate.finish(reason, self.tokens.len(), self.submitted, started);
                    Outcome::Ended
                }
                Err(failure) => {
                    generate.sink.event(match failure {
                        Failure::NotFinite => Event::Failed(NOT_FINITE.to_owned()),
                        Failure::Grammar(Broken::TooComplex(why)) => Event::TooComplex(why),
                        Failure::Grammar(Broken::Bug(why)) => Event::Failed(format!("the grammar cannot go on: {why}")),
                    });
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
            Goal::Probe(lane) => lane.fail(why),
        }
    }
}

const NOT_FINITE: &str = "the model's logits are not finite";
