use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use qwenda_testkit::TinyModel;

use super::*;
use crate::{Event, FinishReason, LoadOptions, Request, Sampling, Sink, engine::Task};

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
    worker_of(&TinyModel::qwen2())
}

fn worker_of(model: &TinyModel) -> Worker {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    model.write(&path).unwrap();
    let model = Arc::new(Model::load(&path, &LoadOptions::default()).unwrap());
    let number = |n| NonZeroU32::new(n).unwrap();
    let limits = Limits {
        page_tokens: number(32),
        prefill_tokens_max: number(64),
        sequences_max: number(4),
        guess_rows_max: 16,
    };
    Worker::new(model, Arc::new(Queue::new(8)), limits, 16, 512, None)
}

fn add(worker: &mut Worker, prompt: &[u32], tokens_max: u32) -> Kept {
    add_request(worker, Request { sampling: Sampling::greedy(), ..Request::new(prompt.to_vec(), tokens_max) })
}

fn add_request(worker: &mut Worker, request: Request) -> Kept {
    let kept = Kept::default();
    worker.queue.push(Task::Generate(request, Box::new(kept.clone()))).unwrap();
    let jobs = worker.queue.take(false).unwrap();
    worker.take(jobs);
    kept
}

/// Steps until all is done; how many.
fn run(worker: &mut Worker) -> u64 {
    let mut steps = 0;
    while !worker.sequences.is_empty() {
        worker.step();
        steps += 1;
    }
    steps
}

fn tokens(kept: &Kept) -> Vec<u32> {
    let events = kept.0.lock().unwrap();
    let ids = events.iter().filter_map(|event| if let Event::Token { ids, .. } = event { Some(ids) } else { None });
    ids.flatten().copied().collect()
}

fn last(kept: &Kept) -> Event {
    kept.0.lock().unwrap().last().cloned().unwrap()
}

#[test]
fn of_a_step_that_panics_only_those_fail_whose_rows_did() {
    for model in [TinyModel::qwen2(), TinyModel::qwen35()] {
        only_those_fail_whose_rows_did(worker_of(&model));
    }
}

fn only_those_fail_whose_rows_did(mut worker: Worker) {
    let pages = worker.cache.total();
    let alone = add(&mut worker, &[1, 2, 3], 5);
    run(&mut worker);
    worker.poison = Some(4);
    let [first, second, third] = [&[1, 2, 3][..], &[4, 5], &[1, 2, 4]].map(|prompt| add(&mut worker, prompt, 5));
    run(&mut worker);
    for kept in [second, third] {
        assert!(matches!(last(&kept), Event::Failed(why) if why.contains("the engine failed")), "{:?}", last(&kept));
    }
    assert_eq!(tokens(&first), tokens(&alone), "the other says what it says alone");
    assert!(matches!(last(&first), Event::Finished { reason: FinishReason::Length, completion_tokens: 5, .. }));
    assert_eq!(worker.cache.available(), pages, "all pages are free");
    assert_eq!(worker.queue.counters.read(0).failures, 2);
}

#[test]
fn right_guesses_save_steps_and_wrong_ones_do_not_show() {
    // A text that says one token for ever, and one that says what the model wants.
    for (bias, repeats) in [(vec![(7, 1e6)], true), (Vec::new(), false)] {
        let found = [0, 16].map(|rows| {
            let mut worker = worker();
            worker.limits.guess_rows_max = rows;
            let sampling = Sampling { logit_bias: bias.clone(), ..Sampling::greedy() };
            let prompt = (0..90).map(|at| at % 9).collect();
            let kept = add_request(&mut worker, Request { sampling, ..Request::new(prompt, 200) });
            let steps = run(&mut worker);
            (tokens(&kept), steps, worker.queue.counters.read(0))
        });
        let [(expected, slow, _), (answer, fast, stats)] = found;
        assert_eq!(answer, expected);
        assert_eq!(slow - fast, stats.guessed_right_tokens, "each right guess saves a step");
        if repeats {
            assert_eq!(answer, [7; 200]);
            assert!(fast < 40, "{fast} steps");
        }
    }
}

#[test]
fn a_state_has_a_slot_from_admission_to_the_end_and_memory_until_all_is_done() {
    let mut worker = worker_of(&TinyModel::qwen35());
    assert_eq!((worker.states.slots(), worker.states.slots_allocated()), (4, 0));
    for at in 0..6 {
        add(&mut worker, &[at; 5], 3 + at);
    }
    worker.step();
    let slots = |worker: &Worker| worker.sequences.iter().map(|sequence| sequence.held.slot()).collect::<Vec<_>>();
    assert_eq!(slots(&worker), [Some(0), Some(1), Some(2), Some(3), None, None]);
    worker.remove(1);
    worker.step();
    assert_eq!(slots(&worker), [Some(0), Some(2), Some(3), Some(1), None], "the next has the place of who left");
    run(&mut worker);
    assert_eq!(worker.states.slots_allocated(), 4);
    worker.rest();
    assert_eq!(worker.states.slots_allocated(), 0);
    assert_eq!(worker.limits.guess_rows_max, 0, "a state cannot be taken back");
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

#[test]
fn who_lost_its_place_finds_what_it_had_computed() {
    let mut worker = worker();
    worker.cache = Cache::new(6, PAGE_TOKENS);
    worker.limits.guess_rows_max = 0;
    let older = add(&mut worker, &[1; 60], 90);
    let younger = add(&mut worker, &[2; 70], 90);
    let mut rows = Vec::new();
    let mut lost = false;
    while !worker.sequences.is_empty() {
        let had_place = worker.sequences.get(1).is_some_and(|sequence| sequence.running);
        worker.step();
        lost |= had_place && worker.sequences.get(1).is_some_and(|sequence| !sequence.running);
        rows.push(worker.rows.ids.len());
    }
    assert!(lost, "there was not room for both");
    for kept in [older, younger] {
        assert!(matches!(last(&kept), Event::Finished { completion_tokens: 90, .. }), "{:?}", last(&kept));
    }
    // Each token but the last was computed once; of the younger's, at most two pages twice: the one
    // that was not full, and one that the older took from it.
    let total: usize = rows.iter().sum();
    assert!(total <= 149 + 159 + 2 * PAGE_TOKENS, "{total} rows");
    assert_eq!(worker.cache.available(), 6);
}
