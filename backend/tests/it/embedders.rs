//! Models whose files say that they were made to embed or to rank.

use std::sync::mpsc;

use qwenda_backend::{
    Backend, EmbedCall, Embedded, RerankCall, Whose,
    local::{LocalOptions, inspect::Inspector},
};
use qwenda_engine::{Engine, EngineOptions, LoadOptions, Model, Owner, Pooling, Probe};
use qwenda_testkit::{TinyModel, tiny_model::Parts};
use qwenda_tokenizer::Specials;
use qwenda_types::{embeddings::EmbeddingRequest, rerank::RerankRequest};
use serde_json::{Value, json};

use crate::asking::{Tiny, request};

/// As Qwen3-Embedding's files are.
fn embedder() -> Parts {
    let mut parts = TinyModel::qwen3().parts();
    parts.set("qwen3.pooling_type", 3u32);
    parts.set("tokenizer.ggml.add_eos_token", true);
    let end = parts.remove("tokenizer.ggml.padding_token_id");
    parts.set("tokenizer.ggml.eos_token_id", end);
    parts
}

async fn embed(tiny: &Tiny, fields: Value) -> Embedded {
    let Value::Object(mut map) = fields else { unreachable!("it is an object") };
    map.insert("model".to_owned(), json!("tiny"));
    let request = EmbeddingRequest::from_map(map).expect("a request");
    let call = EmbedCall { request, request_id: "test".into(), whose: Whose::default() };
    tiny.local.embed(call).await.expect("it is taken")
}

/// What the engine finds at the end of a text and some tokens behind it, with norm 1.
fn states(tiny: &Tiny, texts: &[&str], behind: &[&str]) -> Vec<Vec<f32>> {
    let model = Model::load(&tiny.file().path, &LoadOptions::default()).expect("the file loads");
    let engine = Engine::start(model, EngineOptions::default());
    let ids = |text: &&str| {
        let mut ids = engine.tokenizer().encode(text, Specials::Plain);
        ids.extend(behind.iter().map(|token| engine.tokenizer().id(token).expect("a special token")));
        ids
    };
    let (sender, outcome) = mpsc::channel();
    let reply = move |found| drop(sender.send(found));
    engine
        .probe(texts.iter().map(ids).collect(), Probe::Hidden, Owner::default(), Box::new(reply))
        .expect("it is taken");
    let found = outcome.recv().expect("an outcome").expect("all are read");
    found.into_iter().map(|state| begun(&state, state.len())).collect()
}

fn begun(vector: &[f32], length: usize) -> Vec<f32> {
    let norm = vector[..length].iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    vector[..length].iter().map(|value| (f64::from(*value) / norm) as f32).collect()
}

fn assert_near(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-6, "{found:?} is not {wanted:?}");
}

#[tokio::test]
async fn a_vector_is_the_state_at_the_end_token_and_its_beginning_is_one_too() {
    let tiny = Tiny::parts(embedder(), LocalOptions::default());
    let texts = ["你好", "the answer <|im_end|>"];
    let expected = states(&tiny, &texts, &["<|endoftext|>"]);
    let made = embed(&tiny, json!({"input": texts})).await;
    for (made, expected) in made.vectors.iter().zip(&expected) {
        assert_near(made, expected);
    }
    let short = embed(&tiny, json!({"input": texts, "dimensions": 16})).await;
    assert_near(&short.vectors[1], &begun(&expected[1], 16));
    let long = embed(&tiny, json!({"input": texts, "dimensions": 80})).await;
    assert_near(&long.vectors[0], &[expected[0].as_slice(), &[0.0; 16]].concat());
    let greeting = Inspector::open(&tiny.file().path).unwrap().count(texts[0]) as u32;
    assert_eq!(made.text_tokens[0], greeting, "the end token is not the caller's");
}

