//! Holds and posts, and where money and tokens are.
//!
//! One thread writes for everybody: what waits is written in one transaction (`writer.rs`), and each is
//! answered when that is durable. What all of it is about is read at once (`batch.rs`), changed in memory by
//! the rules (`state.rs`, `hold.rs`, `post.rs`, `transfer.rs`) and written at once. Writers of several processes
//! take turns at one row, so what one reads there nobody else changes; the guard is in the write all the same.
//!
//! Everything is found again by an id that its caller makes, so it may be asked for twice and happens once.

mod batch;
mod hold;
mod post;
mod state;
mod transfer;
mod writer;

use qwenda_ledger::{
    account::{Most, Part, Settlement, Uncovered},
    money::Nanos,
    price::Usage,
};
pub use state::GRAINS;
pub(crate) use {
    hold::HeldBudget,
    post::balance_id,
    writer::{Writer, start},
};

use crate::{Error, Store, contents::Content};

/// A request that is to be covered before it is worked on.
#[derive(Debug, Clone)]
pub struct HoldAsk {
    /// The request's id.
    pub id: String,
    pub account_id: String,
    pub key_id: String,
    /// As the caller named it.
    pub model: String,
    /// The price it is admitted under.
    pub price_id: String,
    /// What it may cost at most.
    pub most: Most,
    pub budgets: Vec<Budget>,
    /// Who holds it: the process that answers.
    pub instance: String,
    /// Unix seconds.
    pub now: i64,
    /// Unix seconds, after which it is let go unless it was kept.
    pub expires_at: i64,
}

/// What a key, a project or an account may spend in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The id of whose budget it is.
    pub owner: String,
    /// `day:2026-02-28`, `month:2026-02`, `total`.
    pub period: String,
    pub nanos_max: Nanos,
}

/// Why a request is not covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no such account, or it is suspended.
    Account,
    /// Nothing pays for it.
    Uncovered(Uncovered),
    /// The owner of a budget may not spend so much.
    Budget { owner: String, period: String, wanted: Nanos, left: Nanos },
    /// The hold it belongs to is not open any more.
    NotOpen,
}

/// One request as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    pub id: String,
    /// When it was admitted, Unix seconds.
    pub at: i64,
    pub account_id: String,
    pub key_id: String,
    pub task: String,
    /// As the caller named it.
    pub model: String,
    /// How it ended.
    pub status: String,
    pub usage: Usage,
    pub price_id: String,
    pub first_token_ms: Option<i64>,
    pub took_ms: i64,
}

/// What a hold comes to.
#[derive(Debug, Clone)]
pub struct Post {
    pub line: RequestLine,
    pub settlement: Settlement,
    /// What was asked and answered, where it is to be kept.
    pub content: Option<Content>,
    /// Unix seconds.
    pub now: i64,
}

/// Money or tokens that come to an account, or go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Made by who asks, so that asking again changes nothing.
    pub id: String,
    pub account_id: String,
    pub what: Deposited,
    pub note: String,
    /// Unix seconds.
    pub now: i64,
}

/// What is deposited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deposited {
    /// Paid into the balance, or, where negative, paid back from it.
    Money(Nanos),
    /// Tokens for models of this pattern: given, or paid for in advance.
    Tokens {
        /// Given for nothing.
        free: bool,
        tokens: i64,
        models: String,
        /// Unix seconds.
        expires_at: Option<i64>,
    },
}

/// More money for a hold.
#[derive(Debug, Clone)]
pub(crate) struct TopUp {
    id: String,
    /// All of the money that is to be held.
    money: Nanos,
    expires_at: i64,
    now: i64,
}

/// What a writer does.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Hold(HoldAsk),
    TopUp(TopUp),
    Post(Post),
    Void { id: String, now: i64 },
    Expire { now: i64 },
    Keep { instance: String, expires_at: i64 },
    Deposit(Deposit),
}

