//! The thread that writes for everybody.

use std::time::Duration;

use super::{Done, Op, batch::Batch};
use crate::{
    Error,
    link::Link,
    worker::{Together, Worker},
};

/// Beyond so many, waiting for the next transaction costs less; before, a transaction costs more than each of them.
const TOGETHER: Together = Together { most: 256, gathering: Duration::from_millis(2) };

/// Where operations are handed in, and waited for until they are durable.
pub(crate) type Writer = Worker<Op, Done>;

pub(crate) fn start(link: Link) -> Result<Writer, Error> {
    Worker::start("ledger", link, TOGETHER, write)
}

pub(super) async fn write(link: &mut Link, ops: Vec<Op>) -> Vec<Result<Done, Error>> {
    let mut results = Vec::with_capacity(ops.len());
    // What is about all holds at once is written by itself, in its turn.
    for ops in ops.chunk_by(|op, next| !op.is_about_all() && !next.is_about_all()) {
        match together(link, ops, None).await {
            Ok(done) => results.extend(done.into_iter().map(Ok)),
            Err(failed) => results.extend(one_by_one(link, ops, failed).await),
        }
    }
    results
}

/// Where a transaction ended early.
enum Failed {
    /// Before it began: the next would not begin either.
    Begin(Error),
    /// In what it read, or in one of its operations; nothing was written.
    Op(Error),
    /// At its end: it may be written, and then the operations came to this.
    Commit(Error, Vec<Done>),
}

/// `before` is what the operations came to in a transaction of which is not known whether it was written.
async fn together(link: &mut Link, ops: &[Op], before: Option<&[Done]>) -> Result<Vec<Done>, Failed> {
    let mut batch = Batch::begin(link).await.map_err(Failed::Begin)?;
    batch.read(ops).await.map_err(Failed::Op)?;
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
