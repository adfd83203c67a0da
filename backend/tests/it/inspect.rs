//! Counting, rendering and scoring without an answer.

use std::fs;

use qwenda_backend::local::{
    LocalModel, LocalOptions,
    inspect::{Inspector, ScoreError, score},
};
use qwenda_testkit::TinyModel;
use serde_json::json;

use crate::asking::Tiny;

#[test]
fn special_tokens_in_a_text_are_special_and_ids_spell_the_text() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let text = "<|im_start|>user\nthe 模型<|im_end|>";
    let ids = inspector.ids(text);
    assert_eq!(inspector.token_text(ids[0]), "<|im_start|>");
    assert_eq!(ids.len(), inspector.count(text));
    let ascii: String = inspector.ids("the question").into_iter().map(|id| inspector.token_text(id)).collect();
    assert_eq!(ascii, "the question");
}

#[test]
fn a_model_without_a_template_gets_the_familys_plain_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.gguf");
    let mut parts = TinyModel::qwen2().parts();
    parts.remove("tokenizer.chat_template");
    fs::write(&path, parts.bytes()).unwrap();
    let inspector = Inspector::open(&path).unwrap();
    let messages = [json!({"role": "system", "content": "short"}), json!({"role": "user", "content": "hi"})];
    assert_eq!(
        inspector.render(&messages, None).unwrap(),
        "<|im_start|>system\nshort<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn a_score_has_one_loss_for_each_token_but_the_first() {
    let tiny = Tiny::new();
    let options = LocalOptions::default();
    let scored = score(&tiny.file(), &options, "the engine reads 你好").unwrap();
    assert_eq!(scored.tokens.iter().map(|token| token.text.as_str()).collect::<String>(), "the engine reads 你好");
    assert_eq!((scored.tokens[0].nll, scored.tokens[0].argmax), (None, None));
    let losses: Vec<f64> = scored.tokens[1..].iter().map(|token| f64::from(token.nll.unwrap())).collect();
    assert!(losses.iter().all(|nll| *nll >= 0.0));
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert_eq!((scored.mean_nll, scored.perplexity), (Some(mean), Some(mean.exp())));
    for text in ["", "t"] {
        let short = score(&tiny.file(), &options, text).unwrap();
        assert_eq!((short.tokens.len(), short.mean_nll, short.perplexity), (text.len(), None, None));
    }
}

#[test]
fn what_cannot_be_scored_is_said_with_numbers_or_the_place() {
    let tiny = Tiny::new();
    match score(&tiny.file(), &LocalOptions::default(), &"the ".repeat(600)) {
        Err(ScoreError::TooLong { tokens, limit }) => {
            assert!(tokens >= 600 && (511..=512).contains(&limit), "{tokens} {limit}")
        }
        other => panic!("{other:?}"),
    }
    let absent = LocalModel { name: "x".into(), path: tiny.folder.path().join("absent.gguf") };
    let error = score(&absent, &LocalOptions::default(), "x").unwrap_err();
    assert!(error.to_string().contains("absent.gguf"), "{error}");
}
