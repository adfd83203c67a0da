//! What guesses are worth: decode speed with and without, in turns, on a text that repeats its prompt
//! and on one that repeats nothing.
//!
//! `cargo run --release -p qwenda-engine --example guess -- MODEL.gguf [--rounds N] [--tokens N]
//! [--threads N] [--isa NAME] [--cache DIR] [--draft MODEL.gguf]`
//!
//! The answers with and without guesses are compared first: they must be the same.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::{error::Error, num::NonZeroUsize, path::PathBuf, sync::mpsc};

use qwenda_engine::{Engine, EngineOptions, Event, Isa, LoadOptions, Model, Request, Sampling, Sink};
use qwenda_tokenizer::Specials;

/// An edit: nearly all of the answer stands in the prompt.
const EDIT: &str = "Rename the struct `Account` to `Wallet` and repeat the whole file, nothing else.\n\n```rust\n\
use std::collections::BTreeMap;\n\n\
/// Money that somebody owns, in cents.\n\
pub struct Account {\n    owner: String,\n    cents: u64,\n    history: Vec<Entry>,\n}\n\n\
/// One change of a balance.\n\
pub struct Entry {\n    cents: i64,\n    reason: String,\n}\n\n\
impl Account {\n    /// An empty one.\n    pub fn new(owner: &str) -> Self {\n        Self { owner: owner.to_string(), cents: 0, history: Vec::new() }\n    }\n\n\
    /// Adds money.\n    pub fn deposit(&mut self, cents: u64, reason: &str) {\n        self.cents += cents;\n        self.history.push(Entry { cents: cents as i64, reason: reason.to_string() });\n    }\n\n\
    /// Takes money out; false if there is not enough.\n    pub fn withdraw(&mut self, cents: u64, reason: &str) -> bool {\n        if self.cents < cents {\n            return false;\n        }\n        self.cents -= cents;\n        self.history.push(Entry { cents: -(cents as i64), reason: reason.to_string() });\n        true\n    }\n\n\
    /// What was paid for each reason.\n    pub fn totals(&self) -> BTreeMap<&str, i64> {\n        let mut totals = BTreeMap::new();\n        for entry in &self.history {\n            *totals.entry(entry.reason.as_str()).or_insert(0) += entry.cents;\n        }\n        totals\n    }\n}\n```";

/// A text of its own, drawn at a high temperature so that it does not fall into a loop.
const FREE: &str = "Write a long story about a lighthouse keeper who learns to sail. Use rich and varied language.";

struct Args {
    model: PathBuf,
    rounds: usize,
    tokens: u32,
    load: LoadOptions,
    draft: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    let load = |path| Model::load(path, &args.load);
    let plain = EngineOptions { guess_rows_max: 0, ..EngineOptions::default() };
    let plain = Engine::start(load(&args.model)?, plain);
    let guessing = match &args.draft {
        None => Engine::start(load(&args.model)?, EngineOptions::default()),
        Some(draft) => Engine::start_with_draft(load(&args.model)?, load(draft)?, EngineOptions::default())?,
    };
    let engines = [plain, guessing];
    println!("{}, {} threads", engines[0].info().name, engines[0].model().threads());
    for (name, text, temperature) in [("edit", EDIT, 0.0), ("free", FREE, 1.0)] {
        let mut speeds: [Vec<f64>; 2] = Default::default();
        let mut answers: [Vec<u32>; 2] = Default::default();
        for round in 0..args.rounds {
            for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let (ids, per_s) = run(&engines[side], text, temperature, args.tokens)?;
                if !answers[1 - side].is_empty() && answers[1 - side] != ids {
                    return Err("the answers with and without guesses differ".into());
                }
                answers[side] = ids;
                speeds[side].push(per_s);
            }
        }
        let mut ratios: Vec<f64> = speeds[0].iter().zip(&speeds[1]).map(|(plain, guessing)| guessing / plain).collect();
        ratios.sort_by(f64::total_cmp);
        let stats = engines[1].stats();
        println!(
            "{name}: {} tokens, plain {:.1} tok/s, guessing {:.1} tok/s, ratio {:.2} ({:.2} to {:.2}); {} of {} guesses right so far",
            answers[0].len(),
            median(&mut speeds[0]),
            median(&mut speeds[1]),
            ratios[ratios.len() / 2],
            ratios[0],
            ratios[ratios.len() - 1],
            stats.guessed_right_tokens,
            stats.guessed_tokens,
        );
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The answer's tokens, and how many came a second after the first.
fn run(engine: &Engine, text: &str, temperature: f32, tokens: u32) -> Result<(Vec<u32>, f64), Box<dyn Error>> {
    let prompt = format!("<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n");
    let prompt = engine.tokenizer().encode(&prompt, Specials::Parse);
    let sampling = Sampling { temperature, top_p: 0.95, seed: 7, ..Sampling::default() };
    let (sender, events) = mpsc::channel();
    engine.submit(Request { sampling, ..Request::new(prompt, tokens) }, Box::new(Channel(sender)))?;
    let mut all = Vec::new();
    for event in events {
        match event {
            Event::Started { .. } => {}
            Event::Token { ids, .. } => all.extend(ids),
            Event::Finished { completion_tokens, timings, .. } => {
                return Ok((all, f64::from(completion_tokens - 1) * 1e6 / timings.decode_us.max(1) as f64));
            }
            Event::TooComplex(why) | Event::Failed(why) => return Err(why.into()),
        }
    }
    Err("the engine ended without an answer".into())
}

struct Channel(mpsc::Sender<Event>);

impl Sink for Channel {
    fn event(&mut self, event: Event) {
        // Nobody listens any more only when the bench is failing already.
        let _ = self.0.send(event);
    }

    fn gone(&self) -> bool {
        false
    }
}

fn args() -> Result<Args, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let model = words.next().ok_or("the first argument is a GGUF file")?.into();
    let mut args = Args { model, rounds: 5, tokens: 400, load: LoadOptions::default(), draft: None };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--rounds" => args.rounds = value.parse::<usize>()?.max(1),
            "--tokens" => args.tokens = value.parse::<u32>()?.max(2),
            "--threads" => args.load.threads = Some(value.parse::<NonZeroUsize>()?),
            "--isa" => args.load.isa = Some(value.parse::<Isa>().map_err(|e| format!("{e}"))?),
            "--draft" => args.draft = Some(value.into()),
            "--cache" => args.load.cache_dir = Some(value.into()),
            _ => return Err(format!("no flag `{flag}`").into()),
        }
    }
    Ok(args)
}
