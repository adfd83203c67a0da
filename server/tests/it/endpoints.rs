//! Completions, embeddings, rerank, the tokenizer and the lists of models.

use std::sync::Arc;

use qwenda_backend::local::{Local, LocalModel, LocalOptions};
use qwenda_testkit::{Script, Scripted, TinyModel};
use qwenda_types::chat::Strictness;
use serde_json::{Value, json};

use crate::{
    chat_whole::two_choices,
    service::{Service, snapshot},
};

const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";
const NATIVE_EMBEDDINGS: &str = "/api/v1/services/embeddings/text-embedding/text-embedding";
const NATIVE_RERANK: &str = "/api/v1/services/rerank/text-rerank/text-rerank";

#[tokio::test]
async fn texts_are_continued_whole_and_streamed() {
    let service = Service::start().await;
    let ask = |fields: Value| {
        let mut request = json!({"model": "qwen-scripted", "prompt": "def f("});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        request.to_string()
    };
    service.backend.answer(Script::text(3, &["x)", ":"]));
    let reply = service.post(COMPLETIONS, ask(json!({"suffix": "\nreturn x"}))).await;
    snapshot("completion_whole.txt", &reply.shown());
    assert_eq!(service.backend.completions()[0].request.suffix.as_deref(), Some("\nreturn x"));

    service.backend.answer(two_choices());
    let reply = service.post(COMPLETIONS, ask(json!({"n": 2, "logprobs": 1}))).await;
    snapshot("completion_logprobs.txt", &reply.shown());

    service.backend.answer(two_choices());
    let fields = json!({"n": 2, "logprobs": 1, "stream": true, "stream_options": {"include_usage": true}});
    let reply = service.post(COMPLETIONS, ask(fields)).await;
    snapshot("completion_stream.txt", &reply.shown());
    assert_eq!(service.totals.requests(), 3);

    let reply = service.post(COMPLETIONS, ask(json!({"prompt": null}))).await;
    reply.refuses(400, "invalid_request_error", "prompt");
    let reply = service.post(COMPLETIONS, ask(json!({"temperature": 5}))).await;
    reply.refuses(400, "invalid_parameter_error", "Temperature");
}

#[tokio::test]
async fn openai_s_rules_end_a_completion_after_16_tokens() {
    for (strictness, want) in [(Strictness::OpenAi, Some(16)), (Strictness::Qwen, None)] {
        let service = Service::with(|config| config.strictness = strictness).await;
        service.backend.answer(Script::text(3, &["x"]));
        let body = json!({"model": "qwen-scripted", "prompt": "a"}).to_string();
        assert_eq!(service.post(COMPLETIONS, body).await.status, 200);
        assert_eq!(service.backend.completions()[0].request.max_tokens, want);
    }
}

#[tokio::test]
async fn vectors_are_alike_in_both_dialects_and_both_encodings() {
    let service = Service::start().await;
    let ask = |fields: Value| {
        let mut request = json!({"model": "qwen-scripted", "input": ["a b", "c"]});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        request.to_string()
    };
    let floats = service.post(EMBEDDINGS, ask(json!({}))).await;
    snapshot("embeddings.txt", &floats.shown());
    let coded = service.post(EMBEDDINGS, ask(json!({"encoding_format": "base64", "dimensions": 4}))).await;
    snapshot("embeddings_base64.txt", &coded.shown());
    let native = json!({"model": "qwen-scripted", "input": {"texts": ["a b", "c"]}});
    let native = service.native(NATIVE_EMBEDDINGS, "", &native).await;
    snapshot("native_embeddings.txt", &native.shown());
    let native = native.json();
    for (i, row) in floats.json()["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!(row["embedding"], native["output"]["embeddings"][i]["embedding"]);
    }
    assert_eq!((service.totals.requests(), service.totals.prompt_tokens()), (3, 9));

    for (fields, want) in [
        (json!({"text_type": "query", "instruct": "i", "user": "u", "x": null}), Some("text_type, instruct, user")),
        (json!({"text_type": "document", "instruct": null}), None),
    ] {
        let reply = service.post(EMBEDDINGS, ask(fields.clone())).await;
        assert_eq!(reply.headers.get("x-qwenda-ignored-fields").map(String::as_str), want, "{fields}");
        let native = json!({"model": "qwen-scripted", "input": {"texts": ["a"]}, "parameters": fields});
        let reply = service.native(NATIVE_EMBEDDINGS, "", &native).await;
        assert_eq!(reply.headers.get("x-qwenda-ignored-fields").map(String::as_str), want, "{fields}");
    }

    let sparse = json!({"model": "qwen-scripted", "input": {"texts": ["a"]}, "parameters": {"output_type": "sparse"}});
    let reply = service.native(NATIVE_EMBEDDINGS, "", &sparse).await;
    reply.refuses_natively(400, "InvalidParameter", "dense");
    let reply = service.post(EMBEDDINGS, ask(json!({"input": {"a": 1}}))).await;
    reply.refuses(400, "invalid_parameter_error", "contents is neither str nor list of str.");
}

