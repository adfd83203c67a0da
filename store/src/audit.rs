//! Everything that an auditor adds up again, as it was at one moment. Others write on meanwhile.

use std::collections::BTreeMap;

use qwenda_ledger::account::Part;
use sqlx::{Any, Transaction};

use crate::{
    Error, Store, json,
    ledger::{GRAINS, HeldBudget},
    link::Tx,
    rows::read,
};

/// Rows that are read at a time: a ledger may be larger than memory.
const PAGE: i64 = 1_000;
/// Sums are added up in two halves, so that none is out of a column's range: this many, and the rest.
const HALF: i128 = 1 << 32;

/// A bucket as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    pub id: String,
    pub unit: String,
    pub posted: i64,
    pub pending: i64,
}

/// What the journal and the open holds say of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summed {
    pub posted: i128,
    pub pending: i128,
}

/// The first thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("bucket {id} states {stated}, but its transfers come to {summed}")]
    Posted { id: String, stated: i64, summed: i128 },
    #[error("bucket {id} states {stated} pending, but its open holds come to {summed}")]
    Pending { id: String, stated: i64, summed: i128 },
    #[error("all buckets of {unit} together come to {sum}, not to 0")]
    Sum { unit: String, sum: i128 },
    #[error("a transfer or hold names the bucket {id}, which is not there")]
    NoBucket { id: String },
    #[error("hold {id} is posted, but there is no request of this id")]
    NoRequest { id: String },
    #[error("request {id} is on record, but its hold is {state}")]
    NotPosted { id: String, state: String },
    #[error("request {id} states a charge of {stated} nanos, its transfers come to {summed}")]
    Charge { id: String, stated: i64, summed: i64 },
    #[error("request {id} states {stated} tokens paid by {bucket}, its transfers come to {summed}")]
    Covered { id: String, bucket: String, stated: i64, summed: i64 },
    #[error("transfer {id} pays for a request that is not on record")]
    Stray { id: String },
    #[error("roll-ups of {grain}s come to {stated} {what}, requests to {summed}")]
    Rollup { grain: String, what: &'static str, stated: i64, summed: i64 },
    #[error("the budget {period} of {key_id} states {stated} {what}, but its holds come to {summed}")]
    Budget { key_id: String, period: String, what: &'static str, stated: i64, summed: i128 },
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub buckets: u64,
    pub transfers: u64,
    pub requests: u64,
    pub open_holds: u64,
    pub difference: Option<Difference>,
}

impl Store {
    /// Adds everything up again and compares it with what is stated. The charges themselves are not computed
    /// here: see `qwenda audit`.
    pub async fn audit(&self) -> Result<Audit, Error> {
        let mut tx = self.pool.begin().await?;
        // All of it is of one moment: so are transactions of SQLite, and those of a server on request.
        if tx.backend_name() != "SQLite" {
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *tx).await?;
        }
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as("SELECT id, unit, posted, pending FROM buckets ORDER BY id").fetch_all(&mut *tx).await?;
        let buckets: Vec<Stated> =
            rows.into_iter().map(|(id, unit, posted, pending)| Stated { id, unit, posted, pending }).collect();
        let mut sums: BTreeMap<String, Summed> = BTreeMap::new();
        let transfers = sum_transfers(&mut tx, &mut sums).await?;
        let open_holds = sum_holds(&mut tx, &mut sums).await?;
        let (requests,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM requests").fetch_one(&mut *tx).await?;
        let mut audit = Audit {
            buckets: buckets.len() as u64,
            transfers,
            requests: u64::try_from(requests).unwrap_or(0),
            open_holds,
            difference: compare(&buckets, sums),
        };
        if audit.difference.is_none() {
            audit.difference = records(&mut tx).await?;
        }
        if audit.difference.is_none() {
            audit.difference = rollups(&mut tx).await?;
        }
        if audit.difference.is_none() {
            audit.difference = budgets(&mut tx).await?;
        }
        if audit.difference.is_none() {
            let mut tx = Tx::Server(tx);
            audit.difference = covered(&mut tx).await?;
        }
        Ok(audit)
    }
}

/// Adds transfers up by bucket, and says how many there are.
async fn sum_transfers(tx: &mut Transaction<'static, Any>, sums: &mut BTreeMap<String, Summed>) -> Result<u64, Error> {
    let mut transfers = 0;
    for (side, sign) in [("debit", -1), ("credit", 1)] {
        let sql = format!(
            "SELECT {side}, COUNT(*), CAST(SUM(amount / {HALF}) AS BIGINT), CAST(SUM(amount % {HALF}) AS BIGINT)
             FROM transfers GROUP BY {side}"
        );
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut **tx).await?;
        transfers = 0;
        for (bucket, count, high, low) in rows {
            transfers += u64::try_from(count).unwrap_or(0);
            sums.entry(bucket).or_default().posted += sign * (i128::from(high) * HALF + i128::from(low));
        }
    }
    Ok(transfers)
}

