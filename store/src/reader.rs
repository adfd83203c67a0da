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

type Ask = (KeyHash, oneshot::Sender<Result<Option<KeyRow>, Error>>);

/// Where keys are asked for. Its thread ends with the last of its clones.
#[derive(Debug, Clone)]
pub(crate) struct Reader(mpsc::Sender<Ask>);

impl Reader {
    pub(crate) fn start(mut link: Link) -> Result<Self, Error> {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("keys".to_owned());
        thread.spawn(move || runtime.block_on(run(&mut link, waiting))).map_err(Error::Thread)?;
        Ok(Self(sender))
    }
}

impl Store {
    /// The key with this hash, working or revoked.
    pub async fn key_by_hash(&self, hash: KeyHash) -> Result<Option<KeyRow>, Error> {
        let (answer, answered) = oneshot::channel();
        self.reader.0.send((hash, answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

async fn run(link: &mut Link, mut waiting: mpsc::Receiver<Ask>) {
    let mut asks = Vec::with_capacity(TOGETHER_MAX);
    while waiting.recv_many(&mut asks, TOGETHER_MAX).await > 0 {
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
