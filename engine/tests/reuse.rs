//! What was computed once is not computed again.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{sync::mpsc, time::Instant};

use common::{Completion, ModelFile, chat, collect, collect_cached, greedy, of, on_threads, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Model, Probe, Request};
use qwenda_testkit::TinyModel;

fn tiny(kv_tokens_max: u32) -> Engine {
    let options =
        EngineOptions { kv_tokens_max: Some(kv_tokens_max), prefill_chunk_tokens: 32, ..EngineOptions::default() };
    ModelFile::tiny(&TinyModel::qwen2()).engine(2, options)
}

fn of_scope(scope: u64, prompt: &[u32]) -> Request {
    Request { scope, ..greedy(prompt, 8) }
}

fn cached(engine: &Engine, request: Request) -> (u32, Completion) {
    collect_cached(&submit(engine, request))
}

#[test]
fn the_same_prompt_is_found_within_its_scope_only() {
    let engine = tiny(4096);
    let text = prompt(1, 100);
    let (first, expected) = cached(&engine, of_scope(1, &text));
    assert_eq!(first, 0);
    assert_eq!(cached(&engine, of_scope(2, &text)), (0, expected.clone()), "another scope");
    assert_eq!(cached(&engine, of_scope(1, &text)), (96, expected.clone()));
    assert_eq!(cached(&engine, of_scope(1, &text[..97])).0, 96);
    assert_eq!(cached(&engine, of_scope(1, &text[..96])).0, 64, "never the whole prompt");
    assert_eq!(cached(&engine, of_scope(1, &text[1..])).0, 0, "another beginning");
    assert_eq!(cached(&engine, of_scope(2, &text)), (96, expected));
}

#[test]
fn the_next_turn_finds_the_answer_too() {
    let engine = tiny(4096);
    let mut text = prompt(1, 50);
    for turn in 0..5 {
        let endings = engine.info().eos.iter().map(|&id| (id, -1e6)).collect();
        let mut request = greedy(&text, 30);
        request.sampling.logit_bias = endings;
        let (found, completion) = cached(&engine, request);
        // The last token of an answer was never put in.
        let computed = if turn == 0 { 0 } else { text.len() - 20 - 1 };
        assert_eq!(found as usize, computed / 32 * 32, "turn {turn}");
        text.extend(completion.ids);
        text.extend(prompt(turn, 20));
    }
}

#[test]
fn choices_of_one_prompt_compute_it_once() {
    let engine = tiny(4096);
    let text = prompt(1, 400);
    let choices: Vec<_> = (0..4).map(|_| submit(&engine, of_scope(1, &text))).collect();
    let found: Vec<_> = choices.iter().map(collect_cached).collect();
    // Whoever comes while the first is on its way waits for it.
    assert_eq!(found.iter().map(|(cached, _)| *cached).collect::<Vec<_>>(), [0, 384, 384, 384]);
    assert!(found.iter().all(|(_, completion)| *completion == found[0].1));
}

#[test]
fn whoever_follows_one_that_leaves_goes_on_alone() {
    let engine = tiny(4096);
    let text = prompt(1, 400);
    let (sender, events) = mpsc::channel();
    // It fails at its first token: its sink is gone then.
    engine.submit(of_scope(1, &text), Box::new(Leaves(sender))).unwrap();
    let follower = submit(&engine, of_scope(1, &text));
    drop(events);
    assert_eq!(collect(&follower), run(&tiny(4096), of_scope(1, &text)));
}

struct Leaves(mpsc::Sender<()>);

impl qwenda_engine::Sink for Leaves {
    fn event(&mut self, _: qwenda_engine::Event) {}

    fn gone(&self) -> bool {
        self.0.send(()).is_err()
    }
}

#[test]
fn pages_that_are_needed_go_and_the_oldest_goes_first() {
    let engine = tiny(512); // 16 pages; each of these takes 4, and keeps 3.
    let ask = |seed: u32| cached(&engine, of_scope(1, &prompt(seed, 100))).0;
    assert_eq!([ask(1), ask(2), ask(3), ask(4)], [0; 4]);
    assert_eq!([ask(1), ask(2)], [96, 96]);
    assert_eq!([ask(5), ask(6)], [0, 0], "these take the place of 3 and 4");
    assert_eq!([ask(1), ask(2)], [96, 96]);
    assert_eq!(ask(3), 0);
    // A prompt that needs them all gets them all.
    assert!(run(&engine, of_scope(1, &prompt(7, 500))).end.is_ok());
    assert_eq!(ask(1), 0);
}

#[test]
fn texts_of_a_probe_share_their_beginnings() {
    let engine = tiny(4096);
    let texts: Vec<Vec<u32>> = (0..20).map(|i| prompt(1, 200).into_iter().chain(prompt(i, 10)).collect()).collect();
    let probe = |texts: Vec<Vec<u32>>| {
        let (sender, outcome) = mpsc::channel();
        engine.probe(texts, Probe::Hidden, of(1), Box::new(move |found| sender.send(found).unwrap())).unwrap();
        outcome.recv().unwrap().unwrap()
    };
    let found = probe(texts.clone());
    assert_eq!(cached(&engine, of_scope(1, &texts[0])).0, 192, "what a probe computed, others find");
    assert_eq!(probe(texts), found);
}

#[test]
fn the_real_model_answers_a_known_beginning_at_once() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let engine = Engine::start(Model::load(&path, &on_threads(2)).unwrap(), EngineOptions::default());
    let text = format!("{} What is the last of these numbers?", (0..200).map(|i| format!("{i}, ")).collect::<String>());
    let text = chat(&engine, &text);
    let ask = || {
        let begun = Instant::now();
        let found = cached(&engine, greedy(&text, 1));
        (begun.elapsed(), found)
    };
    let (first, (_, expected)) = ask();
    let (again, found) = ask();
    assert_eq!(found, (u32::try_from((text.len() - 1) / 32 * 32).unwrap(), expected));
    assert!(again < first / 4, "{again:?} after {first:?}");
}
