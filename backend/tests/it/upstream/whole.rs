//! Vectors and scores of an upstream.

use qwenda_backend::{Backend, BackendError, EmbedCall, Embedded, Ranked, RerankCall, Whose};
use qwenda_testkit::{FakeUpstream, Framing, Reply};
use qwenda_types::{embeddings::EmbeddingRequest, error::Code, rerank::RerankRequest};
use serde_json::{Value, json};

use super::asking::{refused, upstream};

fn request(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().expect("an object").clone()
}

async fn embed(fake: &FakeUpstream, retries: u32) -> Result<Embedded, BackendError> {
    let request =
        EmbeddingRequest::from_map(request(json!({"model": "vectors", "input": ["a", "b"]}))).expect("a request");
    let call = EmbedCall { request, request_id: String::new(), whose: Whose::default() };
    upstream(fake, &format!("retries = {retries}")).embed(call).await
}

async fn rerank(fake: &FakeUpstream) -> Result<Ranked, BackendError> {
    let request = json!({"model": "vectors", "query": "q", "documents": ["a", "b"], "top_n": 1});
    let request = RerankRequest::from_map(self::request(request)).expect("a request");
    let call = RerankCall { request, request_id: String::new(), whose: Whose::default() };
    upstream(fake, "retries = 0").rerank(call).await
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts() {
    let fake = FakeUpstream::start().await;
    let answer = json!({"data": [{"index": 1, "embedding": "AACAPw=="}, {"index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let whole = Reply::json(200, answer.to_string());
    // One that breaks off is asked for again.
    fake.reply(whole.clone().cut(whole.bytes().len() - 1));
    fake.reply(whole);
    let made = embed(&fake, 1).await.unwrap();
    assert_eq!(made, Embedded { vectors: vec![vec![0.5], vec![1.0]], text_tokens: vec![3] });
    let asked = fake.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].head.starts_with("POST /v1/embeddings "));
    assert_eq!(asked[0].body, json!({"model": "vectors", "input": ["a", "b"]}));
}

#[tokio::test]
async fn scores_come_in_the_order_of_the_documents() {
    let fake = FakeUpstream::start().await;
    let answer = json!({"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
        "usage": {"total_tokens": 8}});
    fake.reply(Reply::json(200, answer.to_string()).framed(Framing::Chunked));
    assert_eq!(rerank(&fake).await.unwrap(), Ranked { scores: vec![0.1, 0.9], tokens: 8 });
    let [asked] = fake.asked().try_into().unwrap();
    assert!(asked.head.starts_with("POST /v1/rerank "));
    assert_eq!(asked.body.get("top_n"), None);
}

#[tokio::test]
async fn an_answer_that_lacks_something_is_an_error() {
    for (answer, said) in [
        (json!({"data": [{"index": 0, "embedding": [1.0]}]}), "without a vector"),
        (json!({"data": [{"index": 2, "embedding": [1.0]}]}), "of no text"),
        (json!({"data": [{"index": 0, "embedding": "?"}]}), "cannot be read"),
        (json!({"vectors": []}), "JSON that cannot be read"),
        (json!([]), "JSON that cannot be read"),
    ] {
        let fake = FakeUpstream::start().await;
        fake.reply(Reply::json(200, answer.to_string()));
        let error = refused(embed(&fake, 0).await.unwrap_err());
        assert_eq!(error.code(), Code::BadGateway, "{answer}");
        assert!(error.logged().unwrap().contains(said), "{answer}: {error:?}");
    }
    for (answer, said) in [
        (json!({"results": [{"index": 0, "relevance_score": 0.5}]}), "without a score"),
        (json!({"results": [{"index": 9, "relevance_score": 0.5}]}), "of no document"),
    ] {
        let fake = FakeUpstream::start().await;
        fake.reply(Reply::json(200, answer.to_string()));
        let error = refused(rerank(&fake).await.unwrap_err());
        assert!(error.logged().unwrap().contains(said), "{answer}: {error:?}");
    }
    let fake = FakeUpstream::start().await;
    fake.reply(Reply::json(200, r#"{"code":"InvalidParameter","message":"too many texts"}"#));
    assert_eq!(refused(embed(&fake, 0).await.unwrap_err()).message(), "too many texts");
}
