//! Answers that are held to a form.

use std::pin::pin;

use futures_util::StreamExt;
use qwenda_backend::{
    BackendError,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::{
    chat::FinishReason::{Length, Stop},
    error::Invalid,
};
use serde_json::{Value, json};

use crate::asking::{Tiny, ask, refused, request, start};

fn roomy() -> Tiny {
    Tiny::of(&TinyModel { context: 2_048, ..TinyModel::qwen2() }, LocalOptions::default())
}

fn schema(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}})
}

#[tokio::test]
async fn every_answer_is_json_of_its_form() {
    let tiny = roomy();
    let person = json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "tags"], "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["red", "green"]}, "maxItems": 3}
    }});
    for seed in 0..6 {
        let wild = json!({"temperature": 1.9, "top_p": 1.0, "top_k": 0, "seed": seed, "max_tokens": 1_500});
        let with = |format: Value| {
            let mut fields = wild.clone();
            fields["response_format"] = format;
            tiny.ask(request(fields))
        };
        let answer = with(schema(&person)).await;
        let value: Value = serde_json::from_str(&answer.texts[0]).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(value["age"].as_u64().is_some_and(|age| age <= 150) && value["tags"].is_array(), "{value}");
        assert_eq!((value.as_object().map(serde_json::Map::len), answer.reasons[0]), (Some(3), Some(Stop)));
        // An object of anything may go on for ever, and says so when it is cut.
        let answer = with(json!({"type": "json_object"})).await;
        let value = serde_json::from_str::<Value>(&answer.texts[0]);
        assert!(answer.texts[0].starts_with('{'), "{answer:?}");
        assert_eq!(value.is_ok_and(|value| value.is_object()), answer.reasons[0] == Some(Stop));
    }
    let cut = tiny.ask(request(json!({"response_format": schema(&person), "max_tokens": 3}))).await;
    assert_eq!(cut.reasons[0], Some(Length));
}

#[tokio::test]
async fn a_keyword_that_cannot_be_enforced_is_named() {
    let tiny = Tiny::new();
    let asked = schema(&json!({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}));
    for tools in [json!([]), json!([{"type": "function", "function": {"name": "f"}}])] {
        match refused(&tiny.local, request(json!({"response_format": asked, "tools": tools}))).await {
            BackendError::Invalid(Invalid { field, message, .. }) => {
                assert_eq!(field, "response_format.json_schema.schema");
                assert!(message.contains("`not`"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_beginning_in_the_form_and_what_follows_it_are_of_the_form_together() {
    let tiny = roomy();
    let color = json!({"type": "object", "additionalProperties": false, "required": ["color", "n"], "properties": {
        "color": {"enum": ["red", "green"]}, "n": {"type": "integer", "minimum": 0, "maximum": 9}}});
    let with = |begun: &str, format: Value| {
        let messages = json!([{"role": "user", "content": "a color as json"},
            {"role": "assistant", "content": begun, "partial": true}]);
        tiny.ask(request(json!({"messages": messages, "response_format": format, "max_tokens": 400})))
    };
    for begun in ["{\"color\": \"gr", "{", " \n{\"color\":", "{\"color\": \"red\", \"n\": "] {
        let answer = with(begun, schema(&color)).await;
        let whole = format!("{begun}{}", answer.texts[0]);
        let value: Value = serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{error}: {whole}"));
        assert!(value["color"].is_string() && value["n"].is_u64() && value.as_object().unwrap().len() == 2, "{whole}");
        assert_eq!(answer.reasons[0], Some(Stop));
    }
    // Words before it, or something else: then the answer has the form by itself.
    for begun in ["Here you are: ", "{\"size\": ", "{\"color\": \"red\", \"n\": 1}"] {
        let answer = with(begun, schema(&color)).await;
        let value: Value = serde_json::from_str(&answer.texts[0]).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(value["color"].is_string(), "{value}");
    }
}

#[tokio::test]
async fn a_form_that_becomes_too_complex_on_the_way_is_the_callers_to_change() {
    let tiny = roomy();
    // Each branch allows any other name too, and all of that is told apart only where a name begins.
    let branch = |name: String| json!({"type": "object", "properties": {name: {"type": "string"}}});
    let group = |of: &dyn Fn(u32) -> Value| json!({"anyOf": (0..11).map(of).collect::<Vec<_>>()});
    let asked = group(&|a| group(&|b| group(&|c| branch(format!("name {a} {b} {c}")))));
    let mut asked = json!({"response_format": schema(&asked), "temperature": 0, "frequency_penalty": 2});
    // The answer begins like the names: {"na
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    for (letter, bias) in [("{", 40), ("\"", 50), ("n", 61), ("a", 60)] {
        asked["logit_bias"][inspector.ids(letter)[0].to_string()] = json!(bias);
    }
    let asked = request(asked);
    let answered = start(&tiny.local, asked).await.expect("it is taken");
    let broken = answered.filter_map(async |event| event.err());
    match pin!(broken).next().await.expect("nobody can hold an answer to that") {
        BackendError::Invalid(Invalid { field, message, .. }) => {
            assert_eq!(field, "response_format");
            assert!(message.contains("too complex"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // What runs beside it and after it does not mind.
    assert_eq!(tiny.ask(request(json!({"max_tokens": 5}))).await.reasons[0], Some(Length));
}

#[tokio::test]
async fn with_tools_an_answer_is_a_call_or_of_the_form() {
    let tiny = roomy();
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]
    }}}]);
    let form = schema(&json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
        "additionalProperties": false}));
    for seed in 0..8 {
        let answer = tiny
            .ask(request(json!({"tools": tools, "response_format": form, "temperature": 1.9, "top_k": 0, "top_p": 1.0,
                "seed": seed, "max_tokens": 500})))
            .await;
        match &*answer.calls[0] {
            [] => {
                let value: Value = serde_json::from_str(&answer.texts[0]).unwrap();
                assert!(value["ok"].is_boolean(), "{value}");
            }
            [call] => assert!(serde_json::from_str::<Value>(&call.arguments).unwrap()["a"].is_boolean()),
            more => panic!("{more:?}"),
        }
    }
}

#[tokio::test]
async fn the_real_model_answers_in_the_form() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let form =
        schema(&json!({"type": "object", "additionalProperties": false, "required": ["name", "age"], "properties": {
            "name": {"type": "string"}, "age": {"type": "integer"}
        }}));
    let asked = json!({"model": "real", "temperature": 0, "max_tokens": 100, "response_format": form, "messages": [
        {"role": "user", "content": "Extract as JSON: Alice is 31 years old."}
    ]});
    let answer = ask(&local, asked).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.texts[0]).unwrap(), json!({"name": "Alice", "age": 31}));
    assert_eq!(answer.reasons[0], Some(Stop));
}
