//! Texts that are read to their end and nothing more.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use common::{ModelFile, collect, greedy, of, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Error, PROBE_TEXTS_MAX, Probe, ProbeReply, SubmitError};
use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;

fn tiny(options: EngineOptions) -> Engine {
    ModelFile::tiny(&TinyModel::qwen2().quantized(TensorType::Q8_0)).engine(2, options)
}

fn texts(count: usize) -> Vec<Vec<u32>> {
    (0..count).map(|i| prompt(i as u32, 1 + i * 7 % 90)).collect()
}

fn begin(engine: &Engine, texts: Vec<Vec<u32>>, want: Probe) -> mpsc::Receiver<Result<Vec<Vec<f32>>, Error>> {
    let (sender, outcome) = mpsc::channel();
    engine.probe(texts, want, of(1), Box::new(move |found| sender.send(found).unwrap())).unwrap();
    outcome
}

fn probe(engine: &Engine, texts: Vec<Vec<u32>>, want: Probe) -> Vec<Vec<f32>> {
    begin(engine, texts, want).recv().unwrap().unwrap()
}

#[test]
fn logits_are_those_of_scoring() {
    let engine = tiny(EngineOptions::default());
    let ids = vec![3, 200, 0, 3];
    let found = probe(&engine, texts(30), Probe::Logits(ids.clone()));
    assert_eq!(found.len(), 30);
    for (text, found) in texts(30).iter().zip(&found) {
        let scored = engine.score_all(text).unwrap();
        let expected: Vec<f32> = ids.iter().map(|&id| scored.last_logits[id as usize]).collect();
        assert_eq!(*found, expected);
    }
}

#[test]
fn hidden_vectors_do_not_depend_on_company_order_or_chunks() {
    let dim = tiny(EngineOptions::default()).info().embedding_dim as usize;
    let alone: Vec<Vec<f32>> = {
        let engine = tiny(EngineOptions { prefill_chunk_tokens: 4096, ..EngineOptions::default() });
        texts(30).into_iter().map(|text| probe(&engine, vec![text], Probe::Hidden).remove(0)).collect()
    };
    assert!(alone.iter().all(|vector| vector.len() == dim && vector.iter().any(|&value| value != 0.0)));
    for (sequences_max, prefill_chunk_tokens, kv_tokens_max) in [(1, 7, None), (16, 128, None), (5, 33, Some(128))] {
        let options = EngineOptions { sequences_max, prefill_chunk_tokens, kv_tokens_max, ..EngineOptions::default() };
        let engine = tiny(options);
        let company: Vec<_> = (0..3).map(|i| submit(&engine, greedy(&prompt(50 + i, 30), 40))).collect();
        let reversed = begin(&engine, texts(30).into_iter().rev().collect(), Probe::Hidden);
        assert!(probe(&engine, texts(30), Probe::Hidden) == alone, "{sequences_max} at once");
        let mut reversed = reversed.recv().unwrap().unwrap();
        reversed.reverse();
        assert!(reversed == alone, "{sequences_max} at once, in another order");
        assert!(company.iter().map(collect).all(|completion| completion.end.is_ok()));
    }
}

#[test]
fn a_long_probe_takes_one_place_and_lets_others_through() {
    let options = EngineOptions { queue_max: 2, sequences_max: 1, prefill_chunk_tokens: 8, ..EngineOptions::default() };
    let engine = tiny(options);
    let long = begin(&engine, texts(200), Probe::Hidden);
    let beside = run(&engine, greedy(&prompt(1, 5), 5));
    assert!(beside.end.is_ok());
    assert!(matches!(long.try_recv(), Err(mpsc::TryRecvError::Empty)), "the completion did not wait for 200 texts");
    assert_eq!(long.recv().unwrap().unwrap().len(), 200);
    assert_eq!(engine.queued(), 0);
}

#[test]
fn what_cannot_be_probed_is_refused() {
    let engine = tiny(EngineOptions::default());
    let vocab = engine.info().vocab;
    let table: &[(Vec<Vec<u32>>, Probe, &str)] = &[
        (vec![], Probe::Hidden, "the probe has 0 texts"),
        (vec![vec![1]; PROBE_TEXTS_MAX + 1], Probe::Hidden, "the probe has 2049 texts"),
        (vec![vec![1], vec![]], Probe::Hidden, "no tokens"),
        (vec![vec![vocab]], Probe::Hidden, "the prompt has token"),
        (vec![vec![1]], Probe::Logits(vec![]), "names no tokens"),
        (vec![vec![1]], Probe::Logits(vec![vocab]), "names token"),
        (vec![prompt(1, 513)], Probe::Hidden, "has 513 tokens"),
    ];
    for (texts, want, says) in table {
        let refused = engine.probe(texts.clone(), want.clone(), of(0), Box::new(|_| panic!("it was refused")));
        let error = refused.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(probe(&engine, vec![prompt(1, 512)], Probe::Hidden).len(), 1, "a text may fill the context");
}

#[test]
fn a_text_that_is_not_finite_fails_its_probe_and_no_other() {
    let mut parts = TinyModel::qwen2().parts();
    // Token 7 becomes NaN.
    let embedding = parts.tensor("token_embd.weight");
    for value in embedding.bytes[7 * 64 * 4..8 * 64 * 4].chunks_mut(4) {
        value.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let engine = ModelFile::parts(parts).engine(1, EngineOptions::default());
    let bad = begin(&engine, vec![vec![1, 2], vec![1, 7], vec![3]], Probe::Hidden);
    let good = begin(&engine, vec![vec![1, 2], vec![3]], Probe::Hidden);
    assert!(matches!(bad.recv().unwrap(), Err(Error::Failed(_))));
    assert!(bad.recv().is_err(), "it is told once");
    assert_eq!(good.recv().unwrap().unwrap().len(), 2);
}

/// Nobody waits for it once `left` says so.
struct Leaving(Arc<AtomicBool>, mpsc::Sender<()>);

impl ProbeReply for Leaving {
    fn done(self: Box<Self>, _: Result<Vec<Vec<f32>>, Error>) {
        self.1.send(()).unwrap();
    }

    fn gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn who_leaves_a_probe_frees_its_places() {
    let engine = tiny(EngineOptions { sequences_max: 1, prefill_chunk_tokens: 1, ..EngineOptions::default() });
    let left = Arc::new(AtomicBool::new(false));
    let (sender, outcome) = mpsc::channel();
    engine.probe(vec![prompt(1, 400); 50], Probe::Hidden, of(0), Box::new(Leaving(Arc::clone(&left), sender))).unwrap();
    left.store(true, Ordering::SeqCst);
    assert!(run(&engine, greedy(&prompt(2, 4), 4)).end.is_ok());
    assert!(outcome.recv().is_err(), "it was dropped without an outcome");
    assert_eq!(engine.queued(), 0);
}

#[test]
fn stopping_the_engine_ends_a_probe() {
    let engine = tiny(EngineOptions::default());
    let outcome = begin(&engine, texts(500), Probe::Hidden);
    drop(engine);
    // It may have been quick enough.
    assert!(matches!(outcome.recv().unwrap(), Ok(_) | Err(Error::Failed(_) | Error::Submit(SubmitError::Stopped))));
}
