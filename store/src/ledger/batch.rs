//! One transaction of several operations: what they are about is read at once, they are done in memory, and what
//! came of it is written at once. Every write names what was read: nobody else has changed it meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Any, AnyPool, Transaction};

use super::{
    Done, Op,
    post::balance_id,
    rows::{In, column, read, runs, statement, values},
    state::{Account, Amounts, Broken, BudgetRow, Hold, Made, Place, Spent, State, hold_ids},
};
use crate::{Error, json};

/// Late holds that one operation lets go of: others wait meanwhile.
pub(super) const EXPIRED_MAX: i64 = 256;
/// Our own buckets.
const OURS: [&str; 6] = ["paid:CNY", "paid:USD", "revenue:CNY", "revenue:USD", "given:tokens", "used:tokens"];

pub(super) struct Batch<'a> {
    tx: Transaction<'static, Any>,
    state: State<'a>,
    /// How many holds were given more time.
    kept: u64,
}

impl<'a> Batch<'a> {
    pub(super) async fn begin(pool: &AnyPool, ops: &[Op]) -> Result<Self, Error> {
        let mut tx = pool.begin().await?;
        // Whoever writes this row has the turn until the end of the transaction. In SQLite the first write
        // takes the whole file, which must come before anything is read.
        sqlx::query("UPDATE meta SET value = value WHERE name = 'ledger'").execute(&mut *tx).await?;
        let kept = keep(&mut tx, ops).await?;
        let mut state = State::default();
        read_holds(&mut tx, &mut state, ops).await?;
        read_deposits(&mut tx, &mut state, ops).await?;
        read_accounts(&mut tx, &mut state, ops).await?;
        read_buckets(&mut tx, &mut state, ops).await?;
        read_budgets(&mut tx, &mut state, ops).await?;
        Ok(Self { tx, state, kept })
    }

    /// Does one operation. `before` is what it came to in a transaction that may have been committed, and that
    /// it comes to again if it was.
    pub(super) fn apply(&mut self, op: &'a Op, before: Option<&Done>) -> Result<Done, Error> {
        let state = &mut self.state;
        let done = match op {
            Op::Hold(ask) => state.hold(ask),
            Op::TopUp(top_up) => state.top_up(top_up),
            Op::Post(post) => state.post(post),
            Op::Void { id, now } => state.void(id, *now),
            Op::Expire { now } => state.expire(*now),
            Op::Keep { .. } => Ok(Done::Changed(self.kept)),
            Op::Deposit(deposit) => state.deposit(deposit),
        }?;
        Ok(match before {
            // What changes nothing any more changed it then.
            Some(before @ Done::Changed(_)) if done == Done::Changed(0) => before.clone(),
            _ => done,
        })
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        write_holds(&mut self.tx, &self.state).await?;
        write_buckets(&mut self.tx, &self.state).await?;
        write_budgets(&mut self.tx, &self.state).await?;
        write_transfers(&mut self.tx, &self.state).await?;
        write_requests(&mut self.tx, &self.state).await?;
        write_rollups(&mut self.tx, &self.state).await?;
        self.tx.commit().await?;
        Ok(())
    }
}

/// Gives the holds of processes more time, before anything is read.
async fn keep(tx: &mut Transaction<'static, Any>, ops: &[Op]) -> Result<u64, Error> {
    let mut kept = 0;
    for op in ops {
        if let Op::Keep { instance, expires_at } = op {
            let done = sqlx::query(
                "UPDATE holds SET expires_at = $2 WHERE state = 'pending' AND instance = $1 AND expires_at < $2",
            )
            .bind(instance)
            .bind(expires_at)
            .execute(&mut **tx)
            .await?;
            kept += done.rows_affected();
        }
    }
    Ok(kept)
}

const HOLDS: &str = "SELECT id, account_id, key_id, parts, budgets, state, expires_at FROM holds WHERE ";

async fn read_holds(tx: &mut Transaction<'static, Any>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let ids = hold_ids(ops);
    read(tx, &format!("{HOLDS}id IN ({{}})"), &ids, |row| {
        state.holds.insert(column(row, 0)?, hold(row)?);
        Ok(())
    })
    .await?;
    let until = ops.iter().filter_map(|op| if let Op::Expire { now } = op { Some(*now) } else { None }).min();
    let Some(until) = until else { return Ok(()) };
    let sql = format!("{HOLDS}state = 'pending' AND expires_at <= $1 ORDER BY expires_at, id LIMIT {EXPIRED_MAX}");
    for row in statement(sql).bind(until).fetch_all(&mut **tx).await? {
        let id: String = column(&row, 0)?;
        state.late.push(id.clone());
        state.holds.insert(id, hold(&row)?);
    }
    Ok(())
}

