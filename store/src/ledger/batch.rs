//! One transaction of several operations. What they all add to is added once, at its end.

use std::collections::BTreeMap;

use sqlx::{Any, AnyPool, Transaction};

use super::{Done, Op, RequestLine};
use crate::Error;

/// Most tokens of a request that roll-ups count: an upstream that reports more must not spoil their sums.
const ROLLUP_TOKENS_MAX: i64 = 1 << 40;

/// Seconds of the grains of roll-ups, with their names.
pub const GRAINS: [(&str, i64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

pub(super) struct Batch {
    pub(super) tx: Transaction<'static, Any>,
    /// What our own buckets gain.
    ours: BTreeMap<String, i64>,
    rollups: BTreeMap<RollupKey, Rollup>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RollupKey {
    grain: &'static str,
    at: i64,
    account_id: String,
    key_id: String,
    model: String,
}

#[derive(Default)]
struct Rollup {
    requests: i64,
    input_tokens: i64,
    cached_tokens: i64,
    output_tokens: i64,
    charge_nanos: i64,
}

impl Batch {
    pub(super) async fn begin(pool: &AnyPool) -> Result<Self, Error> {
        let mut tx = pool.begin().await?;
        // Whoever writes this row has the turn until the end of the transaction. In SQLite the first write
        // takes the whole file, which must come before anything is read.
        sqlx::query("UPDATE meta SET value = value WHERE name = 'ledger'").execute(&mut *tx).await?;
        Ok(Self { tx, ours: BTreeMap::new(), rollups: BTreeMap::new() })
    }

    /// Does one operation. `before` is what it came to in a transaction that may have been committed, and that
    /// it comes to again if it was.
    pub(super) async fn apply(&mut self, op: &Op, before: Option<&Done>) -> Result<Done, Error> {
        let done = self.apply_once(op, before).await?;
        Ok(match before {
            // What changes nothing any more changed it then.
            Some(before @ Done::Changed(_)) if done == Done::Changed(0) => before.clone(),
            _ => done,
        })
    }

    async fn apply_once(&mut self, op: &Op, before: Option<&Done>) -> Result<Done, Error> {
        match op {
            Op::Hold(ask) => self.hold(ask).await,
            Op::TopUp(top_up) => self.top_up(top_up, before).await,
            Op::Post(post) => self.post(post).await,
            Op::Void { id, now } => self.void(id, *now).await,
            Op::Expire { now } => self.expire(*now).await,
            Op::Keep { instance, expires_at } => self.keep(instance, *expires_at).await,
            Op::Deposit(deposit) => self.deposit(deposit).await,
        }
    }

    /// Adds to one of our own buckets.
    pub(super) fn ours(&mut self, bucket: String, amount: i64) -> Result<(), Error> {
        let sum = self.ours.entry(bucket).or_default();
        *sum = sum.checked_add(amount).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Adds a request to the sums of its minute, hour and day.
    pub(super) fn roll_up(&mut self, line: &RequestLine, charge_nanos: i64) -> Result<(), Error> {
        let usage = &line.usage;
        let cached = usage.implicit_hit_tokens.saturating_add(usage.explicit_hit_tokens);
        let adds = [usage.input_tokens, cached, usage.output_tokens];
        let adds = adds.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX).min(ROLLUP_TOKENS_MAX));
        for (grain, seconds) in GRAINS {
            let key = RollupKey {
                grain,
                at: line.at.div_euclid(seconds) * seconds,
                account_id: line.account_id.clone(),
                key_id: line.key_id.clone(),
                model: line.model.clone(),
            };
            let sums = self.rollups.entry(key).or_default();
            let added = [
                (&mut sums.requests, 1),
                (&mut sums.input_tokens, adds[0]),
                (&mut sums.cached_tokens, adds[1]),
                (&mut sums.output_tokens, adds[2]),
                (&mut sums.charge_nanos, charge_nanos),
            ];
            for (sum, more) in added {
                *sum = sum.checked_add(more).ok_or(Error::Overflow)?;
            }
        }
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        for (bucket, amount) in &self.ours {
            let (least, most) = room(*amount);
            let done =
                sqlx::query("UPDATE buckets SET posted = posted + $2 WHERE id = $1 AND posted BETWEEN $3 AND $4")
                    .bind(bucket)
                    .bind(amount)
                    .bind(least)
                    .bind(most)
                    .execute(&mut *self.tx)
                    .await?;
            if done.rows_affected() != 1 {
                return Err(Error::Overflow);
            }
        }
        for (key, sums) in &self.rollups {
            sqlx::query(
                "INSERT INTO rollups (grain, at, account_id, key_id, model, requests, input_tokens, cached_tokens,
                                      output_tokens, charge_nanos)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 ON CONFLICT (grain, at, account_id, key_id, model) DO UPDATE SET
                     requests = rollups.requests + excluded.requests,
                     input_tokens = rollups.input_tokens + excluded.input_tokens,
                     cached_tokens = rollups.cached_tokens + excluded.cached_tokens,
                     output_tokens = rollups.output_tokens + excluded.output_tokens,
                     charge_nanos = rollups.charge_nanos + excluded.charge_nanos",
            )
            .bind(key.grain)
            .bind(key.at)
            .bind(&key.account_id)
            .bind(&key.key_id)
            .bind(&key.model)
            .bind(sums.requests)
            .bind(sums.input_tokens)
            .bind(sums.cached_tokens)
            .bind(sums.output_tokens)
            .bind(sums.charge_nanos)
            .execute(&mut *self.tx)
            .await?;
        }
        self.tx.commit().await?;
        Ok(())
    }
}

/// Between what a sum lies that has room for an amount. SQLite would go on with a float where it has none.
pub(super) fn room(amount: i64) -> (i64, i64) {
    (i64::MIN.saturating_sub(amount.min(0)), i64::MAX - amount.max(0))
}
