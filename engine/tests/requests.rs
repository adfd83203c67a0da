//! What a caller sees of a request: its events, its end, and what it cannot do to others.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use common::{ModelFile, collect, greedy, prompt, run, submit};
use qwenda_engine::{Engine, EngineOptions, Error, Event, FinishReason, Request, Sampling, Sink, Stop, SubmitError};
use qwenda_testkit::TinyModel;

fn tiny() -> Engine {
    ModelFile::tiny(&TinyModel::qwen2()).engine(2, EngineOptions::default())
}

fn with(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = greedy(&prompt(1, 20), 16);
    change(&mut request);
    request
}

#[test]
fn a_completion_is_as_long_as_asked() {
    let engine = tiny();
    for tokens_max in [1, 2, 31, 32, 33, 100] {
        let found = run(&engine, with(|request| request.tokens_max = tokens_max));
        assert_eq!(found.end, Ok(FinishReason::Length), "{tokens_max}");
        assert_eq!((found.prompt_tokens, found.completion_tokens), (20, tokens_max));
        let mut decoder = engine.tokenizer().decoder();
        let text: String = found.ids.iter().map(|&id| decoder.push(id).to_owned()).collect();
        assert_eq!(found.text, text);
    }
}

#[test]
fn the_context_clips_a_completion() {
    let engine = tiny(); // 512 tokens
    let found = run(&engine, greedy(&prompt(1, 500), 1000));
    assert_eq!((found.end, found.completion_tokens), (Ok(FinishReason::Length), 12));
    let found = run(&engine, greedy(&prompt(1, 511), 1000));
    assert_eq!((found.end, found.completion_tokens), (Ok(FinishReason::Length), 1));
}

#[test]
fn what_cannot_run_is_refused_with_numbers() {
    let engine = tiny();
    let vocab = engine.info().vocab;
    // what is wrong | request | what the error says
    type Row<'a> = (&'a str, Request, &'a str);
    let table: &[Row<'_>] = &[
        (
            "a prompt as long as the context",
            greedy(&prompt(1, 512), 1),
            "the prompt has 512 tokens, the model takes 511",
        ),
        ("no prompt", greedy(&[], 1), "the prompt has no tokens"),
        (
            "an id outside the vocabulary",
            greedy(&[vocab], 1),
            &format!("the prompt has token {vocab}, but the model has {vocab}"),
        ),
        ("nothing to generate", greedy(&[1], 0), "tokens_max is 0"),
        ("temperature", with(|r| r.sampling.temperature = -0.5), "temperature is -0.5"),
        ("temperature NaN", with(|r| r.sampling.temperature = f32::NAN), "temperature is NaN"),
        ("top_p 0", with(|r| r.sampling.top_p = 0.0), "top_p is 0"),
        ("top_p", with(|r| r.sampling.top_p = 1.01), "top_p is 1.01"),
        ("min_p", with(|r| r.sampling.min_p = 1.5), "min_p is 1.5"),
        ("repetition_penalty", with(|r| r.sampling.repetition_penalty = 0.0), "repetition_penalty is 0"),
        ("presence_penalty", with(|r| r.sampling.presence_penalty = f32::INFINITY), "presence_penalty is inf"),
        ("logit_bias id", with(|r| r.sampling.logit_bias = vec![(vocab, 1.0)]), "logit_bias names token"),
        ("logit_bias value", with(|r| r.sampling.logit_bias = vec![(1, f32::NAN)]), "is NaN"),
        ("an empty stop string", with(|r| r.stop.strings = vec![String::new()]), "is empty"),
        ("an empty stop sequence", with(|r| r.stop.tokens = vec![vec![]]), "is empty"),
        ("too many logprobs", with(|r| r.logprobs = Some(99)), "logprobs is 99"),
    ];
    for (what, request, says) in table {
        let (sender, events) = mpsc::channel();
        let error = engine.submit(request.clone(), Box::new(common::Channel(sender))).unwrap_err();
        assert!(error.to_string().contains(says), "{what}: {error}");
        assert!(events.recv().is_err(), "{what}: a refused request has no events");
    }
    let error = engine.submit(greedy(&prompt(1, 600), 1), Box::new(Gone)).unwrap_err();
    assert_eq!(error, SubmitError::TooLong { prompt: 600, limit: 511 });
}

