//! What was asked and answered, of accounts that wish it kept, for as long as they wish. It is written with the post
//! of its request (`ledger`).

use crate::{Error, Store};

/// Contents that one statement removes: others write meanwhile.
const REMOVED_MAX: i64 = 256;

/// What was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// JSON, as the caller sent it.
    pub request: String,
    /// JSON, of what was made.
    pub answer: String,
    /// Unix seconds, from which on it is gone.
    pub expires_at: i64,
}

impl Store {
    /// The content of a request, where it was kept and its time is not over.
    pub async fn content(&self, request_id: &str, now: i64) -> Result<Option<Content>, Error> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT request, answer, expires_at FROM contents WHERE request_id = $1 AND expires_at > $2",
        )
        .bind(request_id)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(request, answer, expires_at)| Content { request, answer, expires_at }))
    }

    /// Removes contents whose time is over, and says how many those were.
    pub async fn contents_expire(&self, now: i64) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            let done = sqlx::query(
                "DELETE FROM contents WHERE request_id IN
                     (SELECT request_id FROM contents WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
            )
            .bind(now)
            .bind(REMOVED_MAX)
            .execute(&self.pool)
            .await?;
            all += done.rows_affected();
            if done.rows_affected() < REMOVED_MAX.unsigned_abs() {
                return Ok(all);
            }
        }
    }

    /// Removes all that is kept of an account, and says how many requests that were.
    pub async fn contents_remove(&self, account_id: &str) -> Result<u64, Error> {
        let done = sqlx::query("DELETE FROM contents WHERE account_id = $1").bind(account_id).execute(&self.pool);
        Ok(done.await?.rows_affected())
    }
}
