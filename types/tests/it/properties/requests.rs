//! Requests, from one dialect to the other and back.

use qwenda_testkit::rng::Rng;
use qwenda_types::{
    chat::ChatRequest,
    completions::CompletionRequest,
    dashscope::{Endpoint, NativeOptions, chat_from_map, chat_to_map, embeddings, rerank},
    embeddings::EmbeddingRequest,
    rerank::RerankRequest,
};
use serde_json::{Map, Value, json};

use super::{
    make::{count, maybe, object, once_in, text, unknown, value, words},
    rounds,
};

/// A request of the OpenAI-compatible dialect that has every field now and then.
fn compat(rng: &mut Rng) -> Map<String, Value> {
    let mut map = object(json!({"model": words(rng), "messages": messages(rng)}));
    parameters(rng, &mut map);
    map.extend(unknown(rng));
    maybe(rng, &mut map, "stream", |_| json!(true));
    map
}

/// The fields that both dialects have, wherever they stand.
fn parameters(rng: &mut Rng, map: &mut Map<String, Value>) {
    for name in ["temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"] {
        maybe(rng, map, name, |rng| json!(f64::from(rng.normal()) / 3.0));
    }
    for name in ["top_k", "n", "max_tokens", "max_completion_tokens", "thinking_budget"] {
        maybe(rng, map, name, |rng| count(rng, 100_000));
    }
    maybe(rng, map, "top_logprobs", |rng| count(rng, 21));
    maybe(rng, map, "seed", |rng| json!(rng.next() >> rng.below(64)));
    for name in ["parallel_tool_calls", "enable_thinking"] {
        maybe(rng, map, name, |rng| json!(once_in(rng, 2)));
    }
    maybe(rng, map, "logprobs", |_| json!(true));
    maybe(rng, map, "reasoning_effort", |rng| json!(words(rng)));
    maybe(rng, map, "stop", stop);
    maybe(rng, map, "logit_bias", |rng| {
        let one = |rng: &mut Rng| (rng.below(150_000).to_string(), json!(rng.normal()));
        Value::Object((0..1 + rng.below(3)).map(|_| one(rng)).collect())
    });
    maybe(rng, map, "tools", |rng| (0..1 + rng.below(3)).map(|_| tool(rng)).collect());
    maybe(rng, map, "tool_choice", |rng| match rng.below(4) {
        0 => json!("auto"),
        1 => json!("none"),
        2 => json!("required"),
        _ => json!({"type": "function", "function": {"name": words(rng)}}),
    });
    maybe(rng, map, "response_format", format);
}

fn stop(rng: &mut Rng) -> Value {
    let ids = |rng: &mut Rng| -> Value { (0..1 + rng.below(3)).map(|_| count(rng, 150_000)).collect() };
    match rng.below(4) {
        0 => json!(text(rng)),
        1 => (0..1 + rng.below(3)).map(|_| json!(text(rng))).collect(),
        2 => ids(rng),
        _ => (0..1 + rng.below(3)).map(|_| ids(rng)).collect(),
    }
}

fn tool(rng: &mut Rng) -> Value {
    let mut function = object(json!({"name": words(rng)}));
    maybe(rng, &mut function, "description", |rng| json!(text(rng)));
    maybe(rng, &mut function, "parameters", |rng| Value::Object(object(json!({"type": "object", "x": value(rng, 2)}))));
    function.extend(unknown(rng));
    let mut tool = object(json!({"type": "function", "function": function}));
    tool.extend(unknown(rng));
    tool.into()
}

fn format(rng: &mut Rng) -> Value {
    match rng.below(3) {
        0 => json!({"type": "text"}),
        1 => json!({"type": "json_object"}),
        _ => {
            let mut schema = object(json!({"name": words(rng)}));
            maybe(rng, &mut schema, "description", |rng| json!(text(rng)));
            maybe(rng, &mut schema, "schema", |rng| Value::Object(unknown(rng)));
            maybe(rng, &mut schema, "strict", |rng| json!(once_in(rng, 2)));
            schema.extend(unknown(rng));
            json!({"type": "json_schema", "json_schema": schema})
        }
    }
}