#[test]
fn the_store_bounds_the_context_too() {
    let options = EngineOptions { kv_tokens_max: Some(64), ..EngineOptions::default() };
    let engine = ModelFile::tiny(&TinyModel::qwen2()).engine(1, options);
    assert_eq!(engine.tokens_max(), 64);
    let error = engine.submit(greedy(&prompt(1, 64), 1), Box::new(Gone)).unwrap_err();
    assert_eq!(error, SubmitError::TooLong { prompt: 64, limit: 63 });
    assert_eq!(run(&engine, greedy(&prompt(1, 63), 9)).completion_tokens, 1);
}

#[test]
fn stop_strings_and_stop_tokens_end_a_completion() {
    let engine = tiny();
    let whole = run(&engine, with(|request| request.tokens_max = 40));
    let bytes: Vec<char> = whole.text.chars().collect();
    let middle: String = bytes[bytes.len() / 2..bytes.len() / 2 + 3].iter().collect();
    let cut = whole.text.find(&middle).unwrap();
    let found = run(
        &engine,
        with(|request| {
            request.tokens_max = 40;
            request.stop = Stop { strings: vec!["never this".to_owned(), middle.clone()], tokens: vec![] };
        }),
    );
    assert_eq!((found.text.as_str(), found.end), (&whole.text[..cut], Ok(FinishReason::Stop)));
    assert!(found.completion_tokens < 40 && found.completion_tokens as usize >= found.ids.len());

    let pair = &whole.ids[10..12];
    let first = whole.ids.windows(2).position(|two| two == pair).unwrap();
    let found = run(
        &engine,
        with(|request| {
            request.tokens_max = 40;
            request.stop = Stop { strings: vec![], tokens: vec![pair.to_vec()] };
        }),
    );
    assert_eq!((found.ids.as_slice(), found.end), (&whole.ids[..first], Ok(FinishReason::Stop)));
    assert_eq!(found.completion_tokens as usize, first + 2, "the stop tokens were generated");
}

#[test]
fn the_models_end_token_ends_a_completion_and_does_not_show() {
    let engine = tiny();
    for &end in &engine.info().eos {
        let found = run(&engine, with(|request| request.sampling.logit_bias = vec![(end, 1000.0)]));
        assert_eq!((found.text.as_str(), found.end, found.completion_tokens), ("", Ok(FinishReason::Stop), 1));
        assert!(found.ids.is_empty());
    }
}

#[test]
fn unused_rows_are_never_generated() {
    let engine = tiny();
    let logit_bias = engine.info().eos.iter().map(|&end| (end, -100_000.0)).collect();
    let sampling = Sampling { temperature: 100.0, seed: 3, logit_bias, ..Sampling::default() };
    let found = run(&engine, Request { sampling, ..greedy(&prompt(1, 5), 500) });
    for &id in &found.ids {
        assert_ne!(engine.tokenizer().kind(id), qwenda_tokenizer::TokenKind::Unused, "token {id}");
    }
    assert_eq!(found.completion_tokens, 500);
}

#[test]
fn logprobs_agree_with_scoring() {
    let engine = tiny();
    let request = with(|request| {
        request.logprobs = Some(5);
        // Neither of these may show in the log-probabilities.
        request.sampling = Sampling { temperature: 2.0, seed: 1, frequency_penalty: 1.0, ..Sampling::default() };
        request.sampling.logit_bias = engine.info().eos.iter().map(|&end| (end, -1000.0)).collect();
    });
    let found = run(&engine, request.clone());
    assert_eq!(found.logprobs.len(), found.ids.len());
    let mut tokens = request.prompt.clone();
    tokens.extend(&found.ids);
    let scored = engine.score(&tokens).unwrap();
    for (at, logprob) in found.logprobs.iter().enumerate() {
        let scored = scored[request.prompt.len() - 1 + at];
        assert_eq!(logprob.id, found.ids[at]);
        assert!((logprob.logprob + scored.nll).abs() < 1e-5, "token {at}: {logprob:?} and {scored:?}");
        assert_eq!(logprob.top.len(), 5);
        assert_eq!(logprob.top[0].0, scored.argmax);
        assert!(logprob.top.windows(2).all(|two| two[0].1 >= two[1].1));
    }
}

