use serde_json::{Value, json};

use super::*;
use crate::{dashscope::embeddings as native, error::Code};

fn compat(fields: Value) -> Result<EmbeddingRequest, Invalid> {
    let mut map = Map::from_iter([("model".to_owned(), "text-embedding-v4".into()), ("input".to_owned(), "a".into())]);
    map.extend(fields.as_object().unwrap().clone());
    let request = EmbeddingRequest::from_map(map)?;
    request.validate(Dialect::Compat, Strictness::Qwen)?;
    Ok(request)
}

fn native(input: Value, parameters: Value) -> Result<EmbeddingRequest, Invalid> {
    let request = json!({"model": "text-embedding-v4", "input": input, "parameters": parameters});
    let request = native::from_map(request.as_object().unwrap().clone())?;
    request.validate(Dialect::Native, Strictness::Qwen)?;
    Ok(request)
}

#[track_caller]
fn refused(result: Result<EmbeddingRequest, Invalid>, field: &str, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.field, field, "{error}");
    assert!(error.message.contains(message), "{error} does not say {message:?}");
}

#[test]
fn what_is_no_text_is_refused_in_the_contract_s_words() {
    let neither = "Value error, contents is neither str nor list of str.: input.contents";
    for (input, message) in [
        (json!(5), neither),
        (json!({"a": 1}), neither),
        (json!(["a", 1]), neither),
        (json!([[], [1]]), neither),
        (json!([null]), neither),
        (json!([]), "[] is too short"),
        (json!(null), "Required parameter(input) missing or invalid"),
    ] {
        refused(compat(json!({"input": input})), "input", message);
    }
    for (texts, message) in [
        (json!(5), neither),
        (json!(["a", 1]), neither),
        (json!([["a"]]), neither),
        (json!([]), "[] is too short"),
        (json!(null), "Field required: input.texts"),
    ] {
        refused(native(json!({"texts": texts}), json!({})), "input.texts", message);
    }
    refused(native(json!({"contents": []}), json!({})), "input.contents", "input.texts");
    refused(native(json!({"url": "u"}), json!({})), "input.url", "does not support asynchronous calls");
    let nothing = native::from_map(Map::from_iter([("model".to_owned(), "m".into())])).unwrap_err();
    assert_eq!(nothing.code, Code::EmptyInput);
}

#[test]
fn lengths_and_rows_are_those_of_the_model_s_name() {
    let ask = |model: &str, rows: usize, dimensions: Value, strictness| {
        let map = json!({"model": model, "input": vec!["a"; rows], "dimensions": dimensions});
        let request = EmbeddingRequest::from_map(map.as_object().unwrap().clone())?;
        request.validate(Dialect::Compat, strictness)
    };
    use Strictness::{Auto, OpenAi, Qwen};
    for (model, rows, dimensions, strictness, refusal) in [
        ("text-embedding-v4", 10, json!(64), Qwen, None),
        ("text-embedding-v4", 10, json!(2048), Auto, None),
        ("text-embedding-v4", 11, json!(null), Qwen, Some("it should not be larger than 10.")),
        ("text-embedding-v4", 11, json!(null), Auto, Some("it should not be larger than 10.")),
        ("text-embedding-v4", 2048, json!(null), OpenAi, None),
        ("text-embedding-v4", 2049, json!(null), OpenAi, Some("it should not be larger than 2048.")),
        ("text-embedding-v3", 10, json!(1024), Qwen, None),
        ("text-embedding-v3", 1, json!(2048), Qwen, Some("dimension 2048 is invalid")),
        ("text-embedding-v3", 1, json!(100), OpenAi, None),
        ("text-embedding-v2", 25, json!(1536), Qwen, None),
        ("text-embedding-v2", 26, json!(null), Qwen, Some("it should not be larger than 25.")),
        ("text-embedding-v1", 1, json!(512), Qwen, Some("dimension 512 is invalid")),
        ("other", 2048, json!(7), Qwen, None),
        ("other", 2048, json!(4096), Qwen, None),
        ("other", 1, json!(0), Qwen, Some("Range of dimensions should be [1, 4096]")),
        ("other", 1, json!(4097), Qwen, Some("Range of dimensions should be [1, 4096]")),
        ("other", 1, json!("64"), Qwen, Some("'dimensions' must be Integer")),
    ] {
        let found = ask(model, rows, dimensions.clone(), strictness);
        match refusal {
            None => assert_eq!(found, Ok(()), "{model} {rows} {dimensions}"),
            Some(message) => {
                let error = found.expect_err(model);
                assert!(error.message.contains(message), "{model} {rows} {dimensions}: {error}");
            }
        }
    }
}

#[test]
fn the_words_of_a_request_are_those_of_the_contract() {
    refused(compat(json!({"encoding_format": "hex"})), "encoding_format", "[\"float\", \"base64\"]");
    refused(compat(json!({"text_type": "title"})), "text_type", "[\"query\", \"document\"]");
    refused(compat(json!({"instruct": 1})), "instruct", "'instruct' must be String");
    let texts = || json!({"texts": ["a"]});
    for (parameters, field, message) in [
        (json!({"text_type": "title"}), "parameters.text_type", "[\"query\", \"document\"]"),
        (json!({"output_type": "sparse"}), "parameters.output_type", "dense vectors only"),
        (json!({"output_type": "dense&sparse"}), "parameters.output_type", "dense vectors only"),
        (json!({"output_type": "binary"}), "parameters.output_type", "[\"dense\", \"sparse\", \"dense&sparse\"]"),
        (json!({"dimension": 100}), "parameters.dimension", "dimension 100 is invalid"),
        (json!({"dimension": "64"}), "dimension", "'dimension' must be Integer"),
    ] {
        refused(native(texts(), parameters), field, message);
    }
    let nulls = json!({"dimension": null, "text_type": null, "output_type": null, "instruct": null});
    for request in [
        native(texts(), json!({"dimension": 64, "text_type": "query", "output_type": "dense", "instruct": "i"})),
        native(texts(), nulls),
        native(json!({"texts": "a"}), json!(null)),
        compat(json!({"encoding_format": null, "dimensions": null, "text_type": null, "instruct": null})),
        compat(json!({"encoding_format": "base64", "dimensions": 64})),
    ] {
        assert_eq!(request.unwrap().inputs, [Prompt::Text("a".to_owned())]);
    }
}
