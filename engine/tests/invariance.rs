//! Two hundred random requests, each alone and then all at once: the same bytes.
//!
//! All at once means at every thread count, with prefill in chunks, too few pages, prefixes used
//! again, guesses at what comes next, and accounts of both priorities that take each other's places.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{Completion, ModelFile, collect, submit};
use qwenda_engine::{EngineOptions, Priority, Request, Sampling, Stop};
use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;

const REQUESTS: usize = 200;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % u64::from(bound)) as u32
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}

/// Prompts of one of three beginnings, some of which repeat themselves; half of the answers are drawn.
fn request(random: &mut Random) -> Request {
    let len = 1 + random.below(140);
    let (kind, alike, period) = (random.below(3), random.below(150), 1 + random.below(40));
    let own = random.below(250);
    let token = |at: u32| match at < alike {
        true => (at % period * 37 + kind * 101) % 250,
        false => (at % period * 11 + own) % 250,
    };
    let sampling = match random.below(4) {
        0 | 1 => Sampling::greedy(),
        2 => Sampling { temperature: 1.3, top_p: 0.9, seed: random.below(1000).into(), ..Sampling::default() },
        _ => Sampling {
            temperature: 0.7,
            top_k: 1 + random.below(50),
            min_p: 0.01,
            repetition_penalty: 1.1,
            presence_penalty: 0.4,
            seed: random.below(1000).into(),
            ..Sampling::default()
        },
    };
    // An answer that keeps to few tokens repeats itself, so that guesses are right now and then.
    let few = random.one_in(3).then(|| (0..6).map(|i| ((own + i * 7) % 250, 30.0)).collect());
    Request {
        sampling: Sampling { logit_bias: few.unwrap_or_default(), ..sampling },
        logprobs: random.one_in(2).then(|| random.below(4) as u8),
        stop: Stop { strings: if random.one_in(8) { vec!["e".to_owned()] } else { vec![] }, tokens: Vec::new() },
        scope: random.below(2).into(),
        account: random.below(5).into(),
        priority: if random.one_in(3) { Priority::Batch } else { Priority::Interactive },
        ..Request::new((0..len).map(token).collect(), 1 + random.below(60))
    }
}

fn requests(seed: u64) -> Vec<Request> {
    let mut random = Random(seed);
    (0..REQUESTS).map(|_| request(&mut random)).collect()
}

fn alone(file: &ModelFile, requests: &[Request]) -> Vec<Completion> {
    let whole =
        EngineOptions { prefill_chunk_tokens: 4096, guess_rows_max: 0, sequences_max: 1, ..EngineOptions::default() };
    let engine = file.engine(1, whole);
    let run = |(index, request): (usize, &Request)| {
        // In a scope of its own, so that nothing of another is used.
        collect(submit(&engine, Request { scope: 100 + index as u64, ..request.clone() }))
    };
    requests.iter().enumerate().map(run).collect()
}

#[test]
fn two_hundred_requests_at_once_are_as_each_alone() {
    let models = [
        ("qwen2 Q5_0", TinyModel::qwen2().quantized(TensorType::Q5_0)),
        ("qwen3 Q4_K", TinyModel::qwen3().quantized(TensorType::Q4_K)),
        ("qwen3 F32", TinyModel::qwen3()),
        ("qwen35 Q8_0", TinyModel::qwen35().quantized(TensorType::Q8_0)),
    ];
    for (seed, (name, model)) in models.iter().enumerate() {
        let file = ModelFile::tiny(model);
        let requests = requests(seed as u64);
        let expected = alone(&file, &requests);
        assert!(expected.iter().all(|completion| completion.end.is_ok()), "{name}");
        for threads in 1..=4 {
            let options = EngineOptions {
                // Some 240 tokens for each of 12 that run, of which some need 200: places are lost.
                kv_tokens_max: Some(32 * 24 * threads as u32),
                sequences_max: 3 * threads as u32 + 1,
                prefill_chunk_tokens: [19, 64, 33, 256][threads - 1],
                queue_max: REQUESTS,
                guess_rows_max: 16,
            };
            let engine = file.engine(threads, options);
            let running: Vec<_> = requests.iter().map(|request| submit(&engine, request.clone())).collect();
            for (index, (events, expected)) in running.iter().zip(&expected).enumerate() {
                let found = collect(events);
                assert!(found == *expected, "{name}, {threads} threads, request {index}:\n{found:?}\n{expected:?}");
            }
            let stats = engine.stats();
            let counts = [
                ("preempted", stats.preemptions),
                ("reused", stats.prefix_hit_tokens),
                ("guessed right", stats.guessed_right_tokens),
                ("guessed wrong", stats.guessed_tokens - stats.guessed_right_tokens),
            ];
            // Where there is a state, nothing is guessed.
            let counts = if model.delta.is_some() { &counts[..2] } else { &counts };
            for &(what, count) in counts {
                assert!(count > 0, "{name}, {threads} threads: nothing was {what}");
            }
        }
    }
}
