//! The same request gives the same tokens, bit for bit, whatever surrounds it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::mpsc;

use common::{Completion, ModelFile, chat, collect, collect_cached, greedy, of, on_threads, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Error, Isa, LoadOptions, Model, Probe, Reasoning, Request, Sampling, Stop};
use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;

fn models() -> Vec<(&'static str, TinyModel)> {
    vec![
        ("qwen2 F32", TinyModel::qwen2()),
        ("qwen3 F32", TinyModel::qwen3()),
        ("qwen2moe Q8_0", TinyModel::qwen2moe().quantized(TensorType::Q8_0)),
        ("qwen3moe Q4_0", TinyModel::qwen3moe().quantized(TensorType::Q4_0)),
        ("qwen35 F32", TinyModel::qwen35()),
        ("qwen35moe Q8_0", TinyModel::qwen35moe().quantized(TensorType::Q8_0)),
        ("qwen3next Q4_0", TinyModel::qwen3next().quantized(TensorType::Q4_0)),
        ("qwen2 Q5_0", TinyModel::qwen2().quantized(TensorType::Q5_0)),
        ("qwen2 Q8_0", TinyModel::qwen2().quantized(TensorType::Q8_0)),
        ("qwen2 Q2_K", TinyModel::qwen2().quantized(TensorType::Q2_K)),
        ("qwen3 Q3_K", TinyModel::qwen3().quantized(TensorType::Q3_K)),
        ("qwen2 IQ4_XS", TinyModel::qwen2().quantized(TensorType::IQ4_XS)),
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
fn what_was_computed_before_does_not_show() {
    for (name, model) in models() {
        let file = ModelFile::tiny(&model);
        let expected = alone(&file);
        for prefill_chunk_tokens in [7, 32, 4096] {
            let engine = file.engine(2, EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() });
            for round in 0..3 {
                for (request, expected) in requests().into_iter().zip(&expected) {
                    // Beginnings of it, first of all by somebody else, and some of it again.
                    run(&engine, greedy(&request.prompt[..33 + round], 3));
                    let known = if round == 0 { 32 } else { (request.prompt.len() - 1) / 32 * 32 };
                    let (cached, found) = collect_cached(&submit(&engine, request));
                    assert!(found == *expected, "{name}: round {round}, chunks of {prefill_chunk_tokens}");
                    assert_eq!(cached as usize, known, "{name}: round {round}");
                }
            }
        }
    }
}

/// Requests of every kind, most of them with beginnings in common.
fn mixed(engine: &Engine) -> Vec<Request> {
    let id = |text: &str| engine.tokenizer().id(text).unwrap();
    let reasoning = |begun, tokens_max| Reasoning {
        begun,
        begin: id("<think>"),
        end: id("</think>"),
        tokens_max,
        forced: engine.tokenizer().encode("\n</think>\n\n", qwenda_tokenizer::Specials::Parse),
    };
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "name": { "type": "string", "maxLength": 9 }, "tags": { "type": "array", "maxItems": 3 } },
        "required": ["name", "tags"],
        "additionalProperties": false,
    });
    let grammar = engine.json_schema(&schema).unwrap();
    let drawn = |seed| Sampling { temperature: 1.7, top_p: 0.95, seed, ..Sampling::default() };
    let common = prompt(5, 70);
    let text = |own: u32, len: usize| common.iter().copied().chain(prompt(own, len)).collect::<Vec<_>>();
    let base = |own: u32, len| Request { sampling: drawn(own.into()), scope: 3, ..Request::new(text(own, len), 60) };
    vec![
        base(1, 40),
        Request { grammar: Some(grammar.clone()), ..base(2, 3) },
        Request { grammar: Some(grammar.clone()), logprobs: Some(2), ..base(2, 3) },
        Request { reasoning: Some(reasoning(true, Some(20))), ..base(3, 100) },
        Request { reasoning: Some(reasoning(true, Some(20))), answer_tokens_max: Some(9), ..base(3, 100) },
        Request { reasoning: Some(reasoning(false, None)), logprobs: Some(1), ..base(4, 27) },
        Request { reasoning: Some(reasoning(true, Some(5))), grammar: Some(grammar), ..base(5, 64) },
        Request { scope: 4, ..base(1, 40) },
        Request { stop: Stop { strings: vec!["e".to_owned()], tokens: Vec::new() }, ..base(6, 1) },
        greedy(&common, 60),
    ]
}

fn begin_probe(engine: &Engine, want: Probe) -> mpsc::Receiver<Result<Vec<Vec<f32>>, Error>> {
    let texts = (0..12u32).map(|i| prompt(5, 70).into_iter().chain(prompt(i, 9 * i as usize)).collect()).collect();
    let (sender, outcome) = mpsc::channel();
    engine.probe(texts, want, of(3), Box::new(move |found| sender.send(found).unwrap())).unwrap();
    outcome
}

#[test]
fn everything_at_once_is_as_each_alone() {
    let file = ModelFile::tiny(&TinyModel::qwen3().quantized(TensorType::Q8_0));
    let wants = [Probe::Hidden, Probe::Logits(vec![1, 2, 3])];
    let count = mixed(&file.engine(1, EngineOptions::default())).len();
    // Each on an engine of its own, so that nothing is left of another.
    let alone: Vec<Completion> = (0..count)
        .map(|index| {
            let engine = file.engine(1, EngineOptions { prefill_chunk_tokens: 4096, ..EngineOptions::default() });
            run(&engine, mixed(&engine).swap_remove(index))
        })
        .collect();
    let probed =
        wants.clone().map(|want| begin_probe(&file.engine(1, EngineOptions::default()), want).recv().unwrap().unwrap());
    assert!(alone.iter().all(|completion| completion.end.is_ok()), "{alone:?}");
    for (threads, prefill_chunk_tokens, kv_tokens_max, sequences_max) in
        [(1, 7, None, 16), (2, 32, Some(256), 16), (3, 50, Some(4096), 3), (2, 4096, Some(4096), 16)]
    {
        let options = EngineOptions { prefill_chunk_tokens, kv_tokens_max, sequences_max, ..EngineOptions::default() };
        let engine = file.engine(threads, options.clone());
        for round in 0..3 {
            let probes = wants.clone().map(|want| begin_probe(&engine, want));
            let running: Vec<_> = mixed(&engine).into_iter().map(|request| submit(&engine, request)).collect();
            for (index, (events, alone)) in running.iter().zip(&alone).enumerate() {
                assert!(collect(events) == *alone, "request {index} in round {round} with {options:?}");
            }
            for (probe, probed) in probes.iter().zip(&probed) {
                assert!(probe.recv().unwrap().unwrap() == *probed, "probes in round {round} with {options:?}");
            }
        }
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