#[test]
fn a_text_of_one_token_has_no_losses() {
    let engine = tiny();
    assert_eq!(engine.score(&[5]).unwrap(), []);
    assert!(matches!(engine.score(&[]), Err(Error::Submit(SubmitError::Invalid(_)))));
    assert_eq!(engine.score(&prompt(1, 512)).unwrap().len(), 511, "a text may fill the context");
    assert!(matches!(
        engine.score(&prompt(1, 513)),
        Err(Error::Submit(SubmitError::TooLong { prompt: 513, limit: 512 }))
    ));
}

/// Nobody listens.
struct Gone;

impl Sink for Gone {
    fn event(&mut self, _: Event) {}

    fn gone(&self) -> bool {
        true
    }
}

/// Tells of its events and its end, and is gone once `left` says so.
struct Leaving {
    left: Arc<AtomicBool>,
    events: mpsc::Sender<Event>,
}

impl Sink for Leaving {
    fn event(&mut self, event: Event) {
        self.events.send(event).unwrap();
    }

    fn gone(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }
}

#[test]
fn who_leaves_frees_the_place_at_the_next_step() {
    // Room for one at a time.
    let options = EngineOptions { sequences_max: 1, prefill_chunk_tokens: 1, ..EngineOptions::default() };
    let engine = ModelFile::tiny(&TinyModel::qwen2()).engine(1, options);
    // Once during prefill, once during decode.
    for prompt_tokens in [400, 4] {
        let left = Arc::new(AtomicBool::new(false));
        let (sender, events) = mpsc::channel();
        let request = Request {
            sampling: Sampling {
                logit_bias: engine.info().eos.iter().map(|&end| (end, -1000.0)).collect(),
                ..Sampling::greedy()
            },
            ..greedy(&prompt(1, prompt_tokens), 500)
        };
        engine.submit(request, Box::new(Leaving { left: Arc::clone(&left), events: sender })).unwrap();
        assert!(matches!(events.recv(), Ok(Event::Started { .. })));
        let next = submit(&engine, greedy(&prompt(2, 4), 4));
        left.store(true, Ordering::SeqCst);
        assert_eq!(collect(&next).end, Ok(FinishReason::Length), "the next one gets the place");
        // The sink was dropped without an end: a completion that runs to its end would send one.
        assert!(events.iter().all(|event| matches!(event, Event::Token { .. })));
    }
}

/// Holds the engine's thread in its first event until the test lets it go.
struct Holding(Arc<Barrier>);

impl Sink for Holding {
    fn event(&mut self, event: Event) {
        if matches!(event, Event::Started { .. }) {
            self.0.wait();
            self.0.wait();
        }
    }

    fn gone(&self) -> bool {
        false
    }
}

#[test]
fn a_full_queue_says_busy() {
    let options = EngineOptions { queue_max: 2, ..EngineOptions::default() };
    let engine = ModelFile::tiny(&TinyModel::qwen2()).engine(1, options);
    let barrier = Arc::new(Barrier::new(2));
    engine.submit(greedy(&[1], 1), Box::new(Holding(Arc::clone(&barrier)))).unwrap();
    barrier.wait(); // The first has its place; its thread is held.
    let waiting = [submit(&engine, greedy(&[2], 1)), submit(&engine, greedy(&[3], 1))];
    let error = engine.submit(greedy(&[4], 1), Box::new(Gone)).unwrap_err();
    assert_eq!(error, SubmitError::Busy { queued: 2 });
    assert!(matches!(engine.score(&[1, 2]), Err(Error::Submit(SubmitError::Busy { queued: 2 }))));
    barrier.wait();
    for events in waiting {
        assert_eq!(collect(&events).end, Ok(FinishReason::Length));
    }
    assert!(run(&engine, greedy(&[5], 1)).end.is_ok(), "there is room again");
}

