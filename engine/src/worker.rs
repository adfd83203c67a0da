//! The loop: plan, forward, sample, emit.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use qwenda_kernels::{KvStore, PAGE_TOKENS};

use crate::{
    cache::Cache,
    engine::{Job, Queue},
    generate::Buffers,
    model::{Model, layers::Scratch},
    rows::{self, Rows},
    scheduler::{self, Limits, Room, Span, Text},
    sequence::{Outcome, Sequence},
};

/// Rows whose logits are computed at once: enough to make one pass over the output matrix
/// worthwhile, few enough that the logits of a large vocabulary stay in cache.
const LOGITS_ROWS: usize = 16;

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
    rows: Rows,
    scratch: Scratch,
    buffers: Buffers,
    /// Steps so far.
    turn: u64,
}

impl Worker {
    pub(crate) fn new(model: Arc<Model>, queue: Arc<Queue>, limits: Limits, pages: u32, tokens_max: u32) -> Self {
        let kv = model.kv_store(pages as usize);
        let ends = model.info().eos.as_slice().into();
        Self {
            model,
            queue,
            limits,
            tokens_max,
            ends,
            sequences: Vec::new(),
            cache: Cache::new(pages, PAGE_TOKENS),
            kv,
            rows: Rows::default(),
            scratch: Scratch::new(),
            buffers: Buffers::default(),
            turn: 0,
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
            self.sequences.extend(Sequence::of(job, &self.model, &self.ends, self.tokens_max, sequences_max));
        }
    }

    /// Nothing to do: gives the memory of all pages back that are not kept for others to come.
    fn rest(&mut self) {
        assert_eq!(self.cache.available(), self.cache.total(), "pages without a sequence");
        let all = 0..u32::try_from(self.cache.total()).expect("pages are numbered with 32 bits");
        all.filter(|&page| self.cache.is_free(page)).for_each(|page| self.kv.release(page));
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
        let spans = self.plan();
        self.reserve(&spans);
        self.rows.fill(&spans, &self.sequences);
        let outcomes = match catch_unwind(AssertUnwindSafe(|| self.compute(&spans))) {
            Ok(outcomes) => outcomes,
            Err(panic) => {
                let why = message(&*panic);
                tracing::error!(%why, sequences = spans.len(), "a step of the engine failed");
                let mut failed: Vec<usize> = spans.iter().map(|span| span.index).collect();
                failed.sort_unstable();
                self.fail(failed.into_iter(), &format!("the engine failed: {why}"));
                return;
            }
        };
        for (index, outcome) in outcomes.into_iter().rev() {
            match outcome {
                Outcome::Goes => {}
                Outcome::Again => self.begin_again(index),
                Outcome::Ended => self.remove(index),
            }
        }
    }

    /// Finds out what the step computes, and lets sequences in and out for it.
    fn plan(&mut self) -> Vec<Span> {
        for sequence in self.sequences.iter_mut().filter(|sequence| sequence.running) {
            sequence.adopt(&mut self.cache);
        }
        let views: Vec<_> =
            self.sequences.iter().zip(self.follows()).map(|(sequence, follows)| sequence.view(follows)).collect();
        let free = u32::try_from(self.cache.available()).expect("pages are numbered with 32 bits");
        let room = Room { free, holders: self.cache.holders() };
        let mut step = scheduler::plan(&self.limits, &views, room, self.turn);
        self.turn += 1;
        for &index in &step.preempt {
            self.sequences[index].give_back(&mut self.cache);
        }
        for &index in &step.admit {
            let sequence = &mut self.sequences[index];
            sequence.running = true;
            sequence.adopt(&mut self.cache);
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
            // A sink that panics is as good as gone; `drop_gone` asks it before the next step.
            let _ = catch_unwind(AssertUnwindSafe(|| sequence.start()));
        }
        step.spans
    }

    /// For each sequence whether an older one is about to compute what it needs next.
    fn follows(&self) -> Vec<bool> {
        let texts: Vec<Text<'_>> = self.sequences.iter().map(Sequence::text).collect();
        scheduler::follows(&texts, PAGE_TOKENS)
    }

    /// Takes the pages that the planned rows will be stored in.
    fn reserve(&mut self, spans: &[Span]) {
        for span in spans {
            let sequence = &mut self.sequences[span.index];
            let enough = self.cache.reserve(&mut sequence.held, (span.start + span.len) as usize);
            assert!(enough, "the plan counted the pages");
        }
    }

    /// Forward pass and sampling; what became of the sequences whose turn it was, ascending.
    fn compute(&mut self, spans: &[Span]) -> Vec<(usize, Outcome)> {
        let Self { model, sequences, cache, rows, kv, scratch, buffers, .. } = self;
        let attend = rows::attended(spans, sequences);
        model.forward(rows.batch(&attend), kv, scratch);
        drop(attend);
        for span in spans {
            let sequence = &mut sequences[span.index];
            sequence.done += span.len as usize;
            sequence.keep(cache);
        }

        let mut outcomes = Vec::new();
        let mut first = 0;
        while let Some(&(index, _)) = rows.takers.get(first) {
            if sequences[index].wants_hidden() {
                let hidden = model.hidden(first, scratch);
                deliver(&mut outcomes, index, &mut sequences[index], |sequence| sequence.take_hidden(hidden));
                first += 1;
                continue;
            }
            let group = rows.takers[first..].iter().take(LOGITS_ROWS);
            let group = group.take_while(|(index, _)| !sequences[*index].wants_hidden()).count();
            let logits = model.logits(first..first + group, scratch);
            let vocab = logits.len() / group;
            for (&(index, position), logits) in rows.takers[first..].iter().zip(logits.chunks_exact_mut(vocab)) {
                let take = |sequence: &mut Sequence| sequence.take_logits(position, logits, model, buffers);
                deliver(&mut outcomes, index, &mut sequences[index], take);
            }
            first += group;
        }
        outcomes.sort_unstable_by_key(|(index, _)| *index);
        outcomes
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

/// Hands a row's values to its sequence, unless that has ended.
fn deliver(
    outcomes: &mut Vec<(usize, Outcome)>,
    index: usize,
    sequence: &mut Sequence,
    take: impl FnOnce(&mut Sequence) -> Outcome,
) {
    if outcomes.iter().any(|(other, _)| *other == index) {
        return;
    }
    // What panics here is the sequence's own: its sink, or its rules.
    let outcome = catch_unwind(AssertUnwindSafe(|| take(sequence))).unwrap_or_else(|panic| {
        let why = message(&*panic);
        tracing::error!(%why, "a sequence failed");
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
