//! The same requests, mutated as JSON, to the embedded engine with models from a seed: what is taken
//! goes through the template, the tokenizer, the grammars, the sampler and the parser of calls.

use std::sync::Arc;

use qwenda_backend::local::{Local, LocalModel, LocalOptions};
use qwenda_testkit::{Scripted, TinyModel, mutate::json_mutant};
use serde_json::{Value, json};

use super::{
    Caller, GOOD_EVERY, rounds,
    routes::{self, Route},
    seed,
};
use crate::service::Service;

/// Mutants of each sample of a route.
const JSON: u64 = 30;

const ROUTES: [Route; 9] = [
    routes::CHATS[0],
    routes::CHATS[1],
    routes::GENERATIONS[0],
    routes::GENERATIONS[1],
    routes::COMPLETIONS[0],
    routes::EMBEDDINGS[0],
    routes::EMBEDDINGS[2],
    routes::RERANKS[5],
    routes::TOKENIZER[0],
];

/// The body with an end that comes soon, where it names none.
fn short(mut body: Value) -> Value {
    let native = body.get("parameters").is_some();
    let fields = if native { &mut body["parameters"] } else { &mut body };
    if fields.get("max_tokens").is_none() {
        fields["max_tokens"] = json!(8);
    }
    body
}

async fn mutants(model: TinyModel, routes: &[Route]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    // Room for the tools of a request.
    TinyModel { context: 1024, ..model }.write(&path).unwrap();
    let model = LocalModel { name: "qwen-scripted".to_owned(), path };
    let local = Local::open(vec![model], LocalOptions::default()).unwrap();
    let service = Service::answering(Arc::new(local), Scripted::new(&[]), |_| {}).await;
    for route in routes {
        let mut caller = Caller::new(&service).await;
        let samples = route.samples();
        for (index, sample) in samples.iter().enumerate() {
            let whole = short(sample.body.clone().unwrap());
            for round in rounds(JSON) {
                let body = json_mutant(seed() + index as u64, round, &whole).to_string();
                let what = format!("{} sample {index} round {round}", route.path);
                caller.send(route, &route.head(&service, sample, &body, ""), body.as_bytes(), &what).await;
                if round % GOOD_EVERY == 0 {
                    caller.send_good(route, 0, &what).await;
                }
            }
        }
        assert!(caller.accepted > 5 && caller.refused > 5, "{}: {} {}", route.path, caller.accepted, caller.refused);
    }
}

#[tokio::test]
async fn of_chats() {
    mutants(TinyModel::qwen2(), &ROUTES[..2]).await;
}

#[tokio::test]
async fn of_chats_with_a_model_that_reasons() {
    mutants(TinyModel::qwen3(), &ROUTES[..2]).await;
}

#[tokio::test]
async fn of_native_generation() {
    mutants(TinyModel::qwen2(), &ROUTES[2..4]).await;
}

#[tokio::test]
async fn of_native_generation_with_a_model_that_reasons() {
    mutants(TinyModel::qwen3(), &ROUTES[2..4]).await;
}

#[tokio::test]
async fn of_the_others() {
    mutants(TinyModel::qwen2(), &ROUTES[4..]).await;
}
