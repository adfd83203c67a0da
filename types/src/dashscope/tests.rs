//! Tables of native requests: what is read, what is refused and in which words, what a name decides.

use serde_json::{Value, json};

use super::*;
use crate::{
    Dialect,
    chat::{ChatRequest, Limits, Stop, Strictness, ToolChoice},
    error::{Code, Invalid},
};

fn read(parameters: Value) -> Result<(ChatRequest, NativeOptions), Invalid> {
    read_whole(json!({"model": "qwen-plus", "input": {"messages": [{"role": "user", "content": "json"}]},
        "parameters": parameters}))
}

fn read_whole(value: Value) -> Result<(ChatRequest, NativeOptions), Invalid> {
    let Value::Object(map) = value else { panic!("not an object") };
    let (request, options) = chat_from_map(map, Endpoint::Text)?;
    request.validate_as(Dialect::Native, Strictness::Qwen)?;
    request.validate_limits(Limits { output_tokens_max: 100 })?;
    Ok((request, options))
}

#[track_caller]
fn refused(result: Result<(ChatRequest, NativeOptions), Invalid>, code: Code, message: &str) {
    match result {
        Ok(read) => panic!("{read:?} was accepted"),
        Err(error) => {
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(message), "{error} does not say {message:?}");
        }
    }
}

#[test]
fn every_parameter_of_a_chat_is_refused_out_of_its_range_as_in_the_other_dialect() {
    use Code::{InvalidParameter as P, InvalidValue as V, ModelParameter as M};
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (parameters, code, message) in [
        (json!({"temperature": 2}), P, "Temperature should be in [0.0, 2.0)"),
        (json!({"temperature": "1"}), P, "'temperature' must be Float"),
        (json!({"top_p": 0}), P, "Range of top_p should be (0.0, 1.0]"),
        (json!({"top_k": -1}), P, "Parameter top_k be greater than or equal to 0"),
        (json!({"presence_penalty": 3}), P, "Presence_penalty should be in [-2.0, 2.0]"),
        (json!({"repetition_penalty": 0}), P, "Repetition_penalty should be greater than 0.0"),
        (json!({"seed": -1}), P, "Range of seed should be [0, 9223372036854775807]"),
        (json!({"seed": 9223372036854775808_u64}), P, "Range of seed should be [0, 9223372036854775807]"),
        (json!({"seed": 1e30}), V, "'seed' must be Integer"),
        (json!({"stop": ["a", 1]}), P, "The \"stop\" parameter must be of type"),
        (json!({"max_tokens": 101}), M, "Range of max_tokens should be [1, 100]"),
        (json!({"max_completion_tokens": 0}), M, "Range of max_completion_tokens should be [1, 100]"),
        (json!({"n": 5}), P, "Range of n should be [1, 4]"),
        (json!({"n": 2, "tools": tool}), P, "Range of n should be [1, 1] when tools are set"),
        (json!({"top_logprobs": 6, "logprobs": true}), P, "Range of top_logprobs should be [0, 5]"),
        (json!({"tools": {}}), P, "'tools' must be List"),
        (json!({"tools": [{"type": "function", "function": {"name": "search"}}]}), P, "[search]"),
        (json!({"tools": tool, "tool_choice": "required"}), P, "tool_choice is one of the strings"),
        (
            json!({"tools": tool, "tool_choice": {"type": "tool", "function": {"name": "f"}}}),
            P,
            "tool_choice is one of",
        ),
        (json!({"response_format": {"type": "xml"}}), P, "Unknown format of response_format"),
        (json!({"response_format": {"type": "json_object"}, "enable_thinking": true}), P, "Json mode response"),
        (json!({"enable_thinking": "yes"}), P, "'enable_thinking' must be Boolean"),
        (json!({"thinking_budget": 0}), P, "The thinking_budget parameter must be a positive integer"),
        (json!({"enable_search": 1}), P, "'enable_search' must be Boolean"),
        (json!({"preserve_thinking": "true"}), P, "'preserve_thinking' must be Boolean"),
        (json!({"search_options": []}), P, "'search_options' must be Object"),
        (json!({"result_format": "json"}), P, "result_format is one of the strings that should be"),
        (json!({"result_format": true}), P, "result_format is one of the strings that should be"),
        (json!({"incremental_output": "true"}), P, "'incremental_output' must be Boolean"),
    ] {
        refused(read(parameters), code, message);
    }
}