fn hold(row: &sqlx::any::AnyRow) -> Result<Hold<'static>, Error> {
    let (parts, budgets): (String, String) = (column(row, 3)?, column(row, 4)?);
    let (parts, budgets) = (json::read("holds.parts", &parts), json::read("holds.budgets", &budgets));
    let broken = match (&parts, &budgets) {
        (Err(Error::Row { what, why }), _) | (_, Err(Error::Row { what, why })) => {
            Some(Broken { what, why: why.clone() })
        }
        _ => None,
    };
    Ok(Hold {
        account_id: column(row, 1)?,
        key_id: column(row, 2)?,
        parts: parts.unwrap_or_default(),
        budgets: budgets.unwrap_or_default(),
        state: column(row, 5)?,
        expires_at: column(row, 6)?,
        settled_at: None,
        new: None,
        grown: false,
        broken,
    })
}

async fn read_deposits(tx: &mut Transaction<'static, Any>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let ids = ops.iter().filter_map(|op| if let Op::Deposit(deposit) = op { Some(deposit.id.as_str()) } else { None });
    let ids: Vec<&str> = ids.collect();
    read(tx, "SELECT id, kind, debit, credit, amount FROM transfers WHERE id IN ({})", &ids, |row| {
        let (kind, debit, credit, amount) = (column(row, 1)?, column(row, 2)?, column(row, 3)?, column(row, 4)?);
        state.made.insert(column(row, 0)?, Made { kind, debit, credit, amount });
        Ok(())
    })
    .await
}

/// The accounts that operations are about.
fn account_ids(state: &State<'_>, ops: &[Op]) -> BTreeSet<String> {
    let asked = ops.iter().filter_map(|op| match op {
        Op::Hold(ask) => Some(&ask.account_id),
        Op::Post(post) => Some(&post.line.account_id),
        Op::Deposit(deposit) => Some(&deposit.account_id),
        Op::TopUp(_) | Op::Void { .. } | Op::Expire { .. } | Op::Keep { .. } => None,
    });
    asked.chain(state.holds.values().map(|hold| &hold.account_id)).cloned().collect()
}

async fn read_accounts(tx: &mut Transaction<'static, Any>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let ids = account_ids(state, ops);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    read(tx, "SELECT id, currency, credit_nanos, suspended_at FROM accounts WHERE id IN ({})", &ids, |row| {
        let suspended: Option<i64> = column(row, 3)?;
        let (currency, credit) = (column(row, 1)?, column(row, 2)?);
        state.accounts.insert(column(row, 0)?, Account { currency, credit, suspended: suspended.is_some() });
        Ok(())
    })
    .await
}

const BUCKETS: &str = "SELECT id, account_id, kind, models, posted, pending, expires_at FROM buckets WHERE ";

async fn read_buckets(tx: &mut Transaction<'static, Any>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    // What holds are taken of, and what is not covered is owed to.
    let accounts: Vec<String> = account_ids(state, ops).into_iter().collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    let theirs = format!("{BUCKETS}account_id IN ({{}}) AND (kind = 'balance' OR posted - pending > 0)");
    read(tx, &theirs, &accounts, |row| {
        found.push(place(row)?);
        Ok(())
    })
    .await?;
    state.buckets.extend(found);
    let mut more: BTreeSet<String> =
        state.holds.values().flat_map(|hold| &hold.parts).map(|p| p.bucket.clone()).collect();
    more.extend(accounts.iter().map(|id| balance_id(id)));
    if ops.iter().any(|op| matches!(op, Op::Post(_) | Op::Deposit(_))) {
        more.extend(OURS.map(str::to_owned));
    }
    more.retain(|id| !state.buckets.contains_key(id));
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    read(tx, &format!("{BUCKETS}id IN ({{}})"), &more, |row| {
        let (id, place) = place(row)?;
        state.buckets.insert(id, place);
        Ok(())
    })
    .await
}

fn place(row: &sqlx::any::AnyRow) -> Result<(String, Place<'static>), Error> {
    let was = Amounts { posted: column(row, 4)?, pending: column(row, 5)? };
    let (account_id, kind, models) = (column(row, 1)?, column(row, 2)?, column(row, 3)?);
    let place = Place { account_id, kind, models, expires_at: column(row, 6)?, was, now: was, new: None };
    Ok((column(row, 0)?, place))
}

