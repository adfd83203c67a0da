//! How fast requests are begun: [`Pace`]. Services refuse what comes too quickly, and a client that is told so slows
//! down before it asks again; better, it does not run into the limit in the first place.

mod lane;
mod rate;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lane::{Lane, Next};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::{Throttle, Usage};

/// Models that have a pace of their own; all beyond share one.
const MODELS_MAX: usize = 1_000;

/// How fast the requests of a client, and of its clones, are begun. Each model has a pace of its own.
///
/// It begins slowly and doubles every second while calls wait for it and nothing is refused. A refusal says what
/// there was too much of, and that alone becomes slower: requests, tokens or requests at once. Then it climbs quickly
/// to what the service has taken of late, and carefully beyond. Where the growth itself was too quick, it climbs
/// half as fast from then on. Callers who ask for less never wait.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::{Client, Mock, Pace};
///
/// let pace = Pace::adaptive().requests_per_min(600).tokens_per_min(1_000_000);
/// let client = Mock::new().reply("hi").builder().pace(pace).build()?;
/// assert_eq!(client.chat("qwen-plus").user("hi").await?.text(), "hi");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    requests_per_min: Option<u32>,
    tokens_per_min: Option<u64>,
}

impl Pace {
    /// A pace that finds the limits by itself.
    pub fn adaptive() -> Self {
        Self { requests_per_min: None, tokens_per_min: None }
    }

    /// Never begins more requests of a model than this in a minute, nor, as services count them, in its seconds; at
    /// least 1.
    #[must_use]
    pub fn requests_per_min(mut self, most: u32) -> Self {
        self.requests_per_min = Some(most.max(1));
        self
    }

    /// Never asks for more tokens of a model than this in a minute, prompts and answers together, as far as that is
    /// known before; at least 1.
    #[must_use]
    pub fn tokens_per_min(mut self, most: u64) -> Self {
        self.tokens_per_min = Some(most.max(1));
        self
    }
}

/// The paces of all models of a client.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Pace,
    began: Instant,
    roads: Mutex<HashMap<String, Arc<Road>>>,
}

/// The pace of a model, and who waits for it.
#[derive(Debug)]
struct Road {
    lane: Mutex<Lane>,
    /// Whoever has the one place is next; the others wait in the order in which they came.
    turn: Semaphore,
    /// A call ended.
    freed: Notify,
}

impl Road {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        // Every change of a lane is whole before anything can panic.
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pacer {
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        // Tests without a runtime build clients, too: tokio's clock needs none unless it is paused.
        Arc::new(Self { pace, began: Instant::now(), roads: Mutex::default() })
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn road(&self, model: &str) -> Arc<Road> {
        let mut roads = self.roads.lock().unwrap_or_else(PoisonError::into_inner);
        let model = if roads.len() < MODELS_MAX || roads.contains_key(model) { model } else { "" };
        if let Some(road) = roads.get(model) {
            return Arc::clone(road);
        }
        let lane = Lane::new(self.pace.requests_per_min, self.pace.tokens_per_min);
        let road = Arc::new(Road { lane: Mutex::new(lane), turn: Semaphore::new(1), freed: Notify::new() });
        roads.insert(model.to_owned(), Arc::clone(&road));
        road
    }

    /// Waits until a request of so many bytes may be sent.
    pub(crate) async fn pass(self: &Arc<Self>, model: &str, bytes: usize) -> Pass {
        let road = self.road(model);
        let turn = road.turn.acquire().await.expect("it is never closed");
        let (sent_at, tokens) = loop {
            let next = road.lane().next(self.now(), bytes);
            match next {
                Next::Go { tokens } => break (self.now(), tokens),
                Next::At(then) => tokio::time::sleep_until(self.began + then).await,
                Next::Full => road.freed.notified().await,
            }
        };
        drop(turn);
        Pass { pacer: Arc::clone(self), road, sent_at, bytes, tokens }
    }
}

/// A request on its way. Dropped when it is over.
#[derive(Debug)]
pub(crate) struct Pass {
    pacer: Arc<Pacer>,
    road: Arc<Road>,
    sent_at: Duration,
    bytes: usize,
    /// What it was taken to need.
    tokens: f64,
}

impl Pass {
    /// There was too much of something.
    pub(crate) fn refused(&self, throttle: Throttle, asked: Option<Duration>) {
        self.road.lane().refused(self.pacer.now(), self.sent_at, self.tokens, throttle, asked);
    }

    /// It was carried out.
    pub(crate) fn succeeded(&self, usage: Option<&Usage>) {
        let usage = usage.map(|usage| (usage.input_tokens, usage.output_tokens));
        self.road.lane().succeeded(self.pacer.now(), self.bytes, self.tokens, usage);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.road.lane().left();
        self.road.freed.notify_one();
    }
}
