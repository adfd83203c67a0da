//! Everything that an auditor adds up again, read in one transaction.

use std::collections::BTreeMap;

use qwenda_ledger::account::Part;
use sqlx::{Any, Transaction};

use crate::{
    Error, Store, json,
    ledger::{GRAINS, HeldBudget},
};

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
    #[error("roll-ups of {grain}s come to {stated} {what}, requests to {summed}")]
    Rollup { grain: String, what: &'static str, stated: i64, summed: i64 },
    #[error("the budget {period} of key {key_id} states {stated} {what}, but its holds come to {summed}")]
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
        // Nobody writes meanwhile.
        sqlx::query("UPDATE meta SET value = value WHERE name = 'ledger'").execute(&mut *tx).await?;
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as("SELECT id, unit, posted, pending FROM buckets ORDER BY id").fetch_all(&mut *tx).await?;
        let buckets: Vec<Stated> =
            rows.into_iter().map(|(id, unit, posted, pending)| Stated { id, unit, posted, pending }).collect();
        let transfers: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT debit, credit, amount FROM transfers").fetch_all(&mut *tx).await?;
        let holds: Vec<(String,)> =
            sqlx::query_as("SELECT parts FROM holds WHERE state = 'pending'").fetch_all(&mut *tx).await?;
        let (requests,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM requests").fetch_one(&mut *tx).await?;
        let mut audit = Audit {
            buckets: buckets.len() as u64,
            transfers: transfers.len() as u64,
            requests: u64::try_from(requests).unwrap_or(0),
            open_holds: holds.len() as u64,
            difference: None,
        };
        let mut sums: BTreeMap<String, Summed> = BTreeMap::new();
        for (debit, credit, amount) in transfers {
            sums.entry(debit).or_default().posted -= i128::from(amount);
            sums.entry(credit).or_default().posted += i128::from(amount);
        }
        for (parts,) in holds {
            for part in json::read::<Vec<Part>>("holds.parts", &parts)? {
                sums.entry(part.bucket).or_default().pending += i128::from(part.amount);
            }
        }
        audit.difference = compare(&buckets, sums);
        if audit.difference.is_none() {
            audit.difference = records(&mut tx).await?;
        }
        if audit.difference.is_none() {
            audit.difference = rollups(&mut tx).await?;
        }
        if audit.difference.is_none() {
            audit.difference = budgets(&mut tx).await?;
        }
        tx.rollback().await?;
        Ok(audit)
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
    Ok(other.map(|(id, stated, summed)| Difference::Charge { id, stated, summed }))
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
    let holds: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT holds.key_id, holds.budgets, holds.state, COALESCE(requests.charge_nanos, 0)
         FROM holds LEFT JOIN requests ON requests.id = holds.id
         WHERE holds.state IN ('pending', 'posted') AND holds.budgets <> '[]'",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut sums: BTreeMap<(String, String), (i128, i128)> = BTreeMap::new();
    for (key_id, budgets, state, charge) in holds {
        for held in json::read::<Vec<HeldBudget>>("holds.budgets", &budgets)? {
            let (spent, pending) = sums.entry((key_id.clone(), held.period)).or_default();
            match state.as_str() {
                "posted" => *spent += i128::from(charge),
                _ => *pending += i128::from(held.amount),
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
