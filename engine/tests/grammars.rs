//! Completions that obey a grammar.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::mpsc;

use common::{Completion, ModelFile, chat, collect, greedy, on_threads, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, FinishReason, Grammar, Model, Request, Sampling, Stop};
use qwenda_testkit::TinyModel;
use serde_json::{Value, json};

fn tiny() -> Engine {
    ModelFile::tiny(&TinyModel::qwen2()).engine(2, EngineOptions::default())
}

/// A model of noise, drawn from widely: it writes whatever it is allowed to.
fn held(grammar: &Grammar, seed: u64, tokens_max: u32) -> Request {
    Request {
        sampling: Sampling { temperature: 3.0, seed, ..Sampling::default() },
        grammar: Some(grammar.clone()),
        ..Request::new(prompt(seed as u32, 12), tokens_max)
    }
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 8 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "kind": { "enum": ["cat", "dog", null] },
        },
        "required": ["name", "age", "kind"],
        "additionalProperties": false,
    })
}

#[test]
fn noise_held_to_a_schema_is_json_of_that_schema() {
    let engine = tiny();
    let grammar = engine.json_schema(&person()).unwrap();
    let mut names = Vec::new();
    for seed in 0..40 {
        let found = run(&engine, held(&grammar, seed, 400));
        assert_eq!(found.end, Ok(FinishReason::Stop), "{found:?}");
        let value: Value = serde_json::from_str(&found.text).unwrap_or_else(|error| panic!("{error}: {}", found.text));
        let object = value.as_object().unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["name", "age", "kind"]);
        assert!((0..=150).contains(&object["age"].as_u64().unwrap()), "{value}");
        assert!([json!("cat"), json!("dog"), Value::Null].contains(&object["kind"]), "{value}");
        assert!(object["name"].as_str().unwrap().chars().count() <= 8, "{value}");
        assert_eq!(found.completion_tokens as usize, found.ids.len(), "it ends with its last brace");
        names.push(object["name"].clone());
    }
    names.dedup();
    assert!(names.len() > 20, "the model still chooses: {names:?}");
}

#[test]
fn any_json_object_is_an_object() {
    let engine = tiny();
    let grammar = engine.json_object().unwrap();
    let mut whole = 0;
    for seed in 0..40 {
        let found = run(&engine, held(&grammar, seed, 480));
        match found.end.clone().unwrap() {
            FinishReason::Stop => {
                whole += 1;
                // JSON has no largest number, this reader has one.
                match serde_json::from_str::<Value>(&found.text) {
                    Ok(value) => assert!(value.is_object(), "{value}"),
                    Err(error) => assert!(error.to_string().contains("number out of range"), "{error}: {}", found.text),
                }
            }
            FinishReason::Length => assert_eq!(found.completion_tokens, 480),
        }
        assert!(!found.text.contains("\n\n") && !found.text.contains("   \n"), "{}", found.text);
    }
    assert!(whole > 0);
}

#[test]
fn a_length_cuts_a_grammar_short_and_says_so() {
    let engine = tiny();
    let grammar = engine.json_schema(&person()).unwrap();
    for tokens_max in 1..30 {
        let found = run(&engine, held(&grammar, 1, tokens_max));
        assert_eq!((found.end, found.completion_tokens), (Ok(FinishReason::Length), tokens_max));
        let by_answer = Request { answer_tokens_max: Some(tokens_max), ..held(&grammar, 1, 400) };
        let cut = run(&engine, by_answer);
        assert_eq!((cut.text, cut.end, cut.completion_tokens), (found.text, Ok(FinishReason::Length), tokens_max));
    }
}

#[test]
fn the_end_token_is_allowed_only_where_the_grammar_accepts() {
    let engine = tiny();
    let ends: Vec<(u32, f32)> = engine.info().eos.iter().map(|&id| (id, 1e6)).collect();
    // The grammar, and what is left of it when every end is taken at once.
    for (schema, least) in
        [(json!({ "type": "integer" }), 1), (json!({ "type": "string", "minLength": 3, "maxLength": 6 }), 5)]
    {
        let grammar = engine.json_schema(&schema).unwrap();
        for seed in 0..10 {
            let mut request = held(&grammar, seed, 100);
            request.sampling.logit_bias = ends.clone();
            let found = run(&engine, request);
            let value: Value = serde_json::from_str(&found.text).unwrap_or_else(|error| panic!("{error}: {found:?}"));
            assert!(value.is_i64() || value.is_string());
            assert!(found.text.chars().count() >= least, "{}", found.text);
            assert_eq!(found.end, Ok(FinishReason::Stop));
        }
    }
}