#[tokio::test]
async fn an_embedding_models_file_answers_with_its_own_vectors() {
    let mut parts = TinyModel::qwen3().parts();
    parts.set("qwen3.pooling_type", 3u32);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, parts.bytes()).unwrap();
    let local = Local::open(vec![LocalModel { name: "tiny".into(), path }], LocalOptions::default()).unwrap();
    let service = Service::answering(Arc::new(local), Scripted::new(&[]), |config| config.stand_in = true).await;
    let ask = async |fields: Value| {
        let mut request = json!({"model": "tiny", "input": "the answer"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let reply = service.post(EMBEDDINGS, request.to_string()).await;
        let vector: Vec<f64> = serde_json::from_value(reply.json()["data"][0]["embedding"].clone()).unwrap();
        let norm = vector.iter().map(|value| value * value).sum::<f64>();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
        (vector, reply.headers.get("x-qwenda-ignored-fields").cloned())
    };
    let (whole, _) = ask(json!({})).await;
    let (short, _) = ask(json!({"dimensions": 16})).await;
    assert_eq!((whole.len(), short.len()), (64, 16));
    let ratio = whole[0] / short[0];
    assert!(whole.iter().zip(&short).all(|(a, b)| (a - b * ratio).abs() < 1e-6), "it is the beginning");
    let (question, ignored) = ask(json!({"text_type": "query", "instruct": "Greet"})).await;
    assert!(question != whole && ignored.is_none(), "{ignored:?}");
    let (document, ignored) = ask(json!({"instruct": "Greet"})).await;
    assert_eq!((document, ignored.as_deref()), (whole, Some("instruct")));
    assert_eq!(ask(json!({"model": "text-embedding-v4"})).await.0.len(), 1024);
}

#[tokio::test]
async fn documents_come_best_first_at_every_path() {
    let service = Service::start().await;
    let flat = json!({"model": "qwen-scripted", "query": "red fox", "documents": ["a cat", "a red fox", "red"],
        "top_n": 2, "return_documents": true});
    let mut shown = Vec::new();
    for path in ["/compatible-api/v1/reranks", "/compatible-mode/v1/reranks", "/v1/rerank", "/v1/reranks"] {
        shown.push(service.post(path, flat.to_string()).await.shown());
    }
    assert!(shown.iter().all(|reply| *reply == shown[0]));
    snapshot("rerank.txt", &shown[0]);
    let native = json!({"model": "qwen-scripted", "input": {"query": "red fox", "documents": ["a cat", "a red fox"]},
        "parameters": {"top_n": 9}});
    snapshot("native_rerank.txt", &service.native(NATIVE_RERANK, "", &native).await.shown());
    assert_eq!(service.totals.requests(), 5);
    let reply = service.post("/v1/rerank", json!({"model": "qwen-scripted", "query": "a"}).to_string()).await;
    reply.refuses(400, "invalid_parameter_error", "documents");
}

#[tokio::test]
async fn tokens_are_counted_without_an_answer() {
    let service = Service::start().await;
    let prompt = json!({"model": "qwen-scripted", "input": {"prompt": "a b c"}});
    snapshot("native_tokenizer.txt", &service.native("/api/v1/tokenizer", "", &prompt).await.shown());
    let messages = json!([{"role": "user", "content": "a b"}]);
    let chat = json!({"model": "qwen-scripted", "input": {"messages": messages}});
    let reply = service.native("/api/v1/tokenizer", "", &chat).await;
    assert_eq!(reply.json()["usage"]["input_tokens"], 2);
    assert_eq!(service.totals.requests(), 0);
}

#[tokio::test]
async fn the_native_list_of_models_has_pages_and_filters() {
    let service = Service::start().await;
    snapshot("native_models.txt", &service.get("/api/v1/models").await.shown());
    let names = |reply: &Value| -> Vec<String> {
        let models = reply["output"]["models"].as_array().unwrap().iter();
        models.map(|model| model["model"].as_str().unwrap().to_owned()).collect()
    };
    let page = service.get("/api/v1/models?page_no=2&page_size=1").await.json();
    assert_eq!((names(&page), &page["output"]["total"]), (vec!["qwen-other".to_owned()], &json!(2)));
    let one = service.get("/api/v1/models?model=qwen-scripted").await.json();
    assert_eq!(names(&one), ["qwen-scripted"]);
    assert!(names(&service.get("/api/v1/models?capabilities=VU").await.json()).is_empty());
    service.get("/api/v1/models?page_size=0").await.refuses_natively(400, "InvalidParameter", "page_size");
    service.get("/api/v1/models?a=%ff").await;
}
