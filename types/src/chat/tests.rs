//! Tables of requests: what is read, what is refused and in which words.

mod histories;
mod tools;

use serde_json::{Value, json};

use super::*;
use crate::error::{Code, Invalid};

fn request(fields: Value) -> Value {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in fields.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

fn read(value: Value) -> Result<ChatRequest, Invalid> {
    read_as(value, Strictness::Qwen)
}

fn read_as(value: Value, strictness: Strictness) -> Result<ChatRequest, Invalid> {
    let Value::Object(map) = value else { panic!("not an object") };
    let request = ChatRequest::from_map(map)?;
    request.validate(strictness)?;
    request.validate_limits(Limits { output_tokens_max: 32768 })?;
    Ok(request)
}

#[track_caller]
fn refused(value: Value, code: Code, field: &str, message: &str) {
    match read(value.clone()) {
        Ok(_) => panic!("{value} was accepted"),
        Err(error) => {
            assert_eq!(error.code, code, "{value}: {error}");
            assert_eq!(error.field, field, "{value}: {error}");
            assert!(error.message.contains(message), "{value}: {error}");
        }
    }
}

#[test]
fn values_out_of_range_are_refused_in_the_contract_s_words() {
    use Code::{InvalidParameter as P, InvalidValue as V, ModelParameter as M};
    let temperature = "Temperature should be in [0.0, 2.0)";
    for (fields, code, message) in [
        (json!({"temperature": 2}), P, temperature),
        (json!({"temperature": 2.0}), P, temperature),
        (json!({"temperature": -0.1}), P, temperature),
        (json!({"temperature": 1e300}), P, temperature),
        (json!({"temperature": "1"}), P, "'temperature' must be Float"),
        (json!({"top_p": 0}), P, "Range of top_p should be (0.0, 1.0]"),
        (json!({"top_p": 1.1}), P, "Range of top_p should be (0.0, 1.0]"),
        (json!({"top_p": []}), P, "'top_p' must be Float"),
        (json!({"min_p": 1.1}), P, "min_p"),
        (json!({"top_k": -1}), P, "Parameter top_k be greater than or equal to 0"),
        (json!({"top_k": 1.5}), P, "'top_k' must be Integer"),
        (json!({"presence_penalty": 2.1}), P, "Presence_penalty should be in [-2.0, 2.0]"),
        (json!({"frequency_penalty": -2.1}), P, "Frequency_penalty should be in [-2.0, 2.0]"),
        (json!({"repetition_penalty": 0}), P, "Repetition_penalty should be greater than 0.0"),
        (json!({"n": 0}), P, "Range of n should be [1, 4]"),
        (json!({"n": 5}), P, "Range of n should be [1, 4]"),
        (json!({"n": 18446744073709551615u64}), P, "Range of n should be [1, 4]"),
        (json!({"seed": -1}), V, "-1 is lesser than the minimum of 0 - 'seed'"),
        (json!({"seed": "1"}), V, "'seed' must be Integer"),
        (json!({"seed": 2147483648u64}), V, "2147483648 is greater than the maximum of 2147483647 - 'seed'"),
        (json!({"max_tokens": 0}), M, "Range of max_tokens should be [1, 32768]"),
        (json!({"max_tokens": -5}), M, "Range of max_tokens should be [1, 32768]"),
        (json!({"max_tokens": 32769}), M, "Range of max_tokens should be [1, 32768]"),
        (json!({"max_tokens": "5"}), P, "'max_tokens' must be Integer"),
        (json!({"max_completion_tokens": 32769}), M, "Range of max_completion_tokens should be [1, 32768]"),
        (json!({"stop": 5}), P, "The \"stop\" parameter must be of type"),
        (json!({"stop": ["a", 1]}), P, "The \"stop\" parameter must be of type"),
        (json!({"stop": [1, "a"]}), P, "The \"stop\" parameter must be of type"),
        (json!({"stop": [[1], 2]}), P, "The \"stop\" parameter must be of type"),
        (json!({"stop": [-1]}), P, "The \"stop\" parameter must be of type"),
        (json!({"stop": ""}), P, "stop must not have an empty element"),
        (json!({"stop": [[]]}), P, "stop must not have an empty element"),
        (json!({"stop": vec!["a"; 65]}), P, "65 elements"),
        (json!({"stop": "a".repeat(1025)}), P, "1025"),
        (json!({"logit_bias": {"a": 1}}), P, "'logit_bias' must map token ids to numbers"),
        (json!({"logit_bias": {"5": "x"}}), P, "'logit_bias' must map token ids to numbers"),
        (json!({"logit_bias": {"5": 101}}), P, "[-100, 100]"),
        (json!({"logprobs": 3}), P, "'logprobs' must be Boolean"),
        (json!({"top_logprobs": 6, "logprobs": true}), P, "Range of top_logprobs should be [0, 5]"),
        (json!({"top_logprobs": -1, "logprobs": true}), P, "Range of top_logprobs should be [0, 5]"),
        (json!({"top_logprobs": 1}), P, "logprobs is true"),
        (json!({"stream": "yes"}), P, "'stream' must be Boolean"),
        (json!({"stream_options": 1}), P, "'stream_options' must be Object"),
        (json!({"tools": {}}), P, "'tools' must be List"),
    ] {
        let field = fields.as_object().unwrap().keys().next().unwrap().clone();
        refused(request(fields), code, &field, message);
    }
    let fields = json!({"stream_options": {"include_usage": 1}});
    refused(request(fields), P, "stream_options.include_usage", "must be Boolean");
}

#[test]
fn values_at_the_ends_of_their_ranges_are_accepted() {
    for fields in [
        json!({"temperature": 0}),
        json!({"temperature": 1.99}),
        json!({"top_p": 1}),
        json!({"top_p": 0.0001}),
        json!({"top_k": 0}),
        json!({"top_k": 4294967296u64}),
        json!({"presence_penalty": -2}),
        json!({"frequency_penalty": 2}),
        json!({"n": 4}),
        json!({"n": 1.0}),
        json!({"seed": 0}),
        json!({"seed": 2147483647}),
        json!({"max_tokens": 1}),
        json!({"max_tokens": 32768}),
        json!({"stop": []}),
        json!({"stop": "x"}),
        json!({"logprobs": true, "top_logprobs": 5}),
        json!({"top_logprobs": 0}),
        json!({"logit_bias": {"5": -100, "6": 100}}),
        json!({"stream_options": {}}),
        json!({"temperature": null, "top_p": null, "n": null, "stop": null, "seed": null, "stream": null,
               "tools": null, "logit_bias": null, "max_tokens": null, "stream_options": null}),
    ] {
        if let Err(error) = read(request(fields.clone())) {
            panic!("{fields}: {error}");
        }
    }
}

#[test]
fn a_top_k_of_null_is_no_limit_and_an_absent_one_is_the_default() {
    assert_eq!(read(request(json!({"top_k": null}))).unwrap().top_k, Some(0));
    assert_eq!(read(request(json!({}))).unwrap().top_k, None);
}

#[test]
fn messages_of_a_wrong_shape_are_refused_by_their_place() {
    use Code::{InvalidParameter as P, InvalidRequest as R};
    refused(json!({"messages": []}), R, "model", "you must provide a model parameter.");
    refused(json!({"model": ""}), R, "model", "you must provide a model parameter.");
    refused(json!({"model": 5}), P, "model", "'model' must be String");
    refused(json!({"model": "m"}), P, "messages", "Either \"prompt\" or \"messages\" must exist");
    for (messages, field, message) in [
        (json!([]), "messages", "[] is too short"),
        (json!("hi"), "messages", "'messages' must be List"),
        (json!({"role": "user"}), "messages", "'messages' must be List"),
        (json!(["hi"]), "messages[0]", "Input should be a valid dictionary or instance of GPT3Message"),
        (json!([{"content": "x"}]), "messages[0].role", "role"),
        (json!([{"role": "wizard", "content": "x"}]), "messages[0].role", "Role must be in"),
        (json!([{"role": "user"}]), "messages[0].content", "The content field is a required field."),
        (json!([{"role": "user", "content": 5}]), "messages[0].content", "input content must be a string."),
        (json!([{"role": "user", "content": [5]}]), "messages[0].content[0]", "Unexpected item type in content"),
        (json!([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text", "text"),
        (json!([{"role": "tool", "content": "x"}]), "messages[0].tool_call_id", "tool_call_id"),
        (json!([{"role": "user", "content": "x", "partial": true}]), "messages[0].partial", "assistant"),
        (
            json!([{"role": "assistant", "content": null, "tool_calls": [{"id": "a"}]}]),
            "messages[0].tool_calls",
            "function",
        ),
    ] {
        refused(request(json!({ "messages": messages })), P, field, message);
    }
}

#[test]
fn roles_in_an_impossible_order_are_refused() {
    let (s, u, a) = (
        json!({"role": "system", "content": "s"}),
        json!({"role": "user", "content": "u"}),
        json!({"role": "assistant", "content": "a"}),
    );
    let prefix = json!({"role": "assistant", "content": "a", "partial": true});
    let call = |id: &str| {
        json!({"role": "assistant", "content": null, "tool_calls":
            [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    };
    let tool = |id: &str| json!({"role": "tool", "content": "t", "tool_call_id": id});
    for good in [
        json!([u]),
        json!([s, u]),
        json!([s, s, u, u]),
        json!([u, s, u]),
        json!([u, a, u]),
        json!([a, u]),
        json!([u, prefix]),
        json!([u, call("1"), tool("1")]),
        json!([u, call("1"), tool("1"), a, u]),
    ] {
        if let Err(error) = read(request(json!({ "messages": good }))) {
            panic!("{good}: {error}");
        }
    }
    let no_user = "do not contain elements with the role of user";
    let orphan = "messages with role \"tool\" must be a response to a preceeding message with \"tool_calls\"";
    for (bad, field, message) in [
        (json!([s]), "messages", no_user),
        (json!([prefix]), "messages", no_user),
        (json!([u, a]), "messages[1].role", "The last message"),
        (json!([u, s]), "messages[1].role", "The last message"),
        (json!([u, prefix, u]), "messages[1].partial", "last message"),
        (json!([u, tool("1")]), "messages[1].role", orphan),
        (json!([u, call("1"), tool("2")]), "messages[2].role", orphan),
        (json!([u, call("1"), tool("1"), tool("1")]), "messages[3].role", orphan),
        (json!([u, call("1"), u]), "messages", "must be followed by tool messages"),
        (json!([u, call("1")]), "messages", "must be followed by tool messages"),
    ] {
        refused(request(json!({ "messages": bad })), Code::InvalidParameter, field, message);
    }
}

#[test]
fn what_has_no_name_here_is_kept_and_written_back() {
    let value = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": "u", "name": "bob"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}]},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
            {"role": "assistant", "content": "a", "reasoning_content": "r", "refusal": null},
            {"role": "user", "content": "b"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.5,
        "stop": [[1, 2], [3]],
        "logit_bias": {"7": 1.5},
        "seed": 3,
        "metadata": {"k": [1, 2]},
        "unheard_of": {"deep": {"er": null}},
    });
    let request = read(value.clone()).unwrap();
    assert_eq!(request.rest.keys().collect::<Vec<_>>(), ["metadata", "unheard_of"]);
    let written = serde_json::to_value(&request).unwrap();
    assert_eq!(written, value);
    assert_eq!(serde_json::from_value::<ChatRequest>(written).unwrap(), request);
}

#[test]
fn text_parts_are_read_as_one_text() {
    let message: Message = serde_json::from_value(json!({"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "b"}]}))
    .unwrap();
    assert_eq!(message.plain_text(), "ab");
    let request = ChatRequest::new("m", vec![Message::user("x"), message]);
    assert_eq!(request.first_media_part(), Some(("messages[1].content[1]".to_owned(), "image_url")));
}

#[test]
fn the_smaller_of_the_two_token_bounds_counts() {
    for (fields, want) in [
        (json!({}), None),
        (json!({"max_tokens": 5}), Some(5)),
        (json!({"max_completion_tokens": 6}), Some(6)),
        (json!({"max_tokens": 5, "max_completion_tokens": 4}), Some(4)),
    ] {
        assert_eq!(read(request(fields)).unwrap().tokens_max(), want);
    }
}
