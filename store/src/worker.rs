//! A thread with a connection of its own, that does together what waits for it.

use std::{fmt, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{Error, link::Link};

/// What may wait; who comes then waits to be let in.
const WAITING_MAX: usize = 4096;

enum Job<A, R> {
    Do(A, oneshot::Sender<Result<R, Error>>),
    /// Ends the thread, after everything before.
    Close(oneshot::Sender<()>),
}

/// Where work is handed in. The thread ends with the last of its clones.
pub(crate) struct Worker<A, R>(mpsc::Sender<Job<A, R>>);

impl<A, R> Clone for Worker<A, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A, R> fmt::Debug for Worker<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

/// How much is done together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together {
    pub(crate) most: usize,
    /// How long more is waited for, where several came the time before.
    pub(crate) gathering: Duration,
}

impl<A: Send + 'static, R: Send + 'static> Worker<A, R> {
    /// Starts the thread. `work` answers each, in the same order.
    pub(crate) fn start(
        name: &str,
        mut link: Link,
        together: Together,
        work: impl AsyncFn(&mut Link, Vec<A>) -> Vec<Result<R, Error>> + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let runtime = Handle::current();
        let thread = move || {
            let closing = runtime.block_on(run(&mut link, waiting, together, work));
            drop(link);
            // Who closes may have left.
            let _ = closing.map(|done| done.send(()));
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(thread).map_err(Error::Thread)?;
        Ok(Self(sender))
    }

    /// Hands work in, and waits for what comes of it.
    pub(crate) async fn ask(&self, ask: A) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Job::Do(ask, answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Ends the thread, and its connection, when everything that waits is done.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Job::Close(done)).await.is_ok() {
            // It ends either way.
            let _ = closed.await;
        }
    }
}

/// Works until nobody is there any more, or until it is closed: then by whom.
async fn run<A, R>(
    link: &mut Link,
    mut waiting: mpsc::Receiver<Job<A, R>>,
    together: Together,
    work: impl AsyncFn(&mut Link, Vec<A>) -> Vec<Result<R, Error>>,
) -> Option<oneshot::Sender<()>> {
    let (mut jobs, mut crowd) = (Vec::with_capacity(together.most), 0);
    while waiting.recv_many(&mut jobs, together.most).await > 0 {
        // Where several ask, more come at once.
        if crowd > 1 && jobs.len() < together.most && !together.gathering.is_zero() {
            std::thread::sleep(together.gathering);
            while jobs.len() < together.most
                && let Ok(job) = waiting.try_recv()
            {
                jobs.push(job);
            }
        }
        crowd = jobs.len();
        let (mut asks, mut answers, mut close) = (Vec::with_capacity(crowd), Vec::with_capacity(crowd), None);
        for job in jobs.drain(..) {
            match job {
                Job::Do(ask, answer) if close.is_none() => {
                    asks.push(ask);
                    answers.push(answer);
                }
                // Who comes behind the end is told by its answer being dropped.
                Job::Do(..) => {}
                Job::Close(done) => close = close.or(Some(done)),
            }
        }
        let results = work(link, asks).await;
        for (answer, result) in answers.into_iter().zip(results) {
            // Who no longer waits has left; what was done stays.
            let _ = answer.send(result);
        }
        if close.is_some() {
            return close;
        }
    }
    None
}
