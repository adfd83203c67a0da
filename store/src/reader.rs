//! The thread that looks keys up: every request asks for one, and what waits is asked for together. Nothing is
//! kept, so what was revoked before a request came does not admit it.

use std::{collections::HashMap, time::Duration};

use qwenda_ledger::key::KeyHash;

use crate::{
    Error, Store,
    keys::{self, KeyRow},
    link::Link,
    rows::pieces,
    worker::{Together, Worker},
};

/// As many as a statement takes. A look takes no longer than waiting for more would.
const TOGETHER: Together = Together { most: 64, gathering: Duration::ZERO };

/// Where keys are asked for.
pub(crate) type Reader = Worker<KeyHash, Option<KeyRow>>;

pub(crate) fn start(link: Link) -> Result<Reader, Error> {
    Worker::start("keys", link, TOGETHER, look)
}

impl Store {
    /// The key with this hash, working or revoked.
    pub async fn key_by_hash(&self, hash: KeyHash) -> Result<Option<KeyRow>, Error> {
        self.reader.ask(hash).await
    }
}

async fn look(link: &mut Link, asks: Vec<KeyHash>) -> Vec<Result<Option<KeyRow>, Error>> {
    let hashes: Vec<String> = asks.iter().map(|hash| hash.to_hex()).collect();
    let found = find(link, &hashes).await;
    let of = |hash: &String| match &found {
        Err(error) => Err(error.shared()),
        Ok(found) => match found.get(hash) {
            None => Ok(None),
            Some(Ok(key)) => Ok(Some(key.clone())),
            Some(Err(error)) => Err(error.shared()),
        },
    };
    hashes.iter().map(of).collect()
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
