//! One answer: what has been made of it so far, and who reads it. Every reader has a place of its own,
//! so that a slow one keeps nobody waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use qwenda_types::error::{ApiError, Code, Invalid};
use tokio::sync::watch;

use super::{super::error::Failure, given_up};

/// What a response begins with.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) request_id: String,
    pub(super) is_stream: bool,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) enum End {
    /// With everything said: it may be read again.
    Whole,
    /// With an error event: who reads it reads that too, but nobody after.
    Failed,
    /// Before its first byte, with this error.
    Refused(Failure),
    /// In the middle, without a word.
    Lost,
    /// Its caller does not want it any more.
    GivenUp,
}

/// An answer that is being made or has been made. Clones are the same answer.
#[derive(Debug, Clone)]
pub(super) struct Record(watch::Sender<State>);

/// How many bytes all answers hold together. Clones are the same sum.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct State {
    held: Held,
    head: Option<Arc<Head>>,
    /// Its events, or its one body.
    items: VecDeque<Bytes>,
    // Items before these, which nobody needs any more.
    passed: u64,
    bytes: usize,
    end: Option<End>,
    // Who reads, and how many items they have had.
    readers: BTreeMap<u64, u64>,
    readers_ever: u64,
    // It has outgrown what is kept: its readers get it live, and nobody after them.
    outgrown: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl State {
    fn made(&self) -> u64 {
        self.passed + self.items.len() as u64
    }

    fn read_by_all(&self) -> u64 {
        self.readers.values().min().copied().unwrap_or_else(|| self.made())
    }
}

/// Why an answer cannot be read from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReadable {
    /// It is over and was not kept.
    Gone,
    /// It has outgrown what is kept.
    Outgrown,
    /// Its caller has given it up.
    GivenUp,
}

impl Record {
    /// An answer of which nothing is made yet.
    pub(super) fn new(held: Held) -> Self {
        Self(watch::Sender::new(State {
            held,
            head: None,
            items: VecDeque::new(),
            passed: 0,
            bytes: 0,
            end: None,
            readers: BTreeMap::new(),
            readers_ever: 0,
            outgrown: false,
        }))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }

    /// A reader at the answer's beginning.
    pub(super) fn attach(&self) -> Result<Reader, NotReadable> {
        let mut attached = Err(NotReadable::Gone);
        self.0.send_modify(|state| {
            if matches!(state.end, Some(End::GivenUp)) {
                attached = Err(NotReadable::GivenUp);
            } else if state.outgrown {
                attached = Err(NotReadable::Outgrown);
            } else if matches!(state.end, None | Some(End::Whole)) {
                state.readers_ever += 1;
                state.readers.insert(state.readers_ever, 0);
                attached = Ok(state.readers_ever);
            }
        });
        attached.map(|id| Reader { id, had: 0, record: self.clone(), state: self.0.subscribe() })
    }

    pub(super) fn is_read(&self) -> bool {
        !self.0.borrow().readers.is_empty()
    }

    pub(super) fn is_outgrown(&self) -> bool {
        self.0.borrow().outgrown
    }

    /// Whether who comes after its end finds something: the answer again, or that it was given up.
    pub(super) fn can_be_kept(&self) -> bool {
        let state = self.0.borrow();
        match state.end {
            Some(End::Whole) => !state.outgrown,
            Some(End::GivenUp) => true,
            _ => false,
        }
    }

    /// Returns once it is given up.
    pub(super) async fn is_given_up(&self) {
        let given_up = |state: &State| matches!(state.end, Some(End::GivenUp));
        let waited = self.0.subscribe().wait_for(given_up).await.map(drop);
        waited.expect("`self` is a sender, so there is one");
    }

    /// Returns once it is outgrown.
    pub(super) async fn outgrows(&self) {
        let waited = self.0.subscribe().wait_for(|state| state.outgrown).await.map(drop);
        waited.expect("`self` is a sender, so there is one");
    }

    /// Returns once there is a reader, or once there is none.
    pub(super) async fn read_is(&self, read: bool) {
        let waited = self.0.subscribe().wait_for(|state| state.readers.is_empty() != read).await.map(drop);
        waited.expect("`self` is a sender, so there is one");
    }

    pub(super) fn begin(&self, head: Head) {
        self.0.send_modify(|state| state.head = Some(Arc::new(head)));
    }

    pub(super) fn push(&self, item: Bytes) {
        self.0.send_modify(|state| {
            state.bytes += item.len();
            state.held.0.fetch_add(item.len(), Ordering::Relaxed);
            state.items.push_back(item);
        });
    }

