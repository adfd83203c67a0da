//! The task that writes for everybody.

use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

use super::{Done, Op, batch::Batch};
use crate::{Error, Store};

/// Most operations in a transaction: beyond this, waiting for the next one costs less.
const BATCH_MAX: usize = 256;
/// Operations that may wait; who comes then waits to be let in.
const WAITING_MAX: usize = 4096;

type Answer = oneshot::Sender<Result<Done, Error>>;

/// Where operations are handed in. Its task ends with the last of its clones.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<(Op, Answer)>);

impl Writer {
    pub(crate) fn start(pool: AnyPool) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(pool, waiting));
        Self(sender)
    }
}

impl Store {
    /// Hands an operation in and waits until it is durable.
    pub(super) async fn write(&self, op: Op) -> Result<Done, Error> {
        let (answer, answered) = oneshot::channel();
        self.writer.0.send((op, answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

async fn run(pool: AnyPool, mut waiting: mpsc::Receiver<(Op, Answer)>) {
    let mut these = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut these, BATCH_MAX).await > 0 {
        let (ops, answers): (Vec<Op>, Vec<Answer>) = these.drain(..).unzip();
        let mut answers = answers.into_iter();
        // What is about all holds at once is written by itself, in its turn.
        for ops in ops.chunk_by(|op, next| !op.is_about_all() && !next.is_about_all()) {
            let results = match together(&pool, ops, None).await {
                Ok(done) => done.into_iter().map(Ok).collect(),
                Err(failed) => one_by_one(&pool, ops, failed).await,
            };
            for (result, answer) in results.into_iter().zip(&mut answers) {
                // Who no longer waits has left; what was written stays.
                let _ = answer.send(result);
            }
        }
    }
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
async fn together(pool: &AnyPool, ops: &[Op], before: Option<&[Done]>) -> Result<Vec<Done>, Failed> {
    let mut batch = Batch::begin(pool, ops).await.map_err(Failed::Begin)?;
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
async fn one_by_one(pool: &AnyPool, ops: &[Op], failed: Failed) -> Vec<Result<Done, Error>> {
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
        results.push(match together(pool, std::slice::from_ref(op), before).await {
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
