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
        let results = match together(&pool, &ops).await {
            Ok(done) => done.into_iter().map(Ok).collect(),
            // One may have spoilt it for the others, or the connection is gone: each by itself. What was
            // written after all is found by its id and not done again.
            Err(_) => {
                let mut results = Vec::with_capacity(ops.len());
                for op in &ops {
                    let one = together(&pool, std::slice::from_ref(op)).await;
                    results.push(one.map(|mut done| done.remove(0)));
                }
                results
            }
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // Who no longer waits has left; what was written stays.
            let _ = answer.send(result);
        }
    }
}

async fn together(pool: &AnyPool, ops: &[Op]) -> Result<Vec<Done>, Error> {
    let mut batch = Batch::begin(pool).await?;
    let mut done = Vec::with_capacity(ops.len());
    for op in ops {
        done.push(batch.apply(op).await?);
    }
    batch.commit().await?;
    Ok(done)
}
