//! Posts: what a request used is paid, once.

use qwenda_ledger::{account::Kind, money::Currency};

use super::{
    Done, Post,
    batch::{Batch, room},
    transfer::Transfer,
};
use crate::{Error, json};

impl Batch {
    pub(super) async fn post(&mut self, post: &Post) -> Result<Done, Error> {
        let Post { line, settlement, now } = post;
        let Some(open) = self.open_hold(&line.id, "expired").await? else { return Ok(Done::Changed(0)) };
        self.close(&line.id, "posted", *now).await?;
        let charge = settlement.charge.total.get();
        for part in &open.parts {
            let used = match part.kind {
                Kind::Balance => charge,
                _ => settlement.tokens.iter().find(|used| used.bucket == part.bucket).map_or(0, |used| used.amount),
            };
            let held = if open.expired { 0 } else { part.amount };
            self.pay(&part.bucket, held, used).await?;
        }
        let mut balance = open.parts.iter().find(|part| part.kind == Kind::Balance).map(|part| part.bucket.clone());
        if charge > 0 && balance.is_none() {
            // Nothing was held, and something was used: it is owed all the same.
            let id = balance_id(&line.account_id);
            self.pay(&id, 0, charge).await?;
            balance = Some(id);
        }
        for used in &settlement.tokens {
            self.record(Transfer {
                id: format!("{}/{}", line.id, used.bucket),
                kind: "usage",
                debit: used.bucket.clone(),
                credit: "used:tokens".to_owned(),
                amount: used.amount,
                request_id: Some(&line.id),
                note: "",
                at: *now,
            })
            .await?;
            self.ours("used:tokens".to_owned(), used.amount)?;
        }
        if let Some(balance) = balance.filter(|_| charge > 0) {
            let revenue = format!("revenue:{}", self.currency(&line.account_id).await?);
            self.record(Transfer {
                id: format!("{}/money", line.id),
                kind: "usage",
                debit: balance,
                credit: revenue.clone(),
                amount: charge,
                request_id: Some(&line.id),
                note: "",
                at: *now,
            })
            .await?;
            self.ours(revenue, charge)?;
        }
        for held in &open.budgets {
            let amount = if open.expired { 0 } else { held.amount };
            self.settle_budget(&open.key_id, &held.period, amount, charge).await?;
        }
        sqlx::query(
            "INSERT INTO requests (id, at, account_id, key_id, task, model, status, usage, covered, lines, charge_nanos,
                                   price_id, first_token_ms, took_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
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
        .bind(charge)
        .bind(&line.price_id)
        .bind(line.first_token_ms)
        .bind(line.took_ms)
        .execute(&mut *self.tx)
        .await?;
        self.roll_up(line, charge)?;
        Ok(Done::Changed(1))
    }

    /// Takes out of a bucket what was used, and lets go of what was held.
    async fn pay(&mut self, bucket: &str, held: i64, used: i64) -> Result<(), Error> {
        let (least, most) = room(used.checked_neg().ok_or(Error::Overflow)?);
        let done = sqlx::query(
            "UPDATE buckets SET pending = pending - $2, posted = posted - $3
             WHERE id = $1 AND posted BETWEEN $4 AND $5",
        )
        .bind(bucket)
        .bind(held)
        .bind(used)
        .bind(least)
        .bind(most)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Raced) }
    }

    pub(super) async fn currency(&mut self, account_id: &str) -> Result<Currency, Error> {
        let (currency,): (String,) = sqlx::query_as("SELECT currency FROM accounts WHERE id = $1")
            .bind(account_id)
            .fetch_one(&mut *self.tx)
            .await?;
        currency.parse().map_err(|_| Error::Row { what: "accounts.currency", why: currency })
    }
}

/// The id of an account's balance.
pub(crate) fn balance_id(account_id: &str) -> String {
    format!("balance:{account_id}")
}
