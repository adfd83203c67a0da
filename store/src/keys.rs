//! Rows of API keys. Only the keyed hash of a key is here.

use qwenda_ledger::{key::KeyHash, money::Currency, terms::Terms};
use sqlx::{AssertSqlSafe, any::AnyRow};

use crate::{Error, Store, accounts::AccountRow, json, link::Row, projects::ProjectRow};

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
    /// Whose requests they are; `None`: nobody's, they cost nothing.
    pub account: Option<KeyAccount>,
    /// The project of the account that it belongs to.
    pub project: Option<KeyProject>,
    pub terms: Terms,
    /// Counts the changes of its terms, from 1.
    pub version: i64,
}

/// What a request has to know of a key's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAccount {
    pub id: String,
    pub currency: Currency,
    /// Whether requests are refused once no free quota is left.
    pub quota_stops: bool,
    pub suspended: bool,
    /// For how many days what is asked and answered is kept; 0: it is not.
    pub content_days: i64,
    /// What all its keys together are held to.
    pub terms: Terms,
}

/// What a request has to know of a key's project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProject {
    pub id: String,
    pub disabled: bool,
    /// What all its keys together are held to.
    pub terms: Terms,
}

impl From<AccountRow> for KeyAccount {
    fn from(row: AccountRow) -> Self {
        let AccountRow { id, currency, quota_stops, suspended_at, content_days, terms, .. } = row;
        Self { id, currency, quota_stops, suspended: suspended_at.is_some(), content_days, terms }
    }
}

impl From<ProjectRow> for KeyProject {
    fn from(row: ProjectRow) -> Self {
        Self { id: row.id, disabled: row.disabled_at.is_some(), terms: row.terms }
    }
}

/// Reads keys, in the order of [`key`].
pub(crate) const KEYS: &str =
    "SELECT keys.id, keys.name, keys.hash, keys.last_four, keys.created_at, revoked_at, keys.rules, keys.account_id,
            currency, quota_stops, suspended_at, keys.version, accounts.rules, content_days, project_id, disabled_at,
            projects.rules
     FROM keys LEFT JOIN accounts ON accounts.id = keys.account_id LEFT JOIN projects ON projects.id = project_id";

fn any_key(row: &AnyRow) -> Result<KeyRow, Error> {
    key(&mut Row::of(row)?)
}

pub(crate) fn key(row: &mut Row) -> Result<KeyRow, Error> {
    let id = row.text(0)?;
    let hash = KeyHash::from_hex(&row.text(2)?).ok_or_else(|| Error::Row {
        what: "keys.hash",
        why: format!("that of key {id} is not 64 hexadecimal digits"),
    })?;
    let account = match row.text_or_none(7)? {
        None => None,
        Some(id) => {
            let currency = row.text_or_none(8)?;
            let currency = currency.ok_or_else(|| Error::Row { what: "keys.account_id", why: id.clone() })?;
            let currency = currency.parse().map_err(|_| Error::Row { what: "accounts.currency", why: currency })?;
            Some(KeyAccount {
                id,
                currency,
                quota_stops: row.int_or_none(9)? == Some(1),
                suspended: row.int_or_none(10)?.is_some(),
                content_days: row.int_or_none(13)?.unwrap_or(0),
                terms: terms("accounts.rules", row.text_at(12))?,
            })
        }
    };
    let project = match row.text_or_none(14)? {
        None => None,
        Some(id) => {
            let disabled = row.int_or_none(15)?.is_some();
            Some(KeyProject { id, disabled, terms: terms("projects.rules", row.text_at(16))? })
        }
    };
    Ok(KeyRow {
        id,
        name: row.text(1)?,
        hash,
        last_four: row.text(3)?,
        created_at: row.int(4)?,
        revoked_at: row.int_or_none(5)?,
        account,
        project,
        terms: terms("keys.rules", row.text_at(6))?,
        version: row.int(11)?,
    })
}

/// Most have none: every request reads three of them.
fn terms(what: &'static str, text: &str) -> Result<Terms, Error> {
    if text == "{}" { Ok(Terms::default()) } else { json::read(what, text) }
}

