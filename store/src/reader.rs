//! The thread that looks keys up: every request asks for one, and what waits is asked for together. Nothing is
//! kept, so what was revoked before a request came does not admit it.

use std::collections::HashMap;

use qwenda_ledger::key::KeyHash;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    Error, Store,
    keys::{self, KeyRow},
    link::Link,
    rows::pieces,
};

/// Most keys of a statement.
const TOGETHER_MAX: usize = 64;
/// Requests that may wait; who comes then waits to be let in.
const WAITING_MAX: usize = 4096;

type Answer = oneshot::Sender<Result<Option<KeyRow>, Error>>;

enum Job {
    Find(KeyHash, Answer),
    /// Ends the reader.
    Close(oneshot::Sender<()>),
}

/// Where keys are asked for. Its thread ends with the last of its clones.
#[derive(Debug, Clone)]
pub(crate) struct Reader(mpsc::Sender<Job>);

impl Reader {
    pub(crate) fn start(mut link: Link) -> Result<Self, Error> {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let work = move || {
            let closing = runtime.block_on(run(&mut link, waiting));
            drop(link);
            // Who closes may have left.
            let _ = closing.map(|done| done.send(()));
        };
        thread.spawn(work).map_err(Error::Thread)?;
        Ok(Self(sender))
    }

    /// Ends it, and its connection.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Job::Close(done)).await.is_ok() {
            // It ends either way.
            let _ = closed.await;
        }
    }
}

impl Store {
    /// The key with this hash, working or revoked.
    pub async fn key_by_hash(&self, hash: KeyHash) -> Result<Option<KeyRow>, Error> {
        let (answer, answered) = oneshot::channel();
        self.reader.0.send(Job::Find(hash, answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// Answers until nobody is there any more, or until it is closed: then by whom.
async fn run(link: &mut Link, mut waiting: mpsc::Receiver<Job>) -> Option<oneshot::Sender<()>> {
    let mut jobs = Vec::with_capacity(TOGETHER_MAX);
    while waiting.recv_many(&mut jobs, TOGETHER_MAX).await > 0 {
        let mut asks = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Find(hash, answer) => asks.push((hash, answer)),
                // Who still waits is told by the answer being dropped.
                Job::Close(done) => return Some(done),
            }
        }
        let hashes: Vec<String> = asks.iter().map(|(hash, _)| hash.to_hex()).collect();
        let found = find(link, &hashes).await;
        for ((_, answer), hash) in asks.drain(..).zip(&hashes) {
            let of_this = match &found {
                Err(error) => Err(error.shared()),
                Ok(found) => match found.get(hash) {
                    None => Ok(None),
                    Some(Ok(key)) => Ok(Some(key.clone())),
                    Some(Err(error)) => Err(error.shared()),
                },
            };
            // Who no longer waits has left.
            let _ = answer.send(of_this);
        }
    }
    None
}

type Found = HashMap<String, Result<KeyRow, Error>>;

async fn find(link: &mut Link, hashes: &[String]) -> Result<Found, Error> {
    let mut wanted: Vec<&str> = hashes.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Found::new();
    for (_, places, values) in pieces(0, &wanted) {
        let sql = format!("{} WHERE keys.hash IN ({places})", keys::KEYS);
        for mut row in link.query(&sql, values.collect()).await? {
            found.insert(row.text_at(2).to_owned(), keys::key(&mut row));
        }
    }
    Ok(found)
}
