//! Histories as real programs send them.

use serde_json::{Value, json};

use super::{read_as, request};
use crate::chat::*;

#[track_caller]
fn read(messages: Value) -> ChatRequest {
    let value = request(json!({ "messages": messages }));
    let read = read_as(value.clone(), Strictness::Qwen).unwrap_or_else(|error| panic!("{messages}: {error}"));
    // Whatever a program sent goes on to an upstream.
    assert_eq!(serde_json::to_value(&read).unwrap()["messages"], messages);
    read
}

#[test]
fn histories_of_real_programs_are_read_and_written_back() {
    let call = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    read(json!([
        {"role": "system", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": "c", "name": "bob"},
        {"role": "user", "content": [{"type": "text", "text": "d", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "", "refusal": null, "audio": null, "annotations": [], "function_call": null},
        {"role": "user", "content": "e"},
        {"role": "assistant", "content": null, "tool_calls": call, "reasoning_content": "r"},
        {"role": "tool", "content": [{"type": "text", "text": "4"}], "tool_call_id": "1", "name": "f", "status": "error"},
        {"role": "assistant", "content": [{"type": "text", "text": "g"}]},
        {"role": "user", "content": ""},
    ]));
}

#[test]
fn an_answer_that_was_nothing_but_reasoning_or_a_refusal_may_stand_in_history() {
    for field in ["reasoning_content", "refusal"] {
        let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": null, field: "x"},
                {"role": "user", "content": "b"}]);
        assert_eq!(read(messages).messages[1].content, None);
    }
}

#[test]
fn a_part_that_declines_is_read_as_text_of_an_answer_alone() {
    let messages = |role: &str, part: Value| {
        request(json!({"messages": [{"role": "user", "content": "a"}, {"role": role, "content": [part]},
            {"role": "user", "content": "b"}]}))
    };
    let part = json!({"type": "refusal", "refusal": "no"});
    let read = read_as(messages("assistant", part.clone()), Strictness::Auto).unwrap();
    assert_eq!(read.messages[1].content.as_ref().unwrap().plain_text(), "no");
    assert_eq!(read.first_media_part(), None);
    let of_a_user = read_as(messages("user", part), Strictness::Auto).unwrap();
    assert!(of_a_user.first_media_part().is_some());
    let error = read_as(messages("assistant", json!({"type": "refusal"})), Strictness::Auto).unwrap_err();
    assert_eq!(error.field, "messages[1].content[0].refusal");
}

#[test]
fn calls_are_answered_in_any_order_but_all_of_them() {
    let calls = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}}]);
    let answer = |id: &str| json!({"role": "tool", "content": "x", "tool_call_id": id});
    read(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": calls},
        answer("2"), answer("1")]));
    let short = request(json!({"messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": calls}, answer("2")]}));
    let error = read_as(short, Strictness::OpenAi).unwrap_err();
    assert!(error.message.contains("\"1\" has no answer before 'messages[3]'"), "{error}");
}

#[test]
fn the_older_role_of_a_result_is_refused_with_the_way_out() {
    let value = request(json!({"messages": [{"role": "function", "name": "f", "content": "4"}]}));
    let error = read_as(value, Strictness::OpenAi).unwrap_err();
    assert_eq!(error.field, "messages[0].role");
    assert!(error.message.contains("send the result as 'tool' with its tool_call_id"), "{error}");
}
