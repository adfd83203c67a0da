//! What a transaction has read, and as its operations change it. Nothing here waits for the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use qwenda_ledger::{
    account::{Bucket, Kind, Part},
    money::Nanos,
    policy::ModelPattern,
};

use super::{Budget, Deposit, HeldBudget, HoldAsk, Op, Post, Refused, RequestLine};
use crate::Error;

/// Most tokens of a request that roll-ups count: an upstream that reports more must not spoil their sums.
const ROLLUP_TOKENS_MAX: i64 = 1 << 40;

/// Seconds of the grains of roll-ups, with their names.
pub const GRAINS: [(&str, i64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// Everything that a batch of operations is about.
#[derive(Default)]
pub(super) struct State<'a> {
    pub(super) accounts: HashMap<String, Account>,
    pub(super) holds: HashMap<String, Hold<'a>>,
    /// Those that were pending and late when they were read, in order.
    pub(super) late: Vec<String>,
    pub(super) buckets: BTreeMap<String, Place<'a>>,
    pub(super) budgets: BTreeMap<(String, String), BudgetRow>,
    /// Ids of deposits that were made before.
    pub(super) deposited: HashSet<String>,
    pub(super) transfers: Vec<Transfer<'a>>,
    pub(super) posts: Vec<&'a Post>,
    pub(super) rollups: BTreeMap<RollupKey<'a>, Rollup>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) currency: String,
    pub(super) credit: i64,
    pub(super) suspended: bool,
}

/// A hold as it is, or was when it was read.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    pub(super) account_id: String,
    pub(super) key_id: String,
    pub(super) parts: Vec<Part>,
    pub(super) budgets: Vec<HeldBudget>,
    pub(super) state: String,
    pub(super) expires_at: i64,
    pub(super) settled_at: Option<i64>,
    /// Where it was taken in this transaction.
    pub(super) new: Option<&'a HoldAsk>,
    /// Whether it holds more than when it was read.
    pub(super) grown: bool,
    /// Why it cannot be read.
    pub(super) broken: Option<Broken>,
}

/// A column that cannot be read.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) what: &'static str,
    pub(super) why: String,
}

/// What lies in a bucket: posted and pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amounts {
    pub(super) posted: i64,
    pub(super) pending: i64,
}

impl Amounts {
    fn free(self) -> i64 {
        self.posted.saturating_sub(self.pending)
    }
}

#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) account_id: Option<String>,
    pub(super) kind: String,
    pub(super) models: String,
    pub(super) expires_at: Option<i64>,
    pub(super) was: Amounts,
    pub(super) now: Amounts,
    /// Where it was made in this transaction.
    pub(super) new: Option<&'a Deposit>,
}

/// What was spent and is held of a budget.
#[derive(Debug, Default)]
pub(super) struct BudgetRow {
    /// `None`: there was none.
    pub(super) was: Option<Spent>,
    pub(super) now: Spent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spent {
    pub(super) spent: i64,
    pub(super) pending: i64,
}

/// A line of the journal: `amount` goes from one bucket to another.
#[derive(Debug)]
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

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RollupKey<'a> {
    pub(super) grain: &'static str,
    pub(super) at: i64,
    pub(super) account_id: &'a str,
    pub(super) key_id: &'a str,
    pub(super) model: &'a str,
}

#[derive(Default)]
pub(super) struct Rollup {
    pub(super) requests: i64,
    pub(super) input_tokens: i64,
    pub(super) cached_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) charge_nanos: i64,
}