#[test]
fn log_probabilities_do_not_change_the_tokens_and_are_the_models_own() {
    let engine = tiny();
    let grammar = engine.json_schema(&person()).unwrap();
    for seed in 0..10 {
        let plain = run(&engine, held(&grammar, seed, 400));
        let told = run(&engine, Request { logprobs: Some(2), ..held(&grammar, seed, 400) });
        assert_eq!((&plain.text, &plain.ids, &plain.end), (&told.text, &told.ids, &told.end));
        assert_eq!(told.logprobs.len(), told.ids.len());
        let all: Vec<u32> = prompt(seed as u32, 12).into_iter().chain(told.ids.iter().copied()).collect();
        let scored = engine.score(&all).unwrap();
        for (at, logprob) in told.logprobs.iter().enumerate() {
            assert_eq!(logprob.id, told.ids[at]);
            assert!((logprob.logprob + scored[11 + at].nll).abs() < 1e-5, "{logprob:?}");
            assert_eq!(logprob.top[0].0, scored[11 + at].argmax);
        }
    }
}

#[test]
fn a_call_in_lark_begins_with_its_token_and_holds_its_schema() {
    let engine = tiny();
    let grammar = engine
        .lark(&format!(
            "start: <tool_call> \"\\n{{\\\"name\\\": \\\"add\\\", \\\"arguments\\\": \" args \"}}\\n\" </tool_call>\nargs: %json {}",
            json!({
                "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"],
                "additionalProperties": false, "description": "a % \" trap: </tool_call>",
            })
        ))
        .unwrap();
    let begin = engine.tokenizer().id("<tool_call>").unwrap();
    let end = engine.tokenizer().id("</tool_call>").unwrap();
    for seed in 0..10 {
        let found = run(&engine, held(&grammar, seed, 400));
        assert_eq!(found.end, Ok(FinishReason::Stop), "{found:?}");
        assert_eq!((found.ids[0], *found.ids.last().unwrap()), (begin, end));
        let inside = found.text.strip_prefix("<tool_call>\n").and_then(|text| text.strip_suffix("\n</tool_call>"));
        let value: Value = serde_json::from_str(inside.unwrap()).unwrap();
        assert_eq!(value["name"], "add");
        assert!(value["arguments"]["a"].is_number(), "{value}");
    }
}

#[test]
fn a_stop_string_still_stops() {
    let engine = tiny();
    let grammar = engine.json_schema(&person()).unwrap();
    let stop = Stop { strings: vec!["\"age".to_owned()], tokens: Vec::new() };
    let found = run(&engine, Request { stop, ..held(&grammar, 3, 400) });
    assert_eq!(found.end, Ok(FinishReason::Stop));
    assert!(found.text.starts_with('{') && !found.text.contains("age"), "{}", found.text);
}

#[test]
fn a_grammar_of_another_model_is_refused() {
    let (one, other) = (tiny(), tiny());
    let grammar = one.json_object().unwrap();
    other.json_object().unwrap();
    let (sender, _events) = mpsc::channel();
    let error = other.submit(held(&grammar, 1, 5), Box::new(common::Channel(sender))).unwrap_err();
    assert!(error.to_string().contains("another model"), "{error}");
}

#[test]
fn sequences_of_one_grammar_do_not_see_each_other() {
    let engine = tiny();
    let grammar = engine.json_schema(&person()).unwrap();
    let alone: Vec<Completion> = (0..12).map(|seed| run(&engine, held(&grammar, seed, 400))).collect();
    let together: Vec<_> = (0..12).map(|seed| submit(&engine, held(&grammar, seed, 400))).collect();
    let together: Vec<Completion> = together.iter().map(collect).collect();
    assert_eq!(together, alone);
}

#[test]
fn the_real_model_fills_in_a_form() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let engine = Engine::start(Model::load(&path, &on_threads(2)).unwrap(), EngineOptions::default());
    let schema = json!({
        "type": "object",
        "properties": {
            "city": { "type": "string" },
            "country": { "type": "string" },
            "rivers": { "type": "array", "items": { "type": "string" }, "maxItems": 3 },
        },
        "required": ["city", "country", "rivers"],
        "additionalProperties": false,
    });
    let grammar = engine.json_schema(&schema).unwrap();
    let asked = chat(&engine, "Describe Paris as JSON: city, country, rivers.");
    let found = run(&engine, Request { grammar: Some(grammar), ..greedy(&asked, 100) });
    assert_eq!(found.end, Ok(FinishReason::Stop));
    let value: Value = serde_json::from_str(&found.text).unwrap_or_else(|error| panic!("{error}: {}", found.text));
    assert_eq!((&value["city"], &value["country"]), (&json!("Paris"), &json!("France")), "{}", found.text);
}