async fn read_budgets(tx: &mut Transaction<'static, Any>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut want = |period: &str, key: &str| {
        wanted.entry(period.to_owned()).or_default().insert(key.to_owned());
    };
    for op in ops {
        if let Op::Hold(ask) = op {
            ask.budgets.iter().for_each(|budget| want(&budget.period, &ask.key_id));
        }
    }
    for hold in state.holds.values() {
        hold.budgets.iter().for_each(|held| want(&held.period, &hold.key_id));
    }
    // There are few periods at a time, and many keys.
    for (period, keys) in wanted {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for piece in In::pieces(&keys) {
            let sql = format!(
                "SELECT key_id, spent, pending FROM budgets WHERE period = $1 AND key_id IN ({})",
                piece.places(1)
            );
            for row in piece.bind(statement(sql).bind(period.clone())).fetch_all(&mut **tx).await? {
                let now = Spent { spent: column(&row, 1)?, pending: column(&row, 2)? };
                state.budgets.insert((column(&row, 0)?, period.clone()), BudgetRow { was: Some(now), now });
            }
        }
    }
    Ok(())
}

/// Fails where a statement did not write what it should have: somebody else was there.
fn wrote(done: sqlx::any::AnyQueryResult, rows: usize) -> Result<(), Error> {
    if done.rows_affected() == rows as u64 { Ok(()) } else { Err(Error::Raced) }
}

async fn write_holds(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    let new: Vec<_> = state.holds.values().filter_map(|hold| hold.new.map(|ask| (ask, hold))).collect();
    for run in runs(&new) {
        let mut insert = statement(format!(
            "INSERT INTO holds (id, account_id, key_id, model, price_id, parts, budgets, instance, state, created_at,
                                expires_at, settled_at)
             VALUES {}",
            values(run.len(), &[""; 12])
        ));
        for (ask, hold) in run {
            insert = insert
                .bind(&ask.id)
                .bind(&ask.account_id)
                .bind(&ask.key_id)
                .bind(&ask.model)
                .bind(&ask.price_id)
                .bind(json::write(&hold.parts))
                .bind(json::write(&hold.budgets))
                .bind(&ask.instance)
                .bind(&hold.state)
                .bind(ask.now)
                .bind(hold.expires_at)
                .bind(hold.settled_at);
        }
        insert.execute(&mut **tx).await?;
    }
    let mut closed: BTreeMap<(&str, i64), Vec<&str>> = BTreeMap::new();
    for (id, hold) in state.holds.iter().filter(|(_, hold)| hold.new.is_none()) {
        if hold.grown {
            let grow = "UPDATE holds SET parts = $2, budgets = $3, expires_at = $4 WHERE id = $1 AND state = 'pending'";
            let grow = sqlx::query(grow).bind(id).bind(json::write(&hold.parts)).bind(json::write(&hold.budgets));
            wrote(grow.bind(hold.expires_at).execute(&mut **tx).await?, 1)?;
        }
        if let Some(at) = hold.settled_at {
            closed.entry((&hold.state, at)).or_default().push(id);
        }
    }
    for ((to, at), ids) in closed {
        for piece in In::pieces(&ids) {
            let close = statement(format!(
                "UPDATE holds SET state = $1, settled_at = $2
                 WHERE id IN ({}) AND state IN ('pending', 'expired')",
                piece.places(2)
            ));
            let close = piece.bind(close.bind(to.to_owned()).bind(at));
            wrote(close.execute(&mut **tx).await?, piece.len())?;
        }
    }
    Ok(())
}

