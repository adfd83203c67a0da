//! Vectors in PostgreSQL, compared by its extension pgvector.

use std::{collections::HashSet, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Row, postgres::PgPoolOptions};

use super::{Found, Query, Record, VectorStore, Which, check_vectors};
use crate::{Error, Result, error::Kind};

const CONNECTIONS_MAX: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Makers of the tables take turns: `IF NOT EXISTS` is not safe against another that makes them now.
const TURN: i64 = 0x7177_656e_6461_0001;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS qwenda_vectors (
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    conversation TEXT NOT NULL,
    turn BIGINT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    vector vector NOT NULL,
    PRIMARY KEY (space, id)
);
CREATE INDEX IF NOT EXISTS qwenda_vectors_of ON qwenda_vectors (space, conversation);
";

/// Vectors in the table `qwenda_vectors` of a PostgreSQL database that has the extension pgvector, 0.5 or later. Any
/// number of processes may use it; clones share the connections.
///
/// The search is exact unless an index of one's own helps it, such as
/// `CREATE INDEX ON qwenda_vectors USING hnsw ((vector::vector(1024)) vector_cosine_ops)`.
/// PostgreSQL has no text with the character zero; another stands for it.
///
/// # Example
/// ```no_run
/// # async fn run(client: qwenda::Client) -> qwenda::Result<()> {
/// use qwenda::{Policy, memory::{PgVectors, VectorMemory}};
///
/// let store = PgVectors::open("postgres://user:password@db.example/chats").await?;
/// let memory = VectorMemory::new(store, client.embedder("text-embedding-v4"));
/// let talk = client.chat("qwen-plus").conversation(Policy::tokens(8_000).remember_in(memory));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct PgVectors {
    pool: PgPool,
}

impl PgVectors {
    /// Connects, and makes the table and the extension if they are not there, which may need the right to.
    ///
    /// # Errors
    /// [`Kind::Storage`] if the server cannot be reached, or has no such extension.
    pub async fn open(url: &str) -> Result<Self> {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(CONNECT_TIMEOUT);
        let pool = options.connect(url).await?;
        let mut making = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(TURN).execute(&mut *making).await?;
        let there = sqlx::query("SELECT 1 FROM pg_extension WHERE extname = 'vector'");
        if there.fetch_optional(&mut *making).await?.is_none() {
            sqlx::query("CREATE EXTENSION vector").execute(&mut *making).await?;
        }
        sqlx::raw_sql(TABLES).execute(&mut *making).await?;
        making.commit().await?;
        Ok(Self { pool })
    }

    /// How long the vectors of a space are.
    async fn length(&self, space: &str) -> Result<Option<usize>> {
        let text = "SELECT vector_dims(vector) FROM qwenda_vectors WHERE space = $1 LIMIT 1";
        let length: Option<i32> = sqlx::query_scalar(text).bind(space).fetch_optional(&self.pool).await?;
        Ok(length.map(|length| length.unsigned_abs() as usize))
    }

    async fn put(&self, space: &str, records: Vec<Record>) -> Result<()> {
        let length = self.length(space).await?;
        check_vectors(space, length, records.iter().map(|record| record.vector.as_slice()))?;
        let mut transaction = self.pool.begin().await?;
        let text = "INSERT INTO qwenda_vectors (space, id, conversation, turn, text, metadata, vector)
                    VALUES ($1, $2, $3, $4, $5, $6, $7::real[]::vector)
                    ON CONFLICT (space, id) DO UPDATE SET conversation = excluded.conversation, turn = excluded.turn,
                        text = excluded.text, metadata = excluded.metadata, vector = excluded.vector";
        for Record { id, conversation, turn, text: said, metadata, vector } in records {
            let put = sqlx::query(text).bind(space).bind(id).bind(conversation).bind(turn.cast_signed());
            let metadata = Value::Object(metadata).to_string();
            put.bind(said.replace('\0', "\u{fffd}")).bind(metadata).bind(vector).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn nearest(&self, space: &str, query: Query) -> Result<Vec<Found>> {
        if query.most == 0 || self.length(space).await? != Some(query.vector.len()) {
            return Ok(Vec::new());
        }
        // The length is written out, so that an index of vectors of that length can be used.
        let text = format!(
            "SELECT id, conversation, turn, text, metadata, vector::vector({}) <=> $3::real[]::vector AS distance
             FROM qwenda_vectors WHERE space = $1 AND ($2::text IS NULL OR conversation = $2)
             ORDER BY distance LIMIT $4",
            query.vector.len()
        );
        let found = sqlx::query(AssertSqlSafe(text)).bind(space).bind(query.conversation).bind(query.vector);
        let most = i64::try_from(query.most).unwrap_or(i64::MAX);
        let mut rows = Vec::new();
        for row in found.bind(most).fetch_all(&self.pool).await? {
            let id: String = row.try_get(0)?;
            let metadata: String = row.try_get(4)?;
            let metadata = serde_json::from_str(&metadata)
                .map_err(|error| Error::of(Kind::Storage).say(format!("metadata of vector `{id}`: {error}")))?;
            let (turn, distance): (i64, f64) = (row.try_get(2)?, row.try_get(5)?);
            // What has no direction is as near as what has nothing to do with it.
            let score = if distance.is_nan() { 0.0 } else { (1.0 - distance) as f32 };
            let (conversation, text) = (row.try_get(1)?, row.try_get(3)?);
            rows.push(Found { id, conversation, turn: turn.cast_unsigned(), text, metadata, score });
        }
        Ok(rows)
    }
}

impl VectorStore for PgVectors {
    fn upsert<'a>(&'a self, space: &'a str, records: Vec<Record>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.put(space, records))
    }

    fn search<'a>(&'a self, space: &'a str, query: Query) -> BoxFuture<'a, Result<Vec<Found>>> {
        Box::pin(self.nearest(space, query))
    }

    fn known<'a>(&'a self, space: &'a str, ids: Vec<String>) -> BoxFuture<'a, Result<HashSet<String>>> {
        Box::pin(async move {
            let text = "SELECT id FROM qwenda_vectors WHERE space = $1 AND id = ANY($2)";
            let known: Vec<String> = sqlx::query_scalar(text).bind(space).bind(ids).fetch_all(&self.pool).await?;
            Ok(known.into_iter().collect())
        })
    }

    fn delete<'a>(&'a self, space: &'a str, which: Which) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let all = "DELETE FROM qwenda_vectors WHERE space = $1";
            let done = match which {
                Which::Ids(ids) => {
                    let text = "DELETE FROM qwenda_vectors WHERE space = $1 AND id = ANY($2)";
                    sqlx::query(text).bind(space).bind(ids).execute(&self.pool).await?
                }
                Which::Conversation(of) => {
                    let text = "DELETE FROM qwenda_vectors WHERE space = $1 AND conversation = $2";
                    sqlx::query(text).bind(space).bind(of).execute(&self.pool).await?
                }
                Which::All => sqlx::query(all).bind(space).execute(&self.pool).await?,
            };
            Ok(done.rows_affected())
        })
    }

    fn count<'a>(&'a self, space: &'a str, conversation: Option<&'a str>) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let text =
                "SELECT COUNT(*) FROM qwenda_vectors WHERE space = $1 AND ($2::text IS NULL OR conversation = $2)";
            let count: i64 = sqlx::query_scalar(text).bind(space).bind(conversation).fetch_one(&self.pool).await?;
            Ok(count.unsigned_abs())
        })
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(Kind::Storage).say(format!("PostgreSQL: {error}"))
    }
}
