//! What was used: requests one by one, and their sums by time.

use qwenda_ledger::{account::Part, money::Nanos, price::Line};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

use crate::{Error, Store, json, ledger::RequestLine};

/// One request with what was paid for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidRequest {
    pub line: RequestLine,
    /// Tokens that quota and packs paid.
    pub covered: Vec<Part>,
    pub lines: Vec<Line>,
    pub charge: Nanos,
}

/// Which requests are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub account_id: Option<String>,
    pub key_id: Option<String>,
    /// All keys of a project; of no matter where a key is named.
    pub project_id: Option<String>,
    /// Unix seconds, the first that counts.
    pub from: i64,
    /// Unix seconds, the first that no longer counts.
    pub until: i64,
    /// Goes on behind this one, in the same order.
    pub after: Option<(i64, String)>,
    pub limit: i64,
}

impl Wanted {
    fn requests_sql(&self) -> String {
        format!(
            "SELECT id, at, account_id, key_id, task, model, status, usage, covered, lines, charge_nanos, price_id,
                    first_token_ms, took_ms
             FROM requests
             WHERE at >= $1 AND at < $2 AND {whose} AND (at > $5 OR id > $6)
             ORDER BY at, id LIMIT $7",
            whose = self.whose()
        )
    }

    fn rollups_sql(&self) -> String {
        format!(
            "SELECT at, account_id, key_id, model, requests, input_tokens, cached_tokens, output_tokens, charge_nanos
             FROM rollups
             WHERE grain = $5 AND at >= $1 AND at < $2 AND {whose}
             ORDER BY at, account_id, key_id, model LIMIT $6",
            whose = self.whose()
        )
    }

    fn usage_sql(&self) -> String {
        format!(
            "SELECT at, account_id, key_id, model, CAST(SUM(requests) AS BIGINT), CAST(SUM(input_tokens) AS BIGINT),
                    CAST(SUM(cached_tokens) AS BIGINT), CAST(SUM(output_tokens) AS BIGINT),
                    CAST(SUM(charge_nanos) AS BIGINT), currency
             FROM (SELECT at, CASE WHEN $6 = 1 THEN account_id ELSE '' END AS account_id,
                          CASE WHEN $7 = 1 THEN key_id ELSE '' END AS key_id,
                          CASE WHEN $8 = 1 THEN model ELSE '' END AS model,
                          requests, input_tokens, cached_tokens, output_tokens, charge_nanos,
                          COALESCE(currency, '') AS currency
                   FROM rollups LEFT JOIN accounts ON accounts.id = account_id
                   WHERE grain = $5 AND at >= $1 AND at < $2 AND {whose}) AS apart
             GROUP BY at, account_id, key_id, model, currency
             ORDER BY at, account_id, key_id, model, currency LIMIT $9 OFFSET $10",
            whose = self.whose()
        )
    }

    /// A condition on the account `$3` and the key or the project `$4`. One that also lets everybody pass would be answered by
    /// reading everything: no index is chosen for it.
    fn whose(&self) -> &'static str {
        match (&self.account_id, &self.key_id, &self.project_id) {
            (None, None, None) => "$3 = '' AND $4 = ''",
            (Some(_), None, None) => "account_id = $3 AND $4 = ''",
            (None, Some(_), _) => "$3 = '' AND key_id = $4",
            // A key has no more than its account: of the two indexes its own is the one to read.
            (Some(_), Some(_), _) => "account_id || '' = $3 AND key_id = $4",
            (None, None, Some(_)) => "$3 = '' AND key_id IN (SELECT id FROM keys WHERE project_id = $4)",
            (Some(_), None, Some(_)) => {
                "account_id || '' = $3 AND key_id IN (SELECT id FROM keys WHERE project_id = $4)"
            }
        }
    }

    /// The values of that condition.
    fn theirs(&self) -> (&str, &str) {
        let keys = self.key_id.as_deref().or(self.project_id.as_deref());
        (self.account_id.as_deref().unwrap_or(""), keys.unwrap_or(""))
    }
}

/// What usage is told apart by, besides its time and its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Apart {
    pub account: bool,
    pub key: bool,
    pub model: bool,
}

/// The sums of a time and of what was to be told apart; the rest is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    pub row: RollupRow,
    /// What the charge is in.
    pub currency: String,
}