#[test]
fn values_at_the_ends_of_their_ranges_and_nulls_are_accepted() {
    for parameters in [
        json!({}),
        json!({"seed": 9223372036854775807_i64}),
        json!({"seed": 0, "temperature": 0, "top_p": 1, "top_k": 0, "max_tokens": 100, "n": 4}),
        json!({"tool_choice": "auto", "tools": []}),
        json!({"result_format": null, "incremental_output": null, "temperature": null, "seed": null, "stop": null,
               "tools": null, "tool_choice": null, "enable_search": null, "search_options": null, "top_k": null}),
    ] {
        if let Err(error) = read(parameters.clone()) {
            panic!("{parameters}: {error}");
        }
    }
}

#[test]
fn a_choice_of_tools_is_spelled_alike_in_both_dialects() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (spelled, want) in [
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!({"type": "function", "function": {"name": "f"}}), ToolChoice::Function("f".to_owned())),
        (json!({"function": {"name": "f"}}), ToolChoice::Function("f".to_owned())),
    ] {
        let (native, _) = read(json!({"tools": tools, "tool_choice": spelled})).unwrap();
        assert_eq!(native.tool_choice, Some(want), "{spelled}");
        let compat = json!({"model": "qwen-plus", "messages": [{"role": "user", "content": "json"}], "tools": tools,
            "tool_choice": spelled});
        assert_eq!(serde_json::from_value::<ChatRequest>(compat).unwrap(), native, "{spelled}");
    }
}

#[test]
fn stops_of_each_kind_are_read() {
    for (spelled, want) in [
        (json!("a"), Some(Stop::One("a".to_owned()))),
        (json!(["a", "b"]), Some(Stop::Strings(vec!["a".to_owned(), "b".to_owned()]))),
        (json!([1, 2]), Some(Stop::Tokens(vec![1, 2]))),
        (json!([[1], [2, 3]]), Some(Stop::TokenLists(vec![vec![1], vec![2, 3]]))),
        (json!([]), None),
        (json!(null), None),
    ] {
        assert_eq!(read(json!({"stop": spelled})).unwrap().0.stop, want, "{spelled}");
    }
}

#[test]
fn a_request_without_what_it_needs_is_refused_by_its_code() {
    use Code::{EmptyInput, EmptyModel, IllegalInput, InvalidParameter as P};
    let u = json!([{"role": "user", "content": "u"}]);
    for (request, code, message) in [
        (json!({"input": {"messages": u}}), EmptyModel, "Required parameter \"model\" missing from request."),
        (json!({"model": null, "input": {"messages": u}}), EmptyModel, "Required parameter \"model\""),
        (json!({"model": "m"}), EmptyInput, "Required input parameter missing from request."),
        (json!({"model": "m", "input": null}), EmptyInput, "Required input parameter missing from request."),
        (json!({"model": "m", "input": "u"}), IllegalInput, "The input parameter requires json format."),
        (json!({"model": "m", "input": []}), IllegalInput, "The input parameter requires json format."),
        (json!({"model": "m", "messages": u}), P, "Either \"prompt\" or \"messages\" must exist"),
        (json!({"model": "m", "input": {}}), P, "Either \"prompt\" or \"messages\" must exist"),
        (json!({"model": "m", "input": {"prompt": "u", "messages": u}}), P, "Only one of the parameters"),
        (json!({"model": "m", "input": {"messages": []}}), P, "[] is too short"),
        (json!({"model": "m", "input": {"messages": u}, "parameters": 1}), P, "'parameters' must be Object"),
        (json!({"model": "m", "input": {"messages": [{"role": "user"}]}}), P, "The content field is a required field."),
        (json!({"model": "m", "input": {"messages": [{"role": "tool", "content": "t"}]}}), P, "preceeding message"),
    ] {
        refused(read_whole(request), code, message);
    }
}

