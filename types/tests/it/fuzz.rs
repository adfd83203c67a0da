//! The fuzz entry points, run briefly under the seeded mutator on the cases of the corpus, and on inputs
//! so large that time beyond their length would be felt.

use qwenda_testkit::mutate;
use qwenda_types::fuzz;
use serde_json::{Value, json};

use crate::cases::{self, Section};

/// How many mutants are made of each section of the corpus.
const MUTANTS: u64 = 60;

fn sections(wanted: impl Fn(&str, &Section) -> bool) -> Vec<String> {
    let cases = cases::all();
    let all = cases.iter().flat_map(|case| case.sections.iter().map(|section| (case.name.as_str(), section)));
    all.filter(|(name, section)| wanted(name, section)).map(|(_, section)| section.text.clone()).collect()
}

fn mutate(seed: u64, samples: &[String], check: fn(&[u8])) {
    assert!(samples.len() > 10, "{} samples are few", samples.len());
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    mutate::rounds(seed, MUTANTS, &samples, check);
}

#[test]
fn no_native_request_makes_the_reader_panic_or_changes_on_the_way() {
    mutate(40, &sections(|_, section| section.is_request), fuzz::native_request);
}

#[test]
fn no_request_of_another_endpoint_makes_the_reader_panic_or_changes_on_the_way() {
    let others = ["completions/", "embeddings/", "rerank/", "tokenizer/"];
    let samples = sections(|name, section| section.is_request && others.iter().any(|folder| name.starts_with(folder)));
    mutate(41, &samples, fuzz::other_requests);
}

#[test]
fn no_stream_makes_the_readers_panic_or_write_what_cannot_be_read() {
    mutate(42, &sections(|_, section| section.is_stream()), fuzz::stream);
}

#[test]
fn no_answer_makes_the_readers_panic_or_write_what_cannot_be_read() {
    mutate(43, &sections(|_, section| !section.is_request && !section.is_stream()), fuzz::answer);
}

#[test]
fn no_error_of_any_service_makes_the_reader_panic_or_loses_its_name() {
    let samples =
        sections(|name, section| name.starts_with("errors/") || name.contains("error") && section.is_stream());
    mutate(44, &samples, fuzz::error);
}

#[test]
fn no_text_makes_the_reader_of_vectors_panic() {
    let vector = |length: usize| {
        let numbers = (0..length).map(|i| i as f32 / 3.0).collect();
        qwenda_types::embeddings::Vector::new(numbers, qwenda_types::embeddings::EncodingFormat::Base64)
    };
    let samples: Vec<String> = (0..40)
        .map(|length| match vector(length) {
            qwenda_types::embeddings::Vector::Base64(text) => text,
            other => panic!("{other:?} is no base64"),
        })
        .collect();
    mutate(45, &samples, fuzz::vector);
}

/// Tens of thousands of what is looked up: a reader whose time grows with the square would take minutes.
#[test]
fn large_inputs_take_time_in_proportion() {
    const MANY: usize = 8_000;
    let call = |i: usize| json!({"id": format!("c{i}"), "index": i, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let calls: Value = (0..MANY).map(call).collect();
    let results = (0..MANY).rev().map(|i| json!({"role": "tool", "content": "", "tool_call_id": format!("c{i}")}));
    let unnamed = (0..MANY).map(|_| json!({"role": "tool", "content": ""}));
    let messages = |answers: &mut dyn Iterator<Item = Value>| -> Value {
        let turn = [json!({"role": "user", "content": "u"}), json!({"role": "assistant", "tool_calls": calls})];
        turn.into_iter().chain(answers).collect()
    };
    for messages in [messages(&mut results.into_iter()), messages(&mut unnamed.into_iter())] {
        let request = json!({"model": "m", "input": {"messages": messages}});
        fuzz::native_request(request.to_string().as_bytes());
    }

    let many: serde_json::Map<String, Value> = (0..MANY).map(|i| (format!("x{i}"), json!(i))).collect();
    let request = json!({"model": "m", "input": {"messages": [{"role": "user", "content": "u"}], "texts": ["t"]},
        "parameters": many});
    fuzz::native_request(request.to_string().as_bytes());
    fuzz::other_requests(request.to_string().as_bytes());

    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "", "tool_calls": calls}});
    fuzz::answer(json!({"choices": [choice], "x": many}).to_string().as_bytes());
    fuzz::answer(json!({"output": {"choices": [choice]}, "x": many}).to_string().as_bytes());

    let text = "a\\n\\u4f60".repeat(MANY);
    let stream = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let mut decoder = qwenda_types::sse::Decoder::default();
    let events: usize = stream.as_bytes().chunks(1).map(|byte| decoder.push(byte).map_or(0, |new| new.len())).sum();
    assert_eq!(events, 1);
    fuzz::stream("data: {}\n\n".repeat(MANY).as_bytes());
    fuzz::stream("data: a\n".repeat(MANY / 10).as_bytes());
    fuzz::error("data: x\n\n".repeat(MANY).as_bytes());
    fuzz::error(json!({"message": text}).to_string().as_bytes());
    fuzz::error(format!("{{\"code\": \"{}\"}}", "a.".repeat(MANY)).as_bytes());
    fuzz::vector("AACAPwAAAL8AAIA+".repeat(MANY).as_bytes());
    fuzz::native_request("[".repeat(MANY).as_bytes());
    fuzz::native_request("{\"a\":".repeat(MANY).as_bytes());
}
