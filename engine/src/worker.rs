//! The loop: plan, forward, sample, emit.

use std::{
    any::Any,
    ops::Range,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use qwenda_kernels::{DeltaStates, KvStore, PAGE_TOKENS};

use crate::{
    cache::Cache,
    draft::Drafter,
    engine::{Job, Queue},
    fair::Shares,
    generate::Buffers,
    model::{
        Model,
        layers::{Scratch, Stores},
    },
    rows::{self, Rows, Taker},
    scheduler::{self, Limits, Room, Span, Step, Text, View},
    sequence::{Outcome, Sequence},
    stats::StepKind,
};

/// Rows whose logits are computed at once: enough to make one pass over the output matrix
/// worthwhile, few enough that the logits of a large vocabulary stay in cache.
const LOGITS_ROWS: usize = 16;

/// Memory for copies of states, and how few and how many they may be whatever their size.
const SNAPSHOTS_BYTES: usize = 256 << 20;
const SNAPSHOTS_MIN: usize = 2;
const SNAPSHOTS_MAX: usize = 256;

/// The engine's thread.
pub(crate) struct Worker {
    model: Arc<Model>,
    queue: Arc<Queue>,
    limits: Limits,
    /// Most tokens of one sequence.
    tokens_max: u32,
    ends: Arc<[u32]>,
    /// In order of arrival.
    sequences: Vec<Sequence>,
    cache: Cache,
    kv: KvStore,
    states: DeltaStates,
    rows: Rows,
    scratch: Scratch,
    buffers: Buffers,
    /// Steps so far.
    turn: u64,
    shares: Shares,
    drafter: Option<Drafter>,
    /// Sequences so far.
    born: u64,
    /// A token that no step survives: for tests of what happens then.
    #[cfg(test)]
    poison: Option<u32>,
}

impl Worker {
    pub(crate) fn new(
        model: Arc<Model>,
        queue: Arc<Queue>,
        mut limits: Limits,
        pages: u32,
        tokens_max: u32,
        drafter: Option<Drafter>,
    ) -> Self {
        if model.has_state() {
            // A state has moved on with a guess, right or wrong.
            limits.guess_rows_max = 0;
        }
        let kv = model.kv_store(pages as usize);
        let states = model.states(limits.sequences_max.get() as usize);
        let snapshots = (SNAPSHOTS_BYTES / states.bytes_per_slot().max(1)).clamp(SNAPSHOTS_MIN, SNAPSHOTS_MAX);
        let ends = model.info().eos.as_slice().into();
        Self {
            model,
            queue,
            limits,
            tokens_max,
            ends,
            sequences: Vec::new(),
            cache: Cache::new(pages, PAGE_TOKENS).with_slots(states.slots(), snapshots),
            kv,
            states,
            rows: Rows::default(),
            scratch: Scratch::new(),
            buffers: Buffers::default(),
            turn: 0,
            shares: Shares::default(),
            // Nobody would compute what it guesses.
            drafter: drafter.filter(|_| limits.guess_rows_max > 0),
            born: 0,
            #[cfg(test)]
            poison: None,
        }
    }

    /// Runs until the engine is stopped.
    pub(crate) fn run(mut self) {
        while let Some(jobs) = self.queue.take(self.sequences.is_empty()) {
            self.take(jobs);
            self.drop_gone();
            self.step();
            if self.sequences.is_empty() {
                self.rest();
            }
        }
        let leftover = self.queue.leftover();
        self.take(leftover);
        let all = 0..self.sequences.len();
        self.fail(all, "the engine has stopped");
    }

    /// Lets jobs line up.
    fn take(&mut self, jobs: impl IntoIterator<Item = Job>) {
        let sequences_max = self.limits.sequences_max.get();
        for job in jobs {
            for mut sequence in Sequence::of(job, &self.model, &self.ends, self.tokens_max, sequences_max) {
                self.born += 1;
                sequence.id = self.born;
                self.sequences.push(sequence);
            }
        }
    }

    /// Nothing to do: gives the memory of all pages back that are not kept for others to come.
    fn rest(&mut self) {
        assert_eq!(self.cache.available(), self.cache.total(), "pages without a sequence");
        let all = 0..u32::try_from(self.cache.total()).expect("pages are numbered with 32 bits");
        all.filter(|&page| self.cache.is_free(page)).for_each(|page| self.kv.release(page));
        let slots = u32::try_from(self.states.slots()).expect("slots are numbered with 32 bits");
        (0..slots).for_each(|slot| self.states.release(slot));
    }

    /// Ends the sequences that nobody listens to.
    fn drop_gone(&mut self) {
        for index in (0..self.sequences.len()).rev() {
            let gone = catch_unwind(AssertUnwindSafe(|| self.sequences[index].gone())).unwrap_or(true);
            if gone {
                self.remove(index);
            }
        }
    }

    /// One step for all sequences.
    fn step(&mut self) {
        if self.sequences.is_empty() {
            return;
        }
        let begun = Instant::now();
        let mut spans = self.plan();
        let mut outcomes = self.reserve(&mut spans);
        let kind = self.account(&spans);
        outcomes.extend(self.compute(spans));
        outcomes.sort_unstable_by_key(|(index, _)| *index);
        for (index, outcome) in outcomes.into_iter().rev() {
            match outcome {
                Outcome::Goes => {}
                Outcome::Again => self.begin_again(index),
                Outcome::Ended => self.remove(index),
            }
        }
        self.count(kind, begun.elapsed());
    }

    /// Finds out what the step computes, and lets sequences in and out for it.
    fn plan(&mut self) -> Vec<Span> {
        for sequence in self.sequences.iter_mut().filter(|sequence| sequence.running) {
            adopt(sequence, &mut self.cache, &mut self.states);
            if self.limits.guess_rows_max > 0 {
                sequence.guess();
            }
        }
        self.draft();
        let mut step = self.ask_scheduler();
        self.turn += 1;
        self.queue.counters.preemptions.add(step.preempt.len());
        for &index in &step.preempt {
            self.sequences[index].give_back(&mut self.cache);
        }
        for &index in &step.admit {
            let sequence = &mut self.sequences[index];
            sequence.running = true;
            if self.model.has_state() {
                let taken = self.cache.take_slot(&mut sequence.held);
                assert!(taken, "there is a slot for each sequence that may run");
            }
            adopt(sequence, &mut self.cache, &mut self.states);
            sequence.mark(PAGE_TOKENS);
            if sequence.leave_queue() {
                self.queue.placed();
            }
        }
        if !step.admit.is_empty() {
            // Only now is it known how much they found, and so for what they wait.
            let follows = self.follows();
            step.spans.retain(|span| !(follows[span.index] && step.admit.contains(&span.index)));
        }
        for span in &mut step.spans {
            let sequence = &mut self.sequences[span.index];
            // What was found at admission need not be computed.
            span.start_at(sequence.done, sequence.tokens.len());
            sequence.cut(span);
            sequence.expect((span.start + span.len) as usize);
            let counters = &self.queue.counters;
            // A sink that panics is as good as gone; `drop_gone` asks it before the next step.
            let first = catch_unwind(AssertUnwindSafe(|| sequence.start())).unwrap_or(false);
            if first {
                counters.prompt_tokens.add(sequence.tokens.len());
                counters.prefix_hit_tokens.add(sequence.done);
            }
        }
        step.spans
    }

    /// Has the draft model guess where nothing else has.
    fn draft(&mut self) {
        let Some(drafter) = &mut self.drafter else { return };
        let running = self.sequences.iter_mut().filter(|sequence| sequence.running);
        let ids: Vec<u64> = running.map(|sequence| sequence.id).collect();
        let done = catch_unwind(AssertUnwindSafe(|| {
            drafter.keep_only(&ids);
            drafter.guess(self.sequences.iter_mut().filter_map(Sequence::wanting).collect());
        }));
        if let Err(panic) = done {
            tracing::error!(why = message(&*panic), "the draft model failed; no more is guessed by it");
            self.drafter = None;
        }
    }

    fn ask_scheduler(&mut self) -> Step {
        let Self { sequences, shares, limits, cache, .. } = self;
        let flow = |shares: &Shares, sequence: &Sequence| {
            let (account, priority) = sequence.whose();
            shares.flow(account, priority)
        };
        let active: Vec<u64> = sequences.iter().map(|sequence| flow(shares, sequence).id).collect();
        shares.update(&active);
        let texts: Vec<Text<'_>> = sequences.iter().map(Sequence::text).collect();
        let follows = scheduler::follows(&texts, PAGE_TOKENS);
        let views: Vec<View<'_>> = sequences
            .iter()
            .zip(follows)
            .map(|(sequence, follows)| sequence.view(follows, flow(shares, sequence)))
            .collect();
        let free = u32::try_from(cache.available()).expect("pages are numbered with 32 bits");
        scheduler::plan(limits, &views, Room { free, holders: cache.holders() }, self.turn)
    }

    /// Charges the step to those that it is for, and finds out what kind it is.
    fn account(&mut self, spans: &[Span]) -> StepKind {
        let (mut prefill, mut decode) = (false, false);
        for span in spans {
            let sequence = &self.sequences[span.index];
            let (account, priority) = sequence.whose();
            let decodes = span.start as usize + 1 == sequence.tokens.len() && sequence.answers();
            (prefill, decode) = (prefill || !decodes, decode || decodes);
            self.shares.charge(self.shares.flow(account, priority), span.len, decodes);
            if !decodes {
                self.queue.counters.prefill_tokens.add(span.len as usize);
            }
        }
        match (prefill, decode) {
            (true, true) => StepKind::Mixed,
            (false, true) => StepKind::Decode,
            _ => StepKind::Prefill,
        }
    }

    /// Says how the step went.
    fn count(&self, kind: StepKind, took: Duration) {
        let counters = &self.queue.counters;
        counters.step(kind, took);
        let resting = self.sequences.is_empty();
        counters.batch_rows.set(if resting { 0 } else { self.rows.ids.len() });
        let running = self.sequences.iter().filter(|sequence| sequence.running).count();
        counters.batch_sequences.set(running);
        counters.running.set(running);
        counters.pages_total.set(self.cache.total());
        counters.pages_held.set(self.cache.total() - self.cache.available());
        counters.pages_kept.set(self.cache.idle());
    }

    /// For each sequence whether an older one is about to compute what it needs next.
    fn follows(&self) -> Vec<bool> {
        let texts: Vec<Text<'_>> = self.sequences.iter().map(Sequence::text).collect();
        scheduler::follows(&texts, PAGE_TOKENS)
    }

    /// Takes the pages that the planned rows will be stored in. A sequence for which the system has
    /// no memory ends, and its span goes.
    fn reserve(&mut self, spans: &mut Vec<Span>) -> Vec<(usize, Outcome)> {
        let Self { sequences, cache, kv, states, queue, .. } = self;
        let mut ended = Vec::new();
        spans.retain(|span| {
            let sequence = &mut sequences[span.index];
            let before = sequence.held.pages().len();
            let enough = cache.reserve(&mut sequence.held, (span.start + span.len) as usize);
            assert!(enough, "the plan counted the pages");
            let got = sequence.held.pages()[before..].iter().try_for_each(|&page| kv.allocate(page));
            let got = got.and_then(|()| sequence.held.slot().map_or(Ok(()), |slot| states.allocate(slot)));
            if let Err(error) = got {
                tracing::error!(%error, "a sequence failed");
                queue.counters.failures.add(1);
                let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(&error.to_string())));
                ended.push((span.index, Outcome::Ended));
            }
            got.is_ok()
        });
        ended
    }

    /// Forward pass and sampling; what became of the sequences whose turn it was.
    fn compute(&mut self, mut spans: Vec<Span>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        if let Err(panic) = self.forward(&spans) {
            // Rows do not depend on each other, and computing one again changes nothing: each sequence
            // by itself shows whose row it was.
            tracing::error!(why = message(&*panic), sequences = spans.len(), "a step of the engine failed");
            spans.retain(|span| {
                let alone = self.forward(std::slice::from_ref(span));
                let outcome = match alone {
                    Err(panic) => self.broken(span.index, &*panic),
                    // Only a state is not what it was before the step: its text begins again.
                    Ok(()) if self.model.has_state() => Outcome::Again,
                    Ok(()) => return true,
                };
                outcomes.push((span.index, outcome));
                false
            });
            if let Err(panic) = self.forward(&spans) {
                outcomes.extend(spans.drain(..).map(|span| (span.index, self.broken(span.index, &*panic))));
            }
        }
        for span in &spans {
            let sequence = &mut self.sequences[span.index];
            sequence.computed((span.start + span.len) as usize);
            sequence.keep(&mut self.cache);
            if let Some(slot) = sequence.held.slot().filter(|_| sequence.is_marked()) {
                self.cache.keep_state(&sequence.held, sequence.done, || self.states.snapshot(slot));
            }
        }
        self.sample(&mut outcomes);
        let counters = &self.queue.counters;
        for span in &spans {
            let sequence = &mut self.sequences[span.index];
            let (guessed, right) = sequence.judge_guess(&mut self.cache);
            if let Some(drafter) = &mut self.drafter {
                drafter.judge(sequence.id, guessed, right);
            }
            counters.guessed_tokens.add(guessed);
            counters.guessed_right_tokens.add(right);
        }
        outcomes
    }

    /// Runs the planned rows through the model.
    fn forward(&mut self, spans: &[Span]) -> Result<(), Box<dyn Any + Send>> {
        let Self { model, sequences, rows, kv, states, scratch, .. } = self;
        rows.fill(spans, sequences);
        if spans.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        let poison = self.poison;
        catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!rows.ids.iter().any(|&id| Some(id) == poison), "poisoned");
            let attend = rows::attended(spans, sequences);
            model.forward(rows.batch(&attend), Stores { kv, states }, scratch);
        }))
    }

    /// Hands what was wanted of the rows to their sequences.
    fn sample(&mut self, outcomes: &mut Vec<(usize, Outcome)>) {
        let mut first = 0;
        while let Some(&Taker { index, .. }) = self.rows.takers.get(first) {
            if self.sequences[index].wants_hidden() {
                let hidden = self.model.hidden(first, &self.scratch);
                deliver(outcomes, index, &mut self.sequences[index], &self.queue, |sequence| {
                    sequence.take_hidden(hidden)
                });
                first += 1;
                continue;
            }
            let group = self.rows.takers[first..].iter().take(LOGITS_ROWS);
            let group = group.take_while(|taker| !self.sequences[taker.index].wants_hidden()).count();
            self.sample_rows(first..first + group, outcomes);
            first += group;
        }
    }

    /// The same for some rows whose logits are wanted.
    fn sample_rows(&mut self, range: Range<usize>, outcomes: &mut Vec<(usize, Outcome)>) {
        let Self { model, sequences, rows, scratch, buffers, queue, .. } = self;
        let takers = &rows.takers[range.clone()];
        let logits = catch_unwind(AssertUnwindSafe(|| model.logits(range, scratch)));
        let logits = match logits {
            Ok(logits) => logits,
            Err(panic) => {
                for &Taker { index, .. } in takers {
                    deliver(outcomes, index, &mut sequences[index], queue, |_| {
                        panic::resume_unwind(Box::new(message(&*panic).to_owned()))
                    });
                }
                return;
            }
        };
        let vocab = logits.len() / takers.len();
        for (&Taker { index, position, id }, logits) in takers.iter().zip(logits.chunks_exact_mut(vocab)) {
            let before = sequences[index].tokens.len();
            let take = |sequence: &mut Sequence| match sequence.stands(position, id) {
                true => sequence.take_logits(position, logits, model, buffers),
                false => Outcome::Goes,
            };
            deliver(outcomes, index, &mut sequences[index], queue, take);
            if sequences[index].answers() {
                queue.counters.completion_tokens.add(sequences[index].tokens.len() - before);
            }
        }
    }

    /// Ends a sequence whose rows cannot be computed.
    fn broken(&mut self, index: usize, panic: &(dyn Any + Send)) -> Outcome {
        self.queue.counters.failures.add(1);
        let why = format!("the engine failed: {}", message(panic));
        let sequence = &mut self.sequences[index];
        let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(&why)));
        Outcome::Ended
    }

    /// Ends sequences, given ascending, with a reason.
    fn fail(&mut self, indices: impl DoubleEndedIterator<Item = usize>, why: &str) {
        for index in indices.rev() {
            let sequence = &mut self.sequences[index];
            let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(why)));
            self.remove(index);
        }
    }

    /// Lets a sequence line up behind the others, its pages given back.
    fn begin_again(&mut self, index: usize) {
        let mut sequence = self.sequences.remove(index);
        sequence.give_back(&mut self.cache);
        self.sequences.push(sequence);
    }

    /// Forgets a sequence and frees its pages.
    fn remove(&mut self, index: usize) {
        let mut sequence = self.sequences.remove(index);
        sequence.give_back(&mut self.cache);
        let queued = catch_unwind(AssertUnwindSafe(|| sequence.leave_queue()));
        if queued.unwrap_or(false) {
            self.queue.placed();
        }
        // The sink is somebody else's code, and may do anything when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(sequence)));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Also when the thread ends by a panic, nobody must wait for it for ever.
        self.queue.stop();
        drop(self.queue.leftover());
    }
}

