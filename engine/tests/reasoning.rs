//! Completions that reason before they answer.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::mpsc;

use common::{Completion, ModelFile, prompt, run};
use qwenda_engine::{Engine, EngineOptions, FinishReason, Reasoning, Request, Sampling, Stop};
use qwenda_testkit::TinyModel;

fn tiny() -> Engine {
    ModelFile::tiny(&TinyModel::qwen3()).engine(2, EngineOptions::default())
}

fn id(engine: &Engine, text: &str) -> u32 {
    engine.tokenizer().id(text).unwrap()
}

fn rules(engine: &Engine, begun: bool, tokens_max: Option<u32>) -> Reasoning {
    let forced = engine.tokenizer().encode("\n</think>\n\n", qwenda_tokenizer::Specials::Parse);
    Reasoning { begun, begin: id(engine, "<think>"), end: id(engine, "</think>"), tokens_max, forced }
}

/// Noise that neither ends nor ends its reasoning of itself.
fn noise(engine: &Engine, seed: u64, reasoning: Reasoning) -> Request {
    let never = engine.info().eos.iter().copied().chain([reasoning.end]);
    Request {
        sampling: Sampling {
            temperature: 2.0,
            seed,
            logit_bias: never.map(|id| (id, -1e6)).collect(),
            ..Sampling::default()
        },
        reasoning: Some(reasoning),
        ..Request::new(prompt(seed as u32, 20), 60)
    }
}

#[test]
fn a_budget_ends_the_reasoning_and_the_answer_follows() {
    let engine = tiny();
    for budget in [0, 1, 2, 5, 20] {
        let reasoning = rules(&engine, true, Some(budget));
        let forced = reasoning.forced.clone();
        let to_end = forced.iter().position(|&id| id == reasoning.end).unwrap() as u32 + 1;
        let found = run(&engine, noise(&engine, 1, reasoning));
        assert_eq!(found.reasoning_tokens, budget.max(to_end), "a budget of {budget}");
        assert!(found.reasoning.ends_with('\n'), "{:?}", found.reasoning);
        assert!(!found.reasoning.contains("</think>") && !found.text.contains("</think>"));
        assert_eq!((found.completion_tokens, found.end.clone()), (60, Ok(FinishReason::Length)));
        let spacing = forced.len() as u32 - to_end;
        assert_eq!(found.ids.len() as u32, 60 - found.reasoning_tokens - spacing);
        assert_eq!(found.reasoning_ids.len() as u32, found.reasoning_tokens - 1, "the end has no text");
    }
}

#[test]
fn the_answers_limit_counts_the_answer_alone() {
    let engine = tiny();
    let request = noise(&engine, 1, rules(&engine, true, Some(10)));
    let whole = run(&engine, request.clone());
    let cut = run(&engine, Request { answer_tokens_max: Some(7), ..request });
    assert_eq!((cut.reasoning, cut.reasoning_tokens), (whole.reasoning, 10));
    assert_eq!((cut.ids.as_slice(), cut.end), (&whole.ids[..7], Ok(FinishReason::Length)));
}

#[test]
fn a_model_begins_and_ends_its_reasoning_itself() {
    let engine = tiny();
    let mut rules = rules(&engine, false, None);
    let all = |completion: &Completion| (completion.reasoning_ids.len(), completion.ids.len());
    // A first token that is no beginning: all is answer.
    let found = run(&engine, noise(&engine, 2, rules.clone()));
    assert_eq!((all(&found), found.reasoning_tokens), ((0, 60), 0));

    // With a common token for its end, noise ends its reasoning soon.
    let first = found.ids[0];
    rules.begin = first;
    rules.end = *found.ids[5..].iter().find(|&&id| !found.ids[..5].contains(&id)).unwrap();
    rules.forced = vec![rules.end];
    let at = found.ids.iter().position(|&id| id == rules.end).unwrap();
    let mut request = noise(&engine, 2, rules);
    request.sampling.logit_bias.pop();
    request.sampling.logit_bias.push((id(&engine, "</think>"), -1e6));
    let split = run(&engine, request);
    assert_eq!(split.reasoning_ids, found.ids[1..at], "the same tokens, told apart");
    assert_eq!(split.ids, found.ids[at + 1..]);
    assert_eq!((split.reasoning_tokens as usize, split.completion_tokens), (at + 1, 60));
}

