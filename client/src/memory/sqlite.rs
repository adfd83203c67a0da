//! Vectors in an SQLite file. What is searched is read into memory once and then only what is new.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    Found, Query, Record, VectorStore, Which, check_vectors,
    flat::{Flat, Near},
};
use crate::{Error, Result, error::Kind, sqlite::File};

/// A row gets another number whenever it is written, so what is new has higher ones. What was taken out or
/// replaced is counted, and sends everybody back to the beginning.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS vectors (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    conversation TEXT NOT NULL,
    turn INTEGER NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (space, id)
) STRICT;
CREATE INDEX IF NOT EXISTS vectors_of ON vectors (space, conversation, number);
CREATE TABLE IF NOT EXISTS vectors_removed (one INTEGER PRIMARY KEY CHECK (one = 1), times INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO vectors_removed VALUES (1, 0);
";

/// How much is kept in memory of what is not being searched.
const CACHED_BYTES_MAX: usize = 512 << 20;

/// Vectors in a file. Several processes may use it at once; clones share the connection.
///
/// The search is exact. It reads what it searches into memory once: 4 bytes for each number of each vector.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("memory.db");
/// use qwenda::memory::{SqliteVectors, VectorStore};
///
/// let store = SqliteVectors::open(path)?;
/// assert_eq!(store.count("text-embedding-v4", None).await?, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteVectors {
    file: File,
    cache: Arc<Mutex<HashMap<Scope, Cached>>>,
}

/// A space, and of it one conversation or everything.
type Scope = (String, Option<String>);

#[derive(Debug, Clone, Default)]
struct Cached {
    removed: i64,
    last: i64,
    index: Arc<Index>,
}

#[derive(Debug, Clone, Default)]
struct Index {
    flat: Flat,
    /// The number of each row.
    numbers: Vec<i64>,
}

impl SqliteVectors {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`Kind::Storage`] if it cannot be, or is another program's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { file: File::open(path.as_ref(), TABLES)?, cache: Arc::default() })
    }
}

impl VectorStore for SqliteVectors {
    fn upsert<'a>(&'a self, space: &'a str, records: Vec<Record>) -> BoxFuture<'a, Result<()>> {
        let space = space.to_owned();
        Box::pin(self.file.write(move |file| upsert(file, &space, &records)))
    }

    fn search<'a>(&'a self, space: &'a str, query: Query) -> BoxFuture<'a, Result<Vec<Found>>> {
        let (space, cache) = (space.to_owned(), Arc::clone(&self.cache));
        Box::pin(self.file.read(move |file| {
            let index = index(file, &cache, (space, query.conversation.clone()))?;
            let near = index.flat.search(&query.vector, query.most, |_| true);
            let mut records =
                file.prepare_cached("SELECT id, conversation, turn, text, metadata FROM vectors WHERE number = ?1")?;
            near.into_iter().map(|Near { row, score }| found(&mut records, index.numbers[row], score)).collect()
        }))
    }

    fn known<'a>(&'a self, space: &'a str, ids: Vec<String>) -> BoxFuture<'a, Result<HashSet<String>>> {
        let space = space.to_owned();
        Box::pin(self.file.read(move |file| {
            let mut there = file.prepare_cached("SELECT 1 FROM vectors WHERE space = ?1 AND id = ?2")?;
            let mut known = HashSet::new();
            for id in ids {
                if there.exists(params![space, id])? {
                    known.insert(id);
                }
            }
            Ok(known)
        }))
    }

    fn delete<'a>(&'a self, space: &'a str, which: Which) -> BoxFuture<'a, Result<u64>> {
        let space = space.to_owned();
        Box::pin(self.file.write(move |file| {
            let gone = match which {
                Which::Ids(ids) => {
                    ids.iter().try_fold(0, |gone, id| Ok::<_, Error>(gone + remove(file, &space, id)?))?
                }
                Which::Conversation(of) => {
                    file.execute("DELETE FROM vectors WHERE space = ?1 AND conversation = ?2", params![space, of])?
                }
                Which::All => file.execute("DELETE FROM vectors WHERE space = ?1", params![space])?,
            };
            count_removed(file, gone)?;
            Ok(gone as u64)
        }))
    }