impl Store {
    /// Adds a key.
    pub async fn key_create(&self, key: &KeyRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO keys (id, name, hash, last_four, created_at, revoked_at, account_id, rules, version, project_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(key.hash.to_hex())
        .bind(&key.last_four)
        .bind(key.created_at)
        .bind(key.revoked_at)
        .bind(key.account.as_ref().map(|account| account.id.as_str()))
        .bind(json::write(&key.terms))
        .bind(key.version)
        .bind(key.project.as_ref().map(|project| project.id.as_str()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All keys, oldest first, revoked ones too.
    pub async fn key_list(&self) -> Result<Vec<KeyRow>, Error> {
        let rows = sqlx::query(AssertSqlSafe(format!("{KEYS} ORDER BY keys.created_at, keys.id")))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(any_key).collect()
    }

    /// Keys of an account, or with `None` of all, oldest first: `limit` at most, those behind `after`.
    pub async fn key_page(
        &self,
        account_id: Option<&str>,
        after: Option<&KeyRow>,
        limit: i64,
    ) -> Result<Vec<KeyRow>, Error> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{KEYS}
             WHERE (keys.account_id = $1 OR $1 = '') AND (keys.created_at > $2 OR (keys.created_at = $2 AND keys.id > $3))
             ORDER BY keys.created_at, keys.id LIMIT $4"
        )))
        .bind(account_id.unwrap_or(""))
        .bind(after.map_or(i64::MIN, |key| key.created_at))
        .bind(after.map_or("", |key| &key.id))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(any_key).collect()
    }

    /// The working keys of this name.
    pub async fn keys_named(&self, name: &str) -> Result<Vec<KeyRow>, Error> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{KEYS} WHERE keys.name = $1 AND revoked_at IS NULL ORDER BY keys.created_at, keys.id"
        )))
        .bind(name)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(any_key).collect()
    }

    /// The key of this id, working or revoked.
    pub async fn key_by_id(&self, id: &str) -> Result<Option<KeyRow>, Error> {
        let found = sqlx::query(AssertSqlSafe(format!("{KEYS} WHERE keys.id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        found.as_ref().map(any_key).transpose()
    }

    /// The key that had this hash before it was rotated, while the old one works too; its `hash` is this one.
    pub async fn key_by_old_hash(&self, hash: KeyHash, now: i64) -> Result<Option<KeyRow>, Error> {
        // What it is read as has the hash and the ending of today.
        let sql = KEYS.replace("keys.hash, keys.last_four", "old_hashes.hash, old_hashes.last_four");
        let found = sqlx::query(AssertSqlSafe(format!(
            "{sql} JOIN old_hashes ON old_hashes.key_id = keys.id
             WHERE old_hashes.hash = $1 AND old_hashes.expires_at > $2"
        )))
        .bind(hash.to_hex())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        found.as_ref().map(any_key).transpose()
    }

    /// Gives a working key another hash, if nobody changed it since `key` was read. The old one works until
    /// `old_until`.
    pub async fn key_rotate(
        &self,
        key: &KeyRow,
        hash: KeyHash,
        last_four: &str,
        old_until: i64,
        now: i64,
    ) -> Result<bool, Error> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE keys SET hash = $3, last_four = $4, version = version + 1
             WHERE id = $1 AND version = $2 AND revoked_at IS NULL",
        )
        .bind(&key.id)
        .bind(key.version)
        .bind(hash.to_hex())
        .bind(last_four)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM old_hashes WHERE expires_at <= $1").bind(now).execute(&mut *tx).await?;
        if old_until > now {
            sqlx::query("INSERT INTO old_hashes (hash, key_id, last_four, expires_at) VALUES ($1, $2, $3, $4)")
                .bind(key.hash.to_hex())
                .bind(&key.id)
                .bind(&key.last_four)
                .bind(old_until)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Writes the terms of a working key, if nobody changed them since its `version` was read.
    pub async fn key_set_terms(&self, id: &str, terms: &Terms, version: i64) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE keys SET rules = $2, version = version + 1
             WHERE id = $1 AND version = $3 AND revoked_at IS NULL",
        )
        .bind(id)
        .bind(json::write(terms))
        .bind(version)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What a key, a project or an account has spent of its budget for a day, a month, or ever: nanos, zero where it never had one.
    pub async fn budget_spent(&self, id: &str, period: &str) -> Result<i64, Error> {
        let found: Option<(i64,)> = sqlx::query_as("SELECT spent FROM budgets WHERE key_id = $1 AND period = $2")
            .bind(id)
            .bind(period)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.map_or(0, |(spent,)| spent))
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
