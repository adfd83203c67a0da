//! Aliases, and the cloud's names.

use std::sync::Arc;

use qwenda_server::{ServeConfig, Server};
use qwenda_testkit::{Script, Scripted};
use qwenda_types::chat::Strictness;
use serde_json::{Value, json};

use crate::{native::TEXT, service::Service};

async fn standing() -> Service {
    Service::with(|config| {
        config.stand_in = true;
        config.aliases.insert("fast".to_owned(), "qwen-other".to_owned());
    })
    .await
}

#[tokio::test]
async fn an_answer_repeats_the_name_as_it_was_asked_and_the_backend_gets_its_own() {
    let service = standing().await;
    for (asked, own) in
        [("fast", "qwen-other"), ("qwen-plus", "qwen-scripted"), ("qwen-plus-2025-07-28", "qwen-scripted")]
    {
        service.backend.answer(Script::text(1, &["x"]));
        let reply = service.chat(json!({"model": asked})).await;
        assert_eq!(reply.json()["model"], asked, "{}", reply.body);
        assert_eq!(service.backend.calls().last().unwrap().request.model, own);
        assert_eq!(service.get(&format!("/v1/models/{asked}")).await.json()["id"], asked);
    }
    let list = service.get("/v1/models").await.json();
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["qwen-scripted", "qwen-other", "fast", "qwen-max"]);
    assert!(names.contains(&"text-embedding-v4") && names.contains(&"qwen3-rerank"));
    service.chat(json!({"model": "fasd"})).await.refuses(404, "model_not_found", "`fast`");
}

#[tokio::test]
async fn without_stand_in_the_cloud_s_names_are_unknown() {
    let service = Service::start().await;
    service.chat(json!({"model": "qwen-plus"})).await.refuses(404, "model_not_found", "`qwen-plus`");
}

#[tokio::test]
async fn vectors_of_a_name_of_the_cloud_have_the_cloud_s_lengths() {
    let service = standing().await;
    let ask = |model: &str, more: Value| {
        let mut request = json!({"model": model, "input": "a"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request.to_string()
    };
    for (model, more, length) in [
        ("text-embedding-v4", json!({}), 1024),
        ("text-embedding-v3", json!({"dimensions": 64}), 64),
        ("text-embedding-v2", json!({}), 1536),
    ] {
        let reply = service.post("/v1/embeddings", ask(model, more)).await;
        let vector: Vec<f64> = serde_json::from_value(reply.json()["data"][0]["embedding"].clone()).unwrap();
        assert_eq!(vector.len(), length, "{model}");
        // The scripted model makes 8 numbers; the rest change no angle.
        assert!((vector.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-6);
        assert_eq!(reply.json()["model"], model);
    }
    let reply = service.post("/v1/embeddings", ask("text-embedding-v4", json!({"dimensions": 100}))).await;
    reply.refuses(400, "invalid_parameter_error", "dimension");
    let many = json!({"input": vec!["a"; 11]});
    let reply = service.post("/v1/embeddings", ask("text-embedding-v4", many)).await;
    reply.refuses(400, "invalid_parameter_error", "should not be larger than 10");
    let reply = service.chat(json!({"model": "text-embedding-v4"})).await;
    reply.refuses(404, "model_not_supported", "does not chat");
}

#[tokio::test]
async fn a_hybrid_name_takes_a_wish_to_reason_and_says_that_it_changed_nothing() {
    let service = standing().await;
    service.backend.answer(Script::text(1, &["x"]));
    let fields = json!({"model": "qwen-plus", "enable_thinking": true, "thinking_budget": 100});
    let reply = service.chat(fields).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.headers["x-qwenda-ignored-fields"], "enable_thinking, thinking_budget");
    assert_eq!(service.backend.calls()[0].request.enable_thinking, None);
    let reply = service.chat(json!({"model": "qwen-max", "enable_thinking": true})).await;
    reply.refuses(400, "InvalidParameter.NotSupportEnableThinking", "qwen-max");
}

#[tokio::test]
async fn a_name_of_the_cloud_is_answered_at_its_own_path_unless_the_rules_are_openai_s() {
    let ask = |model: &str| json!({"model": model, "input": {"messages": [{"role": "user", "content": "a"}]}});
    let multimodal = TEXT.replace("text-generation", "multimodal-generation");
    let service = standing().await;
    for (model, path) in [("qwen-plus", multimodal.as_str()), ("qwen3.6-plus", TEXT)] {
        let reply = service.native(path, "", &ask(model)).await;
        reply.refuses_natively(400, "InvalidParameter", "url error, please check url！");
    }
    // A model's own name is answered at both.
    service.backend.answer(Script::text(1, &["x"]));
    assert_eq!(service.native(&multimodal, "", &ask("qwen-scripted")).await.status, 200);

    let service = Service::with(|config| {
        config.stand_in = true;
        config.strictness = Strictness::OpenAi;
    })
    .await;
    service.backend.answer(Script::text(1, &["x"]));
    assert_eq!(service.native(&multimodal, "", &ask("qwen-plus")).await.status, 200);
}

#[tokio::test]
async fn an_alias_of_nothing_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = ServeConfig::new("127.0.0.1:0".parse().unwrap(), dir.path());
    config.aliases.insert("fast".to_owned(), "gone".to_owned());
    let error = Server::bind(config, Arc::new(Scripted::new(&["m"]))).await.unwrap_err().to_string();
    assert!(error.contains("`fast` stands for `gone`"), "{error}");
}
