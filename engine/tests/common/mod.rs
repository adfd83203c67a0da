//! Models in files, and requests run to their end.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use std::{num::NonZeroUsize, path::PathBuf, sync::mpsc};

use qwenda_engine::{
    Engine, EngineOptions, Event, FinishReason, LoadOptions, Model, Owner, Request, Sampling, Sink, TokenLogprob,
};
use qwenda_testkit::tiny_model::{Parts, TinyModel};

/// A model file that is removed with its folder.
pub(crate) struct ModelFile {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl ModelFile {
    pub(crate) fn tiny(model: &TinyModel) -> Self {
        Self::bytes(&model.bytes())
    }

    pub(crate) fn parts(parts: Parts) -> Self {
        Self::bytes(&parts.bytes())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.gguf");
        std::fs::write(&path, bytes).unwrap();
        Self { dir, path }
    }

    pub(crate) fn engine(&self, threads: usize, options: EngineOptions) -> Engine {
        Engine::start(Model::load(&self.path, &on_threads(threads)).unwrap(), options)
    }
}

/// A scope by itself.
pub(crate) fn of(scope: u64) -> Owner {
    Owner { scope, ..Owner::default() }
}

/// Loading without a cache.
pub(crate) fn on_threads(threads: usize) -> LoadOptions {
    LoadOptions { threads: NonZeroUsize::new(threads), ..LoadOptions::default() }
}

/// Sends every event on; gone when the receiver is.
pub(crate) struct Channel(pub(crate) mpsc::Sender<Event>);

impl Sink for Channel {
    fn event(&mut self, event: Event) {
        let _ = self.0.send(event);
    }

    fn gone(&self) -> bool {
        false
    }
}

/// A completion, put together from its events.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Text and tokens of the reasoning.
    pub(crate) reasoning: String,
    pub(crate) reasoning_ids: Vec<u32>,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    pub(crate) reasoning_tokens: u32,
    /// Why it ended, or why it failed.
    pub(crate) end: Result<FinishReason, String>,
}

/// Checks the order of events on the way.
pub(crate) fn collect(events: impl IntoIterator<Item = Event>) -> Completion {
    let mut all = Completion {
        text: String::new(),
        ids: Vec::new(),
        logprobs: Vec::new(),
        reasoning: String::new(),
        reasoning_ids: Vec::new(),
        prompt_tokens: 0,
        completion_tokens: 0,
        reasoning_tokens: 0,
        end: Err("no end".to_owned()),
    };
    let mut started = false;
    for event in events {
        match event {
            Event::Started { prompt_tokens, .. } => {
                assert!(!std::mem::replace(&mut started, true), "started twice");
                all.prompt_tokens = prompt_tokens;
            }
            Event::Token { text, ids, tokens, logprobs, reasoning } => {
                assert!(started, "a token before the start");
                let so_far = all.ids.len() + all.reasoning_ids.len();
                assert!(tokens as usize >= so_far + ids.len(), "more tokens passed on than generated");
                if reasoning {
                    assert!(all.ids.is_empty(), "reasoning after the answer has begun");
                    all.reasoning.push_str(&text);
                    all.reasoning_ids.extend(ids);
                } else {
                    all.text.push_str(&text);
                    all.ids.extend(ids);
                }
                all.logprobs.extend(logprobs);
            }
            Event::Finished { reason, prompt_tokens, completion_tokens, reasoning_tokens, .. } => {
                assert!(started, "an end before the start");
                assert_eq!(prompt_tokens, all.prompt_tokens);
                all.completion_tokens = completion_tokens;
                all.reasoning_tokens = reasoning_tokens;
                all.end = Ok(reason);
            }
            Event::TooComplex(why) | Event::Failed(why) => all.end = Err(why),
        }
    }
    all
}

pub(crate) fn submit(engine: &Engine, request: Request) -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel();
    engine.submit(request, Box::new(Channel(sender))).unwrap();
    events
}

/// The completion, and how many tokens of the prompt needed no computing.
pub(crate) fn collect_cached(events: &mpsc::Receiver<Event>) -> (u32, Completion) {
    let first = events.recv().unwrap();
    let Event::Started { cached_tokens, .. } = first else { panic!("first came {first:?}") };
    (cached_tokens, collect(std::iter::once(first).chain(events)))
}

pub(crate) fn run(engine: &Engine, request: Request) -> Completion {
    collect(submit(engine, request))
}

pub(crate) fn greedy(prompt: &[u32], tokens_max: u32) -> Request {
    Request { sampling: Sampling::greedy(), ..Request::new(prompt.to_vec(), tokens_max) }
}

/// Some tokens of a tiny vocabulary, none of them special.
pub(crate) fn prompt(seed: u32, len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * 37 + seed * 101 + i * i % 11) % 250).collect()
}

/// A prompt in the format of the chat models.
pub(crate) fn chat(engine: &Engine, text: &str) -> Vec<u32> {
    let prompt = format!(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    );
    engine.tokenizer().encode(&prompt, qwenda_tokenizer::Specials::Parse)
}
