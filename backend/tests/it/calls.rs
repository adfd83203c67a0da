//! Answers that call functions.

use qwenda_backend::{
    BackendError,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::{
    chat::FinishReason::{Length, Stop, ToolCalls},
    error::Invalid,
};
use serde_json::{Value, json};

use crate::asking::{Tiny, ask, refused, request};

fn weather() -> Value {
    json!({"type": "function", "function": {
        "name": "get_weather",
        "description": "The weather of a city now.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}
            },
            "required": ["city", "unit"]
        }
    }})
}

fn adder() -> Value {
    json!({"type": "function", "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer", "maximum": 99, "minimum": 0}}, "required": ["a"]}
    }})
}

fn forced(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

/// A model with room for long answers.
fn roomy() -> Tiny {
    Tiny::of(&TinyModel { context: 2_048, ..TinyModel::qwen2() }, LocalOptions::default())
}

#[tokio::test]
async fn a_forced_call_always_has_arguments_that_fit() {
    let tiny = roomy();
    for seed in 0..8 {
        let answer = tiny
            .ask(request(json!({
                "tools": [adder(), weather()], "tool_choice": forced("get_weather"),
                "temperature": 1.9, "top_p": 1.0, "top_k": 0, "seed": seed, "max_tokens": 1_000
            })))
            .await;
        let [call] = &*answer.calls[0] else { panic!("{answer:?}") };
        let arguments: Value = serde_json::from_str(&call.arguments).expect("it is JSON");
        let fields = arguments.as_object().expect("it is an object");
        assert_eq!((call.name.as_str(), fields.len()), ("get_weather", 2), "{arguments}");
        assert!(fields["city"].as_str().is_some_and(|city| city.chars().count() <= 20), "{arguments}");
        assert!(fields["unit"] == "celsius" || fields["unit"] == "fahrenheit", "{arguments}");
        assert_eq!((answer.texts[0].as_str(), answer.reasons[0]), ("", Some(ToolCalls)));
        assert!(call.id.starts_with("call_") && call.id.len() == 29, "{}", call.id);
    }
}

#[tokio::test]
async fn one_of_the_functions_is_called_where_a_call_is_required_and_several_in_parallel() {
    let tiny = roomy();
    let mut most = 0;
    for seed in 0..8 {
        let answer = tiny
            .ask(request(json!({
                "tools": [adder(), weather()], "tool_choice": "required", "parallel_tool_calls": true,
                "temperature": 1.9, "top_p": 1.0, "top_k": 0, "seed": seed, "max_tokens": 1_000
            })))
            .await;
        let calls = &answer.calls[0];
        for call in calls {
            assert!(["add", "get_weather"].contains(&call.name.as_str()), "{call:?}");
            if answer.reasons[0] == Some(ToolCalls) {
                assert!(
                    serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object()),
                    "{call:?}"
                );
            }
        }
        assert!(!calls.is_empty() && answer.texts[0].is_empty(), "{answer:?}");
        let mut ids: Vec<_> = calls.iter().map(|call| &call.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), calls.len(), "each has its own id");
        most = most.max(calls.len());
    }
    assert!(most > 1, "some answer calls several times");
}

#[tokio::test]
async fn a_forced_call_that_is_cut_says_so() {
    let tiny = roomy();
    let answer =
        tiny.ask(request(json!({"tools": [weather()], "tool_choice": forced("get_weather"), "max_tokens": 9}))).await;
    assert_eq!((answer.reasons[0], answer.usage.completion_tokens), (Some(Length), 9));
}

#[tokio::test]
async fn the_prompt_has_the_tools_unless_they_are_not_to_be_called() {
    let tiny = roomy();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let asked = request(json!({"tools": [weather()]}));
    let rendered = inspector.render(asked["messages"].as_array().unwrap(), Some(&[weather()])).unwrap();
    assert_eq!(tiny.ask(asked).await.prompt_tokens as usize, inspector.count(&rendered));
    let without = tiny.ask(request(json!({}))).await;
    let none = tiny.ask(request(json!({"tools": [weather()], "tool_choice": "none"}))).await;
    assert_eq!((none.prompt_tokens, &none.texts), (without.prompt_tokens, &without.texts));
}

#[tokio::test]
async fn a_list_of_parameters_is_read_as_the_schema_it_means() {
    let tiny = roomy();
    let listed = json!({"type": "function", "function": {"name": "f", "parameters": [
        {"name": "a", "type": "boolean", "description": "one", "required": true},
        {"name": "b", "type": "integer"}
    ]}});
    let asked = json!({"tools": [listed], "tool_choice": forced("f"), "max_tokens": 200});
    let answer = tiny.ask(request(asked)).await;
    let arguments: Value = serde_json::from_str(&answer.calls[0][0].arguments).unwrap();
    assert!(arguments["a"].is_boolean(), "{arguments}");
}