/// Adds open holds up by bucket, and says how many there are.
async fn sum_holds(tx: &mut Transaction<'static, Any>, sums: &mut BTreeMap<String, Summed>) -> Result<u64, Error> {
    let (mut holds, mut after) = (0, String::new());
    loop {
        let page: Vec<(String, String)> =
            sqlx::query_as("SELECT id, parts FROM holds WHERE state = 'pending' AND id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(PAGE)
                .fetch_all(&mut **tx)
                .await?;
        let Some((last, _)) = page.last() else { return Ok(holds) };
        (holds, after) = (holds + page.len() as u64, last.clone());
        for (_, parts) in &page {
            for part in json::read::<Vec<Part>>("holds.parts", parts)? {
                sums.entry(part.bucket).or_default().pending += i128::from(part.amount);
            }
        }
    }
}

fn compare(buckets: &[Stated], mut sums: BTreeMap<String, Summed>) -> Option<Difference> {
    let mut units: BTreeMap<&str, i128> = BTreeMap::new();
    for bucket in buckets {
        let summed = sums.remove(&bucket.id).unwrap_or_default();
        if summed.posted != i128::from(bucket.posted) {
            return Some(Difference::Posted { id: bucket.id.clone(), stated: bucket.posted, summed: summed.posted });
        }
        if summed.pending != i128::from(bucket.pending) {
            let (id, stated, summed) = (bucket.id.clone(), bucket.pending, summed.pending);
            return Some(Difference::Pending { id, stated, summed });
        }
        *units.entry(&bucket.unit).or_default() += i128::from(bucket.posted);
    }
    if let Some((id, _)) = sums.pop_first() {
        return Some(Difference::NoBucket { id });
    }
    let off = units.into_iter().find(|(_, sum)| *sum != 0);
    off.map(|(unit, sum)| Difference::Sum { unit: unit.to_owned(), sum })
}

/// Compares requests with their holds and transfers.
async fn records(tx: &mut Transaction<'static, Any>) -> Result<Option<Difference>, Error> {
    let missing: Option<(String,)> = sqlx::query_as(
        "SELECT holds.id FROM holds LEFT JOIN requests ON requests.id = holds.id
         WHERE holds.state = 'posted' AND requests.id IS NULL LIMIT 1",
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some((id,)) = missing {
        return Ok(Some(Difference::NoRequest { id }));
    }
    let open: Option<(String, Option<String>)> = sqlx::query_as(
        "SELECT requests.id, holds.state FROM requests LEFT JOIN holds ON holds.id = requests.id
         WHERE holds.state IS NULL OR holds.state <> 'posted' LIMIT 1",
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some((id, state)) = open {
        return Ok(Some(Difference::NotPosted { id, state: state.unwrap_or_else(|| "not there".to_owned()) }));
    }
    let other: Option<(String, i64, i64)> = sqlx::query_as(
        "SELECT requests.id, requests.charge_nanos, CAST(COALESCE(transfers.amount, 0) AS BIGINT)
         FROM requests LEFT JOIN transfers ON transfers.id = requests.id || '/money'
         WHERE requests.charge_nanos <> COALESCE(transfers.amount, 0) LIMIT 1",
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some((id, stated, summed)) = other {
        return Ok(Some(Difference::Charge { id, stated, summed }));
    }
    let stray: Option<(String,)> = sqlx::query_as(
        "SELECT transfers.id FROM transfers LEFT JOIN requests ON requests.id = transfers.request_id
         WHERE transfers.request_id IS NOT NULL AND requests.id IS NULL LIMIT 1",
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(stray.map(|(id,)| Difference::Stray { id }))
}

/// Compares the tokens that quota and packs paid for requests with their transfers.
async fn covered(tx: &mut Tx<'_>) -> Result<Option<Difference>, Error> {
    let mut after = String::new();
    loop {
        let sql = "SELECT id, covered FROM requests WHERE covered <> '[]' AND id > $1 ORDER BY id LIMIT $2";
        let page = tx.query(sql, vec![after.as_str().into(), PAGE.into()]).await?;
        let mut stated: BTreeMap<String, (String, Part)> = BTreeMap::new();
        let size = page.len();
        for mut row in page {
            let id = row.text(0)?;
            for part in json::read::<Vec<Part>>("requests.covered", &row.text(1)?)? {
                stated.insert(format!("{id}/{}", part.bucket), (id.clone(), part));
            }
            after = id;
        }
        let ids: Vec<&str> = stated.keys().map(String::as_str).collect();
        let mut paid: BTreeMap<String, i64> = BTreeMap::new();
        for mut row in read(tx, "SELECT id, amount FROM transfers WHERE id IN ({})", &ids).await? {
            paid.insert(row.text(0)?, row.int(1)?);
        }
        for (transfer, (id, part)) in stated {
            let summed = paid.get(&transfer).copied().unwrap_or_default();
            if summed != part.amount {
                return Ok(Some(Difference::Covered { id, bucket: part.bucket, stated: part.amount, summed }));
            }
        }
        if size == 0 {
            return Ok(None);
        }
    }
}

/// Compares roll-ups with requests. A grain of which there are none has its sums too.
async fn rollups(tx: &mut Transaction<'static, Any>) -> Result<Option<Difference>, Error> {
    let (requests, nanos): (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), CAST(COALESCE(SUM(charge_nanos), 0) AS BIGINT) FROM requests")
            .fetch_one(&mut **tx)
            .await?;
    for (grain, _) in GRAINS {
        let stated: (i64, i64) = sqlx::query_as(
            "SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT), CAST(COALESCE(SUM(charge_nanos), 0) AS BIGINT)
             FROM rollups WHERE grain = $1",
        )
        .bind(grain)
        .fetch_one(&mut **tx)
        .await?;
        for (what, stated, summed) in [("requests", stated.0, requests), ("nanos", stated.1, nanos)] {
            if stated != summed {
                return Ok(Some(Difference::Rollup { grain: grain.to_owned(), what, stated, summed }));
            }
        }
    }
    Ok(None)
}

/// Compares budgets with the holds that took of them: open ones are pending, posted ones are spent.
async fn budgets(tx: &mut Transaction<'static, Any>) -> Result<Option<Difference>, Error> {
    let mut sums: BTreeMap<(String, String), (i128, i128)> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page: Vec<(String, String, String, String, i64)> = sqlx::query_as(
            "SELECT holds.id, holds.key_id, holds.budgets, holds.state, COALESCE(requests.charge_nanos, 0)
             FROM holds LEFT JOIN requests ON requests.id = holds.id
             WHERE holds.state IN ('pending', 'posted') AND holds.budgets <> '[]' AND holds.id > $1
             ORDER BY holds.id LIMIT $2",
        )
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut **tx)
        .await?;
        let Some((last, ..)) = page.last() else { break };
        after = last.clone();
        for (_, key_id, budgets, state, charge) in page {
            for held in json::read::<Vec<HeldBudget>>("holds.budgets", &budgets)? {
                let of = (held.owner(&key_id).to_owned(), held.period);
                let (spent, pending) = sums.entry(of).or_default();
                match state.as_str() {
                    "posted" => *spent += i128::from(charge),
                    _ => *pending += i128::from(held.amount),
                }
            }
        }
    }
    let rows: Vec<(String, String, i64, i64)> =
        sqlx::query_as("SELECT key_id, period, spent, pending FROM budgets ORDER BY key_id, period")
            .fetch_all(&mut **tx)
            .await?;
    let rows = rows.into_iter().map(|(key_id, period, spent, pending)| ((key_id, period), (spent, pending)));
    let mut stated: BTreeMap<(String, String), (i64, i64)> = rows.collect();
    // One that holds took of and that is not there states nothing.
    for of in sums.keys() {
        stated.entry(of.clone()).or_default();
    }
    for (of, (spent, pending)) in stated {
        let summed = sums.get(&of).copied().unwrap_or_default();
        for (what, stated, summed) in [("spent", spent, summed.0), ("pending", pending, summed.1)] {
            if i128::from(stated) != summed {
                let (key_id, period) = of;
                return Ok(Some(Difference::Budget { key_id, period, what, stated, summed }));
            }
        }
    }
    Ok(None)
}
