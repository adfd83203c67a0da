//! The one place that spawns, and the phases of stopping: running, draining, cut, over.

use std::{future::Future, time::Duration};

use hyper::rt::Executor;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are answered.
    Running,
    /// Nothing new is taken; running answers go on.
    Draining,
    /// Running answers end now, with an error.
    Cut,
    /// What still runs is dropped where it stands.
    Over,
}

/// Tells everyone how far stopping has come. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Sender<Phase>);

impl Stop {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Running))
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns once stopping has come at least this far.
    pub(crate) async fn reaches(&self, phase: Phase) {
        let waited = self.0.subscribe().wait_for(|now| *now >= phase).await.map(drop);
        waited.expect("`self` is a sender, so there is one");
    }

    fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

/// Tasks that are waited for when the server stops. Clones are the same tasks.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: Stop,
}

// After the cut a task only has to write an error and leave; who does not read it is left behind.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Tasks {
    pub(crate) fn new(stop: Stop) -> Self {
        Self { tracker: TaskTracker::new(), stop }
    }

    /// Starts a task that is waited for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = task => {}
                () = stop.reaches(Phase::Over) => {}
            }
        });
    }

    /// Lets running tasks end for so long, then cuts them. Returns how many were cut.
    pub(crate) async fn drain(self, drain_timeout: Duration) -> usize {
        self.stop.enter(Phase::Draining);
        self.tracker.close();
        if tokio::time::timeout(drain_timeout, self.tracker.wait()).await.is_ok() {
            return 0;
        }
        let cut = self.tracker.len();
        self.stop.enter(Phase::Cut);
        let _ = tokio::time::timeout(LAST_WORDS, self.tracker.wait()).await;
        self.stop.enter(Phase::Over);
        self.tracker.wait().await;
        cut
    }
}

/// HTTP/2 answers each request in a task of its own.
impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
