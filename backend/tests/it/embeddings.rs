//! Texts that become vectors.

use std::time::Duration;

use qwenda_backend::{
    Backend, BackendError, EmbedCall, Embedded, Whose,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::embeddings::EmbeddingRequest;
use serde_json::{Value, json};
use tokio::time;

use crate::asking::{Tiny, request};

fn call(fields: Value) -> EmbedCall {
    let Value::Object(mut map) = fields else { unreachable!("it is an object") };
    map.entry("model").or_insert(json!("tiny"));
    let request = EmbeddingRequest::from_map(map).expect("a request");
    EmbedCall { request, request_id: "test".into(), whose: Whose::default() }
}

async fn embed(local: &Local, fields: Value) -> Embedded {
    local.embed(call(fields)).await.expect("it is taken")
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn vectors_have_norm_1_and_as_many_values_as_asked() {
    let tiny = Tiny::new();
    let ability = tiny.local.models()[0].abilities.embed.unwrap();
    assert_eq!(ability.dimensions_default, 64);
    for (asked, length) in [(json!(null), 64), (json!(64), 64), (json!(16), 16), (json!(100), 100)] {
        let made = embed(&tiny.local, json!({"input": ["你好", "the answer"], "dimensions": asked})).await;
        for vector in &made.vectors {
            assert_eq!(vector.len(), length);
            assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
        }
        assert_ne!(made.vectors[0], made.vectors[1]);
    }
}

#[tokio::test]
async fn only_the_callers_own_tokens_are_counted() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let texts = ["你好", "the answer is the answer", "<"];
    let made = embed(&tiny.local, json!({"input": texts})).await;
    assert_eq!(made.text_tokens, texts.map(|text| inspector.count(text) as u32));
}

#[tokio::test]
async fn token_ids_mean_what_their_text_means() {
    let tiny = Tiny::new();
    let ids = Inspector::open(&tiny.file().path).unwrap().ids("the answer");
    let text = embed(&tiny.local, json!({"input": "the answer"})).await;
    assert_eq!(embed(&tiny.local, json!({"input": ids})).await, text);
    assert_eq!(embed(&tiny.local, json!({"input": [ids]})).await, text);
}

#[tokio::test]
async fn a_vector_does_not_depend_on_the_texts_beside_it_nor_on_what_else_runs() {
    let tiny = Tiny::new();
    let alone = embed(&tiny.local, json!({"input": "the answer"})).await.vectors.remove(0);
    let mut texts: Vec<String> = (0..40).map(|i| format!("word {i} ").repeat(1 + i % 7)).collect();
    texts.insert(23, "the answer".to_owned());
    let (beside, _) = tokio::join!(
        embed(&tiny.local, json!({"input": texts})),
        tiny.ask(request(json!({"max_tokens": 100, "logit_bias": {"40": 100}})))
    );
    assert_eq!(beside.vectors[23], alone);
    let fresh = Tiny::new();
    assert_eq!(embed(&fresh.local, json!({"input": ["x", "the answer"]})).await.vectors[1], alone);
}

#[tokio::test]
async fn as_many_texts_as_a_request_may_have_go_through_a_small_engine() {
    let mut options = LocalOptions::default();
    (options.engine.sequences_max, options.engine.queue_max) = (2, 1);
    let tiny = Tiny::of(&TinyModel::qwen2(), options);
    let texts: Vec<String> = (0..2048).map(|i| format!("{i}")).collect();
    let made = embed(&tiny.local, json!({"input": texts})).await;
    assert_eq!(made.vectors.len(), 2048);
    assert_eq!(made.vectors[2047], embed(&tiny.local, json!({"input": "2047"})).await.vectors[0]);
}

#[tokio::test]
async fn a_text_that_is_empty_or_too_long_is_named() {
    let tiny = Tiny::new();
    let most = tiny.local.models()[0].abilities.embed.unwrap().text_tokens_max;
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let mut longest = "a".to_owned();
    while inspector.count(&longest) < most as usize {
        longest.push_str(" a");
    }
    assert_eq!(embed(&tiny.local, json!({"input": longest})).await.text_tokens, [most]);
    for (input, field, said) in [
        (json!(["a", ""]), "input[1]", "0 tokens".to_owned()),
        (json!(["a", "b", format!("{longest} a a")]), "input[2]", format!("[1, {most}]")),
    ] {
        match tiny.local.embed(call(json!({"input": input}))).await {
            Err(BackendError::Invalid(invalid)) => {
                assert_eq!(invalid.field, field);
                assert!(invalid.message.contains(&said), "{}", invalid.message);
            }
            other => panic!("{other:?}"),
        }
    }
    match tiny.local.embed(call(json!({"input": [[1], [2, 999_999]]}))).await {
        Err(BackendError::Unsupported { field, .. }) => assert_eq!(field, "input[1][1]"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_without_room_for_a_text_makes_no_vectors() {
    let tiny = Tiny::of(&TinyModel::qwen2(), LocalOptions { context_tokens_max: Some(20), ..LocalOptions::default() });
    let abilities = tiny.local.models()[0].abilities;
    assert_eq!((abilities.embed, abilities.rerank), (None, false));
    match tiny.local.embed(call(json!({"input": "a"}))).await {
        Err(BackendError::Unsupported { field, .. }) => assert_eq!(field, "model"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_work_along() {
    let mut options = LocalOptions::default();
    options.engine.kv_tokens_max = Some(1 << 20);
    (options.engine.sequences_max, options.engine.queue_max) = (2, 1);
    let tiny = Tiny::of(&TinyModel { context: 1 << 20, ..TinyModel::qwen2() }, options);
    embed(&tiny.local, json!({"input": "a"})).await;
    // Minutes, if nobody ended them: no two begin alike, so that none is known of another.
    let texts: Vec<_> = (0..2048).map(|i| format!("{i} {}", "the answer ".repeat(2_000))).collect();
    let left = tiny.local.embed(call(json!({"input": texts})));
    assert!(time::timeout(Duration::from_millis(1_500), left).await.is_err(), "eight million tokens are read");
    time::timeout(Duration::from_secs(20), embed(&tiny.local, json!({"input": "a"}))).await.expect("the place is free");
}

#[tokio::test]
async fn the_real_model_finds_what_means_the_same_in_either_language() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let texts = [
        "地铁末班车是晚上十一点半。",
        "The last underground train leaves at half past eleven at night.",
        "He is allergic to peanuts.",
        "Eating peanuts makes him ill.",
        "数据库连接超时，请稍后重试。",
        "The connection to the database timed out; try again later.",
    ];
    for length in [896, 256] {
        let made = embed(&local, json!({"model": "real", "input": texts, "dimensions": length})).await;
        for (i, vector) in made.vectors.iter().enumerate() {
            let cosine = |other: &usize| dot(vector, &made.vectors[*other]);
            let others = (0..texts.len()).filter(|other| *other != i);
            let nearest = others.clone().max_by(|a, b| cosine(a).total_cmp(&cosine(b))).unwrap();
            assert_eq!(nearest, i ^ 1, "{length}: {}", texts[i]);
            assert!(cosine(&nearest) > 0.55, "{length}: {}", cosine(&nearest));
            assert!(others.filter(|other| *other != i ^ 1).all(|other| cosine(&other) < 0.5), "{length}");
        }
    }
}
