//! Many short texts at once, each read through to its last token: nothing is sampled.
//!
//! A probe is one job and takes one place in the queue. Its texts go through a few lanes, each a
//! sequence like any other; a lane that is done with a text takes the next and queues up again
//! behind everyone else, so that a long list of texts keeps nobody waiting for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Owner, SubmitError, request::check_prompt};

/// What is wanted of each text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The final norm's output at the last position, which goes into the output matrix:
    /// `embedding_dim` values, not normalised to a length.
    Hidden,
    /// The logits of these tokens after the last position, in this order.
    Logits(Vec<u32>),
}

/// Most texts of one probe.
pub const PROBE_TEXTS_MAX: usize = 2048;

/// Most texts of one probe that are computed at once.
const LANES_MAX: u32 = 8;

/// Where the outcome of a probe goes. A closure that takes the outcome is one.
pub trait ProbeReply: Send {
    /// Takes what was wanted, one vector for each text, or why there is nothing. Runs on the
    /// engine's thread and must not block.
    fn done(self: Box<Self>, outcome: Result<Vec<Vec<f32>>, Error>);

    /// Whether nobody waits any more. Asked before every step; once true the probe is dropped.
    fn gone(&self) -> bool {
        false
    }
}

impl<F: FnOnce(Result<Vec<Vec<f32>>, Error>) + Send> ProbeReply for F {
    fn done(self: Box<Self>, outcome: Result<Vec<Vec<f32>>, Error>) {
        self(outcome);
    }
}

/// A probe on its way to the worker.
pub(crate) struct Probing {
    pub(crate) texts: Vec<Vec<u32>>,
    pub(crate) want: Probe,
    pub(crate) owner: Owner,
    pub(crate) reply: Box<dyn ProbeReply>,
}

/// One of the sequences that a probe's texts go through.
pub(crate) struct Lane {
    shared: Arc<Mutex<Shared>>,
    /// Which of the texts it reads now.
    text: usize,
}

/// What the lanes of a probe have in common.
struct Shared {
    want: Probe,
    /// Texts that no lane has taken yet, and their number, the next one last.
    waiting: Vec<(usize, Vec<u32>)>,
    found: Vec<Vec<f32>>,
    /// Texts that are not done.
    left: usize,
    /// Gone once there is an outcome.
    reply: Option<Box<dyn ProbeReply>>,
    /// Whether the job still takes a place in the queue.
    queued: bool,
}

/// What a lane does after a text.
pub(crate) enum Next {
    /// Reads this one.
    Text(Vec<u32>),
    /// There is none left for it.
    Nothing,
}

/// Whether a probe can be run by a model with `vocab` tokens, a text having at most `tokens_max`.
pub(crate) fn check(texts: &[Vec<u32>], want: &Probe, vocab: u32, tokens_max: u32) -> Result<(), SubmitError> {
    let invalid = |text: String| Err(SubmitError::Invalid(text));
    if texts.is_empty() || texts.len() > PROBE_TEXTS_MAX {
        return invalid(format!("the probe has {} texts, but must have 1 to {PROBE_TEXTS_MAX}", texts.len()));
    }
    if let Probe::Logits(ids) = want {
        match ids.iter().find(|&&id| id >= vocab) {
            Some(id) => return invalid(format!("the probe names token {id}, but the model has {vocab}")),
            None if ids.is_empty() => return invalid("the probe names no tokens".to_owned()),
            None => {}
        }
    }
    texts.iter().try_for_each(|text| check_prompt(text, vocab, tokens_max))
}

impl Probing {
    /// The lanes with their first texts; `sequences_max` is the most that all jobs may have.
    pub(crate) fn lanes(self, sequences_max: u32) -> Vec<(Vec<u32>, Lane)> {
        let Self { texts, want, reply, .. } = self;
        let left = texts.len();
        // Half of the places at most, so that others find one.
        let lanes = left.min((sequences_max / 2).clamp(1, LANES_MAX) as usize);
        let mut waiting: Vec<_> = texts.into_iter().enumerate().rev().collect();
        let first = waiting.split_off(left - lanes);
        let found = vec![Vec::new(); left];
        let shared = Shared { want, waiting, found, left, reply: Some(reply), queued: true };
        let shared = Arc::new(Mutex::new(shared));
        first.into_iter().rev().map(|(text, tokens)| (tokens, Lane { shared: Arc::clone(&shared), text })).collect()
    }
}

impl Lane {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the hidden vector is wanted rather than logits.
    pub(crate) fn wants_hidden(&self) -> bool {
        self.shared().want == Probe::Hidden
    }

    /// Whether nobody waits for the outcome, or there is one.
    pub(crate) fn gone(&self) -> bool {
        self.shared().reply.as_ref().is_none_or(|reply| reply.gone())
    }

    /// Whether the job took a place in the queue until now.
    pub(crate) fn leave_queue(&self) -> bool {
        std::mem::replace(&mut self.shared().queued, false)
    }

    /// Takes the last position's values: hidden vector or logits. Nothing if they are not finite.
    pub(crate) fn take(&mut self, values: &[f32]) -> Option<Next> {
        let mut shared = self.shared();
        let found: Vec<f32> = match &shared.want {
            Probe::Hidden => values.to_vec(),
            Probe::Logits(ids) => ids.iter().map(|&id| values[id as usize]).collect(),
        };
        if !found.iter().all(|value| value.is_finite()) {
            return None;
        }
        shared.found[self.text] = found;
        shared.left -= 1;
        if shared.left == 0 {
            let found = std::mem::take(&mut shared.found);
            let reply = shared.reply.take();
            drop(shared);
            if let Some(reply) = reply {
                reply.done(Ok(found));
            }
            return Some(Next::Nothing);
        }
        let next = shared.waiting.pop();
        drop(shared);
        Some(match next {
            Some((text, tokens)) => {
                self.text = text;
                Next::Text(tokens)
            }
            None => Next::Nothing,
        })
    }

    /// Ends the whole probe.
    pub(crate) fn fail(&self, why: &str) {
        let reply = self.shared().reply.take();
        if let Some(reply) = reply {
            reply.done(Err(Error::Failed(why.to_owned())));
        }
    }
}
