//! The shapes in which services stream the calls of tools, and other things they do their own way.

use serde_json::{Value, json};

use super::*;

/// Reads these deltas of one answer and its reason to end.
fn said(deltas: &[Value], finish: &str) -> Said {
    let chunk = |delta: &Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "chatcmpl-1", "choices": [choice]}))
    };
    let mut text: String = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    text.push_str(&chunk(&json!({}), finish.into()));
    text.push_str("data: [DONE]\n\n");
    read(Protocol::OpenAi, &[text.as_bytes()])
}

/// The calls these deltas make, as `id name arguments`.
fn calls(deltas: &[Value], finish: &str) -> Vec<String> {
    let said = said(deltas, finish);
    let reply = said.end.unwrap();
    let told: Vec<&ToolCall> = said
        .events
        .iter()
        .filter_map(|event| if let Event::ToolCall(call) = event { Some(call) } else { None })
        .collect();
    assert_eq!(told, reply.tool_calls().iter().collect::<Vec<_>>(), "events and reply say the same");
    reply.tool_calls().iter().map(|call| format!("{} {} {}", call.id, call.name, call.arguments)).collect()
}

fn call(call: Value) -> Value {
    json!({"tool_calls": [call]})
}

#[test]
fn calls_are_put_together_in_every_shape_that_services_send() {
    let a = |index: Value, id: Value, name: Value, arguments: &str| {
        call(json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
    };
    let none = Value::Null;
    for (shape, deltas, want) in [
        (
            "the cloud: id and name first, then empty ids",
            vec![
                a(0.into(), "c1".into(), "f".into(), ""),
                a(0.into(), "".into(), none.clone(), "{\"a\""),
                a(0.into(), "".into(), none.clone(), ": 1}"),
            ],
            vec!["c1 f {\"a\": 1}"],
        ),
        (
            "ids repeated",
            vec![a(0.into(), "c1".into(), "f".into(), "{"), a(0.into(), "c1".into(), none.clone(), "}")],
            vec!["c1 f {}"],
        ),
        (
            "two calls, one after the other",
            vec![
                a(0.into(), "c1".into(), "f".into(), "{}"),
                a(1.into(), "c2".into(), "g".into(), "{\"b\":"),
                a(1.into(), none.clone(), none.clone(), "2}"),
            ],
            vec!["c1 f {}", "c2 g {\"b\":2}"],
        ),
        (
            "two calls, mixed",
            vec![
                a(0.into(), "c1".into(), "f".into(), "{"),
                a(1.into(), "c2".into(), "g".into(), "["),
                a(0.into(), none.clone(), none.clone(), "}"),
                a(1.into(), none.clone(), none.clone(), "]"),
            ],
            vec!["c1 f {}", "c2 g []"],
        ),
        (
            "two calls under one index",
            vec![a(0.into(), "c1".into(), "f".into(), "{}"), a(0.into(), "c2".into(), "f".into(), "{\"x\":1}")],
            vec!["c1 f {}", "c2 f {\"x\":1}"],
        ),
        (
            "no index at all",
            vec![
                a(none.clone(), "c1".into(), "f".into(), "{}"),
                a(none.clone(), "c2".into(), "g".into(), "{"),
                a(none.clone(), "c2".into(), none.clone(), "}"),
            ],
            vec!["c1 f {}", "c2 g {}"],
        ),
        (
            "neither index nor id",
            vec![
                a(none.clone(), none.clone(), "f".into(), "{\"a\":1}"),
                a(none.clone(), none.clone(), "f".into(), "{\"a\":2}"),
            ],
            vec!["call_chatcmpl-1_0_0 f {\"a\":1}", "call_chatcmpl-1_0_1 f {\"a\":2}"],
        ),
        (
            "the name in every piece",
            vec![a(0.into(), "c1".into(), "f".into(), "{\"a\":"), a(0.into(), none.clone(), "f".into(), "1}")],
            vec!["c1 f {\"a\":1}"],
        ),
        (
            "the id after the arguments",
            vec![a(0.into(), none.clone(), "f".into(), "{}"), a(0.into(), "c1".into(), none.clone(), "")],
            vec!["c1 f {}"],
        ),
        ("no arguments", vec![a(0.into(), "c1".into(), "f".into(), "")], vec!["c1 f "]),
        (
            "arguments that name no known call",
            vec![a(0.into(), "c1".into(), "f".into(), "{"), a(7.into(), none.clone(), none.clone(), "}")],
            vec!["c1 f {}"],
        ),
    ] {
        assert_eq!(calls(&deltas, "tool_calls"), want, "{shape}");
    }
}

#[test]
fn a_call_that_the_limit_cut_is_none_and_one_that_the_model_wrote_wrong_stays() {
    let cut = |name: &str| {
        vec![
            call(json!({"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}})),
            call(json!({"index": 1, "id": "c2", "function": {"name": name, "arguments": "{\"a"}})),
        ]
    };
    assert_eq!(calls(&cut("g"), "length"), ["c1 f {}"]);
    assert_eq!(calls(&cut("g"), "tool_calls"), ["c1 f {}", "c2 g {\"a"]);
    let reply = said(&cut("g"), "tool_calls").end.unwrap();
    assert_eq!(reply.tool_calls()[0].json().unwrap(), json!({}));
    let error = reply.tool_calls()[1].json().unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("{\"a")), (Kind::Malformed, false));
}

#[test]
fn reasoning_refusals_and_odd_endings_are_understood() {
    let text = |deltas: &[Value]| said(deltas, "stop").end.unwrap();
    let deltas = [
        json!({"role": "assistant", "content": null, "reasoning_content": "h"}),
        json!({"content": null, "reasoning": "m"}),
        json!({"content": "a", "reasoning_content": null}),
    ];
    assert_eq!((text(&deltas).reasoning(), text(&deltas).text()), ("hm", "a"));
    assert_eq!(text(&[json!({"refusal": "no"})]).text(), "no");
    let odd = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\n\
               data: {\"choices\":[]}\n\n\
               data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
               data: {\"choices\":[{\"delta\":{\"content\":\"late\"},\"finish_reason\":\"stop\"}]}\n\n\
               data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    let said = read(Protocol::OpenAi, &[odd.as_bytes()]);
    let reply = said.end.unwrap();
    assert_eq!((reply.text(), reply.usage().unwrap().input_tokens), ("a", 3));
    let ends = said.events.iter().filter(|event| matches!(event, Event::Finished { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn the_clouds_word_for_a_failed_answer_is_an_error() {
    let end = said(&[json!({"content": "Throttled"})], "error_finish").end;
    assert_eq!(end.unwrap_err().0, Kind::Service);
}

#[test]
fn a_whole_answer_and_the_same_as_a_stream_are_the_same_reply() {
    let whole = json!({
        "id": "chatcmpl-1", "model": "m", "created": 5,
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "a", "reasoning_content": "h",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    });
    let head = json!({"id": "chatcmpl-1", "model": "m", "created": 5});
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = head.clone();
        chunk["choices"] = choices;
        chunk["usage"] = usage;
        format!("data: {chunk}\n\n")
    };
    let tool = json!([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}]);
    let text = [
        chunk(json!([{"delta": {"reasoning_content": "h"}}]), Value::Null),
        chunk(json!([{"delta": {"content": "a", "tool_calls": tool}, "finish_reason": "tool_calls"}]), Value::Null),
        chunk(json!([]), whole["usage"].clone()),
    ];
    let streamed = read(Protocol::OpenAi, &[text.concat().as_bytes()]);
    let mut gather = Gather::new(false);
    let mut events = VecDeque::new();
    gather.take_whole(serde_json::from_value(whole).unwrap(), &mut events).unwrap();
    assert_eq!(gather.into_reply(), streamed.end.unwrap());
    assert_eq!(joined(events), streamed.events);
}

#[test]
fn texts_that_repeat_everything_so_far_are_told_once() {
    let mut gather = Gather::new(true);
    let mut events = VecDeque::new();
    for text in ["你", "你好", "你好吗"] {
        let chunk = json!({"choices": [{"delta": {"content": text}}]});
        gather.take(serde_json::from_value(chunk).unwrap(), &mut events).unwrap();
    }
    let pieces: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(pieces.len(), 3);
    assert_eq!(gather.into_reply().text(), "你好吗");
}
