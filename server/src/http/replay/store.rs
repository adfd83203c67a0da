//! Which answers are kept. Bounded by number and by bytes: a full store forgets the oldest that have
//! ended and nobody reads; when there is none, a new request is told "busy", and an answer that grows
//! goes on for its readers only.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use qwenda_types::{
    Dialect,
    error::{ApiError, Code, Invalid},
};

use super::{
    conflict, given_up,
    record::{Held, NotReadable, Reader, Record},
};
use crate::config::Replay;

/// Whose answer it is. Equal keys of different callers, or in different dialects, are different.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) caller: Option<String>,
    pub(super) dialect: Dialect,
    pub(super) key: String,
}

/// A hash of everything that makes a request the same.
pub(super) type Print = [u8; 32];

/// The answers that are kept or being made.
#[derive(Debug)]
pub(crate) struct Replays {
    config: Replay,
    entries: Mutex<Entries>,
    held: Held,
}

type Entries = HashMap<Scope, Entry>;

#[derive(Debug)]
struct Entry {
    print: Print,
    record: Record,
    /// When it ended, in milliseconds since the epoch.
    ended_ms: Option<u64>,
}

/// What a request finds.
#[derive(Debug)]
pub(super) enum Entered {
    /// Its answer, made or being made.
    Known(Reader),
    /// Nothing: it is the one to be answered.
    New(Reader, Record),
}

impl Replays {
    pub(crate) fn new(config: Replay) -> Self {
        Self { config, entries: Mutex::default(), held: Held::default() }
    }

    /// Finds the answer of a request, or makes a place for it. Who `resumes` finds one or is refused.
    pub(super) fn enter(&self, scope: &Scope, print: Print, resumes: bool, now_ms: u64) -> Result<Entered, ApiError> {
        let mut entries = self.entries();
        self.forget_expired(&mut entries, now_ms);
        if let Some(entry) = entries.get(scope) {
            match entry.record.attach() {
                // Its maker is about to remove it.
                Err(NotReadable::Gone) => {}
                _ if entry.print != print => return Err(conflict()),
                Ok(reader) => return Ok(Entered::Known(reader)),
                Err(NotReadable::Outgrown) => return Err(outgrown()),
                Err(NotReadable::GivenUp) => return Err(given_up()),
            }
        }
        if resumes {
            return Err(nothing_to_resume());
        }
        let is_full = entries.len() >= self.config.entries_max && !entries.contains_key(scope);
        if is_full && !forget_oldest(&mut entries) {
            return Err(ApiError::of(Code::Busy).retry_after_ms(1000).log("all answers that may be kept are running"));
        }
        let record = Record::new(self.held.clone());
        let reader = record.attach().expect("a new answer has no end");
        entries.insert(scope.clone(), Entry { print, record: record.clone(), ended_ms: None });
        Ok(Entered::New(reader, record))
    }

    /// Ends what is being made under this key. What has ended already stays as it is.
    pub(super) fn give_up(&self, scope: &Scope, now_ms: u64) -> Result<(), ApiError> {
        let mut entries = self.entries();
        self.forget_expired(&mut entries, now_ms);
        let entry = entries.get(scope).ok_or_else(nothing_to_give_up)?;
        entry.record.give_up();
        Ok(())
    }

    /// Whether so many bytes more may be held, if need be after forgetting answers.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let fits = || self.held.bytes().saturating_add(bytes) <= self.config.bytes_max;
        if fits() {
            return true;
        }
        let mut entries = self.entries();
        while !fits() {
            if !forget_oldest(&mut entries) {
                return false;
            }
        }
        true
    }

    /// An answer has ended: it is kept from now on for the window, or forgotten.
    pub(super) fn ended(&self, scope: &Scope, record: &Record, now_ms: u64) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(scope).filter(|entry| entry.record.is(record)) else { return };
        if record.can_be_kept() {
            entry.ended_ms = Some(now_ms);
        } else {
            entries.remove(scope);
        }
    }

    /// Forgets answers whose window has passed.
    pub(crate) fn tick(&self, now_ms: u64) {
        let mut entries = self.entries();
        self.forget_expired(&mut entries, now_ms);
    }

    fn forget_expired(&self, entries: &mut Entries, now_ms: u64) {
        let window_ms = u64::try_from(self.config.window.as_millis()).unwrap_or(u64::MAX);
        entries.retain(|_, entry| entry.ended_ms.is_none_or(|ended| now_ms < ended.saturating_add(window_ms)));
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the answer that ended first of those that nobody reads.
fn forget_oldest(entries: &mut Entries) -> bool {
    let unread = entries.iter().filter(|(_, entry)| !entry.record.is_read());
    let oldest = unread.filter_map(|(scope, entry)| Some((entry.ended_ms?, scope))).min_by_key(|(ended, _)| *ended);
    let Some(scope) = oldest.map(|(_, scope)| scope.clone()) else { return false };
    entries.remove(&scope);
    true
}

fn outgrown() -> ApiError {
    ApiError::of(Code::Conflict).say(
        "The answer under this Idempotency-Key is larger than what is kept, so only those who read it already get it.",
    )
}

fn nothing_to_give_up() -> ApiError {
    ApiError::of(Code::NotFound).say(
        "No answer is being made or kept under this Idempotency-Key: it has expired, failed, or was never begun, \
         or its request was sent with another key or in the other dialect.",
    )
}

fn nothing_to_resume() -> ApiError {
    Invalid::parameter(
        "Last-Event-ID",
        "No answer is kept under this Idempotency-Key: it has expired, failed, or was never begun. \
         Send the request without Last-Event-ID to begin it.",
    )
    .into()
}
