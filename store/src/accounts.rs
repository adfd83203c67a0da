//! Accounts and what they have.

use qwenda_ledger::{
    account::Kind,
    money::{Currency, Nanos},
    terms::Terms,
};
use sqlx::AssertSqlSafe;

use crate::{
    Error, Store, json,
    ledger::{balance_id, not_negative},
};

/// One account as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    pub id: String,
    /// Every account has another.
    pub name: String,
    pub currency: Currency,
    /// How far below zero its balance may go.
    pub credit: Nanos,
    /// Whether requests are refused once no free quota is left, whatever the balance.
    pub quota_stops: bool,
    /// Unix seconds; `None` while it may be used.
    pub suspended_at: Option<i64>,
    /// Grows with every change.
    pub version: i64,
    /// Unix seconds.
    pub created_at: i64,
    /// What all its keys together are held to.
    pub terms: Terms,
    /// For how many days what its keys ask and get is kept; 0: it is not.
    pub content_days: i64,
}

/// One place of an account where tokens or money are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    pub id: String,
    pub kind: Kind,
    /// The models it pays for.
    pub models: String,
    /// Tokens, or nanos.
    pub posted: i64,
    /// What open holds have of it.
    pub pending: i64,
    /// Unix seconds.
    pub expires_at: Option<i64>,
}

/// Reads accounts, in the order of [`Columns`].
const ACCOUNTS: &str = "SELECT id, name, currency, credit_nanos, quota_stops, suspended_at, version, created_at, rules,
                               content_days
                        FROM accounts";

type Columns = (String, String, String, i64, i64, Option<i64>, i64, i64, String, i64);

fn row(columns: Columns) -> Result<AccountRow, Error> {
    let (id, name, currency, credit, quota_stops, suspended_at, version, created_at, rules, content_days) = columns;
    let currency = currency.parse().map_err(|_| Error::Row { what: "accounts.currency", why: currency })?;
    let (credit, quota_stops) = (Nanos::new(credit), quota_stops != 0);
    let terms = json::read("accounts.rules", &rules)?;
    Ok(AccountRow { id, name, currency, credit, quota_stops, suspended_at, version, created_at, terms, content_days })
}

impl Store {
    /// Adds an account and its balance. `false`: another has its name.
    pub async fn account_create(&self, account: &AccountRow) -> Result<bool, Error> {
        not_negative("a credit line", account.credit.get())?;
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query(
            "INSERT INTO accounts (id, name, currency, credit_nanos, quota_stops, suspended_at, version, created_at,
                                   rules, content_days)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&account.id)
        .bind(&account.name)
        .bind(account.currency.as_str())
        .bind(account.credit.get())
        .bind(i64::from(account.quota_stops))
        .bind(account.suspended_at)
        .bind(account.version)
        .bind(account.created_at)
        .bind(json::write(&account.terms))
        .bind(account.content_days)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO buckets (id, account_id, kind, unit, models, posted, pending, expires_at, created_at)
             VALUES ($1, $2, 'balance', $3, '*', 0, 0, NULL, $4)",
        )
        .bind(balance_id(&account.id))
        .bind(&account.id)
        .bind(account.currency.as_str())
        .bind(account.created_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All accounts, oldest first.
    pub async fn account_list(&self) -> Result<Vec<AccountRow>, Error> {
        let sql = format!("{ACCOUNTS} ORDER BY created_at, id");
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.into_iter().map(row).collect()
    }

    /// Accounts, oldest first: `limit` at most, those behind `after`.
    pub async fn account_page(&self, after: Option<&AccountRow>, limit: i64) -> Result<Vec<AccountRow>, Error> {
        let sql = format!(
            "{ACCOUNTS} WHERE created_at > $1 OR (created_at = $1 AND id > $2) ORDER BY created_at, id LIMIT $3"
        );
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(after.map_or(i64::MIN, |account| account.created_at))
            .bind(after.map_or("", |account| &account.id))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// The account of this id or name.
    pub async fn account(&self, id_or_name: &str) -> Result<Option<AccountRow>, Error> {
        let sql = format!("{ACCOUNTS} WHERE id = $1 OR name = $1 ORDER BY CASE WHEN id = $1 THEN 0 ELSE 1 END");
        let found: Option<Columns> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(id_or_name).fetch_optional(&self.pool).await?;
        found.map(row).transpose()
    }

    /// Writes an account's credit line, switch, suspension, terms and what is kept of its content, if nobody changed it since `account` was read.
    pub async fn account_update(&self, account: &AccountRow) -> Result<bool, Error> {
        not_negative("a credit line", account.credit.get())?;
        let done = sqlx::query(
            "UPDATE accounts SET credit_nanos = $3, quota_stops = $4, suspended_at = $5, rules = $6, content_days = $7,
                                 version = version + 1
             WHERE id = $1 AND version = $2",
        )
        .bind(&account.id)
        .bind(account.version)
        .bind(account.credit.get())
        .bind(i64::from(account.quota_stops))
        .bind(account.suspended_at)
        .bind(json::write(&account.terms))
        .bind(account.content_days)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What an account has, in the order in which it is taken.
    pub async fn buckets(&self, account_id: &str) -> Result<Vec<BucketRow>, Error> {
        type Columns = (String, String, String, i64, i64, Option<i64>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, kind, models, posted, pending, expires_at FROM buckets WHERE account_id = $1
             ORDER BY CASE kind WHEN 'quota' THEN 0 WHEN 'pack' THEN 1 ELSE 2 END,
                      CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, expires_at, id",
        )
        .bind(account_id)
        .fetch_all(&self.pool)
        .await?;
        let bucket = |(id, kind, models, posted, pending, expires_at): Columns| {
            let kind = Kind::from_name(&kind).ok_or(Error::Row { what: "buckets.kind", why: kind })?;
            Ok(BucketRow { id, kind, models, posted, pending, expires_at })
        };
        rows.into_iter().map(bucket).collect()
    }
}
