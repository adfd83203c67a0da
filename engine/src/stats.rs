//! What the engine does, in numbers that only grow and a few that say how it is now.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a step computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Prompts alone.
    Prefill,
    /// Next tokens alone.
    Decode,
    /// Both.
    Mixed,
}

impl StepKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Prefill, Self::Decode, Self::Mixed];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
        }
    }
}

/// Upper bounds of the buckets of step times, in microseconds; a last bucket has none.
pub const STEP_BOUNDS_US: [u64; 12] =
    [2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];

/// How long the steps of one kind took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Steps.
    pub count: u64,
    /// Their time together, in microseconds.
    pub sum_us: u64,
    /// Steps that took at most the bound of the same index in [`STEP_BOUNDS_US`] and more than the one
    /// before it; the last ones took longer than any.
    pub buckets: [u64; STEP_BOUNDS_US.len() + 1],
}

/// What an engine has done since it was started, and how it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Step times, in the order of [`StepKind::ALL`].
    pub steps: [StepTimes; 3],
    /// Tokens of prompts computed, those of preempted sequences again each time.
    pub prefill_tokens: u64,
    /// Tokens of prompts found among what was computed before.
    pub prefix_hit_tokens: u64,
    /// Tokens of prompts of requests that have begun.
    pub prompt_tokens: u64,
    /// Tokens sampled or decided.
    pub completion_tokens: u64,
    /// Tokens guessed, and computed to see whether they are right.
    pub guessed_tokens: u64,
    /// Guessed tokens that were right.
    pub guessed_right_tokens: u64,
    /// Sequences that lost their place to another.
    pub preemptions: u64,
    /// Sequences that ended by a fault of the engine.
    pub failures: u64,
    /// Rows of the latest step; 0 at rest.
    pub batch_rows: u64,
    /// Sequences of the latest step; 0 at rest.
    pub batch_sequences: u64,
    /// Requests that wait for a place.
    pub queued: u64,
    /// Sequences that have a place.
    pub running: u64,
    /// Pages of keys and values that exist.
    pub pages_total: u64,
    /// Pages held by sequences.
    pub pages_held: u64,
    /// Pages that nobody holds, kept in case that a prompt begins like them.
    pub pages_kept: u64,
}

/// The counters behind [`EngineStats`], written by the engine's thread alone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    steps: [Times; 3],
    pub(crate) prefill_tokens: Counter,
    pub(crate) prefix_hit_tokens: Counter,
    pub(crate) prompt_tokens: Counter,
    pub(crate) completion_tokens: Counter,
    pub(crate) guessed_tokens: Counter,
    pub(crate) guessed_right_tokens: Counter,
    pub(crate) preemptions: Counter,
    pub(crate) failures: Counter,
    pub(crate) batch_rows: Counter,
    pub(crate) batch_sequences: Counter,
    pub(crate) running: Counter,
    pub(crate) pages_total: Counter,
    pub(crate) pages_held: Counter,
    pub(crate) pages_kept: Counter,
}

/// A number that others may read at any time.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

#[derive(Debug, Default)]
struct Times {
    count: Counter,
    sum_us: Counter,
    buckets: [Counter; STEP_BOUNDS_US.len() + 1],
}

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Counts a step.
    pub(crate) fn step(&self, kind: StepKind, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let times = &self.steps[kind as usize];
        times.count.add(1);
        times.sum_us.0.fetch_add(us, Ordering::Relaxed);
        times.buckets[STEP_BOUNDS_US.partition_point(|&bound| bound < us)].add(1);
    }

    /// All numbers, each as it is now.
    pub(crate) fn read(&self, queued: usize) -> EngineStats {
        let times = |times: &Times| StepTimes {
            count: times.count.get(),
            sum_us: times.sum_us.get(),
            buckets: std::array::from_fn(|at| times.buckets[at].get()),
        };
        EngineStats {
            steps: std::array::from_fn(|at| times(&self.steps[at])),
            prefill_tokens: self.prefill_tokens.get(),
            prefix_hit_tokens: self.prefix_hit_tokens.get(),
            prompt_tokens: self.prompt_tokens.get(),
            completion_tokens: self.completion_tokens.get(),
            guessed_tokens: self.guessed_tokens.get(),
            guessed_right_tokens: self.guessed_right_tokens.get(),
            preemptions: self.preemptions.get(),
            failures: self.failures.get(),
            batch_rows: self.batch_rows.get(),
            batch_sequences: self.batch_sequences.get(),
            queued: queued as u64,
            running: self.running.get(),
            pages_total: self.pages_total.get(),
            pages_held: self.pages_held.get(),
            pages_kept: self.pages_kept.get(),
        }
    }
}