/// The sums of a time, a key and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupRow {
    /// When the time begins, Unix seconds.
    pub at: i64,
    pub account_id: String,
    pub key_id: String,
    pub model: String,
    pub requests: i64,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub charge: Nanos,
}

impl Store {
    /// Requests, oldest first.
    pub async fn requests(&self, wanted: &Wanted) -> Result<Vec<PaidRequest>, Error> {
        let (after_at, after_id) = wanted.after.clone().unwrap_or((i64::MIN, String::new()));
        // An index is read from the page's first second on, and not from the time's.
        let rows = sqlx::query(AssertSqlSafe(wanted.requests_sql()))
            .bind(wanted.from.max(after_at))
            .bind(wanted.until)
            .bind(wanted.theirs().0)
            .bind(wanted.theirs().1)
            .bind(after_at)
            .bind(after_id)
            .bind(wanted.limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(paid).collect()
    }

    /// The request of this id.
    pub async fn request(&self, id: &str) -> Result<Option<PaidRequest>, Error> {
        let row = sqlx::query(
            "SELECT id, at, account_id, key_id, task, model, status, usage, covered, lines, charge_nanos, price_id,
                    first_token_ms, took_ms
             FROM requests WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(paid).transpose()
    }

    /// Sums of each `grain` (`minute`, `hour` or `day`) that begins in a time, oldest first.
    pub async fn rollups(&self, grain: &str, wanted: &Wanted) -> Result<Vec<RollupRow>, Error> {
        type Columns = (i64, String, String, String, i64, i64, i64, i64, i64);
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(wanted.rollups_sql()))
            .bind(wanted.from)
            .bind(wanted.until)
            .bind(wanted.theirs().0)
            .bind(wanted.theirs().1)
            .bind(grain)
            .bind(wanted.limit)
            .fetch_all(&self.pool)
            .await?;
        let rollup = |(at, account_id, key_id, model, requests, input_tokens, cached_tokens, output_tokens, charge)| {
            let charge = Nanos::new(charge);
            RollupRow { at, account_id, key_id, model, requests, input_tokens, cached_tokens, output_tokens, charge }
        };
        Ok(rows.into_iter().map(rollup).collect())
    }

    /// Sums of each `grain` that begins in a time, told apart by no more than is wanted, oldest first; those behind
    /// the first `skip`.
    pub async fn usage(&self, grain: &str, apart: Apart, wanted: &Wanted, skip: i64) -> Result<Vec<UsageRow>, Error> {
        let rows = sqlx::query(AssertSqlSafe(wanted.usage_sql()))
            .bind(wanted.from)
            .bind(wanted.until)
            .bind(wanted.theirs().0)
            .bind(wanted.theirs().1)
            .bind(grain)
            .bind(i64::from(apart.account))
            .bind(i64::from(apart.key))
            .bind(i64::from(apart.model))
            .bind(wanted.limit)
            .bind(skip)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(summed).collect()
    }
}

fn summed(row: &AnyRow) -> Result<UsageRow, Error> {
    let rollup = RollupRow {
        at: row.try_get(0)?,
        account_id: row.try_get(1)?,
        key_id: row.try_get(2)?,
        model: row.try_get(3)?,
        requests: row.try_get(4)?,
        input_tokens: row.try_get(5)?,
        cached_tokens: row.try_get(6)?,
        output_tokens: row.try_get(7)?,
        charge: Nanos::new(row.try_get(8)?),
    };
    Ok(UsageRow { row: rollup, currency: row.try_get(9)? })
}

fn paid(row: &AnyRow) -> Result<PaidRequest, Error> {
    let line = RequestLine {
        id: row.try_get(0)?,
        at: row.try_get(1)?,
        account_id: row.try_get(2)?,
        key_id: row.try_get(3)?,
        task: row.try_get(4)?,
        model: row.try_get(5)?,
        status: row.try_get(6)?,
        usage: json::read("requests.usage", row.try_get(7)?)?,
        price_id: row.try_get(11)?,
        first_token_ms: row.try_get(12)?,
        took_ms: row.try_get(13)?,
    };
    let covered = json::read("requests.covered", row.try_get(8)?)?;
    let lines = json::read("requests.lines", row.try_get(9)?)?;
    Ok(PaidRequest { line, covered, lines, charge: Nanos::new(row.try_get(10)?) })
}

#[cfg(test)]
mod tests;