fn messages(rng: &mut Rng) -> Value {
    let count = 1 + rng.below(5);
    let mut list = Vec::new();
    while list.len() < count {
        let role = *rng.pick(&["system", "user", "assistant", "tool"]);
        let mut message = object(json!({"role": role, "content": content(rng)}));
        match role {
            "assistant" => {
                maybe(rng, &mut message, "reasoning_content", |rng| json!(text(rng)));
                maybe(rng, &mut message, "partial", |_| json!(true));
                maybe(rng, &mut message, "tool_calls", |rng| (0..1 + rng.below(3)).map(|_| call(rng)).collect());
            }
            "tool" => {
                message.insert("tool_call_id".to_owned(), json!(text(rng)));
            }
            _ => {}
        }
        message.extend(unknown(rng));
        list.push(message.into());
    }
    Value::Array(list)
}

fn content(rng: &mut Rng) -> Value {
    if once_in(rng, 2) {
        return json!(text(rng));
    }
    (0..rng.below(4)).map(|_| part(rng)).collect()
}

/// A part in the OpenAI-compatible dialect; some could be mistaken for native ones.
fn part(rng: &mut Rng) -> Value {
    let mut part = object(match rng.below(8) {
        0..3 => json!({"type": "text", "text": text(rng)}),
        3 => json!({"type": "image_url", "image_url": {"url": text(rng)}}),
        4 => json!({"type": "video_url", "video_url": {"url": text(rng), "detail": "high"}}),
        5 => json!({"type": "video", "video": [text(rng)]}),
        6 => json!({"type": "input_audio", "input_audio": {"data": text(rng), "format": "wav"}}),
        _ => json!({"type": words(rng), "image": text(rng)}),
    });
    part.extend(unknown(rng));
    if once_in(rng, 10) {
        part.insert((*rng.pick(&["image", "text", "video", "image_url"])).to_owned(), json!(text(rng)));
    }
    part.into()
}

fn call(rng: &mut Rng) -> Value {
    let mut function = object(json!({"name": text(rng), "arguments": text(rng)}));
    function.extend(unknown(rng));
    let mut call = object(json!({"id": text(rng), "type": "function", "function": function}));
    maybe(rng, &mut call, "index", |rng| count(rng, 4));
    call.extend(unknown(rng));
    call.into()
}

fn endpoint(rng: &mut Rng) -> Endpoint {
    *rng.pick(&[Endpoint::Text, Endpoint::Multimodal])
}

#[test]
fn a_compat_request_comes_back_from_the_native_dialect_as_it_was() {
    rounds(10, |rng| {
        let map = compat(rng);
        let request = ChatRequest::from_map(map.clone()).unwrap_or_else(|error| panic!("{error}: {map:?}"));
        let written = serde_json::to_value(&request).unwrap();
        let again = serde_json::from_value::<ChatRequest>(written.clone()).unwrap();
        assert_eq!(again, request, "written and read again it is the same: {written}");
        for name in map.keys() {
            assert!(written.get(name).is_some(), "{name} was lost: {map:?}");
        }

        let endpoint = endpoint(rng);
        let native = chat_to_map(&request, &NativeOptions::default(), endpoint);
        let (back, options) = chat_from_map(native.clone(), endpoint).unwrap_or_else(|e| panic!("{e}: {native:?}"));
        let want = ChatRequest { stream: false, ..request };
        assert_eq!(back, want, "{native:?}");
        assert_eq!(options, NativeOptions::default(), "{native:?}");
        assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(&want).unwrap());
    });
}

