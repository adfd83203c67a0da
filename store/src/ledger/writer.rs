//! The thread that writes for everybody.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{Done, Op, batch::Batch};
use crate::{Error, Store, link::Link};

/// Most operations in a transaction: beyond this, waiting for the next one costs less.
const BATCH_MAX: usize = 256;
/// How long a transaction waits for more, where the one before had several operations.
const GATHERING: Duration = Duration::from_millis(2);
/// Operations that may wait; who comes then waits to be let in.
const WAITING_MAX: usize = 4096;

type Answer = oneshot::Sender<Result<Done, Error>>;

#[expect(clippy::large_enum_variant, reason = "nearly all are writes")]
enum Job {
    Write(Op, Answer),
    /// Ends the writer, after everything before.
    Close(oneshot::Sender<()>),
}

/// Where operations are handed in. What writes them ends with the last of its clones.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Starts it, on a thread of its own: it waits for the disk.
    pub(crate) fn start(mut link: Link) -> Result<Self, Error> {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("ledger".to_owned());
        let work = move || {
            let closing = runtime.block_on(run(&mut link, waiting));
            drop(link);
            // Who closes may have left.
            let _ = closing.map(|done| done.send(()));
        };
        thread.spawn(work).map_err(Error::Thread)?;
        Ok(Self(sender))
    }

    /// Ends it, and its connection, when everything that waits is written.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Job::Close(done)).await.is_ok() {
            // It ends either way.
            let _ = closed.await;
        }
    }
}

impl Store {
    /// Hands an operation in and waits until it is durable.
    pub(super) async fn write(&self, op: Op) -> Result<Done, Error> {
        let (answer, answered) = oneshot::channel();
        self.writer.0.send(Job::Write(op, answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// Writes until nobody is there any more, or until it is closed: then by whom.
async fn run(link: &mut Link, mut waiting: mpsc::Receiver<Job>) -> Option<oneshot::Sender<()>> {
    let mut crowd = 0;
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut jobs, BATCH_MAX).await > 0 {
        // Where several write, more come at once, and a transaction costs more than each of them.
        if crowd > 1 && jobs.len() < BATCH_MAX {
            std::thread::sleep(GATHERING);
            while jobs.len() < BATCH_MAX
                && let Ok(job) = waiting.try_recv()
            {
                jobs.push(job);
            }
        }
        crowd = jobs.len();
        let (mut ops, mut answers, mut close) = (Vec::new(), Vec::new(), None);
        for job in jobs.drain(..) {
            match job {
                // Who comes behind the end is told by its answer being dropped.
                Job::Write(op, answer) if close.is_none() => {
                    ops.push(op);
                    answers.push(answer);
                }
                Job::Write(..) => {}
                Job::Close(done) => close = close.or(Some(done)),
            }
        }
        let mut answers = answers.into_iter();
        // What is about all holds at once is written by itself, in its turn.
        for ops in ops.chunk_by(|op, next| !op.is_about_all() && !next.is_about_all()) {
            let results = match together(link, ops, None).await {
                Ok(done) => done.into_iter().map(Ok).collect(),
                Err(failed) => one_by_one(link, ops, failed).await,
            };
            for (result, answer) in results.into_iter().zip(&mut answers) {
                // Who no longer waits has left; what was written stays.
                let _ = answer.send(result);
            }
        }
        if close.is_some() {
            return close;
        }
    }
    None
}

/// Where a transaction ended early.
enum Failed {
    /// Before it began: the next would not begin either.
    Begin(Error),
    /// In one of its operations; nothing was written.
    Op(Error),
    /// At its end: it may be written, and then the operations came to this.
    Commit(Error, Vec<Done>),
}

/// `before` is what the operations came to in a transaction of which is not known whether it was written.
async fn together(link: &mut Link, ops: &[Op], before: Option<&[Done]>) -> Result<Vec<Done>, Failed> {
    let mut batch = Batch::begin(link, ops).await.map_err(Failed::Begin)?;
    let mut done = Vec::with_capacity(ops.len());
    for (i, op) in ops.iter().enumerate() {
        done.push(batch.apply(op, before.map(|before| &before[i])).map_err(Failed::Op)?);
    }
    match batch.commit().await {
        Ok(()) => Ok(done),
        Err(error) => Err(Failed::Commit(error, done)),
    }
}

/// One operation may have spoilt it for the others, or the connection is gone: each by itself. What was written
/// after all is found by its id and not done again.
async fn one_by_one(link: &mut Link, ops: &[Op], failed: Failed) -> Vec<Result<Done, Error>> {
    let (mut away, before) = match failed {
        Failed::Begin(error) => (Some(error), None),
        Failed::Op(_) => (None, None),
        Failed::Commit(_, done) => (None, Some(done)),
    };
    let mut results = Vec::with_capacity(ops.len());
    for (i, op) in ops.iter().enumerate() {
        // Everybody waits for this: what is away is waited for once, not by one after the other.
        if let Some(error) = &away {
            results.push(Err(not_begun(error)));
            continue;
        }
        let before = before.as_ref().map(|before| std::slice::from_ref(&before[i]));
        results.push(match together(link, std::slice::from_ref(op), before).await {
            Ok(mut done) => Ok(done.remove(0)),
            Err(Failed::Op(error) | Failed::Commit(error, _)) => Err(error),
            Err(Failed::Begin(error)) => Err(not_begun(away.insert(error))),
        });
    }
    results
}

fn not_begun(error: &Error) -> Error {
    match error {
        Error::Sql(sqlx::Error::PoolClosed) => Error::Closed,
        error => Error::Away(error.to_string()),
    }
}