async fn write_buckets(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    let mut changed = Vec::new();
    for (id, place) in &state.buckets {
        if let Some(deposit) = place.new {
            sqlx::query(
                "INSERT INTO buckets (id, account_id, kind, unit, models, posted, pending, expires_at, created_at)
                 VALUES ($1, $2, $3, 'tokens', $4, $5, $6, $7, $8)",
            )
            .bind(id)
            .bind(&deposit.account_id)
            .bind(&place.kind)
            .bind(&place.models)
            .bind(place.now.posted)
            .bind(place.now.pending)
            .bind(place.expires_at)
            .bind(deposit.now)
            .execute(&mut **tx)
            .await?;
        } else if place.now != place.was {
            changed.push((id, place));
        }
    }
    for run in runs(&changed) {
        let mut update = statement(format!(
            "UPDATE buckets SET posted = d.column4, pending = d.column5 FROM (VALUES {}) AS d
             WHERE buckets.id = d.column1 AND buckets.posted = d.column2 AND buckets.pending = d.column3",
            values(run.len(), &["TEXT", "BIGINT", "BIGINT", "BIGINT", "BIGINT"])
        ));
        for (id, place) in run {
            update = update.bind(*id).bind(place.was.posted).bind(place.was.pending);
            update = update.bind(place.now.posted).bind(place.now.pending);
        }
        wrote(update.execute(&mut **tx).await?, run.len())?;
    }
    Ok(())
}

async fn write_budgets(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    let changed = state.budgets.iter().filter(|(_, row)| row.was != Some(row.now));
    for ((key, period), BudgetRow { was, now }) in changed {
        let write = match was {
            None => "INSERT INTO budgets (key_id, period, spent, pending) VALUES ($1, $2, $3, $4)",
            Some(_) => {
                "UPDATE budgets SET spent = $3, pending = $4
                 WHERE key_id = $1 AND period = $2 AND spent = $5 AND pending = $6"
            }
        };
        let mut write = sqlx::query(write).bind(key).bind(period).bind(now.spent).bind(now.pending);
        if let Some(was) = was {
            write = write.bind(was.spent).bind(was.pending);
        }
        wrote(write.execute(&mut **tx).await?, 1)?;
    }
    Ok(())
}

async fn write_transfers(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    for run in runs(&state.transfers) {
        let mut insert = statement(format!(
            "INSERT INTO transfers (id, at, kind, debit, credit, amount, request_id, note) VALUES {}",
            values(run.len(), &[""; 8])
        ));
        for transfer in run {
            insert = insert
                .bind(&transfer.id)
                .bind(transfer.at)
                .bind(transfer.kind)
                .bind(&transfer.debit)
                .bind(&transfer.credit)
                .bind(transfer.amount)
                .bind(transfer.request_id)
                .bind(transfer.note);
        }
        insert.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn write_requests(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    for run in runs(&state.posts) {
        let mut insert = statement(format!(
            "INSERT INTO requests (id, at, account_id, key_id, task, model, status, usage, covered, lines, charge_nanos,
                                   price_id, first_token_ms, took_ms)
             VALUES {}",
            values(run.len(), &[""; 14])
        ));
        for post in run {
            let (line, settlement) = (&post.line, &post.settlement);
            insert = insert
                .bind(&line.id)
                .bind(line.at)
                .bind(&line.account_id)
                .bind(&line.key_id)
                .bind(&line.task)
                .bind(&line.model)
                .bind(&line.status)
                .bind(json::write(&line.usage))
                .bind(json::write(&settlement.tokens))
                .bind(json::write(&settlement.charge.lines))
                .bind(settlement.charge.total.get())
                .bind(&line.price_id)
                .bind(line.first_token_ms)
                .bind(line.took_ms);
        }
        insert.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn write_rollups(tx: &mut Transaction<'static, Any>, state: &State<'_>) -> Result<(), Error> {
    let rollups: Vec<_> = state.rollups.iter().collect();
    for run in runs(&rollups) {
        let mut add = statement(format!(
            "INSERT INTO rollups (grain, at, account_id, key_id, model, requests, input_tokens, cached_tokens,
                                  output_tokens, charge_nanos)
             VALUES {}
             ON CONFLICT (grain, at, account_id, key_id, model) DO UPDATE SET
                 requests = rollups.requests + excluded.requests,
                 input_tokens = rollups.input_tokens + excluded.input_tokens,
                 cached_tokens = rollups.cached_tokens + excluded.cached_tokens,
                 output_tokens = rollups.output_tokens + excluded.output_tokens,
                 charge_nanos = rollups.charge_nanos + excluded.charge_nanos",
            values(run.len(), &[""; 10])
        ));
        for (key, sums) in run {
            add = add
                .bind(key.grain)
                .bind(key.at)
                .bind(key.account_id)
                .bind(key.key_id)
                .bind(key.model)
                .bind(sums.requests)
                .bind(sums.input_tokens)
                .bind(sums.cached_tokens)
                .bind(sums.output_tokens)
                .bind(sums.charge_nanos);
        }
        add.execute(&mut **tx).await?;
    }
    Ok(())
}
