//! Tools, their choice, the form of the answer, reasoning: what passes under whose rules.

use serde_json::{Value, json};

use super::{read_as, request};
use crate::{chat::*, error::Code};

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object"}}})
}

fn with_tools(fields: Value) -> Value {
    let mut request = request(json!({"tools": [tool("f"), tool("g")]}));
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request
}

fn forced(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

/// `Ok` under these rules, or refused in these words.
#[track_caller]
fn check(value: &Value, strictness: Strictness, want: Result<(), &str>) {
    match (read_as(value.clone(), strictness), want) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(words)) => {
            assert_eq!(error.code, Code::InvalidParameter, "{value}: {error}");
            assert!(error.message.contains(words), "{value}: {error}");
        }
        (got, want) => panic!("{value} under {strictness:?}: {:?}, not {want:?}", got.map(|_| ())),
    }
}

#[test]
fn what_is_refused_under_both_rules() {
    let json_word = "must contain the word 'json' in some form";
    let json_thinking = "Json mode response is not supported when enable_thinking is true";
    let schema = |name: &str| json!({"type": "json_schema", "json_schema": {"name": name, "schema": {}}});
    let says_json = json!([{"role": "user", "content": "in JSON please"}]);
    for (value, words) in [
        (request(json!({"tools": [tool("a b")]})), "letters, digits, _ or -, not 'a b' - 'tools[0].function.name'"),
        (request(json!({"tools": [tool("")]})), "letters, digits"),
        (request(json!({"tools": [tool("天气")]})), "letters, digits"),
        (request(json!({"tools": [tool(&"a".repeat(65))]})), "1 to 64"),
        (request(json!({"tools": [tool("a"), tool("b"), tool("a")]})), "tools[0] has the name 'a' already"),
        (request(json!({"tools": vec![tool("a"); 129]})), "129 elements, more than 128"),
        (request(json!({"tools": [{"type": "web_search"}]})), "must be \"function\""),
        (request(json!({"tools": [{"type": "function"}]})), "Field required: function"),
        (request(json!({"tools": [{"type": "function", "function": {}}]})), "Field required: name"),
        (request(json!({"tool_choice": forced("f")})), "tool_choice can only be set when tools are set"),
        (with_tools(json!({"tool_choice": forced("h")})), "names 'h', which tools do not declare"),
        (with_tools(json!({"tool_choice": "maybe"})), "should be [\"none\", \"auto\"]"),
        (with_tools(json!({"tool_choice": {"type": "function"}})), "should be [\"none\", \"auto\"]"),
        (with_tools(json!({"tool_choice": forced("f"), "enable_thinking": true})), "when enable_thinking is true"),
        (with_tools(json!({"parallel_tool_calls": "yes"})), "'parallel_tool_calls' must be Boolean"),
        (request(json!({"response_format": {"type": "json_object"}})), json_word),
        (request(json!({"response_format": {"type": "xml"}})), "The response_format type from user is xml."),
        (request(json!({"response_format": "json"})), "Unknown format of response_format"),
        (request(json!({"response_format": {"type": "json_schema"}})), "Field required: json_schema"),
        (request(json!({"response_format": {"type": "json_schema", "json_schema": {}}})), "Field required: name"),
        (request(json!({"response_format": schema("a b")})), "not 'a b' - 'response_format.json_schema.name'"),
        (request(json!({"response_format": schema("a"), "enable_thinking": true})), json_thinking),
        (
            request(
                json!({"messages": says_json, "response_format": {"type": "json_object"}, "enable_thinking": true}),
            ),
            json_thinking,
        ),
        (request(json!({"thinking_budget": 0})), "must be a positive integer"),
        (request(json!({"thinking_budget": -1})), "must be a positive integer"),
        (request(json!({"reasoning_effort": "hard"})), "reasoning_effort is one of"),
        (request(json!({"reasoning_effort": "low", "thinking_budget": 5})), "cannot both be set"),
        (request(json!({"reasoning_effort": "none", "enable_thinking": true})), "reasoning_effort cannot be \"none\""),
        (
            request(json!({"enable_thinking": true, "messages": [
                {"role": "user", "content": "u"}, {"role": "assistant", "content": "a", "partial": true}]})),
            "partial is not supported when enable_thinking is true",
        ),
        (request(json!({"n": 5})), "Range of n should be [1, 4]"),
    ] {
        check(&value, Strictness::Qwen, Err(words));
        let required_word = value["tool_choice"] == "required";
        check(&value, Strictness::OpenAi, if required_word { Ok(()) } else { Err(words) });
    }
}

