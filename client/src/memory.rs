//! What a conversation no longer sends is not lost: its pieces are kept as vectors, and what has to do with the
//! question comes back. [`VectorStore`] is where they are kept, [`Embedder`] what makes the vectors.

mod embedder;
mod flat;
#[cfg(feature = "pgvector")]
mod pg;
pub(crate) mod pieces;
mod qdrant;
mod ram;
#[cfg(feature = "memory")]
mod sqlite;
#[cfg(test)]
mod tests;
mod vector_memory;
mod words;

use std::{collections::HashSet, fmt};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{Error, Result, error::Kind};

pub use embedder::{Embedder, ModelEmbedder, Wanted};
#[cfg(feature = "pgvector")]
pub use pg::PgVectors;
pub use qdrant::QdrantVectors;
pub use ram::RamVectors;
#[cfg(feature = "memory")]
pub use sqlite::SqliteVectors;
pub use vector_memory::VectorMemory;
pub(crate) use vector_memory::recalled;
pub use words::WordVectors;

/// Longest vector that a store takes.
pub const DIMENSIONS_MAX: usize = 16_000;

/// A text and its vector, of a turn of a conversation.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// By what it is found again; putting in another of this id replaces it.
    pub id: String,
    /// The conversation it is of.
    pub conversation: String,
    /// The turn it is of, from 0.
    pub turn: u64,
    /// What was said.
    pub text: String,
    /// Anything else.
    pub metadata: Map<String, Value>,
    /// Its vector; as long as all others of its space, of finite numbers.
    pub vector: Vec<f32>,
}

impl fmt::Debug for Record {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, turn, dimensions) = (&self.id, self.turn, self.vector.len());
        write!(f, "Record {{ id: {id:?}, turn: {turn}, dimensions: {dimensions} }}")
    }
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is to be near.
    pub vector: Vec<f32>,
    /// Most records that are wanted.
    pub most: usize,
    /// The conversation to search; all of the space otherwise.
    pub conversation: Option<String>,
}

/// What was found.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The record's id.
    pub id: String,
    /// The conversation it is of.
    pub conversation: String,
    /// The turn it is of, from 0.
    pub turn: u64,
    /// What was said.
    pub text: String,
    /// Anything else.
    pub metadata: Map<String, Value>,
    /// Cosine of the angle between the two vectors, `[-1, 1]`.
    pub score: f32,
}

impl fmt::Debug for Found {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found {{ id: {:?}, turn: {}, score: {} }}", self.id, self.turn, self.score)
    }
}

/// Which records are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// Those of these ids.
    Ids(Vec<String>),
    /// Those of this conversation.
    Conversation(String),
    /// Every one of the space.
    All,
}

/// Where vectors are kept. Those of one space were made by one model, which gives it its name; only they are
/// compared with each other.
///
/// # Errors
/// All of its calls fail with [`Kind::Storage`] where the store does, and with [`Kind::Invalid`] for vectors that
/// are none or of another length than the space's.
pub trait VectorStore: Send + Sync + 'static {
    /// Puts records in, all or none; those of the same ids are replaced.
    fn upsert<'a>(&'a self, space: &'a str, records: Vec<Record>) -> BoxFuture<'a, Result<()>>;

    /// The records nearest to a vector, nearest first.
    fn search<'a>(&'a self, space: &'a str, query: Query) -> BoxFuture<'a, Result<Vec<Found>>>;

    /// Which of these ids are there.
    fn known<'a>(&'a self, space: &'a str, ids: Vec<String>) -> BoxFuture<'a, Result<HashSet<String>>>;

    /// Takes records out; says how many there were.
    fn delete<'a>(&'a self, space: &'a str, which: Which) -> BoxFuture<'a, Result<u64>>;

    /// How many records there are, of one conversation or of the space.
    fn count<'a>(&'a self, space: &'a str, conversation: Option<&'a str>) -> BoxFuture<'a, Result<u64>>;
}

/// Checks vectors that are to be kept; `length` is the space's, where it has one already.
pub(crate) fn check_vectors<'a>(
    space: &str,
    mut length: Option<usize>,
    vectors: impl IntoIterator<Item = &'a [f32]>,
) -> Result<()> {
    for vector in vectors {
        let wanted = *length.get_or_insert(vector.len());
        let wrong = if vector.is_empty() || vector.len() > DIMENSIONS_MAX {
            format!("a vector has 1 to {DIMENSIONS_MAX} numbers, not {}", vector.len())
        } else if vector.len() != wanted {
            format!("the vectors of space `{space}` have {wanted} numbers, not {}", vector.len())
        } else if vector.iter().any(|number| !number.is_finite()) {
            format!("a vector for space `{space}` has a number that is none")
        } else {
            continue;
        };
        return Err(Error::of(Kind::Invalid).say(wrong));
    }
    Ok(())
}

/// Does what computes or waits for a disk away from the async runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and whoever waits here with it.
            Err(_) => std::future::pending().await,
        },
    }
}
