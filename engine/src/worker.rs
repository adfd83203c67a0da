//! The loop: plan, forward, sample, emit.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use qwenda_kernels::{AttendRow, KvSlot, KvStore, PAGE_TOKENS};

use crate::{
    cache::pages::Pages,
    engine::Queue,
    model::{
        Model,
        layers::{Batch, Scratch},
    },
    scheduler::{self, Limits, Span},
    sequence::{Buffers, Outcome, Sequence},
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
    pages: Pages,
    kv: KvStore,
    rows: Rows,
    scratch: Scratch,
    buffers: Buffers,
    /// Steps so far.
    turn: u64,
}

/// What goes into a [`Batch`]; kept to be filled again.
#[derive(Default)]
struct Rows {
    ids: Vec<u32>,
    positions: Vec<u32>,
    slots: Vec<KvSlot>,
    wanted: Vec<u32>,
    /// Index of the sequence and position of its token, for each of `wanted`.
    takers: Vec<(usize, usize)>,
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
            pages: Pages::new(pages),
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
            for job in jobs {
                self.sequences.push(Sequence::new(job, &self.model, &self.ends, self.tokens_max));
            }
            self.drop_gone();
            self.step();
            if self.sequences.is_empty() {
                self.rest();
            }
        }
        for job in self.queue.leftover() {
            self.sequences.push(Sequence::new(job, &self.model, &self.ends, self.tokens_max));
        }
        let all = 0..self.sequences.len();
        self.fail(all, "the engine has stopped");
    }

    /// Nothing to do: gives the memory of all pages back.
    fn rest(&mut self) {
        assert_eq!(self.pages.free(), self.pages.total(), "pages without a sequence");
        for page in 0..self.pages.total() {
            self.kv.release(u32::try_from(page).expect("pages are numbered with 32 bits"));
        }
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
        let views: Vec<_> = self.sequences.iter().map(Sequence::view).collect();
        let free = u32::try_from(self.pages.free()).expect("pages are numbered with 32 bits");
        let step = scheduler::plan(&self.limits, &views, free, self.turn);
        self.turn += 1;
        for &index in &step.preempt {
            let sequence = &mut self.sequences[index];
            self.pages.release(&mut sequence.pages);
            sequence.preempt();
        }
        for &index in &step.admit {
            let sequence = &mut self.sequences[index];
            if !sequence.has_started() {
                self.queue.placed();
            }
            // A sink that panics is as good as gone; `drop_gone` asks it before the next step.
            let _ = catch_unwind(AssertUnwindSafe(|| sequence.start()));
        }
        self.reserve(&step.spans);
        self.fill(&step.spans);
        let ended = match catch_unwind(AssertUnwindSafe(|| self.compute(&step.spans))) {
            Ok(ended) => ended,
            Err(panic) => {
                let why = message(&*panic);
                tracing::error!(%why, sequences = step.spans.len(), "a step of the engine failed");
                let mut failed: Vec<usize> = step.spans.iter().map(|span| span.index).collect();
                failed.sort_unstable();
                self.fail(failed.into_iter(), &format!("the engine failed: {why}"));
                return;
            }
        };
        for index in ended.into_iter().rev() {
            self.remove(index);
        }
    }

    /// Takes the pages that the planned rows will be stored in.
    fn reserve(&mut self, spans: &[Span]) {
        for span in spans {
            let sequence = &mut self.sequences[span.index];
            let tokens = (span.start + span.len) as usize;
            while sequence.pages.len() * PAGE_TOKENS < tokens {
                sequence.pages.push(self.pages.take().expect("the plan counted free pages"));
            }
        }
    }

    /// Lays the planned rows out.
    fn fill(&mut self, spans: &[Span]) {
        let Rows { ids, positions, slots, wanted, takers } = &mut self.rows;
        ids.clear();
        positions.clear();
        slots.clear();
        wanted.clear();
        takers.clear();
        for span in spans {
            let sequence = &self.sequences[span.index];
            for position in span.start..span.start + span.len {
                let at = position as usize;
                if sequence.wants_all() || at + 1 == sequence.tokens.len() {
                    wanted.push(u32::try_from(ids.len()).expect("a batch has fewer than 2^32 rows"));
                    takers.push((span.index, at));
                }
                ids.push(sequence.tokens[at]);
                positions.push(position);
                let offset = u32::try_from(at % PAGE_TOKENS).expect("pages are small");
                slots.push(KvSlot { page: sequence.pages[at / PAGE_TOKENS], offset });
            }
        }
    }

    /// Forward pass and sampling; the indices of sequences that ended, ascending.
    fn compute(&mut self, spans: &[Span]) -> Vec<usize> {
        let Self { model, sequences, rows, kv, scratch, buffers, .. } = self;
        let attend: Vec<AttendRow<'_>> = spans
            .iter()
            .flat_map(|span| {
                let pages = sequences[span.index].pages.as_slice();
                (span.start..span.start + span.len).map(move |position| AttendRow { pages, len: position + 1 })
            })
            .collect();
        let Rows { ids, positions, slots, wanted, takers } = &*rows;
        model.forward(Batch { ids, positions, slots, attend: &attend, wanted }, kv, scratch);
        for span in spans {
            sequences[span.index].done += span.len as usize;
        }

        let mut ended = Vec::new();
        for (group, takers) in takers.chunks(LOGITS_ROWS).enumerate() {
            let first = group * LOGITS_ROWS;
            let logits = model.logits(first..first + takers.len(), scratch);
            let vocab = logits.len() / takers.len();
            for (&(index, position), logits) in takers.iter().zip(logits.chunks_exact_mut(vocab)) {
                if ended.contains(&index) {
                    continue;
                }
                let sequence = &mut sequences[index];
                // What panics here is the sequence's own: its sink, or its rules.
                let outcome = catch_unwind(AssertUnwindSafe(|| sequence.take_logits(position, logits, model, buffers)));
                match outcome {
                    Ok(Outcome::Goes) => {}
                    Ok(Outcome::Ended) => ended.push(index),
                    Err(panic) => {
                        let why = message(&*panic);
                        tracing::error!(%why, "a sequence failed");
                        let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(&format!("the engine failed: {why}"))));
                        ended.push(index);
                    }
                }
            }
        }
        ended.sort_unstable();
        ended
    }

    /// Ends sequences, given ascending, with a reason.
    fn fail(&mut self, indices: impl DoubleEndedIterator<Item = usize>, why: &str) {
        for index in indices.rev() {
            let sequence = &mut self.sequences[index];
            let _ = catch_unwind(AssertUnwindSafe(|| sequence.fail(why)));
            self.remove(index);
        }
    }

    /// Forgets a sequence and frees its pages.
    fn remove(&mut self, index: usize) {
        let mut sequence = self.sequences.remove(index);
        self.pages.release(&mut sequence.pages);
        if !sequence.has_started() {
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

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests;