    fn count<'a>(&'a self, space: &'a str, conversation: Option<&'a str>) -> BoxFuture<'a, Result<u64>> {
        let (space, of) = (space.to_owned(), conversation.map(str::to_owned));
        Box::pin(self.file.read(move |file| {
            let text = "SELECT COUNT(*) FROM vectors WHERE space = ?1 AND (?2 IS NULL OR conversation = ?2)";
            let count: i64 = file.query_row(text, params![space, of], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        }))
    }
}

fn upsert(file: &Transaction<'_>, space: &str, records: &[Record]) -> Result<()> {
    let text = "SELECT length(vector) FROM vectors WHERE space = ?1 LIMIT 1";
    let bytes: Option<i64> = file.query_row(text, params![space], |row| row.get(0)).optional()?;
    let length = bytes.map(|bytes| bytes.unsigned_abs() as usize / size_of::<f32>());
    check_vectors(space, length, records.iter().map(|record| record.vector.as_slice()))?;
    let mut put = file.prepare_cached(
        "INSERT INTO vectors (space, id, conversation, turn, text, metadata, vector) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut replaced = 0;
    for Record { id, conversation, turn, text, metadata, vector } in records {
        replaced += remove(file, space, id)?;
        let metadata = serde_json::Value::Object(metadata.clone()).to_string();
        let vector: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        put.execute(params![space, id, conversation, turn.cast_signed(), text, metadata, vector])?;
    }
    count_removed(file, replaced)
}

fn remove(file: &Transaction<'_>, space: &str, id: &str) -> Result<usize> {
    Ok(file.prepare_cached("DELETE FROM vectors WHERE space = ?1 AND id = ?2")?.execute(params![space, id])?)
}

fn count_removed(file: &Transaction<'_>, rows: usize) -> Result<()> {
    if rows > 0 {
        file.execute("UPDATE vectors_removed SET times = times + 1", [])?;
    }
    Ok(())
}

/// The vectors of a scope as they are in the file now.
fn index(file: &Transaction<'_>, cache: &Mutex<HashMap<Scope, Cached>>, scope: Scope) -> Result<Arc<Index>> {
    let removed: i64 = file.query_row("SELECT times FROM vectors_removed", [], |row| row.get(0))?;
    let locked = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    // While it is changed nobody else holds it, so that it is not copied.
    let there = locked().remove(&scope).filter(|cached| cached.removed == removed);
    let mut cached = there.unwrap_or_else(|| Cached { removed, ..Cached::default() });
    let text = "SELECT number, vector FROM vectors
                WHERE space = ?1 AND number > ?3 AND (?2 IS NULL OR conversation = ?2) ORDER BY number";
    let of_one = "SELECT number, vector FROM vectors
                  WHERE space = ?1 AND conversation = ?2 AND number > ?3 ORDER BY number";
    let mut new = file.prepare_cached(if scope.1.is_some() { of_one } else { text })?;
    let mut rows = new.query(params![scope.0, scope.1, cached.last])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let vector = numbers(row.get_ref(1)?.as_blob().unwrap_or_default(), number)?;
        let index = Arc::make_mut(&mut cached.index);
        if index.flat.dimensions().is_some_and(|dimensions| dimensions != vector.len()) {
            return Err(Error::of(Kind::Storage).say(format!("vector {number} has {} numbers", vector.len())));
        }
        index.flat.push(&vector);
        index.numbers.push(number);
        cached.last = number;
    }
    let index = Arc::clone(&cached.index);
    let mut all = locked();
    let others: usize = all.values().map(|other| other.index.flat.bytes()).sum();
    if others > CACHED_BYTES_MAX {
        all.clear();
    }
    all.insert(scope, cached);
    Ok(index)
}

fn numbers(bytes: &[u8], number: i64) -> Result<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<{ size_of::<f32>() }>();
    if numbers.is_empty() || !rest.is_empty() {
        return Err(Error::of(Kind::Storage).say(format!("vector {number} has {} bytes", bytes.len())));
    }
    Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn found(records: &mut rusqlite::Statement<'_>, number: i64, score: f32) -> Result<Found> {
    records
        .query_row(params![number], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get::<_, String>(4)?))
        })
        .map_err(Error::from)
        .and_then(|(id, conversation, turn, text, metadata)| {
            let metadata = serde_json::from_str(&metadata);
            let metadata = metadata
                .map_err(|error| Error::of(Kind::Storage).say(format!("metadata of vector {number}: {error}")))?;
            Ok(Found { id, conversation, turn: turn.cast_unsigned(), text, metadata, score })
        })
}