/// A native request that has every field now and then.
fn native(rng: &mut Rng, endpoint: Endpoint) -> Map<String, Value> {
    let mut fields = Map::new();
    parameters(rng, &mut fields);
    fields.extend(unknown(rng));
    maybe(rng, &mut fields, "result_format", |rng| json!(*rng.pick(&["text", "message"])));
    maybe(rng, &mut fields, "incremental_output", |rng| json!(once_in(rng, 2)));
    for name in ["stream", "stream_options", "messages", "model"] {
        if once_in(rng, 10) {
            fields.insert(name.to_owned(), value(rng, 1));
        }
    }
    let mut input = unknown(rng);
    match endpoint {
        _ if once_in(rng, 6) => {
            input.insert("prompt".to_owned(), json!(text(rng)));
            maybe(rng, &mut input, "history", |rng| json!([{"user": text(rng), "bot": text(rng)}]));
        }
        Endpoint::Text => {
            input.insert("messages".to_owned(), messages(rng));
        }
        Endpoint::Multimodal => {
            input.insert("messages".to_owned(), native_messages(rng));
        }
    }
    let mut map = object(json!({"model": words(rng), "input": input}));
    if !fields.is_empty() || once_in(rng, 2) {
        map.insert("parameters".to_owned(), fields.into());
    }
    map.extend(unknown(rng));
    map
}

fn native_messages(rng: &mut Rng) -> Value {
    let part = |rng: &mut Rng| {
        let mut part = object(match rng.below(8) {
            0..4 => json!({"text": text(rng)}),
            4 => json!({"image": text(rng)}),
            5 => json!({"video": [text(rng)]}),
            6 => json!({"audio": text(rng)}),
            _ => json!({"file": value(rng, 1)}),
        });
        part.extend(unknown(rng));
        Value::Object(part)
    };
    let message = |rng: &mut Rng| {
        let content: Value = (0..1 + rng.below(3)).map(|_| part(rng)).collect();
        let mut message = object(json!({"role": *rng.pick(&["system", "user", "assistant"]), "content": content}));
        message.extend(unknown(rng));
        Value::Object(message)
    };
    (0..1 + rng.below(3)).map(|_| message(rng)).collect()
}

#[test]
fn a_native_request_comes_back_from_the_compat_dialect_as_it_was() {
    rounds(11, |rng| {
        let endpoint = endpoint(rng);
        let map = native(rng, endpoint);
        let (request, options) = chat_from_map(map.clone(), endpoint).unwrap_or_else(|e| panic!("{e}: {map:?}"));

        // The way over the wire of the other dialect; what it has no place for stays behind, in `options`.
        let compat = serde_json::to_value(&request).unwrap();
        let compat: ChatRequest = serde_json::from_value(compat).unwrap();
        assert_eq!(compat, request, "{map:?}");

        let written = chat_to_map(&compat, &options, endpoint);
        let again = chat_from_map(written.clone(), endpoint).unwrap_or_else(|e| panic!("{e}: {written:?}"));
        assert_eq!(again, (request, options), "{map:?}\n{written:?}");
        kept(&map, &written);
    });
}

/// What the written request has of the one that was read: all of it, but for spellings.
fn kept(map: &Map<String, Value>, written: &Map<String, Value>) {
    for (name, value) in map.iter().filter(|(name, _)| !["input", "parameters"].contains(&name.as_str())) {
        assert_eq!(written.get(name), Some(value), "{name} was lost");
    }
    if let Some(Value::Object(parameters)) = map.get("parameters") {
        for (name, value) in parameters {
            let now = written["parameters"].get(name);
            assert!(now.is_some(), "parameters.{name} was lost");
            // Numbers may be written in another way; these are compared as requests.
            if name.starts_with("x_") || ["stop", "tools", "result_format", "model", "stream"].contains(&name.as_str())
            {
                assert_eq!(now, Some(value), "parameters.{name} changed");
            }
        }
    }
    let input = map["input"].as_object().expect("it has one");
    for (name, value) in input.iter().filter(|(name, _)| name.starts_with("x_")) {
        assert_eq!(written["input"].get(name), Some(value), "input.{name} was lost");
    }
    if let Some(Value::Array(messages)) = input.get("messages") {
        assert_eq!(written["input"]["messages"].as_array().map(Vec::len), Some(messages.len()));
    }
}

