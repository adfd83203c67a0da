//! What a grammar costs, as one line of JSON.
//!
//! `cargo run --release -p qwenda-engine --example grammar -- MODEL.gguf [--tokens N] [--cache DIR]`
//!
//! Every figure is of one sequence that decodes tokens of its own. `ratios` compares the speed under a
//! grammar with that without: `strings` is free text inside an array, where nothing is forced and almost
//! the whole vocabulary is allowed; `bounded` counts its characters as well; `pattern` allows letters and
//! blanks alone, so that no mask is known beforehand; `object` is any JSON object; `form` is what programs
//! ask for, much of which is decided without the model.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::{error::Error, path::PathBuf, sync::mpsc, time::Instant};

use qwenda_engine::{Engine, EngineOptions, Event, Grammar, LoadOptions, Model, Request, Sampling, Sink};
use qwenda_tokenizer::Specials;
use serde_json::{Map, Value, json};

/// Times that each is run.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path: PathBuf = args.first().ok_or("the first argument is a GGUF file")?.into();
    let flag = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let tokens: u32 = flag("--tokens").map_or(Ok(128), |value| value.parse())?;
    let load = LoadOptions { cache_dir: flag("--cache").map(PathBuf::from), ..LoadOptions::default() };
    let engine = Engine::start(Model::load(&path, &load)?, EngineOptions::default());

    let resident = resident_mib();
    let begun = Instant::now();
    engine.json_object()?;
    let first_ms = begun.elapsed().as_secs_f64() * 1e3;
    let vocabulary_mib = resident_mib() - resident;

    let begun = Instant::now();
    let form = engine.json_schema(&form())?;
    let compile_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut held = vec![("form", form)];
    for (name, schema) in schemas() {
        held.push((name, engine.json_schema(&schema)?));
    }

    let mut free = Vec::new();
    let mut ratios = vec![Vec::new(); held.len()];
    run(&engine, None, 8)?;
    for _ in 0..ROUNDS {
        for ((_, grammar), ratios) in held.iter().zip(&mut ratios) {
            // In turns, so that a busy machine disturbs both alike.
            let alone = run(&engine, None, tokens)?.per_s();
            ratios.push(run(&engine, Some(grammar), tokens)?.per_s() / alone);
            free.push(alone);
        }
    }
    let ratios: Map<_, _> =
        held.iter().zip(ratios).map(|((name, _), ratios)| ((*name).to_owned(), median(ratios).into())).collect();
    println!(
        "{}",
        json!({
            "model": engine.info().name, "first_grammar_ms": first_ms, "vocabulary_mib": vocabulary_mib,
            "compile_ms": compile_ms, "free_tokens_per_s": median(free), "ratios": ratios,
        })
    );
    Ok(())
}

/// Where a grammar has to work for every token.
fn schemas() -> [(&'static str, Value); 4] {
    let strings = |string: Value| json!({ "type": "array", "items": string, "minItems": 9 });
    [
        ("strings", strings(json!({ "type": "string", "minLength": 200 }))),
        ("bounded", strings(json!({ "type": "string", "minLength": 200, "maxLength": 400 }))),
        ("pattern", strings(json!({ "type": "string", "pattern": "^[A-Za-z ]{200,}$" }))),
        ("object", json!({ "type": "object" })),
    ]
}

/// A form as programs ask for: much of what is written is decided by it.
fn form() -> Value {
    let person = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" }, "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "email": { "type": "string", "format": "email" }, "role": { "enum": ["author", "editor", "reader"] },
            "since": { "type": "string", "format": "date" },
        },
        "required": ["name", "age", "email", "role", "since"], "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": { "people": { "type": "array", "items": person, "minItems": 4, "maxItems": 4 } },
        "required": ["people"], "additionalProperties": false,
    })
}

struct Done {
    tokens: u32,
    decode_us: u64,
}

impl Done {
    fn per_s(&self) -> f64 {
        f64::from(self.tokens) * 1e6 / self.decode_us.max(1) as f64
    }
}

fn run(engine: &Engine, grammar: Option<&Grammar>, tokens: u32) -> Result<Done, Box<dyn Error>> {
    let asked = "<|im_start|>user\nWrite down some people.<|im_end|>\n<|im_start|>assistant\n";
    let prompt = engine.tokenizer().encode(asked, Specials::Parse);
    let endings = engine.info().eos.iter().map(|&id| (id, -1e6)).collect();
    let sampling = Sampling { logit_bias: endings, temperature: 0.7, ..Sampling::default() };
    let request = Request { sampling, grammar: grammar.cloned(), ..Request::new(prompt, tokens) };
    let (sender, events) = mpsc::channel();
    engine.submit(request, Box::new(Channel(sender)))?;
    for event in events {
        match event {
            Event::Finished { completion_tokens, timings, .. } => {
                return Ok(Done { tokens: completion_tokens - 1, decode_us: timings.decode_us });
            }
            Event::TooComplex(why) | Event::Failed(why) => return Err(why.into()),
            Event::Started { .. } | Event::Token { .. } => {}
        }
    }
    Err("the engine ended without an answer".into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Memory in use, where the system tells; otherwise 0.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
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
