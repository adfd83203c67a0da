//! Lines of the journal, and what comes in.

use qwenda_ledger::{account::Uncovered, money::Nanos};

use super::{
    Deposit, Deposited, Done, Refused,
    batch::{Batch, room},
    post::balance_id,
};
use crate::Error;

/// A line of the journal: `amount` goes from one bucket to another.
pub(super) struct Transfer<'a> {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) debit: String,
    pub(super) credit: String,
    pub(super) amount: i64,
    pub(super) request_id: Option<&'a str>,
    pub(super) note: &'a str,
    pub(super) at: i64,
}

impl Batch {
    pub(super) async fn record(&mut self, transfer: Transfer<'_>) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO transfers (id, at, kind, debit, credit, amount, request_id, note)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&transfer.id)
        .bind(transfer.at)
        .bind(transfer.kind)
        .bind(&transfer.debit)
        .bind(&transfer.credit)
        .bind(transfer.amount)
        .bind(transfer.request_id)
        .bind(transfer.note)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    pub(super) async fn deposit(&mut self, deposit: &Deposit) -> Result<Done, Error> {
        let known: Option<(String,)> = sqlx::query_as("SELECT id FROM transfers WHERE id = $1")
            .bind(&deposit.id)
            .fetch_optional(&mut *self.tx)
            .await?;
        if known.is_some() {
            return Ok(Done::Changed(0));
        }
        let account: Option<(i64,)> = sqlx::query_as("SELECT version FROM accounts WHERE id = $1")
            .bind(&deposit.account_id)
            .fetch_optional(&mut *self.tx)
            .await?;
        if account.is_none() {
            return Ok(Done::Refused(Refused::Account));
        }
        let (kind, ours, theirs, amount) = match &deposit.what {
            Deposited::Money(amount) => {
                let paid = format!("paid:{}", self.currency(&deposit.account_id).await?);
                let kind = if amount.is_negative() { "refund" } else { "top-up" };
                (kind, paid, balance_id(&deposit.account_id), amount.get())
            }
            Deposited::Tokens { free, tokens, models, expires_at } => {
                let bucket = format!("tokens:{}", deposit.id);
                let kind = if *free { "quota" } else { "pack" };
                sqlx::query(
                    "INSERT INTO buckets (id, account_id, kind, unit, models, posted, pending, expires_at, created_at)
                     VALUES ($1, $2, $3, 'tokens', $4, 0, 0, $5, $6)",
                )
                .bind(&bucket)
                .bind(&deposit.account_id)
                .bind(kind)
                .bind(models)
                .bind(expires_at)
                .bind(deposit.now)
                .execute(&mut *self.tx)
                .await?;
                (kind, "given:tokens".to_owned(), bucket, *tokens)
            }
        };
        let back = amount.checked_neg().ok_or(Error::Overflow)?;
        let (least, most) = room(amount);
        let done = sqlx::query(
            "UPDATE buckets SET posted = posted + $2
             WHERE id = $1 AND posted BETWEEN $3 AND $4 AND ($2 > 0 OR posted - pending >= $5)",
        )
        .bind(&theirs)
        .bind(amount)
        .bind(least)
        .bind(most)
        .bind(back)
        .execute(&mut *self.tx)
        .await?;
        if done.rows_affected() == 0 && amount > 0 {
            return Err(Error::Overflow);
        }
        if done.rows_affected() == 0 {
            let (free,): (i64,) = sqlx::query_as("SELECT posted - pending FROM buckets WHERE id = $1")
                .bind(&theirs)
                .fetch_one(&mut *self.tx)
                .await?;
            let (wanted, spendable) = (Nanos::new(back), Nanos::new(free.max(0)));
            return Ok(Done::Refused(Refused::Uncovered(Uncovered::Money { wanted, spendable })));
        }
        self.ours(ours.clone(), back)?;
        let (debit, credit) = if amount > 0 { (ours, theirs) } else { (theirs, ours) };
        self.record(Transfer {
            id: deposit.id.clone(),
            kind,
            debit,
            credit,
            amount: amount.abs(),
            request_id: None,
            note: &deposit.note,
            at: deposit.now,
        })
        .await?;
        Ok(Done::Changed(1))
    }
}
