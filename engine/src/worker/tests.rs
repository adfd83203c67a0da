use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use qwenda_testkit::TinyModel;

use super::*;
use crate::{Event, FinishReason, LoadOptions, Request, Sampling, Sink, Stop, engine::Task};

/// Keeps its events.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Event>>>);

impl Sink for Kept {
    fn event(&mut self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    fn gone(&self) -> bool {
        false
    }
}

fn worker() -> Worker {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    TinyModel::qwen2().write(&path).unwrap();
    let model = Arc::new(Model::load(&path, &LoadOptions::default()).unwrap());
    let number = |n| NonZeroU32::new(n).unwrap();
    let limits = Limits { page_tokens: number(32), prefill_tokens_max: number(64), sequences_max: number(4) };
    Worker::new(model, Arc::new(Queue::new(8)), limits, 16, 512)
}

fn add(worker: &mut Worker, prompt: &[u32], tokens_max: u32) -> Kept {
    let kept = Kept::default();
    let request = Request {
        prompt: prompt.to_vec(),
        tokens_max,
        sampling: Sampling::greedy(),
        stop: Stop::default(),
        logprobs: None,
    };
    worker.queue.push(Task::Generate(request, Box::new(kept.clone()))).unwrap();
    for job in worker.queue.take(false).unwrap() {
        worker.sequences.push(Sequence::new(job, &worker.model, &worker.ends, worker.tokens_max));
    }
    kept
}

fn last(kept: &Kept) -> Event {
    kept.0.lock().unwrap().last().cloned().unwrap()
}

#[test]
fn a_step_that_panics_fails_its_sequences_and_the_engine_goes_on() {
    let mut worker = worker();
    let pages = worker.pages.total();
    // A store without pages: whatever is written to it panics.
    let good = std::mem::replace(&mut worker.kv, worker.model.kv_store(0));
    let [first, second] = [add(&mut worker, &[1, 2, 3], 5), add(&mut worker, &[4, 5], 5)];
    worker.step();
    for kept in [first, second] {
        assert!(matches!(last(&kept), Event::Failed(why) if why.contains("the engine failed")), "{:?}", last(&kept));
    }
    assert!(worker.sequences.is_empty());
    assert_eq!(worker.pages.free(), pages, "their pages are free");

    worker.kv = good;
    let kept = add(&mut worker, &[1, 2, 3], 5);
    while !worker.sequences.is_empty() {
        worker.step();
    }
    assert!(matches!(last(&kept), Event::Finished { reason: FinishReason::Length, completion_tokens: 5, .. }));
    assert_eq!(worker.pages.free(), pages);
}

#[test]
fn only_the_last_row_of_a_prompt_wants_logits() {
    let mut worker = worker();
    add(&mut worker, &[7; 100], 5);
    worker.step();
    assert_eq!((worker.rows.ids.len(), worker.rows.wanted.as_slice()), (64, [].as_slice()));
    add(&mut worker, &[8; 20], 5);
    worker.step();
    // The whole of the second prompt and the rest of the first, each with one wanted row.
    assert_eq!((worker.rows.ids.len(), worker.rows.wanted.as_slice()), (20 + 36, [19, 55].as_slice()));
    worker.step();
    assert_eq!((worker.rows.ids.len(), worker.rows.wanted.as_slice()), (2, [0, 1].as_slice()), "both decode");
}

#[test]
fn a_job_that_was_never_placed_frees_its_place_in_the_queue() {
    let mut worker = worker();
    add(&mut worker, &[1], 1);
    assert_eq!(worker.queue.waiting(), 1);
    worker.remove(0);
    assert_eq!(worker.queue.waiting(), 0);
}
