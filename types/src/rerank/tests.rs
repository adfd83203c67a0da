use serde_json::{Value, json};

use super::*;
use crate::dashscope::rerank as native;

fn flat(fields: Value) -> Result<RerankRequest, Invalid> {
    let mut map = json!({"model": "qwen3-rerank", "query": "q", "documents": ["a", "b"]});
    map.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let request = RerankRequest::from_map(map.as_object().unwrap().clone())?;
    request.validate()?;
    Ok(request)
}

#[test]
fn a_request_without_what_it_needs_is_refused_by_its_place() {
    for (fields, field, message) in [
        (json!({"model": null}), "model", "you must provide a model parameter."),
        (json!({"query": null}), "query", "Field required: query"),
        (json!({"query": 5}), "query", "Input should be a string"),
        (json!({"query": {"image": "u"}}), "query", "This model reads text only, not 'image'"),
        (json!({"documents": null}), "documents", "Field required: documents"),
        (json!({"documents": "a"}), "documents", "'documents' must be List"),
        (json!({"documents": []}), "documents", "[] is too short"),
        (json!({"documents": ["a", 5]}), "documents[1]", "Input should be a string"),
        (json!({"documents": [{"video": "u"}]}), "documents[0]", "This model reads text only, not 'video'"),
        (json!({"documents": vec!["a"; 501]}), "documents", "501 elements, more than 500"),
        (json!({"top_n": 0}), "top_n", "top_n should be greater than or equal to 1"),
        (json!({"top_n": "1"}), "top_n", "'top_n' must be Integer"),
        (json!({"return_documents": 1}), "return_documents", "'return_documents' must be Boolean"),
        (json!({"instruct": 1}), "instruct", "'instruct' must be String"),
    ] {
        let error = flat(fields.clone()).expect_err(&fields.to_string());
        assert_eq!(error.field, field, "{fields}: {error}");
        assert!(error.message.contains(message), "{fields}: {error}");
    }
    let nested = json!({"model": "m", "input": {"documents": ["a"]}});
    let error = native::from_map(nested.as_object().unwrap().clone()).unwrap_err();
    assert_eq!(error.field, "input.query");
}

#[test]
fn results_are_the_best_ones_best_first() {
    let ranked = |fields: Value, scores: &[f64]| -> Vec<(u32, Option<String>)> {
        let request = flat(fields).unwrap();
        let results = RerankResult::ranked(scores, &request);
        results.into_iter().map(|result| (result.index, result.document.and_then(|document| document.text))).collect()
    };
    assert_eq!(ranked(json!({}), &[0.1, 0.9]), [(1, None), (0, None)]);
    assert_eq!(ranked(json!({}), &[0.5, 0.5]), [(0, None), (1, None)]);
    assert_eq!(ranked(json!({"top_n": 9, "instruct": null}), &[0.5, 0.1]), [(0, None), (1, None)]);
    let told = ranked(json!({"top_n": 1, "return_documents": true}), &[0.1, 0.9]);
    assert_eq!(told, [(1, Some("b".to_owned()))]);
}