#[test]
fn requests_for_completions_are_written_as_they_were_read() {
    rounds(12, |rng| {
        let mut map = object(json!({"model": words(rng), "prompt": prompt(rng)}));
        for name in ["temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"] {
            maybe(rng, &mut map, name, |rng| json!(f64::from(rng.normal())));
        }
        for name in ["top_k", "n", "max_tokens"] {
            maybe(rng, &mut map, name, |rng| count(rng, 100_000));
        }
        maybe(rng, &mut map, "logprobs", |rng| count(rng, 6));
        maybe(rng, &mut map, "seed", |rng| json!(rng.next()));
        maybe(rng, &mut map, "stop", stop);
        maybe(rng, &mut map, "suffix", |rng| json!(text(rng)));
        maybe(rng, &mut map, "echo", |_| json!(true));
        maybe(rng, &mut map, "stream", |_| json!(true));
        maybe(rng, &mut map, "stream_options", |rng| {
            let mut options = object(json!({"include_usage": once_in(rng, 2)}));
            options.extend(unknown(rng));
            options.into()
        });
        map.extend(unknown(rng));
        let request = CompletionRequest::from_map(map.clone()).unwrap_or_else(|e| panic!("{e}: {map:?}"));
        let written = serde_json::to_value(&request).unwrap();
        assert_eq!(written, Value::Object(map.clone()));
        assert_eq!(CompletionRequest::from_map(object(written)).unwrap(), request);
    });
}

/// What is continued or embedded, as it is written: one alone, several in a list.
fn prompt(rng: &mut Rng) -> Value {
    let ids = |rng: &mut Rng| -> Value { (0..1 + rng.below(3)).map(|_| count(rng, 150_000)).collect() };
    match rng.below(4) {
        0 => json!(text(rng)),
        1 => (0..2 + rng.below(3)).map(|_| json!(text(rng))).collect(),
        2 => ids(rng),
        _ => (0..2 + rng.below(3)).map(|_| ids(rng)).collect(),
    }
}

#[test]
fn requests_for_vectors_come_back_from_either_dialect_as_they_were() {
    rounds(13, |rng| {
        let mut map = object(json!({"model": words(rng), "input": prompt(rng)}));
        maybe(rng, &mut map, "dimensions", |rng| count(rng, 5000));
        maybe(rng, &mut map, "text_type", |rng| json!(*rng.pick(&["query", "document"])));
        maybe(rng, &mut map, "instruct", |rng| json!(text(rng)));
        maybe(rng, &mut map, "encoding_format", |_| json!("base64"));
        map.extend(unknown(rng));
        let request = EmbeddingRequest::from_map(map.clone()).unwrap_or_else(|e| panic!("{e}: {map:?}"));
        assert_eq!(serde_json::to_value(&request).unwrap(), Value::Object(map.clone()));
        // Token ids have no place in the native dialect, and its vectors are always numbers.
        if let Ok(native) = embeddings::to_map(&request) {
            let back = embeddings::from_map(native.clone()).unwrap_or_else(|e| panic!("{e}: {native:?}"));
            assert_eq!(back, EmbeddingRequest { encoding_format: Default::default(), ..request }, "{native:?}");
            assert_eq!(embeddings::to_map(&back).unwrap(), native);
        } else {
            assert!(map["input"][0].is_number() || map["input"][0].is_array(), "{map:?}");
        }
    });
}

#[test]
fn requests_to_rank_come_back_from_either_form_as_they_were() {
    rounds(14, |rng| {
        let documents: Value = (0..1 + rng.below(4)).map(|_| json!(text(rng))).collect();
        let mut map = object(json!({"model": words(rng), "query": text(rng), "documents": documents}));
        maybe(rng, &mut map, "top_n", |rng| count(rng, 10));
        maybe(rng, &mut map, "instruct", |rng| json!(text(rng)));
        maybe(rng, &mut map, "return_documents", |_| json!(true));
        map.extend(unknown(rng));
        let request = RerankRequest::from_map(map.clone()).unwrap_or_else(|e| panic!("{e}: {map:?}"));
        assert_eq!(serde_json::to_value(&request).unwrap(), Value::Object(map));
        let native = rerank::to_map(&request);
        let back = rerank::from_map(native.clone()).unwrap_or_else(|e| panic!("{e}: {native:?}"));
        assert_eq!(back, request, "{native:?}");
    });
}
