use serde_json::{Value, json};

use super::*;
use crate::error::Code;

fn read(fields: Value) -> Result<CompletionRequest, Invalid> {
    let mut map = Map::from_iter([("model".to_owned(), "m".into()), ("prompt".to_owned(), "p".into())]);
    map.extend(fields.as_object().unwrap().clone());
    let request = CompletionRequest::from_map(map)?;
    request.validate(Strictness::Qwen)?;
    request.validate_limits(Limits { output_tokens_max: 100 })?;
    Ok(request)
}

#[test]
fn values_out_of_range_are_refused_in_the_words_of_a_chat() {
    use Code::{InvalidParameter as P, InvalidRequest as R, InvalidValue as V, ModelParameter as M};
    for (fields, code, field, message) in [
        (json!({"model": null}), R, "model", "you must provide a model parameter."),
        (json!({"prompt": null}), R, "prompt", "Required parameter(prompt) missing or invalid"),
        (json!({"prompt": 5}), P, "prompt", "'prompt' must be a string"),
        (json!({"prompt": []}), P, "prompt", "[] is too short"),
        (json!({"prompt": ["a", [1]]}), P, "prompt", "of one kind"),
        (json!({"prompt": [-1]}), P, "prompt", "'prompt' must be"),
        (json!({"prompt": vec!["p"; 65]}), P, "prompt", "65 elements, more than 64"),
        (json!({"suffix": 1}), P, "suffix", "'suffix' must be String"),
        (json!({"suffix": "s", "prompt": [1]}), P, "suffix", "not of token ids"),
        (json!({"suffix": "s", "prompt": "<|fim_prefix|>"}), P, "suffix", "<|fim_prefix|>"),
        (json!({"temperature": 2}), P, "temperature", "Temperature should be in [0.0, 2.0)"),
        (json!({"top_p": 1.5}), P, "top_p", "Range of top_p should be (0.0, 1.0]"),
        (json!({"max_tokens": 101}), M, "max_tokens", "Range of max_tokens should be [1, 100]"),
        (json!({"n": 5}), P, "n", "Range of n should be [1, 4]"),
        (json!({"seed": -1}), V, "seed", "-1 is lesser than the minimum of 0 - 'seed'"),
        (json!({"stop": [1, "a"]}), P, "stop", "The \"stop\" parameter must be of type"),
        (json!({"logprobs": 6}), P, "logprobs", "Range of logprobs should be [0, 5]"),
        (json!({"logprobs": -1}), P, "logprobs", "Range of logprobs should be [0, 5]"),
        (json!({"logprobs": true}), P, "logprobs", "'logprobs' must be Integer"),
        (json!({"echo": 1}), P, "echo", "'echo' must be Boolean"),
        (json!({"best_of": 2}), P, "best_of", "best_of should be equal to n, which is 1"),
        (json!({"stream_options": []}), P, "stream_options", "'stream_options' must be Object"),
    ] {
        let error = read(fields.clone()).expect_err(&fields.to_string());
        assert_eq!((error.code, error.field.as_str()), (code, field), "{fields}: {error}");
        assert!(error.message.contains(message), "{fields}: {error}");
    }
}

#[test]
fn nulls_and_the_ends_of_ranges_are_accepted() {
    for fields in [
        json!({"suffix": null, "stream": null, "max_tokens": null, "stop": null, "logprobs": null, "echo": null,
               "best_of": null, "n": null, "seed": null, "logit_bias": null, "temperature": null, "top_k": null}),
        json!({"logprobs": false}),
        json!({"logprobs": 5, "n": 4, "best_of": 4, "max_tokens": 100, "temperature": 0}),
        json!({"prompt": ""}),
        json!({"prompt": [1, 2]}),
        json!({"prompt": [[1], [2]], "stop": [[1]]}),
    ] {
        if let Err(error) = read(fields.clone()) {
            panic!("{fields}: {error}");
        }
    }
}

#[test]
fn a_gap_is_marked_by_a_suffix_or_in_the_prompt() {
    for (fields, infill, choices) in [
        (json!({}), false, 1),
        (json!({"suffix": ""}), true, 1),
        (json!({"prompt": ["a", "<|fim_prefix|>b"], "n": 2}), true, 4),
        (json!({"prompt": [[1], [2], [3]]}), false, 3),
    ] {
        let request = read(fields.clone()).unwrap();
        assert_eq!((request.is_infill(), request.choices()), (infill, choices), "{fields}");
    }
}
