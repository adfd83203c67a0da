//! Perplexity of a text by windows, as llama-perplexity counts it, as one line of JSON.
//!
//! `cargo run --release -p qwenda-engine --example perplexity -- MODEL.gguf TEXT [--window TOKENS]
//! [--windows N] [--exact] [--isa NAME] [--threads N] [--cache DIR]`
//!
//! The text is cut into windows of `--window` tokens that know nothing of each other; what is left over
//! is not used. Of each, the tokens behind the middle are scored, so that every one has at least half a
//! window before it. `--exact`: activations, keys and values in single precision.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its result")]

use std::{error::Error, num::NonZeroUsize, path::PathBuf};

use qwenda_engine::{Engine, EngineOptions, Isa, LoadOptions, Model, Precision};
use qwenda_tokenizer::Specials;

struct Args {
    model: PathBuf,
    text: PathBuf,
    window: usize,
    windows: usize,
    load: LoadOptions,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    let text = std::fs::read_to_string(&args.text)?;
    let model = Model::load(&args.model, &args.load)?;
    let ids = model.tokenizer().encode(&text, Specials::Plain);
    let (name, isa) = (model.info().name.clone(), model.isa());
    let options = EngineOptions {
        kv_tokens_max: Some(u32::try_from(args.window)? + 64),
        prefill_chunk_tokens: 512,
        ..EngineOptions::default()
    };
    let engine = Engine::start(model, options);
    // The loss at `i` is that of the token behind it: the first one scored is `window / 2 + 1`.
    let first = args.window / 2;
    let mut windows = Vec::new();
    for window in ids.chunks_exact(args.window).take(args.windows) {
        let scored = engine.score(window)?;
        windows.push(scored[first..].iter().map(|token| f64::from(token.nll)).sum::<f64>());
        eprint!("\rwindow {}", windows.len());
    }
    eprintln!();
    let tokens = windows.len() * (args.window - 1 - first);
    let mean = windows.iter().sum::<f64>() / tokens as f64;
    println!(
        "{}",
        serde_json::json!({
            "model": name, "isa": isa.to_string(), "exact": args.load.precision == Precision::F32,
            "text_tokens": ids.len(), "window": args.window, "windows": windows.len(), "scored_tokens": tokens,
            "perplexity": mean.exp(), "window_nll": windows,
        })
    );
    Ok(())
}

fn args() -> Result<Args, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut args = Args {
        model: words.next().ok_or("the first argument is a GGUF file")?.into(),
        text: words.next().ok_or("the second argument is a text file")?.into(),
        window: 512,
        windows: usize::MAX,
        load: LoadOptions::default(),
    };
    while let Some(flag) = words.next() {
        if flag == "--exact" {
            args.load.precision = Precision::F32;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--window" => args.window = value.parse::<usize>()?.max(4),
            "--windows" => args.windows = value.parse()?,
            "--isa" => args.load.isa = Some(value.parse::<Isa>().map_err(|e| format!("{e}"))?),
            "--threads" => args.load.threads = Some(value.parse::<NonZeroUsize>()?),
            "--cache" => args.load.cache_dir = Some(value.into()),
            _ => return Err(format!("no flag `{flag}`").into()),
        }
    }
    Ok(args)
}