#[test]
fn what_passes_under_both_rules() {
    let long = "a_-9".repeat(16);
    for value in [
        with_tools(json!({})),
        with_tools(json!({"tool_choice": null})),
        with_tools(json!({"tool_choice": "auto"})),
        with_tools(json!({"tool_choice": "none"})),
        with_tools(json!({"tool_choice": forced("g"), "parallel_tool_calls": true})),
        with_tools(json!({"tool_choice": forced("g"), "enable_thinking": false})),
        with_tools(json!({"tool_choice": "auto", "enable_thinking": true})),
        request(json!({"tools": [], "tool_choice": "auto"})),
        request(json!({"tools": [tool(&long)]})),
        request(json!({"tools": [{"function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]})),
        // An old client lists its parameters.
        request(json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": [{"name": "x"}]}}]})),
        request(json!({"response_format": {"type": "text"}, "enable_thinking": true})),
        request(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}})),
        request(json!({"messages": [{"role": "system", "content": [{"type": "text", "text": "reply with Json"}]},
            {"role": "user", "content": "u"}], "response_format": {"type": "json_object"}})),
        request(json!({"reasoning_effort": "xhigh", "enable_thinking": true})),
        request(json!({"reasoning_effort": "none", "enable_thinking": false})),
        request(json!({"thinking_budget": 1})),
    ] {
        check(&value, Strictness::Qwen, Ok(()));
        check(&value, Strictness::Auto, Ok(()));
        check(&value, Strictness::OpenAi, Ok(()));
    }
}

#[test]
fn where_the_two_rules_differ() {
    for (value, qwen) in [
        (
            with_tools(json!({"tool_choice": "required"})),
            "this server accepts \"required\" under /v1, or with strictness = openai",
        ),
        (with_tools(json!({"tool_choice": "any"})), "should be [\"none\", \"auto\"]"),
        (with_tools(json!({"n": 2})), "Range of n should be [1, 1] when tools are set"),
        (request(json!({"tools": [tool("search")]})), "Tool names are not allowed to be [search]"),
        (request(json!({"temperature": 2})), "Temperature should be in [0.0, 2.0)"),
        (request(json!({"top_p": 0})), "Range of top_p should be (0.0, 1.0]"),
        (request(json!({"logprobs": true, "top_logprobs": 20})), "Range of top_logprobs should be [0, 5]"),
        (request(json!({"messages": [{"role": "system", "content": "s"}]})), "with the role of user"),
        (
            request(json!({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]})),
            "The last message must have the role user or tool",
        ),
    ] {
        check(&value, Strictness::Qwen, Err(qwen));
        // What programs for OpenAI send by themselves is all that `Auto` takes over.
        let forced = value["tool_choice"] == "required" || value["tool_choice"] == "any";
        check(&value, Strictness::Auto, if forced { Ok(()) } else { Err(qwen) });
        check(&value, Strictness::OpenAi, Ok(()));
    }
    check(&request(json!({"temperature": 2.1})), Strictness::OpenAi, Err("Temperature should be in [0.0, 2.0]"));
    check(&request(json!({"top_p": -0.1})), Strictness::OpenAi, Err("Range of top_p should be [0.0, 1.0]"));
    check(
        &request(json!({"logprobs": true, "top_logprobs": 21})),
        Strictness::OpenAi,
        Err("Range of top_logprobs should be [0, 20]"),
    );
    let thinking = with_tools(json!({"tool_choice": "required", "enable_thinking": true}));
    check(&thinking, Strictness::OpenAi, Err("when enable_thinking is true"));
    let seed = read_as(request(json!({"seed": 1_u64 << 40})), Strictness::OpenAi).unwrap();
    assert_eq!(seed.seed, Some(1 << 40));
}

#[test]
fn several_calls_are_the_default_of_openai_alone() {
    let read = |fields| read_as(with_tools(fields), Strictness::Qwen).unwrap();
    for (fields, qwen, openai) in [
        (json!({}), false, true),
        (json!({"parallel_tool_calls": true}), true, true),
        (json!({"parallel_tool_calls": false}), false, false),
    ] {
        let request = read(fields);
        assert_eq!(request.calls_in_parallel(Strictness::Qwen), qwen);
        assert_eq!(request.calls_in_parallel(Strictness::Auto), qwen);
        assert_eq!(request.calls_in_parallel(Strictness::OpenAi), openai);
    }
}

#[test]
fn reasoning_is_asked_for_by_either_field() {
    for (fields, thinking, tokens) in [
        (json!({}), None, None),
        (json!({"enable_thinking": true}), Some(true), None),
        (json!({"enable_thinking": false, "thinking_budget": 7}), Some(false), Some(7)),
        (json!({"reasoning_effort": "none"}), Some(false), None),
        (json!({"reasoning_effort": "minimal"}), None, Some(4096)),
        (json!({"reasoning_effort": "low"}), None, Some(4096)),
        (json!({"reasoning_effort": "medium"}), None, Some(16384)),
        (json!({"reasoning_effort": "high", "enable_thinking": true}), Some(true), Some(262144)),
        (json!({"reasoning_effort": "max"}), None, Some(262144)),
    ] {
        let read = read_as(request(fields.clone()), Strictness::Qwen).unwrap();
        assert_eq!((read.thinking(), read.reasoning_tokens_max()), (thinking, tokens), "{fields}");
    }
}

#[test]
fn a_literal_extra_body_is_read_as_if_it_had_been_unpacked() {
    let extra = json!({"enable_thinking": false, "top_k": 3, "temperature": 0.1, "custom": [1]});
    let read =
        read_as(request(json!({"temperature": 0.7, "top_k": null, "extra_body": extra})), Strictness::Qwen).unwrap();
    assert_eq!((read.enable_thinking, read.top_k, read.temperature), (Some(false), Some(3), Some(0.7)));
    assert_eq!(read.rest.keys().collect::<Vec<_>>(), ["custom"]);
    let odd = read_as(request(json!({"extra_body": "x"})), Strictness::Qwen).unwrap();
    assert_eq!(odd.rest["extra_body"], "x");
}
