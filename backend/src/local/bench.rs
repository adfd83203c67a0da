//! How fast a model is on this machine: the engine alone, without template, text and HTTP.

use std::{path::PathBuf, time::Instant};

use qwenda_engine::{Engine, EngineOptions, LoadOptions, Model, ModelInfo, bench};
pub use qwenda_engine::{Roofline, TokenCost, bench::BenchError};

use super::{LocalModel, LocalOptions, OpenError, load_options};

/// A model that is measured. Everything here blocks.
#[derive(Debug)]
pub struct Bench {
    engine: Engine,
    path: PathBuf,
    load: LoadOptions,
    load_ms: f64,
}

impl Bench {
    /// Loads the model, with room for `kv_tokens_max` tokens and `sequences_max` sequences at once.
    ///
    /// # Errors
    /// The file cannot be loaded.
    pub fn open(
        model: &LocalModel,
        options: &LocalOptions,
        kv_tokens_max: u32,
        sequences_max: u32,
    ) -> Result<Self, OpenError> {
        let load = load_options(options);
        let begun = Instant::now();
        let loaded = Model::load(&model.path, &load)?;
        let load_ms = begun.elapsed().as_secs_f64() * 1e3;
        let options = EngineOptions {
            kv_tokens_max: Some(kv_tokens_max),
            sequences_max,
            // A token is a step: the text repeats itself, and would be guessed.
            guess_rows_max: 0,
            ..options.engine.clone()
        };
        Ok(Self { engine: Engine::start(loaded, options), path: model.path.clone(), load, load_ms })
    }

    /// Sees that the answers are right before any time is taken: the same tokens in one piece, in chunks and
    /// in a batch.
    ///
    /// # Errors
    /// They differ, or the engine fails.
    pub fn check(&self) -> Result<(), BenchError> {
        bench::check(&self.engine, &self.path, &self.load)
    }

    /// What the file says of the model.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    /// The instructions that compute.
    #[must_use]
    pub fn isa(&self) -> String {
        self.engine.model().isa().to_string()
    }

    /// The threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.engine.model().threads().get()
    }

    /// How long loading took, in milliseconds.
    #[must_use]
    pub fn load_ms(&self) -> f64 {
        self.load_ms
    }

    /// What a token costs at least.
    #[must_use]
    pub fn cost(&self) -> TokenCost {
        self.engine.model().token_cost()
    }

    /// What the machine does at best.
    #[must_use]
    pub fn roofline(&self) -> Roofline {
        self.engine.model().roofline()
    }

    /// Reads a prompt of `tokens` tokens that nothing is known of, up to its first token: tokens per
    /// second.
    ///
    /// # Errors
    /// The engine fails.
    pub fn prefill(&self, tokens: u32) -> Result<f64, BenchError> {
        let prompt = bench::prompt(self.engine.tokenizer(), tokens as usize, 0);
        let done = bench::run(&self.engine, &[(bench::fresh_scope(), prompt)], 1)?;
        Ok(rate(u64::from(tokens), done[0].timings.prefill_us))
    }

    /// Continues `sequences` prompts of `depth` tokens each by `tokens` tokens, greedily and all at once:
    /// tokens per second, of all together.
    ///
    /// # Errors
    /// The engine fails.
    pub fn decode(&self, sequences: u32, depth: u32, tokens: u32) -> Result<f64, BenchError> {
        let prompt = |turn| bench::prompt(self.engine.tokenizer(), depth.max(1) as usize, turn as usize);
        let prompts: Vec<_> = (0..sequences).map(|turn| (bench::fresh_scope(), prompt(turn))).collect();
        // The prompts are read first, so that all begin to decode at once.
        bench::run(&self.engine, &prompts, 1)?;
        // The first token belongs to the prefill.
        let done = bench::run(&self.engine, &prompts, tokens + 1)?;
        let slowest_us = done.iter().map(|run| run.timings.decode_us).max().unwrap_or_default();
        Ok(rate(u64::from(tokens) * u64::from(sequences), slowest_us))
    }
}

fn rate(tokens: u64, us: u64) -> f64 {
    tokens as f64 * 1e6 / us.max(1) as f64
}
