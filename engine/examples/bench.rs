//! Tokens per second of a model, as one line of JSON.
//!
//! `cargo run --release -p qwenda-engine --example bench -- MODEL.gguf [--threads N] [--isa NAME]
//! [--prefill TOKENS] [--decode TOKENS] [--depth TOKENS] [--sequences N] [--cache DIR]`
//!
//! The answer is checked before it is timed: a prompt prefilled in one piece and in uneven chunks
//! must be continued with the same tokens. `depth` is the length of the prompt before decoding;
//! with several `sequences`, the decode figure is of all of them together.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{
    atomic::{AtomicU64, Ordering},
    mpsc,
};
use std::time::Instant;

use qwenda_engine::{Engine, EngineOptions, Event, Isa, LoadOptions, Model, Request, Sampling, Sink, Timings};

/// Something to read; repeated as often as a prompt needs.
const TEXT: &str = "An engine that shares its host must deal out work in small pieces and stop \
    waiting in loops soon: the core it spins on is the one that its neighbour needs. 每一页键值\
    都属于一个序列，直到它离开为止。 fn main() { let total: u64 = (1..=100).sum(); }\n";

struct Args {
    model: PathBuf,
    threads: Option<NonZeroUsize>,
    isa: Option<Isa>,
    prefill: usize,
    decode: u32,
    depth: usize,
    sequences: usize,
    cache: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    let load =
        LoadOptions { isa: args.isa, threads: args.threads, cache_dir: args.cache.clone(), ..LoadOptions::default() };
    let begun = Instant::now();
    let model = Model::load(&args.model, &load)?;
    let load_s = begun.elapsed().as_secs_f64();
    let (name, isa, threads) = (model.info().name.clone(), model.isa(), model.threads());
    let kv_tokens = args.sequences * (args.depth + args.decode as usize + 64) + args.prefill;
    let options = EngineOptions {
        kv_tokens_max: Some(u32::try_from(kv_tokens)?),
        sequences_max: u32::try_from(args.sequences)?,
        ..EngineOptions::default()
    };

    let checked = prompt(&model, 200);
    let uneven = Engine::start(Model::load(&args.model, &load)?, EngineOptions { prefill_chunk_tokens: 37, ..options });
    let in_chunks = run(&uneven, &checked, 1, 24)?;
    drop(uneven);
    let long = prompt(&model, args.prefill);
    let deep = prompt(&model, args.depth);
    let whole = EngineOptions { prefill_chunk_tokens: 512, ..options.clone() };
    let engine = Engine::start(model, whole);
    let in_one_piece = run(&engine, &checked, 1, 24)?;
    if in_chunks[0].ids != in_one_piece[0].ids {
        return Err("a prompt prefilled in chunks is continued with other tokens than in one piece".into());
    }

    let mut result = serde_json::json!({
        "model": name, "isa": isa.to_string(), "threads": threads, "load_s": load_s,
    });
    if args.prefill > 0 {
        let done = &run(&engine, &long, 1, 1)?[0];
        result["prefill_tokens"] = long.len().into();
        result["prefill_tokens_per_s"] = rate(long.len(), done.timings.prefill_us).into();
    }
    if args.decode > 0 {
        // The first token belongs to the prefill.
        let done = run(&engine, &deep, args.sequences, args.decode + 1)?;
        let slowest = done.iter().map(|done| done.timings.decode_us).max().unwrap_or_default();
        result["depth"] = deep.len().into();
        result["sequences"] = args.sequences.into();
        result["decode_tokens"] = args.decode.into();
        result["decode_tokens_per_s"] = rate(args.decode as usize * args.sequences, slowest).into();
    }
    println!("{result}");
    Ok(())
}

fn rate(tokens: usize, us: u64) -> f64 {
    tokens as f64 * 1e6 / us.max(1) as f64
}

fn prompt(model: &Model, tokens: usize) -> Vec<u32> {
    let text = model.tokenizer().encode(TEXT, qwenda_tokenizer::Specials::Plain);
    text.into_iter().cycle().take(tokens).collect()
}

/// What came of one request.
struct Done {
    ids: Vec<u32>,
    timings: Timings,
}

/// Continues `sequences` copies of a prompt greedily by exactly `tokens` tokens.
fn run(engine: &Engine, prompt: &[u32], sequences: usize, tokens: u32) -> Result<Vec<Done>, Box<dyn Error>> {
    let endings = engine.info().eos.iter().map(|&id| (id, -1e6)).collect();
    let sampling = Sampling { logit_bias: endings, ..Sampling::greedy() };
    let request = Request { sampling, ..Request::new(prompt.to_vec(), tokens) };
    // Nothing may be left over from another run, nor shared between sequences.
    static SCOPE: AtomicU64 = AtomicU64::new(0);
    let waiting: Vec<mpsc::Receiver<Event>> = (0..sequences)
        .map(|_| {
            let (sender, events) = mpsc::channel();
            let scope = SCOPE.fetch_add(1, Ordering::Relaxed);
            engine.submit(Request { scope, ..request.clone() }, Box::new(Channel(sender)))?;
            Ok::<_, Box<dyn Error>>(events)
        })
        .collect::<Result<_, _>>()?;
    waiting
        .into_iter()
        .map(|events| {
            let mut ids = Vec::new();
            for event in events {
                match event {
                    Event::Started { .. } => {}
                    Event::Token { ids: more, .. } => ids.extend(more),
                    Event::Finished { completion_tokens, timings, .. } if completion_tokens == tokens => {
                        return Ok(Done { ids, timings });
                    }
                    Event::Finished { completion_tokens, .. } => {
                        return Err(format!("{completion_tokens} tokens came, not {tokens}").into());
                    }
                    Event::TooComplex(why) | Event::Failed(why) => return Err(why.into()),
                }
            }
            Err("the engine ended without an answer".into())
        })
        .collect()
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
    let mut args = Args {
        model: words.next().ok_or("the first argument is a GGUF file")?.into(),
        threads: None,
        isa: None,
        prefill: 512,
        decode: 128,
        depth: 1,
        sequences: 1,
        cache: None,
    };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--threads" => args.threads = Some(value.parse()?),
            "--isa" => args.isa = Some(value.parse().map_err(|e| format!("{e}"))?),
            "--prefill" => args.prefill = value.parse()?,
            "--decode" => args.decode = value.parse()?,
            "--depth" => args.depth = value.parse::<usize>()?.max(1),
            "--sequences" => args.sequences = value.parse::<usize>()?.max(1),
            "--cache" => args.cache = Some(value.into()),
            _ => return Err(format!("no flag `{flag}`").into()),
        }
    }
    Ok(args)
}