impl Op {
    /// Whether it is about all holds of some kind, not one that it names.
    fn is_about_all(&self) -> bool {
        matches!(self, Self::Expire { .. } | Self::Keep { .. })
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    Held(Vec<Part>),
    Refused(Refused),
    /// Whether this changed something, or how many.
    Changed(u64),
}

impl Store {
    /// Holds what a request may cost. The answer's parts are what [`post`](Self::post) settles. Asked again
    /// with the same id, it answers the same and changes nothing.
    pub async fn hold(&self, ask: HoldAsk) -> Result<Result<Vec<Part>, Refused>, Error> {
        not_negative("a hold", ask.most.money.get())?;
        Ok(match self.writer.ask(Op::Hold(ask)).await? {
            Done::Held(parts) => Ok(parts),
            Done::Refused(refused) => Err(refused),
            Done::Changed(_) => unreachable!("a hold is held or refused"),
        })
    }

    /// Holds so much money in all for a request that goes on, or says why not; the parts then are all. Where as
    /// much is held already, nothing changes.
    pub async fn top_up(
        &self,
        id: &str,
        money: Nanos,
        expires_at: i64,
        now: i64,
    ) -> Result<Result<Vec<Part>, Refused>, Error> {
        not_negative("a top-up", money.get())?;
        let top_up = TopUp { id: id.to_owned(), money, expires_at, now };
        Ok(match self.writer.ask(Op::TopUp(top_up)).await? {
            Done::Held(parts) => Ok(parts),
            Done::Refused(refused) => Err(refused),
            Done::Changed(_) => unreachable!("a hold is topped up or refused"),
        })
    }

    /// Settles a hold: what it used is paid, the rest is free again, and the request is on record. `false`:
    /// it was settled before, and nothing changed. An expired hold is paid all the same.
    pub async fn post(&self, post: Post) -> Result<bool, Error> {
        Ok(self.changed(Op::Post(post)).await? == 1)
    }

    /// Lets go of a hold of which nothing was used. `false`: it is not open.
    pub async fn void(&self, id: &str, now: i64) -> Result<bool, Error> {
        Ok(self.changed(Op::Void { id: id.to_owned(), now }).await? == 1)
    }

    /// Lets go of all holds whose time is over, a few at a time, and says how many those were.
    pub async fn expire(&self, now: i64) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            let some = self.changed(Op::Expire { now }).await?;
            all += some;
            if some < batch::EXPIRED_MAX as u64 {
                return Ok(all);
            }
        }
    }

    /// Whether any hold is open.
    pub async fn has_open_holds(&self) -> Result<bool, Error> {
        let one: Option<(String,)> =
            sqlx::query_as("SELECT id FROM holds WHERE state = 'pending' LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(one.is_some())
    }

    /// Gives all open holds of a process more time.
    pub async fn keep(&self, instance: &str, expires_at: i64) -> Result<u64, Error> {
        self.changed(Op::Keep { instance: instance.to_owned(), expires_at }).await
    }

    /// Deposits money or tokens. `false`: one of this id was made before, and nothing changed.
    pub async fn deposit(&self, deposit: Deposit) -> Result<Result<bool, Refused>, Error> {
        let amount = match deposit.what {
            Deposited::Money(amount) => amount.get(),
            Deposited::Tokens { tokens, .. } => not_negative("a deposit of tokens", tokens).map(|()| tokens)?,
        };
        if amount == 0 {
            return Err(Error::Amount { what: "a deposit", amount });
        }
        Ok(match self.writer.ask(Op::Deposit(deposit)).await? {
            Done::Changed(count) => Ok(count == 1),
            Done::Refused(refused) => Err(refused),
            Done::Held(_) => unreachable!("a deposit holds nothing"),
        })
    }

    async fn changed(&self, op: Op) -> Result<u64, Error> {
        match self.writer.ask(op).await? {
            Done::Changed(count) => Ok(count),
            other => unreachable!("{other:?} counts nothing"),
        }
    }
}

/// Refuses what would give where it should take.
pub(crate) fn not_negative(what: &'static str, amount: i64) -> Result<(), Error> {
    if amount < 0 { Err(Error::Amount { what, amount }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