/// Panics at its second event.
struct Panicking(u32);

impl Sink for Panicking {
    fn event(&mut self, _: Event) {
        self.0 += 1;
        assert!(self.0 != 2, "a sink that panics, on purpose");
    }

    fn gone(&self) -> bool {
        false
    }
}

#[test]
fn a_sink_that_panics_harms_nobody_else() {
    let engine = tiny();
    let expected = run(&engine, greedy(&prompt(1, 20), 30));
    let beside = submit(&engine, greedy(&prompt(1, 20), 30));
    engine.submit(greedy(&prompt(2, 20), 30), Box::new(Panicking(0))).unwrap();
    assert_eq!(collect(&beside), expected);
    assert_eq!(run(&engine, greedy(&prompt(1, 20), 30)), expected);
}

#[test]
fn logits_that_are_not_finite_fail_one_sequence_and_no_other() {
    let mut parts = TinyModel::qwen2().parts();
    // Token 7 becomes NaN.
    let hidden = 64;
    let embedding = parts.tensor("token_embd.weight");
    for value in embedding.bytes[7 * hidden * 4..8 * hidden * 4].chunks_mut(4) {
        value.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let engine = ModelFile::parts(parts).engine(2, EngineOptions::default());
    let good: Vec<u32> = prompt(1, 40).into_iter().filter(|&id| id != 7).collect();
    let request = |tokens: &[u32]| {
        let mut request = greedy(tokens, 30);
        request.sampling.logit_bias = vec![(7, -1000.0)];
        request
    };
    let expected = run(&engine, request(&good));
    assert!(expected.end.is_ok());
    let beside = submit(&engine, request(&good));
    let bad = submit(&engine, request(&[1, 7, 2]));
    assert_eq!(collect(&bad).end, Err("the model's logits are not finite".to_owned()));
    assert_eq!(collect(&beside), expected);
    assert!(matches!(engine.score(&[1, 7, 2, 3]), Err(Error::Failed(_))));
    assert_eq!(run(&engine, request(&good)), expected, "its pages hold no NaN for those who come after");
}

#[test]
fn stopping_the_engine_ends_what_runs() {
    let engine = tiny();
    let events = submit(
        &engine,
        Request {
            sampling: Sampling {
                logit_bias: engine.info().eos.iter().map(|&end| (end, -1000.0)).collect(),
                ..Sampling::greedy()
            },
            ..greedy(&prompt(1, 4), 500)
        },
    );
    drop(engine);
    let end = collect(&events).end;
    // It may have been quick enough to finish.
    assert!(end == Err("the engine has stopped".to_owned()) || end == Ok(FinishReason::Length), "{end:?}");
}

/// Drops the last handle of the engine from the engine's own thread.
struct LastHandle(Option<Engine>, mpsc::Sender<()>);

impl Sink for LastHandle {
    fn event(&mut self, _: Event) {
        if self.0.take().is_some() {
            self.1.send(()).unwrap();
        }
    }

    fn gone(&self) -> bool {
        false
    }
}

#[test]
fn the_last_handle_may_be_dropped_by_a_sink() {
    let engine = tiny();
    let (sender, dropped) = mpsc::channel();
    let sink = LastHandle(Some(engine.clone()), sender);
    engine.submit(greedy(&[1], 5), Box::new(sink)).unwrap();
    drop(engine);
    dropped.recv().unwrap();
}

#[test]
fn different_seeds_give_different_texts_and_equal_ones_equal() {
    let engine = tiny();
    let ids = |seed| {
        let sampling = Sampling { seed, ..Sampling::default() };
        run(&engine, with(|request| request.sampling = sampling)).ids
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}
