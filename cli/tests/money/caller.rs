//! Callers of every kind, who write down what they have seen.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use qwenda_testkit::rng::Rng;

use crate::{
    upstream::Mark,
    wire::{Answer, Ask, Counted, counted, send},
};

/// What a caller does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    Stream,
    /// Leaves after so many events.
    Leaves(usize),
    /// Leaves without having looked.
    LooksAway,
    /// Leaves after so many events, and asks again until the answer is there.
    ComesBack(usize),
}

/// What one caller has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// What finished answers said they came to, by their id.
    pub finished: BTreeMap<String, (Mark, Counted)>,
    /// Answers that were left in the middle, and how many events with words had come by then. Cleared by
    /// whoever takes the service away from under them.
    pub left: BTreeMap<String, u64>,
    /// In how many lives of the service a mark was asked for.
    pub lives: BTreeMap<Mark, u32>,
    pub refused: u64,
}

pub struct Caller {
    pub id: u64,
    pub key: String,
    pub seen: Seen,
    number: u64,
    rng: Rng,
    /// What the service went away from under.
    open: Option<Ask>,
}

impl Caller {
    pub fn new(id: u64, key: String, seed: u64) -> Self {
        let rng = Rng::round(seed, 1_000 + id);
        Self { id, key, seen: Seen::default(), number: 0, rng, open: None }
    }

    /// Asks one thing after the other until it is over.
    pub fn work(&mut self, address: &str, over: &AtomicBool) {
        if let Some(ask) = self.open.take() {
            self.until_there(address, ask, over);
        }
        while !over.load(Ordering::Relaxed) {
            self.number += 1;
            let mark = (self.id, self.number);
            let events = 1 + self.rng.below(6);
            let way = match self.rng.below(10) {
                0..3 => Way::Whole,
                3..6 => Way::Stream,
                6 => Way::LooksAway,
                7 => Way::ComesBack(events),
                _ => Way::Leaves(events),
            };
            let idempotency_key = matches!(way, Way::ComesBack(_)).then(|| format!("k{}", self.number));
            let ask =
                Ask { mark, stream: !matches!(way, Way::Whole | Way::LooksAway), idempotency_key, ..Ask::default() };
            *self.seen.lives.entry(mark).or_default() += 1;
            match way {
                Way::Whole | Way::Stream => drop(self.reads(address, &ask)),
                Way::Leaves(events) => self.leaves(address, &ask, events, true),
                Way::LooksAway => drop(send(address, &self.key, &ask)),
                Way::ComesBack(events) => {
                    self.leaves(address, &ask, events, false);
                    self.until_there(address, ask, over);
                }
            }
        }
    }

    /// Asks for the same until its answer has been read to its end.
    fn until_there(&mut self, address: &str, ask: Ask, over: &AtomicBool) {
        while !self.reads(address, &ask) {
            if over.load(Ordering::Relaxed) {
                *self.seen.lives.entry(ask.mark).or_default() += 1;
                self.open = Some(ask);
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether the answer came to its end.
    fn reads(&mut self, address: &str, ask: &Ask) -> bool {
        let Some(mut answer) = Answer::begin(address, &self.key, ask) else { return false };
        if answer.status != 200 {
            self.seen.refused += 1;
            // Nobody asks at once again what was just refused.
            thread::sleep(Duration::from_millis(5));
            return false;
        }
        let id = answer.request_id.clone();
        let mut came = None;
        if ask.stream {
            let mut done = false;
            while let Some(event) = answer.event() {
                came = counted(&event).or(came);
                done |= event == "[DONE]";
            }
            came = came.filter(|_| done);
        } else {
            came = answer.whole().as_deref().and_then(counted);
        }
        let Some(came) = came else { return false };
        let before = self.seen.finished.insert(id.clone(), (ask.mark, came));
        assert!(before.is_none_or(|before| before == (ask.mark, came)), "{id} was answered twice in two ways");
        true
    }

    fn leaves(&mut self, address: &str, ask: &Ask, events: usize, for_good: bool) {
        let Some(mut answer) = Answer::begin(address, &self.key, ask) else { return };
        if answer.status != 200 {
            self.seen.refused += 1;
            return;
        }
        let mut words = 0;
        for _ in 0..events {
            match answer.event() {
                Some(event) if event.contains("word") => words += 1,
                Some(_) => {}
                None => return,
            }
        }
        if for_good {
            self.seen.left.insert(answer.request_id.clone(), words);
        }
    }
}
