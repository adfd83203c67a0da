//! Whole answers and counts, from one dialect to the other and back.

use qwenda_testkit::rng::Rng;
use qwenda_types::{
    chat::{ChatResponse, Usage},
    dashscope::rerank::NativeRanking,
    dashscope::{Endpoint, Form, NativeResponse, NativeUsage, ResultFormat, embeddings::NativeEmbeddings},
    embeddings::{EmbeddingResponse, EncodingFormat},
    rerank::RerankResponse,
};
use serde_json::{Map, Value, json};

use super::{
    make::{foreign, maybe, object, once_in, text, token_logprobs, unknown, words},
    rounds,
};

const MODEL: &str = "qwen-plus";
const CREATED: u64 = 1_745_485_391;

fn form(rng: &mut Rng) -> Form {
    Form {
        endpoint: *rng.pick(&[Endpoint::Text, Endpoint::Multimodal]),
        result_format: *rng.pick(&[ResultFormat::Text, ResultFormat::Message]),
        incremental: once_in(rng, 2),
    }
}

fn request_id(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!("{:08x}-0000-4000-8000-{:012x}", rng.next() as u32, rng.next() >> 16),
        _ => format!("id-{}", rng.below(1000)),
    }
}

fn finish(rng: &mut Rng) -> Value {
    match rng.below(6) {
        0 => Value::Null,
        1 => json!("length"),
        2 => json!("tool_calls"),
        3 => json!("content_filter"),
        _ => json!("stop"),
    }
}

fn call(rng: &mut Rng, index: usize) -> Value {
    let mut function = object(json!({"name": words(rng), "arguments": text(rng)}));
    function.extend(unknown(rng));
    let mut call = object(json!({"index": index, "id": text(rng), "type": "function", "function": function}));
    call.extend(unknown(rng));
    call.into()
}

/// Members that both dialects' messages have.
fn message(rng: &mut Rng, content: Value) -> Map<String, Value> {
    let mut message = object(json!({"role": "assistant", "content": content}));
    maybe(rng, &mut message, "reasoning_content", |rng| json!(words(rng)));
    maybe(rng, &mut message, "tool_calls", |rng| (0..1 + rng.below(3)).map(|i| call(rng, i)).collect());
    for name in ["refusal", "function_call", "audio"] {
        if once_in(rng, 8) {
            let said = if name == "refusal" { json!(text(rng)) } else { Value::Object(unknown(rng)) };
            message.insert(name.to_owned(), said);
        }
    }
    message.extend(unknown(rng));
    message
}

fn logprobs(rng: &mut Rng) -> Value {
    let count = rng.below(4);
    json!({"content": token_logprobs(rng, count), "refusal": null})
}

fn usage(rng: &mut Rng) -> Map<String, Value> {
    let [prompt, completion] = [rng.below(1000), 1 + rng.below(1000)];
    let mut cached = object(json!({"cached_tokens": rng.below(1000)}));
    cached.extend(unknown(rng));
    let mut reasoning = object(json!({"reasoning_tokens": rng.below(3) * rng.below(100)}));
    reasoning.extend(unknown(rng));
    let mut usage = object(json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion + rng.below(2),
        "prompt_tokens_details": cached, "completion_tokens_details": reasoning,
    }));
    usage.extend(unknown(rng));
    usage
}

const NATIVE_COUNTS: [&str; 3] = ["input_tokens", "output_tokens", "output_tokens_details"];
const COMPAT_COUNTS: [&str; 3] = ["prompt_tokens", "completion_tokens", "completion_tokens_details"];

fn native_usage(rng: &mut Rng) -> Map<String, Value> {
    let mut usage = usage(rng);
    let mut take = |name: &str| usage.shift_remove(name).unwrap_or_default();
    let mut native = object(json!({
        "input_tokens": take("prompt_tokens"), "output_tokens": take("completion_tokens"),
        "total_tokens": take("total_tokens"), "prompt_tokens_details": take("prompt_tokens_details"),
    }));
    let details = take("completion_tokens_details");
    // Where there is nothing to tell, there are no details.
    if details != json!({"reasoning_tokens": 0}) {
        native.insert("output_tokens_details".to_owned(), details);
    }
    native.extend(usage);
    native
}

#[test]
fn a_compat_answer_comes_back_from_the_native_dialect_as_it_was() {
    rounds(20, |rng| {
        let several = 1 + rng.below(6) / 5 * rng.below(3);
        let choices: Value = (0..several)
            .map(|index| {
                let content = json!(text(rng));
                let mut choice = object(json!({"index": index, "finish_reason": finish(rng), "logprobs": null}));
                choice.insert("message".to_owned(), message(rng, content).into());
                maybe(rng, &mut choice, "logprobs", logprobs);
                choice.extend(unknown(rng));
                Value::Object(choice)
            })
            .collect();
        let mut map = object(json!({
            "id": qwenda_types::dashscope::completion_id(&request_id(rng)), "object": "chat.completion",
            "created": CREATED, "model": MODEL, "choices": choices, "usage": usage(rng),
        }));
        foreign(rng, map["usage"].as_object_mut().unwrap(), &NATIVE_COUNTS);
        maybe(rng, &mut map, "service_tier", |rng| json!(text(rng)));
        maybe(rng, &mut map, "system_fingerprint", |rng| json!(text(rng)));
        foreign(rng, &mut map, &["output", "request_id"]);
        map.extend(unknown(rng));
        let response: ChatResponse = serde_json::from_value(map.clone().into()).unwrap();
        let form = form(rng);
        let native = NativeResponse::from_chat(response.clone(), form);
        let written = serde_json::to_string(&native).unwrap();
        let read: NativeResponse = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        let back = read.into_chat(CREATED, MODEL);
        assert_eq!(back, response, "{form:?} {}\n{written}", Value::Object(map));
    });
}

