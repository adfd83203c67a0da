//! Rows of admin keys, and the nonces of requests that were signed.

use qwenda_ledger::{key::KeyHash, policy::Role};

use crate::{Error, Store};

/// One admin key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKeyRow {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// `None`: it signs, and what it signs with is not stored.
    pub hash: Option<KeyHash>,
    pub last_four: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; `None` while it works.
    pub revoked_at: Option<i64>,
}

type Columns = (String, String, String, Option<String>, String, i64, Option<i64>);

fn row(columns: Columns) -> Result<AdminKeyRow, Error> {
    let (id, name, role, hash, last_four, created_at, revoked_at) = columns;
    let role = role.parse().map_err(|_| Error::Row { what: "admin_keys.role", why: role })?;
    let hash = match hash {
        None => None,
        Some(hex) => {
            let hash = KeyHash::from_hex(&hex);
            Some(hash.ok_or_else(|| Error::Row { what: "admin_keys.hash", why: id.clone() })?)
        }
    };
    Ok(AdminKeyRow { id, name, role, hash, last_four, created_at, revoked_at })
}

impl Store {
    /// Adds an admin key.
    pub async fn admin_key_create(&self, key: &AdminKeyRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO admin_keys (id, name, role, hash, last_four, created_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(key.role.to_string())
        .bind(key.hash.map(KeyHash::to_hex))
        .bind(&key.last_four)
        .bind(key.created_at)
        .bind(key.revoked_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All admin keys, oldest first, revoked ones too.
    pub async fn admin_key_list(&self) -> Result<Vec<AdminKeyRow>, Error> {
        let sql = "SELECT id, name, role, hash, last_four, created_at, revoked_at FROM admin_keys
                   ORDER BY created_at, id";
        let rows: Vec<Columns> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        rows.into_iter().map(row).collect()
    }

    /// The admin key with this hash, working or revoked.
    pub async fn admin_key_by_hash(&self, hash: KeyHash) -> Result<Option<AdminKeyRow>, Error> {
        let sql = "SELECT id, name, role, hash, last_four, created_at, revoked_at FROM admin_keys WHERE hash = $1";
        let found: Option<Columns> = sqlx::query_as(sql).bind(hash.to_hex()).fetch_optional(&self.pool).await?;
        found.map(row).transpose()
    }

    /// The admin key of this id, working or revoked.
    pub async fn admin_key_by_id(&self, id: &str) -> Result<Option<AdminKeyRow>, Error> {
        let sql = "SELECT id, name, role, hash, last_four, created_at, revoked_at FROM admin_keys WHERE id = $1";
        let found: Option<Columns> = sqlx::query_as(sql).bind(id).fetch_optional(&self.pool).await?;
        found.map(row).transpose()
    }

    /// Revokes a working admin key. `false`: no working one has this id.
    pub async fn admin_key_revoke(&self, id: &str, now: i64) -> Result<bool, Error> {
        let done = sqlx::query("UPDATE admin_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .bind(id)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that an access key has used a nonce, until the second from which on its request would be too old.
    /// `false`: it was used before.
    pub async fn nonce_use(&self, access_key: &str, nonce: &str, expires_at: i64, now: i64) -> Result<bool, Error> {
        sqlx::query("DELETE FROM nonces WHERE expires_at < $1").bind(now).execute(&self.pool).await?;
        let done = sqlx::query(
            "INSERT INTO nonces (access_key, nonce, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (access_key, nonce) DO NOTHING",
        )
        .bind(access_key)
        .bind(nonce)
        .bind(expires_at)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