/// Lets a sequence use what others have computed of its text.
fn adopt(sequence: &mut Sequence, cache: &mut Cache, states: &mut DeltaStates) {
    let Some(slot) = sequence.held.slot() else { return sequence.adopt(cache) };
    // Without memory for its state it will fail at once; until then it must not seem to have one.
    if states.allocate(slot).is_err() {
        return;
    }
    let before = sequence.done;
    sequence.adopt(cache);
    if sequence.done > before {
        states.restore(slot, cache.state(&sequence.held).expect("pages are taken up to one with a state"));
    }
}

/// Hands a row's values to its sequence, unless that has ended.
fn deliver(
    outcomes: &mut Vec<(usize, Outcome)>,
    index: usize,
    sequence: &mut Sequence,
    queue: &Queue,
    take: impl FnOnce(&mut Sequence) -> Outcome,
) {
    if outcomes.iter().any(|(other, _)| *other == index) {
        return;
    }
    // What panics here is the sequence's own: its sink, or its rules.
    let outcome = catch_unwind(AssertUnwindSafe(|| take(sequence))).unwrap_or_else(|panic| {
        let why = message(&*panic);
        tracing::error!(%why, "a sequence failed");
        queue.counters.failures.add(1);
        let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(&format!("the engine failed: {why}"))));
        Outcome::Ended
    });
    if outcome != Outcome::Goes {
        outcomes.push((index, outcome));
    }
}

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests;