#[test]
fn without_a_budget_there_is_no_reasoning_to_begin() {
    let engine = tiny();
    let reasoning = rules(&engine, false, Some(0));
    let mut request = noise(&engine, 3, reasoning.clone());
    request.sampling.logit_bias.push((reasoning.begin, 1e5));
    let found = run(&engine, request.clone());
    assert_ne!(found.ids[0], reasoning.begin);
    assert_eq!(found.reasoning_tokens, 0);
    request.reasoning = Some(Reasoning { tokens_max: Some(5), ..reasoning });
    assert_eq!(run(&engine, request).reasoning_tokens, 5, "with one, there is");
}

#[test]
fn stop_strings_and_stop_tokens_wait_for_the_answer() {
    let engine = tiny();
    let request = noise(&engine, 4, rules(&engine, true, Some(30)));
    let whole = run(&engine, request.clone());
    let early = whole.reasoning_ids[3];
    let stop = Stop { strings: Vec::new(), tokens: vec![vec![early]] };
    let found = run(&engine, Request { stop, ..request.clone() });
    assert_eq!(found.reasoning_ids, whole.reasoning_ids);
    match whole.ids.iter().position(|&id| id == early) {
        Some(at) => assert_eq!((found.ids.as_slice(), found.end), (&whole.ids[..at], Ok(FinishReason::Stop))),
        None => assert_eq!(found.ids, whole.ids),
    }
    let stop = Stop { strings: vec!["\n".to_owned()], tokens: Vec::new() };
    let found = run(&engine, Request { stop, ..request });
    assert_eq!(found.reasoning_ids, whole.reasoning_ids, "neither the reasoning nor its forced end stops it");
    assert!(whole.text.starts_with(&found.text));
}

#[test]
fn a_model_that_ends_while_it_reasons_has_ended() {
    let engine = tiny();
    let mut request = noise(&engine, 5, rules(&engine, true, None));
    request.sampling.logit_bias = vec![(engine.info().eos[0], 1e6)];
    let found = run(&engine, request);
    assert_eq!((found.end, found.completion_tokens, found.reasoning_tokens), (Ok(FinishReason::Stop), 1, 1));
}

#[test]
fn a_grammar_begins_after_the_reasoning_and_cannot_be_avoided() {
    let engine = tiny();
    let schema = serde_json::json!({ "type": "array", "items": { "type": "boolean" }, "minItems": 1, "maxItems": 3 });
    let grammar = engine.json_schema(&schema).unwrap();
    for (begun, budget) in [(true, 12), (true, 0), (false, 12), (false, 0)] {
        for seed in 0..6 {
            let reasoning = rules(&engine, begun, Some(budget));
            let mut request = noise(&engine, seed, reasoning.clone());
            // It would rather begin to reason, and then end everything.
            request.sampling.logit_bias = vec![(reasoning.begin, 500.0), (engine.info().eos[0], 400.0)];
            request.grammar = Some(grammar.clone());
            let found = run(&engine, request);
            assert_eq!(found.end, Ok(FinishReason::Stop), "{found:?}");
            let value: serde_json::Value = serde_json::from_str(&found.text).unwrap();
            assert!((1..=3).contains(&value.as_array().unwrap().len()));
            assert_eq!(found.reasoning_tokens > 0, begun || budget > 0, "{found:?}");
        }
    }
}

#[test]
fn log_probabilities_do_not_change_what_is_forced() {
    let engine = tiny();
    let request = noise(&engine, 6, rules(&engine, true, Some(10)));
    let plain = run(&engine, request.clone());
    let told = run(&engine, Request { logprobs: Some(1), ..request });
    assert_eq!((&plain.reasoning_ids, &plain.ids), (&told.reasoning_ids, &told.ids));
    assert_eq!(told.logprobs.len(), told.reasoning_ids.len() + told.ids.len());
}

#[test]
fn reasoning_that_cannot_end_is_refused() {
    let engine = tiny();
    let good = rules(&engine, true, None);
    let table = [
        ("lacks the token", Reasoning { forced: vec![1], ..good.clone() }),
        ("reasoning names token", Reasoning { begin: u32::MAX, ..good.clone() }),
        ("65 tokens", Reasoning { forced: vec![good.end; 65], ..good.clone() }),
    ];
    for (says, reasoning) in table {
        let (sender, _events) = mpsc::channel();
        let error = engine.submit(noise(&engine, 1, reasoning), Box::new(common::Channel(sender))).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