#[test]
fn a_native_answer_comes_back_from_the_compat_dialect_as_it_was() {
    rounds(21, |rng| {
        let mut form = form(rng);
        let mut output = unknown(rng);
        if form.result_format == ResultFormat::Text && form.endpoint == Endpoint::Text {
            output.insert("text".to_owned(), json!(text(rng)));
            output.insert("finish_reason".to_owned(), json!(finish(rng).as_str().unwrap_or("null")));
            maybe(rng, &mut output, "reasoning_content", |rng| json!(words(rng)));
            maybe(rng, &mut output, "logprobs", logprobs);
        } else {
            form.result_format = ResultFormat::Message;
            let several = 1 + rng.below(6) / 5 * rng.below(3);
            let choices: Value = (0..several).map(|place| native_choice(rng, form, several > 1, place)).collect();
            output.insert("choices".to_owned(), choices);
        }
        let mut map = object(json!({"output": output, "usage": native_usage(rng), "request_id": request_id(rng)}));
        map.extend(unknown(rng));
        foreign(rng, map["usage"].as_object_mut().unwrap(), &COMPAT_COUNTS);
        foreign(rng, &mut map, &["id", "object", "created", "model", "choices", "system_fingerprint"]);
        let response: NativeResponse = serde_json::from_value(map.clone().into()).unwrap();
        assert_eq!(serde_json::to_value(&response).unwrap(), Value::Object(map.clone()), "written as it was read");
        let chat = response.clone().into_chat(CREATED, MODEL);
        let written = serde_json::to_string(&chat).unwrap();
        let read: ChatResponse = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(NativeResponse::from_chat(read, form), response, "{form:?} {}\n{written}", Value::Object(map));
    });
}

fn native_choice(rng: &mut Rng, form: Form, several: bool, place: usize) -> Value {
    let content = match form.endpoint {
        Endpoint::Text => json!(text(rng)),
        Endpoint::Multimodal if once_in(rng, 4) => json!([{"text": text(rng)}, {"image": words(rng)}]),
        Endpoint::Multimodal => json!([{"text": text(rng)}]),
    };
    let mut choice = Map::new();
    if several {
        choice.insert("index".to_owned(), json!(place));
    }
    choice.insert("finish_reason".to_owned(), json!(finish(rng).as_str().unwrap_or("null")));
    let mut message = message(rng, content);
    foreign(rng, &mut message, &["refusal"]);
    choice.insert("message".to_owned(), message.into());
    maybe(rng, &mut choice, "logprobs", logprobs);
    choice.extend(unknown(rng));
    choice.into()
}

#[test]
fn counts_come_back_from_either_dialect_as_they_were() {
    rounds(22, |rng| {
        let mut map = usage(rng);
        foreign(rng, &mut map, &NATIVE_COUNTS);
        let usage: Usage = serde_json::from_value(map.into()).unwrap();
        assert_eq!(Usage::from(&NativeUsage::from(&usage)), usage);
        let mut map = native_usage(rng);
        foreign(rng, &mut map, &COMPAT_COUNTS);
        let native: NativeUsage = serde_json::from_value(map.clone().into()).unwrap();
        assert_eq!(serde_json::to_value(&native).unwrap(), Value::Object(map));
        assert_eq!(NativeUsage::from(&Usage::from(&native)), native);
    });
}

#[test]
fn vectors_come_back_from_either_dialect_as_they_were() {
    rounds(23, |rng| {
        let (rows, length) = (rng.below(4), rng.below(20));
        let vectors: Vec<Vec<f32>> = (0..rows).map(|_| (0..length).map(|_| rng.normal()).collect()).collect();
        let id = request_id(rng);
        let tokens = rng.below(1000) as u64;
        for format in [EncodingFormat::Float, EncodingFormat::Base64] {
            let response = EmbeddingResponse::new(vectors.clone(), format, MODEL, tokens, &id);
            let written = serde_json::to_string(&response).unwrap();
            let read: EmbeddingResponse = serde_json::from_str(&written).unwrap();
            assert_eq!(read, response, "{written}");
            let native = NativeEmbeddings::from_compat(read).expect("these are vectors");
            assert_eq!(native, NativeEmbeddings::new(vectors.clone(), tokens, id.as_str()));
            let written = serde_json::to_string(&native).unwrap();
            let read: NativeEmbeddings = serde_json::from_str(&written).unwrap();
            assert_eq!(read.into_compat(MODEL, format), response, "{written}");
        }
    });
}

#[test]
fn rankings_come_back_from_either_form_as_they_were() {
    rounds(24, |rng| {
        let result = |rng: &mut Rng, index: usize| {
            let mut result = object(json!({"index": index, "relevance_score": f64::from(rng.unit())}));
            maybe(rng, &mut result, "document", |rng| json!({"text": text(rng)}));
            Value::Object(result)
        };
        let results: Value = (0..rng.below(5)).map(|index| result(rng, index)).collect();
        let flat = json!({"id": request_id(rng), "object": "list", "model": MODEL, "results": results,
            "usage": {"total_tokens": rng.below(1000)}});
        let response: RerankResponse = serde_json::from_value(flat.clone()).unwrap();
        assert_eq!(serde_json::to_value(&response).unwrap(), flat);
        let written = serde_json::to_string(&NativeRanking::from(response.clone())).unwrap();
        let read: NativeRanking = serde_json::from_str(&written).unwrap();
        assert_eq!(read.into_flat(MODEL), response, "{written}");
    });
}
