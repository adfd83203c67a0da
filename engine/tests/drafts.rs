//! A second model that guesses: the answers are the first one's, byte for byte.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{Completion, ModelFile, chat, collect, greedy, on_threads, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Error, Model, Request, Sampling};
use qwenda_testkit::TinyModel;

fn load(file: &ModelFile, threads: usize) -> Model {
    Model::load(&file.path, &on_threads(threads)).unwrap()
}

fn requests() -> Vec<Request> {
    let drawn = Sampling { temperature: 1.2, seed: 9, ..Sampling::default() };
    let short = |seed, sampling| Request { sampling, logprobs: Some(2), ..greedy(&prompt(seed, 40), 50) };
    vec![
        short(1, Sampling::greedy()),
        short(2, drawn),
        // Longer than what the draft model reads in one step.
        Request { logprobs: Some(1), ..greedy(&prompt(3, 300), 50) },
    ]
}

#[test]
fn answers_are_the_first_models_whoever_guesses() {
    let [first, other] = [TinyModel::qwen3(), TinyModel::qwen2()].map(|model| ModelFile::tiny(&model));
    let plain = Engine::start(load(&first, 1), EngineOptions { guess_rows_max: 0, ..EngineOptions::default() });
    let expected: Vec<Completion> = requests().into_iter().map(|request| run(&plain, request)).collect();
    for (draft, alike) in [(&first, true), (&other, false)] {
        // Few pages for the draft model too: some texts find no room.
        for kv_tokens_max in [None, Some(512)] {
            let options = EngineOptions { kv_tokens_max, ..EngineOptions::default() };
            let engine = Engine::start_with_draft(load(&first, 2), load(draft, 2), options).unwrap();
            for round in 0..2 {
                let alone: Vec<Completion> = requests().into_iter().map(|request| run(&engine, request)).collect();
                assert!(alone == expected, "alike: {alike}, round {round}");
                let together: Vec<_> = requests().into_iter().map(|request| submit(&engine, request)).collect();
                let together: Vec<Completion> = together.iter().map(collect).collect();
                assert!(together == expected, "alike: {alike}, round {round}, together");
            }
        }
    }
}

#[test]
fn what_the_draft_model_is_sure_of_saves_steps() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let load = || Model::load(&path, &on_threads(2)).unwrap();
    let plain = Engine::start(load(), EngineOptions { guess_rows_max: 0, ..EngineOptions::default() });
    let request = greedy(&chat(&plain, "Write one sentence about the sea."), 24);
    let expected = run(&plain, request.clone());
    drop(plain);
    // The best guesser there can be: the model itself.
    let engine = Engine::start_with_draft(load(), load(), EngineOptions::default()).unwrap();
    assert!(run(&engine, request) == expected);
    let stats = engine.stats();
    // It costs as much as it saves, so it soon stops guessing.
    assert!(stats.guessed_right_tokens > 0 && stats.guessed_right_tokens == stats.guessed_tokens, "{stats:?}");
}

#[test]
fn a_draft_model_with_other_tokens_is_refused() {
    let first = ModelFile::tiny(&TinyModel::qwen3());
    let other = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let other = Model::load(&other, &on_threads(1)).unwrap();
    let refused = Engine::start_with_draft(load(&first, 1), other, EngineOptions::default());
    let Err(error) = refused else { panic!("it was taken") };
    assert!(matches!(error, Error::Draft { .. }), "{error}");
    assert!(error.to_string().contains("same family"), "{error}");
}
