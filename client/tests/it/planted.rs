//! A small run of `examples/planted`: what its tables are made of.

use std::collections::BTreeMap;

#[path = "../../examples/planted/asked.rs"]
mod asked;
#[path = "../../examples/planted/generate.rs"]
mod generate;
#[path = "../../examples/planted/play.rs"]
mod play;
#[path = "../../examples/planted/rivals.rs"]
mod rivals;
#[path = "../../examples/planted/score.rs"]
mod score;
#[path = "../../examples/planted/service.rs"]
mod service;

use asked::Model;
use futures_util::future::BoxFuture;
use generate::{KINDS, LANGUAGES, script};
use play::{SUBJECTS, Subject, play};
use qwenda::{
    Client,
    transport::{Body, Request, Response, Transport, TransportError},
};
use score::{Score, percent};
use serde_json::{Value, json};

const TURNS: usize = 60;
const BUDGET: u64 = 1_000;

async fn scores() -> BTreeMap<&'static str, Score> {
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    for (name, subject) in SUBJECTS {
        for (language, _) in LANGUAGES {
            let score = play(&script(language, TURNS, 7), subject, BUDGET, None).await.unwrap();
            scores.entry(name).or_default().add(&score);
        }
    }
    scores
}

#[tokio::test]
async fn what_is_left_out_of_a_budget_comes_back_and_no_policy_breaks_a_request() {
    let scores = scores().await;
    for (name, subject) in SUBJECTS {
        let score = &scores[name];
        assert!(score.asked > 40, "{name}: {}", score.asked);
        let budgeted = name.contains("tokens") || name.starts_with('+');
        if matches!(subject, Subject::Ours(_)) {
            assert_eq!((score.broken, score.without_canary), (0, 0), "{name}");
        }
        if budgeted {
            assert!(score.mean_tokens() <= BUDGET, "{name}: {}", score.mean_tokens());
            let kept = if name.contains("memory") { 40.0 } else { 60.0 };
            assert!(score.stability() > kept, "{name}: {}", score.stability());
        }
    }
    let recall = |name: &str| scores[name].recall();
    assert!((recall("everything (no budget)") - 100.0).abs() < 1e-9);
    let window = recall("`tokens`, results cleared");
    assert!(window < 60.0, "the budget is too large to tell anything: {window}");
    for name in ["+ summary", "+ memory", "+ summary and memory"] {
        assert!(recall(name) > window + 20.0, "{name}: {} and {window}", recall(name));
    }
    let memory = &scores["+ memory"];
    assert!(memory.recall() > 85.0, "{}", memory.recall());
    assert!(memory.by_age.map(percent)[2] > 80.0, "the oldest");
    for (kind, name) in KINDS {
        assert!(memory.by_kind.contains_key(&kind), "{name} was asked for");
    }
    // Requests that the strictest services refuse are what a plain window of messages sends.
    assert!(scores["last 20 messages"].broken > 0);
    assert!(scores["+ summary"].summaries > 0 && scores["+ summary"].summary_tokens > 0);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_scores() {
    let (language, name) = LANGUAGES[2];
    let (_, subject) = SUBJECTS[9];
    let [one, other] =
        [(); 2].map(|()| async move { play(&script(language, TURNS, 3), subject, BUDGET, None).await.unwrap() });
    let (one, other) = (one.await, other.await);
    let facts = |score: &Score| (score.answerable, score.tokens, score.corrected, score.summaries);
    assert_eq!(facts(&one), facts(&other), "{name}");
}

/// Says all that it was sent, but for the question.
struct Parrot;

impl Transport for Parrot {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, TransportError>> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let messages = body["messages"].as_array().unwrap();
        let texts: Vec<&str> = messages.iter().rev().skip(1).filter_map(|one| one["content"].as_str()).collect();
        let usage =
            json!({"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 20}});
        let message = json!({"content": texts.join("\n")});
        let answer = json!({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage});
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let answer = Response::new(200, headers, Body::whole(answer.to_string()));
        Box::pin(async { Ok(answer) })
    }
}

#[tokio::test]
async fn a_model_that_says_what_it_was_sent_knows_what_is_answerable() {
    let client = Client::builder().base_url("http://parrot.invalid/v1").transport(Parrot).build().unwrap();
    let model = Model { client, name: "parrot".to_owned(), questions: 9, mark: String::new() };
    for (name, subject) in SUBJECTS {
        let score = play(&script(LANGUAGES[0].0, TURNS, 7), subject, BUDGET, Some(&model)).await.unwrap();
        let asked = score.asked_of_model;
        assert!((5..=9).contains(&asked.questions), "{name}: {}", asked.questions);
        assert_eq!(asked.right, asked.answerable, "{name}");
        assert_eq!(asked.input_tokens, 50 * (TURNS as u64 - 1), "{name}");
        assert_eq!(asked.cached_tokens * 5, asked.input_tokens * 2, "{name}");
        assert!(asked.right > 0 || name.contains("last"), "{name}");
    }
}
