//! Limits per minute that several servers share: a row for each, from which they borrow.

use qwenda_ledger::limit::{Grant, Rate, Shared, Trade};
use sqlx::{Any, Transaction};

use crate::{Error, Store};

/// After so long all that was ever taken of a limit has flowed back, and its row says nothing that an absent one
/// would not: the largest burst is two minutes' worth.
const IDLE_NS: i64 = 600_000_000_000;
/// The database's clock: of a server in nanoseconds, whoever asks; of a file that of its reader.
const SERVER_NOW: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000000 AS BIGINT)";

impl Store {
    /// Whether several processes are meant to share this database.
    pub fn is_shared(&self) -> bool {
        self.is_server
    }

    /// Settles what a server borrowed of limits and lends it what it asks for, all in one transaction. The limits
    /// come in the order of their ids, so that nobody waits for who waits for them.
    ///
    /// A trade whose outcome is unknown (an error) is not sent again.
    pub async fn trade(&self, trades: &[(String, Rate, Trade)], now_ns: u64) -> Result<Vec<Grant>, Error> {
        debug_assert!(trades.is_sorted_by(|(one, ..), (next, ..)| one < next));
        let mut tx = self.pool.begin().await?;
        let mut grants = Vec::with_capacity(trades.len());
        for (id, rate, trade) in trades {
            let mut shared = lock(&mut tx, id).await?;
            let now_ns = match self.is_server {
                true => positive(sqlx::query_as::<_, (i64,)>(SERVER_NOW).fetch_one(&mut *tx).await?.0),
                false => now_ns,
            };
            grants.push(shared.trade(*rate, trade, now_ns));
            write(&mut tx, id, &shared).await?;
        }
        tx.commit().await?;
        Ok(grants)
    }

    /// Forgets limits that nobody has asked for in a long time.
    pub async fn forget_limits(&self, now_ns: u64) -> Result<(), Error> {
        let before = signed(now_ns).saturating_sub(IDLE_NS);
        sqlx::query("DELETE FROM shared_limits WHERE at_ns < $1 AND free_ns < $1")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// The row of a limit, which nobody else changes until the end of the transaction.
async fn lock(tx: &mut Transaction<'static, Any>, id: &str) -> Result<Shared, Error> {
    let row: (i64, i64, i64, i64, i64) = sqlx::query_as(
        "INSERT INTO shared_limits (id, free_ns, at_ns, lent_now, lent_before, taken) VALUES ($1, 0, 0, 0, 0, 0)
         ON CONFLICT (id) DO UPDATE SET taken = shared_limits.taken
         RETURNING free_ns, at_ns, lent_now, lent_before, taken",
    )
    .bind(id)
    .fetch_one(&mut **tx)
    .await?;
    let (free_ns, at_ns, lent_now, lent_before, taken) = row;
    Ok(Shared {
        free_ns: positive(free_ns),
        at_ns: positive(at_ns),
        lent: [positive(lent_now), positive(lent_before)],
        // It wraps.
        taken: taken.cast_unsigned(),
    })
}

async fn write(tx: &mut Transaction<'static, Any>, id: &str, shared: &Shared) -> Result<(), Error> {
    sqlx::query(
        "UPDATE shared_limits SET free_ns = $2, at_ns = $3, lent_now = $4, lent_before = $5, taken = $6 WHERE id = $1",
    )
    .bind(id)
    .bind(signed(shared.free_ns))
    .bind(signed(shared.at_ns))
    .bind(signed(shared.lent[0]))
    .bind(signed(shared.lent[1]))
    .bind(shared.taken.cast_signed())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a column holds that is never below zero.
fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
