//! Vectors in this process, gone when it ends.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use futures_util::future::BoxFuture;

use super::{Found, Query, Record, VectorStore, Which, check_vectors, flat::Flat};
use crate::Result;

/// Vectors in the memory of this process. Clones share them.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// use qwenda::memory::{Query, RamVectors, Record, VectorStore};
///
/// let store = RamVectors::new();
/// let record = Record {
///     id: "1".into(),
///     conversation: "c".into(),
///     turn: 0,
///     text: "The order is 8123.".into(),
///     metadata: serde_json::Map::new(),
///     vector: vec![1.0, 0.0],
/// };
/// store.upsert("demo", vec![record]).await?;
/// let found = store.search("demo", Query { vector: vec![0.9, 0.1], most: 5, conversation: None }).await?;
/// assert_eq!(found[0].text, "The order is 8123.");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RamVectors(Arc<RwLock<HashMap<String, Space>>>);

#[derive(Debug, Default)]
struct Space {
    flat: Flat,
    /// Row by row, without their vectors.
    records: Vec<Record>,
    rows: HashMap<String, usize>,
}

impl Space {
    fn retain(&mut self, keep: impl Fn(&Record) -> bool) -> u64 {
        let before = self.records.len();
        self.flat.retain(|row| keep(&self.records[row]));
        self.records.retain(|record| keep(record));
        self.rows = self.records.iter().enumerate().map(|(row, record)| (record.id.clone(), row)).collect();
        (before - self.records.len()) as u64
    }

    fn upsert(&mut self, space: &str, records: Vec<Record>) -> Result<()> {
        check_vectors(space, self.flat.dimensions(), records.iter().map(|record| record.vector.as_slice()))?;
        let replaced: HashSet<&str> =
            records.iter().map(|record| record.id.as_str()).filter(|id| self.rows.contains_key(*id)).collect();
        if !replaced.is_empty() {
            self.retain(|record| !replaced.contains(record.id.as_str()));
        }
        // Of two of one id in one call, the last stays.
        let last: HashMap<String, usize> =
            records.iter().enumerate().map(|(place, record)| (record.id.clone(), place)).collect();
        for (place, mut record) in records.into_iter().enumerate() {
            if last[&record.id] == place {
                self.flat.push(&std::mem::take(&mut record.vector));
                self.rows.insert(record.id.clone(), self.records.len());
                self.records.push(record);
            }
        }
        Ok(())
    }

    fn search(&self, query: &Query) -> Vec<Found> {
        let wanted = |row: usize| query.conversation.as_ref().is_none_or(|of| *of == self.records[row].conversation);
        let near = self.flat.search(&query.vector, query.most, wanted).into_iter();
        near.map(|near| {
            let Record { id, conversation, turn, text, metadata, .. } = self.records[near.row].clone();
            Found { id, conversation, turn, text, metadata, score: near.score }
        })
        .collect()
    }
}

impl RamVectors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing that was begun is left half done: what is checked is checked first.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut HashMap<String, Space>) -> T + Send + 'static) -> T {
        let spaces = Arc::clone(&self.0);
        super::blocking(move || work(&mut spaces.write().unwrap_or_else(PoisonError::into_inner))).await
    }
}

impl VectorStore for RamVectors {
    fn upsert<'a>(&'a self, space: &'a str, records: Vec<Record>) -> BoxFuture<'a, Result<()>> {
        let name = space.to_owned();
        Box::pin(self.with(move |spaces| spaces.entry(name.clone()).or_default().upsert(&name, records)))
    }

    fn search<'a>(&'a self, space: &'a str, query: Query) -> BoxFuture<'a, Result<Vec<Found>>> {
        let (spaces, name) = (Arc::clone(&self.0), space.to_owned());
        Box::pin(super::blocking(move || {
            let spaces = spaces.read().unwrap_or_else(PoisonError::into_inner);
            Ok(spaces.get(&name).map_or_else(Vec::new, |space| space.search(&query)))
        }))
    }

    fn known<'a>(&'a self, space: &'a str, ids: Vec<String>) -> BoxFuture<'a, Result<HashSet<String>>> {
        let name = space.to_owned();
        Box::pin(self.with(move |spaces| {
            let there = |id: &String| spaces.get(&name).is_some_and(|space| space.rows.contains_key(id));
            Ok(ids.into_iter().filter(there).collect())
        }))
    }

    fn delete<'a>(&'a self, space: &'a str, which: Which) -> BoxFuture<'a, Result<u64>> {
        let name = space.to_owned();
        Box::pin(self.with(move |spaces| {
            let Some(space) = spaces.get_mut(&name) else { return Ok(0) };
            Ok(match which {
                Which::Ids(ids) => {
                    let ids: HashSet<String> = ids.into_iter().collect();
                    space.retain(|record| !ids.contains(&record.id))
                }
                Which::Conversation(of) => space.retain(|record| record.conversation != of),
                Which::All => space.retain(|_| false),
            })
        }))
    }

    fn count<'a>(&'a self, space: &'a str, conversation: Option<&'a str>) -> BoxFuture<'a, Result<u64>> {
        let (name, of) = (space.to_owned(), conversation.map(str::to_owned));
        Box::pin(self.with(move |spaces| {
            let Some(space) = spaces.get(&name) else { return Ok(0) };
            let wanted = |record: &&Record| of.as_ref().is_none_or(|of| *of == record.conversation);
            Ok(space.records.iter().filter(wanted).count() as u64)
        }))
    }
}
