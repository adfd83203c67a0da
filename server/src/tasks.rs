//! The one place that spawns, and the phases of stopping: running, draining, cut.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, task::JoinSet};

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are answered.
    Running,
    /// Nothing new is taken; running answers go on.
    Draining,
    /// Running answers end now, with an error.
    Cut,
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

/// Tasks that are waited for when the server stops.
#[derive(Debug)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
    stop: Stop,
}

// After the cut a task only has to write an error and leave; who does not read it is left behind.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Tasks {
    pub(crate) fn new(stop: Stop) -> Self {
        Self { set: JoinSet::new(), stop }
    }

    /// Starts a task that is waited for.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(task);
        // Ended tasks are let go here, so that their number stays near that of the running ones.
        while self.set.try_join_next().is_some() {}
    }

    /// Lets running tasks end for so long, then cuts them. Returns how many were cut.
    pub(crate) async fn drain(mut self, drain_timeout: Duration) -> usize {
        self.stop.enter(Phase::Draining);
        if tokio::time::timeout(drain_timeout, self.all_ended()).await.is_ok() {
            return 0;
        }
        let cut = self.set.len();
        self.stop.enter(Phase::Cut);
        let _ = tokio::time::timeout(LAST_WORDS, self.all_ended()).await;
        self.set.shutdown().await;
        cut
    }

    async fn all_ended(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}
