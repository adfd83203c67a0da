//! Mutated bodies: once as bytes, once as JSON that stays JSON.

use qwenda_testkit::mutate::{json_mutant, mutant};
use serde_json::Value;

use super::{
    Caller, GOOD_EVERY, rounds,
    routes::{self, Route},
    seed,
};
use crate::service::Service;

/// Mutants of each sample of a route, as bytes and as JSON.
const BYTES: u64 = 60;
const JSON: u64 = 120;

pub(super) fn count() -> u64 {
    let routes = [
        &routes::CHATS[..],
        &routes::GENERATIONS,
        &routes::COMPLETIONS,
        &routes::EMBEDDINGS,
        &routes::RERANKS,
        &routes::TOKENIZER,
    ];
    let samples: usize = routes.concat().iter().map(|route| route.samples().len()).sum();
    samples as u64 * (BYTES + JSON)
}

/// Mutants of the bodies of all samples of these routes, each over one connection.
async fn bodies(routes: &[Route]) {
    let service = Service::start().await;
    for route in routes {
        let mut caller = Caller::new(&service).await;
        let samples = route.samples();
        let bodies: Vec<Value> = samples.iter().filter_map(|sample| sample.body.clone()).collect();
        let texts: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_string().into_bytes()).collect();
        let others: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        for (index, sample) in samples.iter().enumerate() {
            caller.send_good(route, index, &format!("{} sample {index}", route.path)).await;
            for round in rounds(BYTES + JSON) {
                let seed = seed() + index as u64;
                let body = match round.checked_sub(BYTES) {
                    None => mutant(seed, round, others[index], &others),
                    Some(round) => json_mutant(seed, round, &bodies[index]).to_string().into_bytes(),
                };
                let what = format!("{} sample {index} round {round}", route.path);
                caller.send(route, &route.head(&service, sample, &body, ""), &body, &what).await;
                if round % GOOD_EVERY == 0 {
                    caller.send_good(route, index, &what).await;
                }
            }
        }
        let (accepted, refused) = (caller.accepted, caller.refused);
        assert_eq!(accepted + refused, samples.len() as u64 * rounds(BYTES + JSON).end);
        assert!(accepted > 10 && refused > 10, "{}: {accepted} accepted, {refused} refused", route.path);
    }
}

#[tokio::test]
async fn of_chats_below_v1() {
    bodies(&routes::CHATS[..1]).await;
}

#[tokio::test]
async fn of_chats_below_compatible_mode() {
    bodies(&routes::CHATS[1..]).await;
}

#[tokio::test]
async fn of_native_generation() {
    bodies(&routes::GENERATIONS).await;
}

#[tokio::test]
async fn of_completions() {
    bodies(&routes::COMPLETIONS).await;
}

#[tokio::test]
async fn of_embeddings() {
    bodies(&routes::EMBEDDINGS).await;
}

#[tokio::test]
async fn of_reranks() {
    bodies(&routes::RERANKS).await;
}

#[tokio::test]
async fn of_the_tokenizer() {
    bodies(&routes::TOKENIZER).await;
}
