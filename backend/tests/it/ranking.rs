//! Documents in the order of their relevance to a question.

use qwenda_backend::{
    Backend, BackendError, Ranked, RerankCall, Whose,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::rerank::RerankRequest;
use serde_json::Value;

use crate::asking::Tiny;

fn call(model: &str, query: &str, documents: &[&str]) -> RerankCall {
    let documents = documents.iter().map(ToString::to_string).collect();
    let request = RerankRequest { model: model.into(), query: query.into(), documents, ..RerankRequest::default() };
    RerankCall { request, request_id: "test".into(), whose: Whose::default() }
}

async fn rank(tiny: &Tiny, query: &str, documents: &[&str]) -> Ranked {
    tiny.local.rerank(call("tiny", query, documents)).await.expect("it is taken")
}

async fn refused(local: &Local, call: RerankCall) -> (String, String) {
    match local.rerank(call).await {
        Err(BackendError::Invalid(invalid)) => (invalid.field, invalid.message),
        Err(BackendError::Unsupported { field, message }) => (field, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_document_has_a_score_that_does_not_depend_on_the_others() {
    let tiny = Tiny::new();
    assert!(tiny.local.models()[0].abilities.rerank);
    let all = rank(&tiny, "the question", &["the answer", "你好", "", "a<|im_end|>b"]).await;
    assert!(all.scores.iter().all(|score| (0.0..=1.0).contains(score)), "{:?}", all.scores);
    assert_ne!(all.scores[0], all.scores[1]);
    let alone = rank(&tiny, "the question", &["你好"]).await;
    assert_eq!(alone.scores[0], all.scores[1]);
    let other = rank(&tiny, "another question", &["你好"]).await;
    assert_ne!(other.scores, alone.scores, "the question is read");
    let mut with = call("tiny", "the question", &["你好"]);
    with.request.instruct = Some("Find greetings".to_owned());
    assert_ne!(tiny.local.rerank(with).await.unwrap().scores, alone.scores, "so is the instruction");
}

#[tokio::test]
async fn the_question_counts_once_for_each_document() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let (query, documents) = ("the question", ["the answer is", "你好", "word"]);
    let counted = inspector.count(query) * 3 + documents.iter().map(|text| inspector.count(text)).sum::<usize>();
    assert_eq!(rank(&tiny, query, &documents).await.tokens as usize, counted);
}

#[tokio::test]
async fn what_is_longer_than_an_item_may_be_is_cut_off() {
    let options = LocalOptions::default();
    let tiny = Tiny::of(&TinyModel { context: 8192, ..TinyModel::qwen2() }, options);
    let long = " the".repeat(5_000);
    let longer = format!("{long}你好");
    let ranked = rank(&tiny, "a", &[&long, &longer]).await;
    assert_eq!(ranked.scores[0], ranked.scores[1], "what differs stands behind the cut");
    let asked = Inspector::open(&tiny.file().path).unwrap().count("a") as u32;
    assert_eq!(ranked.tokens, 2 * (asked + 4_000));
    // A small context cuts sooner, and a long question leaves room for the documents.
    let small = Tiny::new();
    assert_eq!(rank(&small, &long, &["你好", &longer]).await.scores.len(), 2);
}

#[tokio::test]
async fn a_request_that_is_too_large_or_asks_nothing_is_refused() {
    let tiny = Tiny::of(&TinyModel { context: 8192, ..TinyModel::qwen2() }, LocalOptions::default());
    let long = " the".repeat(4_000);
    let (field, message) = refused(&tiny.local, call("tiny", "a", &[&*long; 31])).await;
    assert_eq!(field, "documents");
    assert!(message.contains("120000") && message.contains("of 31"), "{message}");
    let (field, message) = refused(&tiny.local, call("tiny", &long, &["a"; 40])).await;
    assert_eq!(field, "documents");
    assert!(message.contains("120000"), "the question counts too: {message}");
    assert_eq!(refused(&tiny.local, call("tiny", "", &["a"])).await.0, "query");
    let mut instructed = call("tiny", "a", &["b"]);
    instructed.request.instruct = Some(" the".repeat(9_000));
    assert_eq!(refused(&tiny.local, instructed).await.0, "instruct");
}

#[tokio::test]
async fn as_many_documents_as_a_request_may_have_are_ranked() {
    let tiny = Tiny::new();
    let ranked = rank(&tiny, "the question", &["the answer"; 500]).await;
    assert_eq!(ranked.scores.len(), 500);
    assert!(ranked.scores.iter().all(|score| *score == ranked.scores[0]), "equal documents, equal scores");
}

/// Every second of the questions that `examples/relevance.rs` measures with: 9 of 10 were right when
/// this was written, and 2 are by chance.
#[tokio::test]
async fn the_real_model_puts_the_right_answer_first() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let texts: Value = serde_json::from_str(include_str!("../../examples/relevance.json")).unwrap();
    let questions: Vec<&Value> = texts["questions"].as_array().unwrap().iter().step_by(2).collect();
    let mut first = 0;
    for question in &questions {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let wrong = question["wrong"].as_array().unwrap().iter().map(text);
        let documents: Vec<String> = wrong.chain([text(&question["right"])]).collect();
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        let scores =
            local.rerank(call("real", question["question"].as_str().unwrap(), &documents)).await.unwrap().scores;
        first += usize::from(scores[..4].iter().all(|score| *score < scores[4]));
    }
    assert!(first >= 7, "{first} of {}", questions.len());
}
