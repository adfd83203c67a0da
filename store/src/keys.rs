//! Rows of API keys. Only the keyed hash of a key is here.

use qwenda_ledger::key::KeyHash;

use crate::{Error, Store};

/// One key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub hash: KeyHash,
    pub last_four: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; `None` while the key works.
    pub revoked_at: Option<i64>,
}

type Columns = (String, String, String, String, i64, Option<i64>);

fn row(columns: Columns) -> Result<KeyRow, Error> {
    let (id, name, hash, last_four, created_at, revoked_at) = columns;
    let hash = KeyHash::from_hex(&hash)
        .ok_or_else(|| sqlx::Error::Decode(format!("the hash of key {id} is not 64 hexadecimal digits").into()))?;
    Ok(KeyRow { id, name, hash, last_four, created_at, revoked_at })
}

impl Store {
    /// Adds a key.
    pub async fn key_create(&self, key: &KeyRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO keys (id, name, hash, last_four, created_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(key.hash.to_hex())
        .bind(&key.last_four)
        .bind(key.created_at)
        .bind(key.revoked_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All keys, oldest first, revoked ones too.
    pub async fn key_list(&self) -> Result<Vec<KeyRow>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, name, hash, last_four, created_at, revoked_at
             FROM keys ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(row).collect()
    }

    /// The key with this hash, working or revoked.
    pub async fn key_by_hash(&self, hash: KeyHash) -> Result<Option<KeyRow>, Error> {
        let found: Option<Columns> = sqlx::query_as(
            "SELECT id, name, hash, last_four, created_at, revoked_at
             FROM keys WHERE hash = $1",
        )
        .bind(hash.to_hex())
        .fetch_optional(&self.pool)
        .await?;
        found.map(row).transpose()
    }

    /// The key of this id, working or revoked.
    pub async fn key_by_id(&self, id: &str) -> Result<Option<KeyRow>, Error> {
        let found: Option<Columns> = sqlx::query_as(
            "SELECT id, name, hash, last_four, created_at, revoked_at
             FROM keys WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        found.map(row).transpose()
    }

    /// Revokes a working key. `false`: no working key has this id.
    pub async fn key_revoke(&self, id: &str, now: i64) -> Result<bool, Error> {
        let done = sqlx::query("UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .bind(id)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