#[test]
fn how_an_answer_is_written_depends_on_the_name() {
    // Where the answer stands, whether frames have only what is new, whether they must.
    for (model, message, news, only) in [
        ("qwen-plus", false, false, false),
        ("qwen-plus-latest", false, false, false),
        ("qwen-max", false, false, false),
        ("qwen-turbo", false, false, false),
        ("qwen-flash", false, false, false),
        ("qwen-coder-plus", false, false, false),
        ("qwen3-coder-plus", false, false, false),
        ("qwen2.5-7b-instruct", false, false, false),
        ("qwen-long", true, false, false),
        ("qwen-long-latest", true, false, false),
        ("qwen3-max", true, true, false),
        ("qwen3-max-preview", true, true, false),
        ("qwen3-max-2026-01-23", true, true, false),
        ("qwen3-vl-plus", true, true, false),
        ("qwen3-vl-flash", true, true, false),
        ("qwq-plus", true, true, true),
        ("qwq-32b", true, true, true),
        ("qvq-max", false, true, false),
        ("qwen3-0.6b", true, true, true),
        ("qwen3-32b", true, true, true),
        ("qwen3-235b-a22b-thinking-2507", true, true, true),
        ("qwen3-coder-30b-a3b-instruct", true, true, true),
        ("qwen3-next-80b-a3b-thinking", true, true, true),
        ("qwen3-next-80b-a3b-instruct", false, true, true),
        ("Qwen/Qwen3-8B", true, true, true),
        ("qwen3.5-plus", true, true, false),
        ("qwen3.8-max", true, true, false),
    ] {
        let found = defaults(model, Endpoint::Text);
        let format = if message { ResultFormat::Message } else { ResultFormat::Text };
        assert_eq!(
            (found.result_format, found.incremental_output, found.incremental_only),
            (format, news, only),
            "{model}"
        );
        assert_eq!(defaults(model, Endpoint::Multimodal).result_format, ResultFormat::Message, "{model}");
    }
}

#[test]
fn what_cannot_hold_the_answer_is_refused_or_made_to_hold_it() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let form = |model: &str, parameters: Value, stream: bool, thinking: bool| {
        let (mut request, options) = read(parameters).unwrap();
        (request.model, request.stream) = (model.to_owned(), stream);
        options.form(&request, Endpoint::Text, thinking).map(|form| (form.result_format, form.incremental))
    };
    use ResultFormat::{Message, Text};
    for (model, parameters, stream, thinking, want) in [
        ("qwen-plus", json!({}), false, false, (Text, false)),
        ("qwen-plus", json!({}), true, false, (Text, false)),
        ("qwen-plus", json!({"incremental_output": true}), true, false, (Text, true)),
        // What is whole has no frames.
        ("qwen-plus", json!({"incremental_output": true}), false, false, (Text, false)),
        ("qwen-plus", json!({"incremental_output": false}), false, true, (Message, false)),
        ("qwen-plus", json!({"result_format": "message"}), true, false, (Message, false)),
        ("qwen-plus", json!({"tools": tools}), false, false, (Message, false)),
        ("qwen-plus", json!({"tools": tools, "result_format": "text"}), false, false, (Message, false)),
        ("qwen-plus", json!({"n": 2}), false, false, (Message, false)),
        ("qwen-plus", json!({}), true, true, (Message, true)),
        ("qwen3-max", json!({}), true, false, (Message, true)),
        ("qwen3-max", json!({"result_format": "text", "incremental_output": false}), true, false, (Text, false)),
        ("qwen3-8b", json!({"incremental_output": false}), false, false, (Message, false)),
    ] {
        assert_eq!(form(model, parameters.clone(), stream, thinking), Ok(want), "{model} {parameters}");
    }
    for (model, parameters, thinking, message) in [
        ("qwen-plus", json!({"incremental_output": false}), true, "must be \"true\" when enable_thinking is true"),
        ("qwen-plus", json!({"result_format": "text"}), true, "must be \"message\" when enable_thinking is true"),
        ("qwen3-8b", json!({"incremental_output": false}), false, "of this model cannot be set to False."),
        ("qwq-plus", json!({"incremental_output": false}), false, "of this model cannot be set to False."),
    ] {
        let error = form(model, parameters.clone(), true, thinking).unwrap_err();
        assert!(error.message.contains(message), "{model} {parameters}: {error}");
    }
}

#[test]
fn a_result_without_an_id_answers_the_first_call_that_has_none() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let request = json!({"model": "m", "input": {"messages": [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b"), call("c")]},
        {"role": "tool", "content": "1", "tool_call_id": "b"},
        {"role": "tool", "content": "2"},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "", "tool_calls": [call(""), call("")]},
        {"role": "tool", "content": "4"},
        {"role": "tool", "content": "5"},
    ]}});
    let (request, _) = read_whole(request).unwrap();
    let ids: Vec<_> = request.messages.iter().filter_map(|message| message.tool_call_id.as_deref()).collect();
    assert_eq!(ids, ["b", "a", "c", "", ""]);
}
