//! Tokens per second of a model, as one line of JSON.
//!
//! `cargo run --release -p qwenda-engine --example bench -- MODEL.gguf [--threads N] [--isa NAME]
//! [--prefill TOKENS] [--decode TOKENS] [--depth TOKENS] [--sequences N] [--cache DIR]`
//!
//! The answer is checked before it is timed: a prompt computed in one piece, in uneven chunks and in a
//! batch with others must be continued with the same tokens. `depth` is the length of the prompt before decoding;
//! with several `sequences`, the decode figure is of all of them together.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use qwenda_engine::{Engine, EngineOptions, Isa, LoadOptions, Model, bench};

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
    let kv_tokens = args.sequences * (args.depth + args.decode as usize + 64) + args.prefill + 1024;
    let options = EngineOptions {
        kv_tokens_max: Some(u32::try_from(kv_tokens)?),
        sequences_max: u32::try_from(args.sequences)?.max(3),
        ..EngineOptions::default()
    };

    let engine = Engine::start(model, EngineOptions { prefill_chunk_tokens: 512, guess_rows_max: 0, ..options });
    bench::check(&engine, &args.model, &load)?;
    let fresh = |tokens, turn| (bench::fresh_scope(), bench::prompt(engine.tokenizer(), tokens, turn));

    let mut result = serde_json::json!({
        "model": name, "isa": isa.to_string(), "threads": threads, "load_s": load_s,
    });
    if args.prefill > 0 {
        let done = &bench::run(&engine, &[fresh(args.prefill, 0)], 1)?[0];
        result["prefill_tokens"] = args.prefill.into();
        result["prefill_tokens_per_s"] = rate(args.prefill, done.timings.prefill_us).into();
    }
    if args.decode > 0 {
        let prompts: Vec<_> = (0..args.sequences).map(|turn| fresh(args.depth, turn)).collect();
        // Prompts that are known already: all sequences begin to decode at once.
        bench::run(&engine, &prompts, 1)?;
        // The first token belongs to the prefill.
        let done = bench::run(&engine, &prompts, args.decode + 1)?;
        let slowest = done.iter().map(|done| done.timings.decode_us).max().unwrap_or_default();
        result["depth"] = args.depth.into();
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
