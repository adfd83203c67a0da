//! One transaction of several operations: what they are about is read at once, they are done in memory, and what
//! came of it is written at once. Every write names what was read: nobody else has changed it meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Done, Op,
    post::balance_id,
    state::{Account, Amounts, Broken, BudgetRow, Hold, Place, Spent, State, hold_ids},
};
use crate::{
    Error, json,
    link::{Link, Row, Tx, Value},
    rows::{pieces, read, write, wrote},
};

/// Late holds that one operation lets go of: others wait meanwhile.
pub(super) const EXPIRED_MAX: i64 = 256;
/// Our own buckets.
const OURS: [&str; 6] = ["paid:CNY", "paid:USD", "revenue:CNY", "revenue:USD", "given:tokens", "used:tokens"];

pub(super) struct Batch<'a> {
    tx: Tx<'a>,
    state: State<'a>,
    /// How many holds were given more time.
    kept: u64,
}

impl<'a> Batch<'a> {
    pub(super) async fn begin(link: &'a mut Link) -> Result<Self, Error> {
        Ok(Self { tx: link.begin().await?, state: State::default(), kept: 0 })
    }

    /// Reads what operations are about.
    pub(super) async fn read(&mut self, ops: &[Op]) -> Result<(), Error> {
        let Self { tx, state, kept } = self;
        *kept = keep(tx, ops).await?;
        read_holds(tx, state, ops).await?;
        read_deposits(tx, state, ops).await?;
        read_accounts(tx, state, ops).await?;
        read_buckets(tx, state, ops).await?;
        read_budgets(tx, state, ops).await
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
        write_contents(&mut self.tx, &self.state).await?;
        write_rollups(&mut self.tx, &self.state).await?;
        self.tx.commit().await
    }
}

/// Gives the holds of processes more time, before anything is read.
async fn keep(tx: &mut Tx<'_>, ops: &[Op]) -> Result<u64, Error> {
    let mut kept = 0;
    for op in ops {
        if let Op::Keep { instance, expires_at } = op {
            let sql = "UPDATE holds SET expires_at = $2 WHERE state = 'pending' AND instance = $1 AND expires_at < $2";
            kept += tx.execute(sql, vec![instance.into(), (*expires_at).into()]).await?;
        }
    }
    Ok(kept)
}

const HOLDS: &str = "SELECT id, account_id, key_id, parts, budgets, state, expires_at FROM holds WHERE ";

async fn read_holds(tx: &mut Tx<'_>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    for mut row in read(tx, &format!("{HOLDS}id IN ({{}})"), &hold_ids(ops)).await? {
        state.holds.insert(row.text(0)?, hold(&mut row)?);
    }
    let until = ops.iter().filter_map(|op| if let Op::Expire { now } = op { Some(*now) } else { None }).min();
    let Some(until) = until else { return Ok(()) };
    let sql = format!("{HOLDS}state = 'pending' AND expires_at <= $1 ORDER BY expires_at, id LIMIT {EXPIRED_MAX}");
    for mut row in tx.query(&sql, vec![until.into()]).await? {
        let id = row.text(0)?;
        state.late.push(id.clone());
        state.holds.insert(id, hold(&mut row)?);
    }
    Ok(())
}

fn hold(row: &mut Row) -> Result<Hold<'static>, Error> {
    let parts = json::read("holds.parts", &row.text(3)?);
    let budgets = json::read("holds.budgets", &row.text(4)?);
    let broken = match (&parts, &budgets) {
        (Err(Error::Row { what, why }), _) | (_, Err(Error::Row { what, why })) => {
            Some(Broken { what, why: why.clone() })
        }
        _ => None,
    };
    Ok(Hold {
        account_id: row.text(1)?,
        key_id: row.text(2)?,
        parts: parts.unwrap_or_default(),
        budgets: budgets.unwrap_or_default(),
        state: row.text(5)?,
        expires_at: row.int(6)?,
        settled_at: None,
        new: None,
        grown: false,
        broken,
    })
}

