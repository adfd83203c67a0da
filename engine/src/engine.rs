//! The handle: requests go in here, a thread of its own computes them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    num::NonZeroU32,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use qwenda_kernels::PAGE_TOKENS;
use qwenda_tokenizer::Tokenizer;

use crate::{
    EngineStats, Error, Grammar, GrammarError, Model, ModelInfo, Owner, Probe, ProbeReply, Request, Scored, ScoredAll,
    Sink, SubmitError,
    draft::Drafter,
    probe::{self, Probing},
    request::check_prompt,
    stats::Counters,
    worker::Worker,
};

/// How much an engine takes on at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Tokens of all sequences together whose keys and values are kept; rounded up to whole pages.
    /// `None`: the model's context, at most [`KV_TOKENS_DEFAULT`]. Memory is taken as it is used,
    /// and kept for what has been computed in case that a prompt begins with it again.
    pub kv_tokens_max: Option<u32>,
    /// Most sequences computed at once; at least 1. In models with a [state](Model::has_state) each of
    /// them takes memory of a fixed size, some 20 to 80 MB in published ones.
    pub sequences_max: u32,
    /// Most prompt tokens computed in one step; at least 1. More is a little faster, and lets
    /// sequences that decode, and callers that leave, wait longer.
    pub prefill_chunk_tokens: u32,
    /// Most requests that wait for a place; at least 1.
    pub queue_max: usize,
    /// Rows that a step of decoding may have, guesses at what comes next included: while fewer
    /// sequences decode, the rows that are left compute what their texts are likely to repeat. 0 guesses
    /// nothing. The tokens are the same either way.
    pub guess_rows_max: u32,
}

/// Tokens kept for all sequences together unless the options say otherwise.
pub const KV_TOKENS_DEFAULT: u32 = 32_768;

impl Default for EngineOptions {
    fn default() -> Self {
        Self { kv_tokens_max: None, sequences_max: 16, prefill_chunk_tokens: 128, queue_max: 64, guess_rows_max: 16 }
    }
}

/// A running model. Clones are handles to the same one; when the last is dropped, its thread ends
/// and requests still running fail.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle {
    model: Arc<Model>,
    queue: Arc<Queue>,
    /// Most tokens of one sequence.
    tokens_max: u32,
    thread: Option<JoinHandle<()>>,
}

/// What waits between the handle and the worker.
pub(crate) struct Queue {
    /// Most jobs that may wait.
    limit: usize,
    jobs: Mutex<Jobs>,
    wake: Condvar,
    /// Jobs submitted and not yet given a place, wherever they are.
    waiting: AtomicUsize,
    pub(crate) counters: Counters,
}

#[derive(Default)]
struct Jobs {
    new: VecDeque<Job>,
    stopped: bool,
}

/// Something to run through the model.
pub(crate) struct Job {
    pub(crate) submitted: Instant,
    pub(crate) task: Task,
}

pub(crate) enum Task {
    Generate(Request, Box<dyn Sink>),
    Score { tokens: Vec<u32>, keep_last: bool, reply: mpsc::SyncSender<Result<ScoredAll, Error>> },
    Probe(Probing),
}

impl Engine {
    /// Starts the thread that computes.
    #[must_use]
    pub fn start(model: Model, options: EngineOptions) -> Self {
        Self::start_with(model, options, |_, _| Ok(None)).unwrap_or_else(|error: Infallible| match error {})
    }

    /// As [`Self::start`], with a smaller model of the same tokens that guesses what comes next where
    /// nothing repeats. The answers are the same; it takes as much again of its own memory for keys and
    /// values.
    ///
    /// # Errors
    /// The two models' tokens differ.
    pub fn start_with_draft(model: Model, draft: Model, options: EngineOptions) -> Result<Self, Error> {
        Self::start_with(model, options, |model, pages| Drafter::new(draft, model, pages).map(Some))
    }

