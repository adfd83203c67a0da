//! The same request gives the same tokens, bit for bit, whatever surrounds it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{Completion, ModelFile, chat, collect, greedy, on_threads, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Isa, LoadOptions, Model, Request, Sampling};
use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;

fn models() -> Vec<(&'static str, TinyModel)> {
    vec![
        ("qwen2 F32", TinyModel::qwen2()),
        ("qwen3 F32", TinyModel::qwen3()),
        ("qwen2 Q5_0", TinyModel::qwen2().quantized(TensorType::Q5_0)),
        ("qwen2 Q8_0", TinyModel::qwen2().quantized(TensorType::Q8_0)),
        ("qwen3 Q4_K", TinyModel::qwen3().quantized(TensorType::Q4_K)),
        ("qwen3 Q6_K", TinyModel::qwen3().quantized(TensorType::Q6_K)),
    ]
}

/// Greedy, and drawn; with logprobs, so that any bit that differs shows.
fn requests() -> Vec<Request> {
    let drawn = Sampling { temperature: 1.3, top_p: 0.9, seed: 5, presence_penalty: 0.3, ..Sampling::default() };
    vec![
        Request { logprobs: Some(3), ..greedy(&prompt(1, 77), 40) },
        Request { logprobs: Some(3), sampling: drawn, ..greedy(&prompt(2, 45), 40) },
    ]
}

fn alone(file: &ModelFile) -> Vec<Completion> {
    let engine = file.engine(1, EngineOptions { prefill_chunk_tokens: 4096, ..EngineOptions::default() });
    requests().into_iter().map(|request| run(&engine, request)).collect()
}

#[test]
fn threads_chunks_and_company_do_not_show() {
    for (name, model) in models() {
        let file = ModelFile::tiny(&model);
        let expected = alone(&file);
        assert!(expected.iter().all(|completion| completion.end.is_ok()), "{name}: {expected:?}");
        for threads in [1, 2, 3] {
            for prefill_chunk_tokens in [1, 7, 32, 50, 4096] {
                let engine = file.engine(threads, EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() });
                let single: Vec<Completion> = requests().into_iter().map(|request| run(&engine, request)).collect();
                assert!(single == expected, "{name}: {threads} threads, chunks of {prefill_chunk_tokens}");

                let company: Vec<_> =
                    (0..3).map(|i| submit(&engine, greedy(&prompt(10 + i, 20 + 30 * i as usize), 60))).collect();
                let together: Vec<_> = requests().into_iter().map(|request| submit(&engine, request)).collect();
                let together: Vec<Completion> = together.iter().map(collect).collect();
                assert!(
                    together == expected,
                    "{name}: beside others, {threads} threads, chunks of {prefill_chunk_tokens}"
                );
                company.iter().map(collect).for_each(drop);
            }
        }
    }
}

#[test]
fn losing_pages_and_being_computed_again_does_not_show() {
    for (name, model) in models() {
        let file = ModelFile::tiny(&model);
        let expected = alone(&file);
        // 288 tokens for seven sequences that grow to about 110 each.
        let tight = EngineOptions { kv_tokens_max: Some(288), prefill_chunk_tokens: 24, ..EngineOptions::default() };
        let engine = file.engine(2, tight);
        let company: Vec<_> = (0..5).map(|i| submit(&engine, greedy(&prompt(20 + i, 30), 80))).collect();
        let together: Vec<_> = requests().into_iter().map(|request| submit(&engine, request)).collect();
        let together: Vec<Completion> = together.iter().map(collect).collect();
        assert!(together == expected, "{name}");
        assert!(company.iter().map(collect).all(|completion| completion.end.is_ok()), "{name}");
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for (name, model) in models() {
        let file = ModelFile::tiny(&model);
        let expected = alone(&file);
        for isa in Isa::available() {
            let options = LoadOptions { isa: Some(isa), ..on_threads(2) };
            let engine = Engine::start(Model::load(&file.path, &options).unwrap(), EngineOptions::default());
            let found: Vec<Completion> = requests().into_iter().map(|request| run(&engine, request)).collect();
            assert!(found == expected, "{name} on {isa}");
        }
    }
}

#[test]
fn scores_do_not_depend_on_chunks_threads_or_company() {
    let file = ModelFile::tiny(&TinyModel::qwen2().quantized(TensorType::Q5_0));
    let tokens = prompt(3, 150);
    let expected = file.engine(1, EngineOptions::default()).score_all(&tokens).unwrap();
    for (threads, prefill_chunk_tokens) in [(1, 1), (2, 13), (2, 4096)] {
        let engine = file.engine(threads, EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() });
        let company = submit(&engine, greedy(&prompt(4, 60), 100));
        assert_eq!(engine.score_all(&tokens).unwrap(), expected, "{threads} threads, chunks of {prefill_chunk_tokens}");
        collect(&company);
    }
}

#[test]
fn the_real_model_says_the_same_alone_and_in_company() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let start = |threads, prefill_chunk_tokens| {
        let model = Model::load(&path, &on_threads(threads)).unwrap();
        Engine::start(model, EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() })
    };
    let question = |engine: &Engine| Request {
        logprobs: Some(2),
        ..greedy(&chat(engine, "Write one sentence about the sea."), 24)
    };
    let one = start(1, 4096);
    let expected = run(&one, question(&one));
    assert!(expected.end.is_ok() && expected.text.contains("sea"), "{expected:?}");
    drop(one);

    let two = start(2, 11);
    assert!(run(&two, question(&two)) == expected, "two threads, in chunks");
    let company: Vec<_> = ["Count to ten.", "用一句话介绍杭州。", "fn main() {"]
        .into_iter()
        .map(|text| submit(&two, greedy(&chat(&two, text), 24)))
        .collect();
    assert!(run(&two, question(&two)) == expected, "beside three others");
    company.iter().map(collect).for_each(drop);
}