#[tokio::test]
async fn a_question_is_told_by_the_words_before_it() {
    let tiny = Tiny::parts(embedder(), LocalOptions::default());
    let ability = tiny.local.models()[0].abilities.embed.unwrap();
    assert!(ability.tells_questions);
    let usual =
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:the answer";
    let expected = states(&tiny, &[usual, "Instruct: Greet\nQuery:the answer", "the answer"], &["<|endoftext|>"]);
    for (fields, expected) in [
        (json!({"text_type": "query"}), &expected[0]),
        (json!({"text_type": "query", "instruct": "Greet"}), &expected[1]),
        (json!({"text_type": "document", "instruct": "Greet"}), &expected[2]),
        (json!({}), &expected[2]),
    ] {
        let mut asked = fields;
        asked["input"] = json!("the answer");
        let made = embed(&tiny, asked).await;
        assert_near(&made.vectors[0], expected);
        assert_eq!(made.text_tokens, embed(&tiny, json!({"input": "the answer"})).await.text_tokens);
    }
}

#[tokio::test]
async fn a_file_says_whether_its_texts_end_with_a_token() {
    for (said, behind) in [(Some(false), &[][..]), (Some(true), &["<|endoftext|>"]), (None, &["<|endoftext|>"])] {
        let mut parts = embedder();
        parts.remove("tokenizer.ggml.add_eos_token");
        if let Some(said) = said {
            parts.set("tokenizer.ggml.add_eos_token", said);
        }
        let tiny = Tiny::parts(parts, LocalOptions::default());
        let made = embed(&tiny, json!({"input": "the answer"})).await;
        assert_near(&made.vectors[0], &states(&tiny, &["the answer"], behind)[0]);
    }
}

#[tokio::test]
async fn an_embedding_model_still_has_its_output_matrix_and_chats() {
    let tiny = Tiny::parts(embedder(), LocalOptions::default());
    let abilities = tiny.local.models()[0].abilities;
    assert_eq!((abilities.chat, abilities.rerank), (true, false));
    assert!(tiny.ask(request(json!({"max_tokens": 4}))).await.reasons[0].is_some());
}

/// As Qwen3-Reranker's files are.
fn reranker() -> Parts {
    let mut parts = TinyModel::qwen3().parts();
    parts.set("qwen3.pooling_type", 4u32);
    parts.remove("tokenizer.chat_template");
    let mut rows = parts.tensor("output_norm.weight").clone();
    (rows.name, rows.dims) = ("cls.output.weight".to_owned(), vec![64, 2]);
    rows.bytes = (0..128).flat_map(|i| ((i * 37 % 61) as f32 / 320.0 - 0.1).to_le_bytes()).collect();
    parts.tensors.push(rows);
    parts
}

#[tokio::test]
async fn a_reranker_judges_by_its_own_classifier_and_does_nothing_else() {
    let tiny = Tiny::parts(reranker(), LocalOptions::default());
    let abilities = tiny.local.models()[0].abilities;
    assert_eq!((abilities.chat, abilities.infill, abilities.embed, abilities.rerank), (false, false, None, true));
    let documents = vec!["the answer".to_owned(), "你好".to_owned()];
    let request = RerankRequest { model: "tiny".into(), query: "the question".into(), documents, ..Default::default() };
    let call = RerankCall { request, request_id: "test".into(), whose: Whose::default() };
    let ranked = tiny.local.rerank(call).await.unwrap();

    let model = Model::load(&tiny.file().path, &LoadOptions::default()).unwrap();
    assert_eq!(model.info().pooling, Some(Pooling::Rank));
    let engine = Engine::start(model, EngineOptions::default());
    let prompt = |document: &str| {
        let text = format!(
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct \
             provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n<Instruct>: \
             Given a web search query, retrieve relevant passages that answer the query.\n<Query>: the question\n\
             <Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        );
        engine.tokenizer().encode(&text, Specials::Parse)
    };
    let (sender, outcome) = mpsc::channel();
    let reply = move |found| drop(sender.send(found));
    engine.probe(vec![prompt("the answer"), prompt("你好")], Probe::Hidden, Owner::default(), Box::new(reply)).unwrap();
    for (score, hidden) in ranked.scores.iter().zip(outcome.recv().unwrap().unwrap()) {
        let [yes, no] = engine.model().judge(&hidden).unwrap().map(|logit| f64::from(logit).exp());
        assert!((score - yes / (yes + no)).abs() < 1e-6, "{score} is not {}", yes / (yes + no));
    }
    assert_ne!(ranked.scores[0], ranked.scores[1]);
}