async fn read_deposits(tx: &mut Tx<'_>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let ids = ops.iter().filter_map(|op| if let Op::Deposit(deposit) = op { Some(deposit.id.as_str()) } else { None });
    let ids: Vec<&str> = ids.collect();
    for mut row in read(tx, "SELECT id FROM transfers WHERE id IN ({})", &ids).await? {
        state.deposited.insert(row.text(0)?);
    }
    Ok(())
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

async fn read_accounts(tx: &mut Tx<'_>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let ids = account_ids(state, ops);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sql = "SELECT id, currency, credit_nanos, suspended_at FROM accounts WHERE id IN ({})";
    for mut row in read(tx, sql, &ids).await? {
        let (currency, credit, suspended) = (row.text(1)?, row.int(2)?, row.int_or_none(3)?.is_some());
        state.accounts.insert(row.text(0)?, Account { currency, credit, suspended });
    }
    Ok(())
}

const BUCKETS: &str = "SELECT id, account_id, kind, models, posted, pending, expires_at FROM buckets WHERE ";

async fn read_buckets(tx: &mut Tx<'_>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    // What holds are taken of, and what is not covered is owed to.
    let accounts = account_ids(state, ops);
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let theirs = format!("{BUCKETS}account_id IN ({{}}) AND (kind = 'balance' OR posted - pending > 0)");
    for mut row in read(tx, &theirs, &accounts).await? {
        state.buckets.insert(row.text(0)?, place(&mut row)?);
    }
    let parts = state.holds.values().flat_map(|hold| &hold.parts);
    let mut more: BTreeSet<String> = parts.map(|part| part.bucket.clone()).collect();
    more.extend(accounts.iter().map(|id| balance_id(id)));
    if ops.iter().any(|op| matches!(op, Op::Post(_) | Op::Deposit(_))) {
        more.extend(OURS.map(str::to_owned));
    }
    more.retain(|id| !state.buckets.contains_key(id));
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    for mut row in read(tx, &format!("{BUCKETS}id IN ({{}})"), &more).await? {
        state.buckets.insert(row.text(0)?, place(&mut row)?);
    }
    Ok(())
}

fn place(row: &mut Row) -> Result<Place<'static>, Error> {
    let was = Amounts { posted: row.int(4)?, pending: row.int(5)? };
    let (account_id, kind, models) = (row.text_or_none(1)?, row.text(2)?, row.text(3)?);
    Ok(Place { account_id, kind, models, expires_at: row.int_or_none(6)?, was, now: was, new: None })
}

async fn read_budgets(tx: &mut Tx<'_>, state: &mut State<'_>, ops: &[Op]) -> Result<(), Error> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut want = |period: &str, owner: &str| {
        wanted.entry(period.to_owned()).or_default().insert(owner.to_owned());
    };
    for op in ops {
        if let Op::Hold(ask) = op {
            ask.budgets.iter().for_each(|budget| want(&budget.period, &budget.owner));
        }
    }
    for hold in state.holds.values() {
        hold.budgets.iter().for_each(|held| want(&held.period, held.owner(&hold.key_id)));
    }
    // There are few periods at a time, and many owners.
    for (period, owners) in wanted {
        let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
        for (_, places, values) in pieces(1, &owners) {
            let sql = format!("SELECT key_id, spent, pending FROM budgets WHERE period = $1 AND key_id IN ({places})");
            let values = std::iter::once(Value::from(&period)).chain(values).collect();
            for mut row in tx.query(&sql, values).await? {
                let now = Spent { spent: row.int(1)?, pending: row.int(2)? };
                state.budgets.insert((row.text(0)?, period.clone()), BudgetRow { was: Some(now), now });
            }
        }
    }
    Ok(())
}

async fn write_holds(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let new: Vec<_> = state.holds.values().filter_map(|hold| hold.new.map(|ask| (ask, hold))).collect();
    let sql = "INSERT INTO holds (id, account_id, key_id, model, price_id, parts, budgets, instance, state, created_at,
                                  expires_at, settled_at)
               VALUES {}";
    write(tx, sql, &[""; 12], &new, |(ask, hold)| {
        vec![
            (&ask.id).into(),
            (&ask.account_id).into(),
            (&ask.key_id).into(),
            (&ask.model).into(),
            (&ask.price_id).into(),
            json::write(&hold.parts).into(),
            json::write(&hold.budgets).into(),
            (&ask.instance).into(),
            (&hold.state).into(),
            ask.now.into(),
            hold.expires_at.into(),
            hold.settled_at.into(),
        ]
    })
    .await?;
    let mut closed: BTreeMap<(&str, i64), Vec<&str>> = BTreeMap::new();
    for (id, hold) in state.holds.iter().filter(|(_, hold)| hold.new.is_none()) {
        if hold.grown {
            let sql = "UPDATE holds SET parts = $2, budgets = $3, expires_at = $4 WHERE id = $1 AND state = 'pending'";
            let (parts, budgets) = (json::write(&hold.parts), json::write(&hold.budgets));
            let values = vec![id.into(), parts.into(), budgets.into(), hold.expires_at.into()];
            wrote(tx.execute(sql, values).await?, 1)?;
        }
        if let Some(at) = hold.settled_at {
            closed.entry((&hold.state, at)).or_default().push(id);
        }
    }
    for ((to, at), ids) in closed {
        for (rows, places, values) in pieces(2, &ids) {
            let sql = format!(
                "UPDATE holds SET state = $1, settled_at = $2
                 WHERE id IN ({places}) AND state IN ('pending', 'expired')"
            );
            let values = [Value::from(to), at.into()].into_iter().chain(values).collect();
            wrote(tx.execute(&sql, values).await?, rows)?;
        }
    }
    Ok(())
}

