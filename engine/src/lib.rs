//! Tokens in, tokens out: the CPU engine for Qwen models.
//!
//! A [`Model`] is loaded from a GGUF file; [`Engine::start`] gives it a thread that runs any number
//! of sequences through it at once. There is no HTTP, async or chat in here; JSON only as
//! schemas that a completion is held to.
//!
//! What can be relied on: the tokens of a request depend on the request alone, bit for bit. Not on
//! the number of threads, not on what else runs, not on how its prompt was cut into chunks.
//!
//! Read `request` and `event`, then `scheduler` and `worker` (continuous batching), then `model/qwen2`.
//!
//! # Example
//! ```no_run
//! use qwenda_engine::{Engine, EngineOptions, LoadOptions, Model};
//!
//! let model = Model::load("model.gguf".as_ref(), &LoadOptions::default())?;
//! let engine = Engine::start(model, EngineOptions::default());
//! let scored = engine.score(&[9707, 11, 1879, 0])?;
//! println!("the second token costs {} nats", scored[0].nll);
//! # Ok::<(), qwenda_engine::Error>(())
//! ```
#![warn(missing_docs)]

pub mod bench;
mod cache;
mod draft;
mod engine;
mod error;
mod event;
mod fair;
mod generate;
mod grammar;
mod lookup;
mod model;
mod probe;
mod reasoning;
mod request;
mod rows;
mod sampler;
mod scheduler;
mod score;
mod sequence;
mod stats;
mod stop;
mod worker;

pub use engine::{Engine, EngineOptions, KV_TOKENS_DEFAULT};
pub use error::Error;
pub use event::{Event, FinishReason, Sink, Timings, TokenLogprob};
pub use grammar::{Grammar, GrammarError};
pub use model::{LoadOptions, Model, ModelInfo, Pooling, Roofline, TokenCost, load_tokenizer};
pub use probe::{PROBE_TEXTS_MAX, Probe, ProbeReply};
pub use qwenda_kernels::{Isa, Precision};
pub use request::{LOGPROBS_MAX, Owner, Priority, Reasoning, Request, Sampling, Stop, SubmitError};
pub use score::{Scored, ScoredAll};
pub use stats::{EngineStats, STEP_BOUNDS_US, StepKind, StepTimes};
