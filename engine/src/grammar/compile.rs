//! Compiling what others wrote: within limits, on a thread of its own.
//!
//! `limits`, `lark` and the library's own limits bound the work. The thread has a stack that
//! their deepest recursion fits in, and a deadline, in case that they overlook something: then the
//! caller gets an error, while the thread runs to its end. Few may run at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use llguidance::{Matcher, api::TopLevelGrammar};

use super::{Compiled, Grammar, GrammarError, Vocabulary, lark, limits::Budget, schema};
use crate::Model;

/// Bytes of address space; only what is touched takes memory. The deepest recursion that the limits
/// let through took between 8 and 16 MiB when it was measured.
const STACK_BYTES: usize = 128 << 20;

/// How long a caller waits. Sensible grammars take milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Most threads at once.
const THREADS_MAX: usize = 4;

/// What is to be compiled.
pub(super) enum Source {
    /// A JSON schema of a size that is known to be allowed.
    Schema(serde_json::Value),
    /// The same of a grammar in Lark.
    Lark(String),
}

/// Compiles for a model's vocabulary, which comes into being with its first grammar.
pub(super) fn run(model: &Model, source: Source) -> Result<Grammar, GrammarError> {
    let vocabulary = model.vocabulary()?;
    let begun = Instant::now();
    let place = PLACES.take(begun)?;
    let (reply, answer) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("grammar".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let compiled = catch_unwind(AssertUnwindSafe(|| compile(vocabulary, source)));
            let failed = || Err(GrammarError("the grammar cannot be compiled: the compiler failed".to_owned()));
            // Whoever asked may have lost patience.
            let _ = reply.try_send(compiled.unwrap_or_else(|_| failed()));
            drop(place);
        })
        .map_err(|error| GrammarError(format!("the grammar cannot be compiled: {error}")))?;
    answer.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> GrammarError {
    GrammarError(format!("the grammar takes longer than {} s to compile; make it simpler", PATIENCE.as_secs()))
}

fn compile(vocabulary: Arc<Vocabulary>, source: Source) -> Result<Grammar, GrammarError> {
    let mut budget = Budget::default();
    let (grammar, what) = match source {
        Source::Schema(schema) => {
            (TopLevelGrammar::from_json_schema(schema::normalise(&schema, &mut budget)?), "schema")
        }
        Source::Lark(text) => (TopLevelGrammar::from_lark(lark::normalise(&text, &mut budget)?), "grammar"),
    };
    let parser = vocabulary.factory.create_parser(grammar).map_err(|error| explain(&format!("{error:#}"), what))?;
    let mut beginning = Matcher::new(Ok(parser));
    // What cannot even begin is found now rather than in every sequence.
    if let Err(error) = beginning.deep_clone().compute_mask_or_eos() {
        return Err(explain(&error.to_string(), what));
    }
    beginning.invalidate_bias_cache();
    Ok(Grammar(Arc::new(Compiled { vocabulary, beginning: Mutex::new(beginning) })))
}

/// The library's error in our words, as far as it can be told.
fn explain(error: &str, what: &str) -> GrammarError {
    let error = error.replace("<non-verbose/>", "");
    let first = error.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown error");
    let text = if first.starts_with("oneOf constraints are not supported") {
        "`oneOf` is supported only where its branches exclude each other by type or by a required constant; \
         use `anyOf`"
            .to_owned()
    } else if first.contains("NoExtension") {
        format!("nothing satisfies the {what}")
    } else if first.starts_with("panic") {
        format!("the {what} cannot be compiled: the compiler failed")
    } else {
        format!("the {what} cannot be compiled: {}", first.chars().take(300).collect::<String>())
    };
    GrammarError(text)
}

/// Threads that may still be started.
static PLACES: Places = Places { taken: Mutex::new(0), freed: Condvar::new() };

struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of them, given back when it is dropped.
struct Place(&'static Places);

impl Places {
    /// Waits for one as long as the caller does.
    fn take(&'static self, begun: Instant) -> Result<Place, GrammarError> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = PATIENCE.saturating_sub(begun.elapsed());
        let (mut taken, waited) = self
            .freed
            .wait_timeout_while(taken, patience, |taken| *taken >= THREADS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(too_slow());
        }
        *taken += 1;
        Ok(Place(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
