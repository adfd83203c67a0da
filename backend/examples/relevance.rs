//! How good a model's embeddings and its rerank are, on texts of our own in Chinese and English:
//! `cargo run --release -p qwenda-backend --example relevance -- FILE.gguf`
//!
//! `relevance.json` has pairs of texts that mean the same, and questions with one right answer and four
//! wrong ones each, which are about the same things in part.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{env, error::Error, path::PathBuf};

use qwenda_backend::{
    Backend, EmbedCall, RerankCall, Whose,
    local::{Local, LocalModel, LocalOptions},
};
use qwenda_types::{completions::Prompt, embeddings::EmbeddingRequest, rerank::RerankRequest};
use serde::Deserialize;

#[derive(Deserialize)]
struct Texts {
    pairs: Vec<[String; 2]>,
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    right: String,
    wrong: Vec<String>,
}

impl Question {
    /// The right one first.
    fn documents(&self) -> Vec<String> {
        [std::slice::from_ref(&self.right), &self.wrong].concat()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(env::args().nth(1).ok_or("which model file?")?);
    let texts: Texts = serde_json::from_str(include_str!("relevance.json"))?;
    let local = Local::open(vec![LocalModel { name: "model".to_owned(), path }], LocalOptions::default())?;
    for length in [ability(&local)?, 512, 256, 128, 64] {
        pairs(&local, &texts.pairs, length).await?;
    }
    questions(&local, &texts.questions).await
}

/// How often the nearest of all other texts is the one that means the same.
async fn pairs(local: &Local, pairs: &[[String; 2]], length: u32) -> Result<(), Box<dyn Error>> {
    let texts: Vec<String> = pairs.concat();
    let vectors = embed(local, &texts, length).await?;
    let (mut found, mut same, mut different) = (0, Vec::new(), Vec::new());
    for (i, vector) in vectors.iter().enumerate() {
        let cosines: Vec<f32> = vectors.iter().map(|other| dot(vector, other)).collect();
        let others = || (0..vectors.len()).filter(|other| *other != i);
        found += usize::from(others().max_by(|a, b| cosines[*a].total_cmp(&cosines[*b])) == Some(i ^ 1));
        same.push(cosines[i ^ 1]);
        different.extend(others().filter(|other| *other != i ^ 1).map(|other| cosines[other]));
    }
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    println!(
        "embeddings of {length:4}: {found:2} of {} partners are nearest; cosines {:.2} to them, {:.2} to others",
        texts.len(),
        mean(&same),
        mean(&different)
    );
    Ok(())
}

/// How often the right answer comes first, by rerank and by embeddings.
async fn questions(local: &Local, questions: &[Question]) -> Result<(), Box<dyn Error>> {
    let (mut reranked, mut nearest) = (0, 0);
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for question in questions {
        let documents = question.documents();
        let request =
            RerankRequest { model: model(), query: question.question.clone(), documents, ..RerankRequest::default() };
        let scores =
            local.rerank(RerankCall { request, request_id: String::new(), whose: Whose::default() }).await?.scores;
        reranked += usize::from(scores[1..].iter().all(|score| *score < scores[0]));
        right.push(scores[0]);
        wrong.extend_from_slice(&scores[1..]);

        let texts = [vec![question.question.clone()], question.documents()].concat();
        let vectors = embed(local, &texts, ability(local)?).await?;
        let cosines: Vec<f32> = vectors[1..].iter().map(|document| dot(&vectors[0], document)).collect();
        nearest += usize::from(cosines[1..].iter().all(|cosine| *cosine < cosines[0]));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let all = questions.len();
    println!(
        "rerank: {reranked} of {all} right answers come first; scores {:.2}, wrong {:.2}",
        mean(&right),
        mean(&wrong)
    );
    println!("embeddings: {nearest} of {all} right answers are nearest to their question");
    Ok(())
}

async fn embed(local: &Local, texts: &[String], length: u32) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let inputs = texts.iter().cloned().map(Prompt::Text).collect();
    let request = EmbeddingRequest { model: model(), inputs, dimensions: Some(length), ..EmbeddingRequest::default() };
    Ok(local.embed(EmbedCall { request, request_id: String::new(), whose: Whose::default() }).await?.vectors)
}

fn ability(local: &Local) -> Result<u32, Box<dyn Error>> {
    Ok(local.models()[0].abilities.embed.ok_or("the model makes no vectors")?.dimensions_default)
}

fn model() -> String {
    "model".to_owned()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
