//! What is not answered, and what is said instead.

use std::fs;

use qwenda_backend::{
    BackendError,
    local::{Local, LocalModel, LocalOptions},
};
use qwenda_testkit::TinyModel;
use serde_json::json;

use crate::asking::{Tiny, refused, request};

#[tokio::test]
async fn a_request_this_model_cannot_do_is_refused_by_the_field() {
    let tiny = Tiny::new();
    for (fields, named, said) in [
        (json!({"logit_bias": {"999999": 1}}), "logit_bias.999999", "999999"),
        (json!({"stop": [999_999]}), "stop", "999999"),
        (json!({"stop": [[1, 999_999]]}), "stop", "999999"),
        (json!({"enable_thinking": true}), "enable_thinking", "no thinking phase"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            "messages[0].content[0]",
            "image_url",
        ),
    ] {
        match refused(&tiny.local, request(fields.clone())).await {
            BackendError::Unsupported { field, message } => {
                assert_eq!(field, named, "{fields}");
                assert!(message.contains(said), "{fields}: {message}");
            }
            other => panic!("{fields}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() {
    let tiny = Tiny::new();
    let fits = |words: usize| request(json!({"messages": [{"role": "user", "content": "the ".repeat(words)}]}));
    match refused(&tiny.local, fits(600)).await {
        BackendError::PromptTooLong { prompt_tokens, limit_tokens: 511 } => {
            assert!(prompt_tokens > 600, "{prompt_tokens}")
        }
        other => panic!("{other:?}"),
    }
    // One word more at a time: the longest prompt that is taken leaves one token of answer.
    let small = LocalOptions { context_tokens_max: Some(64), ..LocalOptions::default() };
    let small = Tiny::of(&TinyModel::qwen2(), small);
    for words in 0..64 {
        match crate::asking::start(&small.local, fits(words)).await {
            Ok(_) => assert!(small.ask(fits(words)).await.prompt_tokens <= 63),
            Err(BackendError::PromptTooLong { prompt_tokens: 64, limit_tokens: 63 }) => return,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("never too long");
}

#[tokio::test]
async fn an_unknown_model_is_answered_with_names_near_it() {
    let tiny = Tiny::new();
    for (name, expected) in [("tinny", vec!["tiny"]), ("TINY", vec!["tiny"]), ("gpt-9", vec![])] {
        match refused(&tiny.local, request(json!({"model": name}))).await {
            BackendError::UnknownModel { name: said, near } => {
                assert_eq!((said.as_str(), near), (name, expected.iter().map(ToString::to_string).collect()))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn models_that_cannot_run_are_refused_when_they_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.gguf");
    TinyModel::qwen2().write(&good).unwrap();
    let text = folder.path().join("text.gguf");
    fs::write(&text, "this is a text").unwrap();
    let broken = folder.path().join("broken.gguf");
    let mut parts = TinyModel::qwen2().parts();
    parts.set("tokenizer.chat_template", "{% if %}");
    fs::write(&broken, parts.bytes()).unwrap();
    let model = |path: &std::path::Path| LocalModel { name: "same".into(), path: path.to_owned() };
    for (models, said) in [
        (vec![model(&good), model(&good)], "two models are called `same`"),
        (vec![model(&text)], "text.gguf"),
        (vec![model(&folder.path().join("absent.gguf"))], "absent.gguf"),
        (vec![model(&broken)], "broken.gguf`: chat template, line 1"),
    ] {
        let error = Local::open(models, LocalOptions::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