async fn write_buckets(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let mut changed = Vec::new();
    for (id, place) in &state.buckets {
        if let Some(deposit) = place.new {
            let sql =
                "INSERT INTO buckets (id, account_id, kind, unit, models, posted, pending, expires_at, created_at)
                       VALUES ($1, $2, $3, 'tokens', $4, $5, $6, $7, $8)";
            let values = vec![
                id.into(),
                (&deposit.account_id).into(),
                (&place.kind).into(),
                (&place.models).into(),
                place.now.posted.into(),
                place.now.pending.into(),
                place.expires_at.into(),
                deposit.now.into(),
            ];
            wrote(tx.execute(sql, values).await?, 1)?;
        } else if place.now != place.was {
            changed.push((id, place));
        }
    }
    let sql = "UPDATE buckets SET posted = d.column4, pending = d.column5 FROM (VALUES {}) AS d
               WHERE buckets.id = d.column1 AND buckets.posted = d.column2 AND buckets.pending = d.column3";
    write(tx, sql, &["TEXT", "BIGINT", "BIGINT", "BIGINT", "BIGINT"], &changed, |(id, Place { was, now, .. })| {
        vec![(*id).into(), was.posted.into(), was.pending.into(), now.posted.into(), now.pending.into()]
    })
    .await
}

async fn write_budgets(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let changed = state.budgets.iter().filter(|(_, row)| row.was != Some(row.now));
    for ((owner, period), BudgetRow { was, now }) in changed {
        let sql = match was {
            None => "INSERT INTO budgets (key_id, period, spent, pending) VALUES ($1, $2, $3, $4)",
            Some(_) => {
                "UPDATE budgets SET spent = $3, pending = $4
                 WHERE key_id = $1 AND period = $2 AND spent = $5 AND pending = $6"
            }
        };
        let mut values = vec![owner.into(), period.into(), now.spent.into(), now.pending.into()];
        values.extend(was.iter().flat_map(|was| [Value::from(was.spent), was.pending.into()]));
        wrote(tx.execute(sql, values).await?, 1)?;
    }
    Ok(())
}

async fn write_transfers(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let sql = "INSERT INTO transfers (id, at, kind, debit, credit, amount, request_id, note) VALUES {}";
    write(tx, sql, &[""; 8], &state.transfers, |transfer| {
        vec![
            (&transfer.id).into(),
            transfer.at.into(),
            transfer.kind.into(),
            (&transfer.debit).into(),
            (&transfer.credit).into(),
            transfer.amount.into(),
            transfer.request_id.into(),
            transfer.note.into(),
        ]
    })
    .await
}

async fn write_requests(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let sql = "INSERT INTO requests (id, at, account_id, key_id, task, model, status, usage, covered, lines,
                                     charge_nanos, price_id, first_token_ms, took_ms)
               VALUES {}";
    write(tx, sql, &[""; 14], &state.posts, |post| {
        let (line, settlement) = (&post.line, &post.settlement);
        vec![
            (&line.id).into(),
            line.at.into(),
            (&line.account_id).into(),
            (&line.key_id).into(),
            (&line.task).into(),
            (&line.model).into(),
            (&line.status).into(),
            json::write(&line.usage).into(),
            json::write(&settlement.tokens).into(),
            json::write(&settlement.charge.lines).into(),
            settlement.charge.total.get().into(),
            (&line.price_id).into(),
            line.first_token_ms.into(),
            line.took_ms.into(),
        ]
    })
    .await
}

async fn write_contents(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    for post in &state.posts {
        let Some(content) = &post.content else { continue };
        // An account that has changed its mind meanwhile has nothing more kept.
        let sql = "INSERT INTO contents (request_id, account_id, request, answer, expires_at)
                   SELECT CAST($1 AS TEXT), id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT)
                   FROM accounts WHERE id = $2 AND content_days > 0";
        let (id, account_id) = (&post.line.id, &post.line.account_id);
        let (request, answer) = (&content.request, &content.answer);
        let values = vec![id.into(), account_id.into(), request.into(), answer.into(), content.expires_at.into()];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

async fn write_rollups(tx: &mut Tx<'_>, state: &State<'_>) -> Result<(), Error> {
    let rollups: Vec<_> = state.rollups.iter().collect();
    let sql = "INSERT INTO rollups (grain, at, account_id, key_id, model, requests, input_tokens, cached_tokens,
                                    output_tokens, charge_nanos)
               VALUES {}
               ON CONFLICT (grain, at, account_id, key_id, model) DO UPDATE SET
                   requests = rollups.requests + excluded.requests,
                   input_tokens = rollups.input_tokens + excluded.input_tokens,
                   cached_tokens = rollups.cached_tokens + excluded.cached_tokens,
                   output_tokens = rollups.output_tokens + excluded.output_tokens,
                   charge_nanos = rollups.charge_nanos + excluded.charge_nanos";
    write(tx, sql, &[""; 10], &rollups, |(key, sums)| {
        vec![
            key.grain.into(),
            key.at.into(),
            key.account_id.into(),
            key.key_id.into(),
            key.model.into(),
            sums.requests.into(),
            sums.input_tokens.into(),
            sums.cached_tokens.into(),
            sums.output_tokens.into(),
            sums.charge_nanos.into(),
        ]
    })
    .await
}