    /// Ends the answer; what was the end already stays so.
    pub(super) fn end(&self, end: End) {
        self.0.send_modify(|state| {
            state.end.get_or_insert(end);
        });
    }

    /// Ends an answer that is being made, for everybody, and forgets what was made of it. One that has ended
    /// stays as it is.
    pub(super) fn give_up(&self) {
        self.0.send_if_modified(|state| {
            let running = state.end.is_none();
            if running {
                state.passed = state.made();
                state.items.clear();
                state.held.0.fetch_sub(std::mem::take(&mut state.bytes), Ordering::Relaxed);
                state.end = Some(End::GivenUp);
            }
            running
        });
    }

    /// Ends the answer if nobody reads it. Nobody can begin to in between.
    pub(super) fn end_unread(&self) -> bool {
        let mut ended = false;
        self.0.send_modify(|state| {
            ended = state.readers.is_empty();
            if ended {
                state.end.get_or_insert(End::Lost);
            }
        });
        ended
    }

    /// From now on only its readers get it.
    pub(super) fn outgrow(&self) {
        self.0.send_modify(|state| state.outgrown = true);
    }

    /// Forgets what all readers have had, and returns how many bytes are left.
    pub(super) fn trim(&self) -> usize {
        let mut left = 0;
        self.0.send_if_modified(|state| {
            while state.passed < state.read_by_all() {
                let Some(item) = state.items.pop_front() else { break };
                state.passed += 1;
                state.bytes -= item.len();
                state.held.0.fetch_sub(item.len(), Ordering::Relaxed);
            }
            left = state.bytes;
            false
        });
        left
    }

    /// Returns once all readers have had something that is still held.
    pub(super) async fn was_read_further(&self) {
        let further = |state: &State| state.passed < state.read_by_all();
        let waited = self.0.subscribe().wait_for(further).await.map(drop);
        waited.expect("`self` is a sender, so there is one");
    }
}

/// Someone who reads an answer. Leaving is dropping.
#[derive(Debug)]
pub(super) struct Reader {
    id: u64,
    had: u64,
    record: Record,
    state: watch::Receiver<State>,
}

impl Reader {
    /// Waits until the answer begins.
    pub(super) async fn head(&mut self) -> Result<Arc<Head>, Failure> {
        let begun = self.state.wait_for(|state| state.head.is_some() || state.end.is_some()).await;
        let state = begun.expect("the record is a sender, so there is one");
        match (&state.head, &state.end) {
            (Some(head), _) => Ok(head.clone()),
            (None, Some(End::Refused(failure))) => Err(failure.clone()),
            (None, Some(End::GivenUp)) => Err(given_up().into()),
            _ => Err(ApiError::of(Code::Internal).log("an answer was given up before it began").into()),
        }
    }

    /// Goes on after this event.
    pub(super) fn seek(&mut self, after: u64) -> Result<(), Invalid> {
        let (is_stream, made) = {
            let state = self.state.borrow();
            (state.head.as_ref().is_some_and(|head| head.is_stream), state.made())
        };
        if !is_stream {
            return Err(Invalid::parameter(
                "Last-Event-ID",
                "The answer of this request is not a stream; send it again without Last-Event-ID.",
            ));
        }
        if after > made {
            return Err(Invalid::parameter(
                "Last-Event-ID",
                format!("Last-Event-ID is {after}, but only {made} events have been sent so far."),
            ));
        }
        self.advance(after);
        Ok(())
    }

    /// The next event, or the one body. `None` is the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        let item = {
            let had = self.had;
            let more = self.state.wait_for(|state| had < state.made() || state.end.is_some()).await;
            let state = more.expect("the record is a sender, so there is one");
            if matches!(state.end, Some(End::GivenUp)) {
                // What it had not had is forgotten already.
                return Some(Err(io::Error::other("the answer was given up by its caller")));
            }
            let place = usize::try_from(had - state.passed).expect("what a reader needs is held");
            match (state.items.get(place), &state.end) {
                (Some(item), _) => item.clone(),
                (None, Some(End::Lost)) => return Some(Err(io::Error::other("the answer was given up"))),
                (None, _) => return None,
            }
        };
        self.advance(self.had + 1);
        Some(Ok(item))
    }

    fn advance(&mut self, had: u64) {
        self.had = had;
        // Only the maker of an outgrown answer waits for readers.
        self.record.0.send_if_modified(|state| {
            state.readers.insert(self.id, had);
            state.outgrown
        });
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.record.0.send_modify(|state| {
            state.readers.remove(&self.id);
        });
    }
}
