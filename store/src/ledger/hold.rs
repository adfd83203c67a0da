//! Holds: taken, topped up, kept, let go.

use qwenda_ledger::{
    account::{Bucket, Kind, Most, Part, cover},
    money::Nanos,
    policy::ModelPattern,
};

use serde::{Deserialize, Serialize};

use super::{
    Budget, Done, HoldAsk, Refused, TopUp,
    batch::{Batch, room},
};
use crate::{Error, json};

/// What a hold took of a budget.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeldBudget {
    pub(crate) period: String,
    pub(crate) amount: i64,
    /// What the key might spend in the period when it was held.
    pub(crate) max: i64,
}

/// An open hold as it is written.
pub(super) struct Open {
    pub(super) account_id: String,
    pub(super) key_id: String,
    pub(super) parts: Vec<Part>,
    pub(super) budgets: Vec<HeldBudget>,
    /// Whether its time was over before: then nothing is pending for it any more.
    pub(super) expired: bool,
}

impl Batch {
    pub(super) async fn hold(&mut self, ask: &HoldAsk) -> Result<Done, Error> {
        let known: Option<(String, String)> = sqlx::query_as("SELECT state, parts FROM holds WHERE id = $1")
            .bind(&ask.id)
            .fetch_optional(&mut *self.tx)
            .await?;
        match known {
            Some((state, parts)) if state == "pending" => return Ok(Done::Held(json::read("holds.parts", &parts)?)),
            Some(_) => return Ok(Done::Refused(Refused::NotOpen)),
            None => {}
        }
        let Some(credit) = self.credit(&ask.account_id).await? else { return Ok(Done::Refused(Refused::Account)) };
        let buckets = self.buckets(&ask.account_id, &ask.model).await?;
        let parts = match cover(&buckets, Nanos::new(credit), ask.most, ask.now) {
            Ok(parts) => parts,
            Err(why) => return Ok(Done::Refused(Refused::Uncovered(why))),
        };
        let money = money_of(&parts);
        if let Some(refused) = self.take_budgets(&ask.key_id, &ask.budgets, money).await? {
            return Ok(Done::Refused(refused));
        }
        for part in &parts {
            self.take(part, credit).await?;
        }
        let budgets: Vec<HeldBudget> = ask
            .budgets
            .iter()
            .map(|budget| HeldBudget { period: budget.period.clone(), amount: money, max: budget.nanos_max.get() })
            .collect();
        sqlx::query(
            "INSERT INTO holds (id, account_id, key_id, model, price_id, parts, budgets, instance, state, created_at,
                                expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10)",
        )
        .bind(&ask.id)
        .bind(&ask.account_id)
        .bind(&ask.key_id)
        .bind(&ask.model)
        .bind(&ask.price_id)
        .bind(json::write(&parts))
        .bind(json::write(&budgets))
        .bind(&ask.instance)
        .bind(ask.now)
        .bind(ask.expires_at)
        .execute(&mut *self.tx)
        .await?;
        Ok(Done::Held(parts))
    }

    /// A top-up has no id: whether it was done `before` shows in the money held, which only grows.
    pub(super) async fn top_up(&mut self, top_up: &TopUp, before: Option<&Done>) -> Result<Done, Error> {
        let TopUp { id, more, expires_at, now } = top_up;
        let Some(mut open) = self.open_hold(id, "pending").await? else {
            return Ok(Done::Refused(Refused::NotOpen));
        };
        if let Some(Done::Held(parts)) = before
            && money_of(&open.parts) >= money_of(parts)
        {
            return Ok(Done::Held(open.parts));
        }
        let Some(credit) = self.credit(&open.account_id).await? else { return Ok(Done::Refused(Refused::Account)) };
        let balances = self.buckets(&open.account_id, "").await?;
        let balances: Vec<Bucket> = balances.into_iter().filter(|bucket| bucket.kind == Kind::Balance).collect();
        let most = Most { tokens: 0, money: *more, money_allowed: true };
        let part = match cover(&balances, Nanos::new(credit), most, *now) {
            Ok(mut parts) => parts.pop(),
            Err(why) => return Ok(Done::Refused(Refused::Uncovered(why))),
        };
        let Some(part) = part else { return Ok(Done::Held(open.parts)) };
        let budgets: Vec<Budget> = open
            .budgets
            .iter()
            .map(|held| Budget { period: held.period.clone(), nanos_max: Nanos::new(held.max) })
            .collect();
        if let Some(refused) = self.take_budgets(&open.key_id, &budgets, part.amount).await? {
            return Ok(Done::Refused(refused));
        }
        for held in &mut open.budgets {
            held.amount = held.amount.checked_add(part.amount).ok_or(Error::Overflow)?;
        }
        self.take(&part, credit).await?;
        match open.parts.iter_mut().find(|held| held.bucket == part.bucket) {
            Some(held) => held.amount = held.amount.checked_add(part.amount).ok_or(Error::Overflow)?,
            None => open.parts.push(part),
        }
        sqlx::query("UPDATE holds SET parts = $2, budgets = $3, expires_at = $4 WHERE id = $1")
            .bind(id)
            .bind(json::write(&open.parts))
            .bind(json::write(&open.budgets))
            .bind(expires_at)
            .execute(&mut *self.tx)
            .await?;
        Ok(Done::Held(open.parts))
    }

    pub(super) async fn void(&mut self, id: &str, now: i64) -> Result<Done, Error> {
        let Some(open) = self.open_hold(id, "pending").await? else { return Ok(Done::Changed(0)) };
        self.close(id, "voided", now).await?;
        self.let_go(&open).await?;
        Ok(Done::Changed(1))
    }

    pub(super) async fn expire(&mut self, now: i64) -> Result<Done, Error> {
        let late: Vec<(String,)> =
            sqlx::query_as("SELECT id FROM holds WHERE state = 'pending' AND expires_at <= $1 ORDER BY id")
                .bind(now)
                .fetch_all(&mut *self.tx)
                .await?;
        let mut expired = 0;
        for (id,) in &late {
            match self.open_hold(id, "pending").await {
                Ok(Some(open)) => {
                    self.close(id, "expired", now).await?;
                    self.let_go(&open).await?;
                    expired += 1;
                }
                // One that cannot be read must not keep all others; it stays for the audit to find.
                Ok(None) | Err(Error::Row { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Done::Changed(expired))
    }

    pub(super) async fn keep(&mut self, instance: &str, expires_at: i64) -> Result<Done, Error> {
        let done = sqlx::query(
            "UPDATE holds SET expires_at = $2 WHERE state = 'pending' AND instance = $1 AND expires_at < $2",
        )
        .bind(instance)
        .bind(expires_at)
        .execute(&mut *self.tx)
        .await?;
        Ok(Done::Changed(done.rows_affected()))
    }

    /// The hold of this id, if it is in this state, or in `pending`.
    pub(super) async fn open_hold(&mut self, id: &str, or: &str) -> Result<Option<Open>, Error> {
        type Columns = (String, String, String, String, String);
        let found: Option<Columns> = sqlx::query_as(
            "SELECT account_id, key_id, parts, budgets, state FROM holds
             WHERE id = $1 AND (state = 'pending' OR state = $2)",
        )
        .bind(id)
        .bind(or)
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some((account_id, key_id, parts, budgets, state)) = found else { return Ok(None) };
        let parts = json::read("holds.parts", &parts)?;
        let budgets = json::read("holds.budgets", &budgets)?;
        Ok(Some(Open { account_id, key_id, parts, budgets, expired: state == "expired" }))
    }

    /// A hold is closed once: the state that it leaves is in the write.
    pub(super) async fn close(&mut self, id: &str, state: &str, now: i64) -> Result<(), Error> {
        let done = sqlx::query(
            "UPDATE holds SET state = $2, settled_at = $3 WHERE id = $1 AND state IN ('pending', 'expired')",
        )
        .bind(id)
        .bind(state)
        .bind(now)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Raced) }
    }

    async fn let_go(&mut self, open: &Open) -> Result<(), Error> {
        for part in &open.parts {
            sqlx::query("UPDATE buckets SET pending = pending - $2 WHERE id = $1")
                .bind(&part.bucket)
                .bind(part.amount)
                .execute(&mut *self.tx)
                .await?;
        }
        for held in &open.budgets {
            self.settle_budget(&open.key_id, &held.period, held.amount, 0).await?;
        }
        Ok(())
    }

    /// Gives back what was held of a budget and spends what was used.
    pub(super) async fn settle_budget(
        &mut self,
        key_id: &str,
        period: &str,
        held: i64,
        spent: i64,
    ) -> Result<(), Error> {
        sqlx::query("UPDATE budgets SET pending = pending - $3, spent = spent + $4 WHERE key_id = $1 AND period = $2")
            .bind(key_id)
            .bind(period)
            .bind(held)
            .bind(spent)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// The credit line of an account; `None` if there is no such account, or it is suspended.
    async fn credit(&mut self, account_id: &str) -> Result<Option<i64>, Error> {
        let account: Option<(i64, Option<i64>)> =
            sqlx::query_as("SELECT credit_nanos, suspended_at FROM accounts WHERE id = $1")
                .bind(account_id)
                .fetch_optional(&mut *self.tx)
                .await?;
        Ok(account.and_then(|(credit, suspended_at)| suspended_at.is_none().then_some(credit)))
    }

    /// The account's own buckets that a model may use.
    async fn buckets(&mut self, account_id: &str, model: &str) -> Result<Vec<Bucket>, Error> {
        type Columns = (String, String, String, i64, Option<i64>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, kind, models, posted - pending, expires_at FROM buckets
             WHERE account_id = $1 AND (kind = 'balance' OR posted - pending > 0)",
        )
        .bind(account_id)
        .fetch_all(&mut *self.tx)
        .await?;
        let mut buckets = Vec::with_capacity(rows.len());
        for (id, kind, models, free, expires_at) in rows {
            let Some(kind) = Kind::from_name(&kind) else { continue };
            let fits = models.parse::<ModelPattern>().is_ok_and(|pattern| pattern.matches(model));
            if kind == Kind::Balance || fits {
                buckets.push(Bucket { id, kind, free, expires_at });
            }
        }
        Ok(buckets)
    }

    /// Takes a part of a bucket. The guard is in the write: the balance down to minus the credit line,
    /// tokens down to none.
    async fn take(&mut self, part: &Part, credit: i64) -> Result<(), Error> {
        let floor = if part.kind == Kind::Balance { 0_i64.saturating_sub(credit) } else { 0 };
        let done = sqlx::query(
            "UPDATE buckets SET pending = pending + $2 WHERE id = $1 AND posted - pending >= $3 AND pending <= $4",
        )
        .bind(&part.bucket)
        .bind(part.amount)
        .bind(floor.saturating_add(part.amount))
        .bind(room(part.amount).1)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Raced) }
    }

    async fn take_budgets(&mut self, key: &str, budgets: &[Budget], money: i64) -> Result<Option<Refused>, Error> {
        for (taken, budget) in budgets.iter().enumerate() {
            let max = budget.nanos_max.get();
            sqlx::query(
                "INSERT INTO budgets (key_id, period, spent, pending) VALUES ($1, $2, 0, 0)
                 ON CONFLICT (key_id, period) DO NOTHING",
            )
            .bind(key)
            .bind(&budget.period)
            .execute(&mut *self.tx)
            .await?;
            let done = sqlx::query(
                "UPDATE budgets SET pending = pending + $3
                 WHERE key_id = $1 AND period = $2 AND ($3 = 0 OR spent + pending <= $4)",
            )
            .bind(key)
            .bind(&budget.period)
            .bind(money)
            .bind(max.saturating_sub(money))
            .execute(&mut *self.tx)
            .await?;
            if done.rows_affected() == 1 {
                continue;
            }
            let (used,): (i64,) =
                sqlx::query_as("SELECT spent + pending FROM budgets WHERE key_id = $1 AND period = $2")
                    .bind(key)
                    .bind(&budget.period)
                    .fetch_one(&mut *self.tx)
                    .await?;
            // All or nothing: what was taken of the budgets before goes back.
            for earlier in &budgets[..taken] {
                self.settle_budget(key, &earlier.period, money, 0).await?;
            }
            return Ok(Some(Refused::Budget {
                period: budget.period.clone(),
                wanted: Nanos::new(money),
                left: Nanos::new(max.saturating_sub(used).max(0)),
            }));
        }
        Ok(None)
    }
}

/// The money in a hold.
fn money_of(parts: &[Part]) -> i64 {
    parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| part.amount).sum()
}