#[tokio::test]
async fn a_schema_that_cannot_be_enforced_is_named_where_it_must_be() {
    let tiny = Tiny::new();
    let odd = json!({"type": "function", "function": {"name": "odd", "parameters": {
        "type": "object", "properties": {"a": {"not": {}}}
    }}});
    let tools = json!([adder(), odd]);
    for choice in [forced("odd"), json!("required")] {
        match refused(&tiny.local, request(json!({"tools": tools, "tool_choice": choice}))).await {
            BackendError::Invalid(Invalid { field, message, .. }) => {
                assert_eq!(field, "tools[1].function.parameters");
                assert!(message.contains("`not`") && message.contains(&field), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    for choice in [forced("add"), json!("auto")] {
        tiny.ask(request(json!({"tools": tools, "tool_choice": choice}))).await;
    }
}

#[tokio::test]
async fn arguments_are_an_object_of_what_is_declared() {
    let tiny = roomy();
    let f = |parameters: &Value| json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
    let of = json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]});
    for (parameters, names) in [
        (json!(null), vec![]),
        (json!({"type": "object", "properties": {}}), vec![]),
        (of.clone(), vec!["a"]),
        (json!({"$ref": "#/$defs/of", "$defs": {"of": of}}), vec!["a"]),
        (json!({"properties": {"o": of}, "required": ["o"]}), vec!["o"]),
    ] {
        for seed in 0..4 {
            let asked = json!({"tools": f(&parameters), "tool_choice": "required", "temperature": 1.9, "top_k": 0,
                "top_p": 1.0, "seed": seed, "max_tokens": 300});
            let answer = tiny.ask(request(asked)).await;
            let [call] = &*answer.calls[0] else { panic!("{parameters}: {answer:?}") };
            if answer.reasons[0] == Some(ToolCalls) {
                let arguments: serde_json::Map<String, Value> = serde_json::from_str(&call.arguments).unwrap();
                assert!(names.iter().all(|name| arguments.contains_key(*name)), "{parameters}: {arguments:?}");
                assert!(parameters.get("$ref").is_some() || arguments.len() == names.len(), "{arguments:?}");
            }
        }
    }
    match refused(&tiny.local, request(json!({"tools": f(&json!({"type": "string"})), "tool_choice": "required"})))
        .await
    {
        BackendError::Invalid(Invalid { field, .. }) => assert_eq!(field, "tools[0].function.parameters"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_call_is_text_with_its_log_probabilities() {
    let tiny = roomy();
    let fields = json!({"tools": [weather()], "logprobs": true, "max_tokens": 40, "temperature": 1.5});
    let answer = tiny.ask(request(fields)).await;
    assert!(answer.calls[0].is_empty() && !answer.texts[0].is_empty());
    let bytes: Vec<u8> = answer.logprobs[0].iter().flat_map(|one| one.bytes.clone()).collect();
    assert!(String::from_utf8_lossy(&bytes).starts_with(&answer.texts[0]), "{answer:?}");
    assert!(matches!(answer.reasons[0], Some(Stop | Length)));
}

#[tokio::test]
async fn the_real_model_calls_of_itself_and_when_it_must_and_answers_from_the_result() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let question = json!({"role": "user", "content": "What is the weather in Paris now, in celsius?"});
    for choice in [json!("auto"), forced("get_weather")] {
        let asked = json!({"model": "real", "messages": [question], "tools": [weather()], "tool_choice": choice,
            "temperature": 0, "max_tokens": 200});
        let answer = ask(&local, asked).await;
        let [call] = &*answer.calls[0] else { panic!("{choice}: {answer:?}") };
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!((call.name.as_str(), &arguments["city"]), ("get_weather", &json!("Paris")), "{choice}");
        assert_eq!(answer.reasons[0], Some(ToolCalls));
        let called = json!({"role": "assistant", "content": "", "tool_calls": [{"id": call.id, "type": "function",
            "function": {"name": call.name, "arguments": call.arguments}}]});
        let result =
            json!({"role": "tool", "tool_call_id": call.id, "content": "{\"temperature\": 31, \"sky\": \"clear\"}"});
        let more = json!({"role": "user", "content": "How many degrees is that? Answer with the number."});
        let asked = json!({"model": "real", "messages": [question, called, result, more], "tools": [weather()],
            "tool_choice": "none", "temperature": 0, "max_tokens": 100});
        let answer = ask(&local, asked).await;
        assert!(answer.texts[0].contains("31"), "{choice}: {answer:?}");
    }
}