impl<'a> State<'a> {
    /// The hold of this id, if there is one.
    pub(super) fn hold_of(&mut self, id: &str) -> Result<Option<&mut Hold<'a>>, Error> {
        match self.holds.get_mut(id) {
            Some(Hold { broken: Some(Broken { what, why }), .. }) => Err(Error::Row { what, why: why.clone() }),
            hold => Ok(hold),
        }
    }

    /// The credit line of an account; `None` if there is no such account, or it is suspended.
    pub(super) fn credit(&self, account_id: &str) -> Option<i64> {
        self.accounts.get(account_id).filter(|account| !account.suspended).map(|account| account.credit)
    }

    pub(super) fn currency(&self, account_id: &str) -> Result<&str, Error> {
        let missing = || Error::Row { what: "account of a request", why: format!("{account_id} is not there") };
        self.accounts.get(account_id).map(|account| account.currency.as_str()).ok_or_else(missing)
    }

    /// The account's own buckets that a model may use.
    pub(super) fn usable(&self, account_id: &str, model: &str) -> Vec<Bucket> {
        let theirs = self.buckets.iter().filter(|(_, place)| place.account_id.as_deref() == Some(account_id));
        let fits = |place: &Place<'_>| place.models.parse::<ModelPattern>().is_ok_and(|models| models.matches(model));
        theirs
            .filter_map(|(id, place)| {
                let kind = Kind::from_name(&place.kind)?;
                let free = place.now.free();
                let usable = kind == Kind::Balance || (free > 0 && fits(place));
                usable.then(|| Bucket { id: id.clone(), kind, free, expires_at: place.expires_at })
            })
            .collect()
    }

    /// Takes parts of buckets for a hold.
    pub(super) fn take(&mut self, parts: &[Part]) -> Result<(), Error> {
        parts.iter().try_for_each(|part| self.change(&part.bucket, 0, part.amount))
    }

    /// Adds to what is posted and pending in a bucket.
    pub(super) fn change(&mut self, bucket: &str, posted: i64, pending: i64) -> Result<(), Error> {
        let missing = || Error::Row { what: "bucket", why: format!("{bucket} is not there") };
        let place = self.buckets.get_mut(bucket).ok_or_else(missing)?;
        place.now = Amounts {
            posted: place.now.posted.checked_add(posted).ok_or(Error::Overflow)?,
            pending: place.now.pending.checked_add(pending).ok_or(Error::Overflow)?,
        };
        Ok(())
    }

    /// Takes so much money of each of these budgets, or of none.
    pub(super) fn take_budgets(&mut self, budgets: &[Budget], money: i64) -> Result<Option<Refused>, Error> {
        for budget in budgets {
            let max = budget.nanos_max.get();
            let row = self.budget(&budget.owner, &budget.period).now;
            let used = row.spent.checked_add(row.pending).ok_or(Error::Overflow)?;
            if money != 0 && used > max.saturating_sub(money) {
                return Ok(Some(Refused::Budget {
                    owner: budget.owner.clone(),
                    period: budget.period.clone(),
                    wanted: Nanos::new(money),
                    left: Nanos::new(max.saturating_sub(used).max(0)),
                }));
            }
        }
        for budget in budgets {
            self.settle_budget(&budget.owner, &budget.period, -money, 0)?;
        }
        Ok(None)
    }

    /// Gives back what was held of a budget and spends what was used.
    pub(super) fn settle_budget(&mut self, owner: &str, period: &str, held: i64, spent: i64) -> Result<(), Error> {
        let row = &mut self.budget(owner, period).now;
        *row = Spent {
            spent: row.spent.checked_add(spent).ok_or(Error::Overflow)?,
            pending: row.pending.checked_sub(held).ok_or(Error::Overflow)?,
        };
        Ok(())
    }

    fn budget(&mut self, owner: &str, period: &str) -> &mut BudgetRow {
        self.budgets.entry((owner.to_owned(), period.to_owned())).or_default()
    }

    /// Adds a request to the sums of its minute, hour and day.
    pub(super) fn roll_up(&mut self, line: &'a RequestLine, charge_nanos: i64) -> Result<(), Error> {
        let usage = &line.usage;
        let cached = usage.implicit_hit_tokens.saturating_add(usage.explicit_hit_tokens);
        let adds = [usage.input_tokens, cached, usage.output_tokens];
        let adds = adds.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX).min(ROLLUP_TOKENS_MAX));
        for (grain, seconds) in GRAINS {
            let key = RollupKey {
                grain,
                at: line.at.div_euclid(seconds) * seconds,
                account_id: &line.account_id,
                key_id: &line.key_id,
                model: &line.model,
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
}

/// The ids of the holds that operations are about.
pub(super) fn hold_ids(ops: &[Op]) -> Vec<&str> {
    let ids = ops.iter().filter_map(|op| match op {
        Op::Hold(ask) => Some(ask.id.as_str()),
        Op::TopUp(top_up) => Some(top_up.id.as_str()),
        Op::Post(post) => Some(post.line.id.as_str()),
        Op::Void { id, .. } => Some(id.as_str()),
        Op::Expire { .. } | Op::Keep { .. } | Op::Deposit(_) => None,
    });
    ids.collect()
}