    fn start_with<E>(
        model: Model,
        options: EngineOptions,
        drafter: impl FnOnce(&Model, u32) -> Result<Option<Drafter>, E>,
    ) -> Result<Self, E> {
        let model = Arc::new(model);
        let context = model.info().context_tokens_max;
        let page = u32::try_from(PAGE_TOKENS).expect("pages are small");
        let kv_tokens = options.kv_tokens_max.unwrap_or(KV_TOKENS_DEFAULT.min(context));
        let pages = kv_tokens.div_ceil(page).max(1);
        let tokens_max = context.min(pages.saturating_mul(page));
        let queue = Arc::new(Queue::new(options.queue_max));
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let worker = Worker::new(
            Arc::clone(&model),
            Arc::clone(&queue),
            crate::scheduler::Limits {
                page_tokens: at_least_one(page),
                prefill_tokens_max: at_least_one(options.prefill_chunk_tokens),
                sequences_max: at_least_one(options.sequences_max),
                guess_rows_max: options.guess_rows_max,
            },
            pages,
            tokens_max,
            drafter(&model, pages)?,
        );
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || worker.run())
            .expect("the system starts a thread");
        Ok(Self(Arc::new(Handle { model, queue, tokens_max, thread: Some(thread) })))
    }

    /// Queues a request. Its events go to `sink`, from the engine's thread.
    ///
    /// # Errors
    /// The queue is full, the prompt does not fit, or the request is not one this model can run.
    pub fn submit(&self, request: Request, sink: Box<dyn Sink>) -> Result<(), SubmitError> {
        request.check(self.info().vocab, self.0.tokens_max)?;
        let foreign = |grammar: &Grammar| !grammar.is_for(self.0.model.vocabulary_made());
        if request.grammar.as_ref().is_some_and(foreign) {
            return Err(SubmitError::Invalid("the grammar was made for another model".to_owned()));
        }
        self.0.queue.push(Task::Generate(request, sink))
    }

    /// The loss of every token of a text after its first, and what the model would have said
    /// there. Waits its turn among the requests, and blocks until it is done.
    ///
    /// # Errors
    /// As for [`Self::submit`], or the engine stopped meanwhile.
    pub fn score(&self, tokens: &[u32]) -> Result<Vec<Scored>, Error> {
        let all = self.score_with(tokens, false)?;
        Ok(all.nll.into_iter().zip(all.argmax).map(|(nll, argmax)| Scored { nll, argmax }).collect())
    }

    /// As [`Self::score`], with the prediction after the last token and its logits.
    ///
    /// # Errors
    /// As for [`Self::score`].
    pub fn score_all(&self, tokens: &[u32]) -> Result<ScoredAll, Error> {
        self.score_with(tokens, true)
    }

    fn score_with(&self, tokens: &[u32], keep_last: bool) -> Result<ScoredAll, Error> {
        check_prompt(tokens, self.info().vocab, self.0.tokens_max)?;
        let (reply, answer) = mpsc::sync_channel(1);
        self.0.queue.push(Task::Score { tokens: tokens.to_vec(), keep_last, reply })?;
        answer.recv().unwrap_or(Err(Error::Submit(SubmitError::Stopped)))
    }

    /// Runs many texts through the model and hands out something of each one's end. Takes one place
    /// in the queue, and is computed beside other sequences. Texts of an equal scope share what
    /// their beginnings have in common.
    ///
    /// # Errors
    /// As for [`Self::submit`].
    pub fn probe(
        &self,
        texts: Vec<Vec<u32>>,
        want: Probe,
        owner: Owner,
        reply: Box<dyn ProbeReply>,
    ) -> Result<(), SubmitError> {
        probe::check(&texts, &want, self.info().vocab, self.0.tokens_max)?;
        self.0.queue.push(Task::Probe(Probing { texts, want, owner, reply }))
    }

    /// Compiles a grammar of the JSON values that `schema` allows. Takes milliseconds, and the
    /// first grammar of a model some more: not for an async runtime.
    ///
    /// # Errors
    /// The schema makes no sense, has keywords that cannot be enforced, or is too complex.
    pub fn json_schema(&self, schema: &serde_json::Value) -> Result<Grammar, GrammarError> {
        Grammar::json_schema(&self.0.model, schema)
    }

    /// As [`Self::json_schema`], for any JSON object.
    ///
    /// # Errors
    /// The model's vocabulary cannot be held to a grammar.
    pub fn json_object(&self) -> Result<Grammar, GrammarError> {
        Grammar::json_object(&self.0.model)
    }

    /// Compiles a grammar in llguidance's dialect of Lark: rules of `"text"`, `/patterns/`, special
    /// tokens by name (`<tool_call>`) and schemas (`%json {...}`), beginning with the rule `start`.
    /// Takes as long as [`Self::json_schema`].
    ///
    /// # Errors
    /// The grammar cannot be read, has a schema as [`Self::json_schema`] refuses it, or is too
    /// complex.
    pub fn lark(&self, grammar: &str) -> Result<Grammar, GrammarError> {
        Grammar::lark(&self.0.model, grammar)
    }

    /// Whether a completion held to `grammar` may be exactly `text`: for checks of a grammar.
    ///
    /// # Panics
    /// The grammar is another model's.
    #[must_use]
    pub fn accepts(&self, grammar: &Grammar, text: &str) -> bool {
        grammar.accepts(&self.0.model, text)
    }

    /// What may follow `text` in a completion held to `grammar`, which an answer that goes on after
    /// `text` is to be held to; `None` if no completion begins so, or none has more. Takes longer the
    /// longer the text is.
    ///
    /// # Panics
    /// The grammar is another model's.
    #[must_use]
    pub fn after(&self, grammar: &Grammar, text: &str) -> Option<Grammar> {
        grammar.after(&self.0.model, text)
    }

    /// What the model's file says of itself.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        self.0.model.info()
    }

    /// The model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.0.model.tokenizer()
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// Most tokens of one prompt with its completion: the model's context, or what the engine may
    /// keep if that is less. A prompt must be shorter.
    #[must_use]
    pub fn tokens_max(&self) -> u32 {
        self.0.tokens_max
    }

    /// What it has done and how it is.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.0.queue.counters.read(self.queued())
    }

    /// Requests that wait for a place.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.queue.waiting()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("model", &self.0.model).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.stop();
        let thread = self.thread.take().expect("only taken here");
        // The last handle may be dropped by a sink, which runs on that very thread.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            jobs: Mutex::default(),
            wake: Condvar::new(),
            waiting: AtomicUsize::new(0),
            counters: Counters::default(),
        }
    }

    pub(crate) fn push(&self, task: Task) -> Result<(), SubmitError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.stopped {
            return Err(SubmitError::Stopped);
        }
        let queued = self.waiting();
        if queued >= self.limit {
            return Err(SubmitError::Busy { queued });
        }
        // Only grows under the lock, so the bound holds.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        jobs.new.push_back(Job { submitted: Instant::now(), task });
        drop(jobs);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes all new jobs; waits for one if `idle`. Nothing once the engine is stopped.
    pub(crate) fn take(&self, idle: bool) -> Option<VecDeque<Job>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        while idle && jobs.new.is_empty() && !jobs.stopped {
            jobs = self.wake.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        if jobs.stopped { None } else { Some(std::mem::take(&mut jobs.new)) }
    }

    /// Jobs that wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A job got its place, or left.
    pub(crate) fn placed(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Refuses new jobs and wakes the worker.
    pub(crate) fn stop(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.wake.notify_all();
    }

    /// What is still queued after [`Self::stop`].
    pub(crate) fn leftover(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner).new)
    }
}
