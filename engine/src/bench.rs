//! What benches of an engine have in common: prompts, runs that are known to be whole, and a check of
//! the answers before any time is taken.

use std::sync::{
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use qwenda_tokenizer::{Specials, Tokenizer};

use crate::{Engine, EngineOptions, Event, LoadOptions, Model, Request, Sampling, Sink, SubmitError, Timings};

/// Something to read; repeated as often as a prompt needs.
const TEXT: &str = "An engine that shares its host must deal out work in small pieces and stop \
    waiting in loops soon: the core it spins on is the one that its neighbour needs. 每一页键值\
    都属于一个序列，直到它离开为止。 fn main() { let total: u64 = (1..=100).sum(); }\n";

/// Tokens of a prompt that is checked, and how many continue it.
const CHECKED_PROMPT: usize = 200;
const CHECKED_TOKENS: u32 = 24;
/// A chunk that divides nothing else.
const UNEVEN_CHUNK: u32 = 37;

/// Why a bench has no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The engine did not take a request.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The model cannot be loaded again.
    #[error(transparent)]
    Load(#[from] crate::Error),
    /// A request failed; the text says why.
    #[error("{0}")]
    Failed(String),
    /// A completion is not as long as it was asked to be.
    #[error("{came} tokens came, not {wanted}")]
    Short {
        /// Tokens that came.
        came: u32,
        /// Tokens that were asked for.
        wanted: u32,
    },
    /// One prompt was continued in two ways.
    #[error("a prompt computed {how} is continued with other tokens than in one piece and alone")]
    Differs {
        /// How it was computed the second time.
        how: &'static str,
    },
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The tokens.
    pub ids: Vec<u32>,
    /// How long its phases took.
    pub timings: Timings,
}

/// A prompt of exactly so many tokens; another `turn` begins elsewhere in the same text.
#[must_use]
pub fn prompt(tokenizer: &Tokenizer, tokens: usize, turn: usize) -> Vec<u32> {
    let text = tokenizer.encode(TEXT, Specials::Plain);
    let skip = turn % text.len().max(1);
    text.into_iter().cycle().skip(skip).take(tokens).collect()
}

/// A scope that no other request of this process had: nothing is left over from another run, and
/// sequences of different scopes share nothing.
#[must_use]
pub fn fresh_scope() -> u64 {
    static SCOPE: AtomicU64 = AtomicU64::new(0);
    SCOPE.fetch_add(1, Ordering::Relaxed)
}

/// Continues all prompts at once, each in its scope, greedily and by exactly `tokens` tokens.
///
/// # Errors
/// The engine refuses one, or one fails or ends early.
pub fn run(engine: &Engine, prompts: &[(u64, Vec<u32>)], tokens: u32) -> Result<Vec<Run>, BenchError> {
    let endings = engine.info().eos.iter().map(|&id| (id, -1e6)).collect();
    let sampling = Sampling { logit_bias: endings, ..Sampling::greedy() };
    let submit = |(scope, prompt): &(u64, Vec<u32>)| {
        let (sender, events) = mpsc::channel();
        let request = Request { scope: *scope, sampling: sampling.clone(), ..Request::new(prompt.clone(), tokens) };
        engine.submit(request, Box::new(Channel(sender)))?;
        Ok::<_, BenchError>(events)
    };
    let waiting: Vec<mpsc::Receiver<Event>> = prompts.iter().map(submit).collect::<Result<_, _>>()?;
    waiting.into_iter().map(|events| collect(events, tokens)).collect()
}

fn collect(events: mpsc::Receiver<Event>, wanted: u32) -> Result<Run, BenchError> {
    let mut ids = Vec::new();
    for event in events {
        match event {
            Event::Token { ids: more, .. } => ids.extend(more),
            Event::Finished { completion_tokens: came, timings, .. } => {
                return if came == wanted { Ok(Run { ids, timings }) } else { Err(BenchError::Short { came, wanted }) };
            }
            Event::TooComplex(why) | Event::Failed(why) => return Err(BenchError::Failed(why)),
            _ => {}
        }
    }
    Err(BenchError::Failed("the engine ended without an answer".to_owned()))
}

/// Sees that a prompt is continued with the same tokens in one piece, in uneven chunks, and in a batch
/// with others; the chunks also with guesses. Loads the model once more for the chunks.
///
/// # Errors
/// The tokens differ, or as for [`run`].
pub fn check(engine: &Engine, path: &std::path::Path, load: &LoadOptions) -> Result<(), BenchError> {
    // A model with a short context is checked on what it takes.
    let room = engine.tokens_max().saturating_sub(CHECKED_TOKENS + 1) as usize;
    let asked = |turn| (fresh_scope(), prompt(engine.tokenizer(), CHECKED_PROMPT.min(room), turn));
    let whole = &run(engine, &[asked(0)], CHECKED_TOKENS)?[0].ids;
    let options = EngineOptions {
        prefill_chunk_tokens: UNEVEN_CHUNK,
        kv_tokens_max: Some(1024.min(engine.tokens_max())),
        ..EngineOptions::default()
    };
    let chunked = Engine::start(Model::load(path, load)?, options);
    if run(&chunked, &[asked(0)], CHECKED_TOKENS)?[0].ids != *whole {
        return Err(BenchError::Differs { how: "in chunks" });
    }
    drop(chunked);
    let beside = run(engine, &[asked(1), asked(0), asked(2)], CHECKED_TOKENS)?;
    if beside[1].ids != *whole {
        return Err(BenchError::Differs { how: "in a batch" });
    }
    Ok(())
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
