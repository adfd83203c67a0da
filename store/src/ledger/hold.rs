//! Holds: taken, topped up, let go.

use qwenda_ledger::{
    account::{Bucket, Kind, Most, Part, cover},
    money::Nanos,
};
use serde::{Deserialize, Serialize};

use super::{
    Budget, Done, HoldAsk, Refused, TopUp,
    state::{Hold, State},
};
use crate::Error;

/// What a hold took of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldBudget {
    /// Whose it is, where it is not the key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) period: String,
    pub(crate) amount: i64,
    /// What the owner might spend in the period when it was held.
    pub(crate) max: i64,
}

impl HeldBudget {
    fn of(budget: &Budget, key_id: &str, amount: i64) -> Self {
        let owner = Some(budget.owner.clone()).filter(|owner| owner != key_id);
        Self { owner, period: budget.period.clone(), amount, max: budget.nanos_max.get() }
    }

    /// The id of whose budget it is.
    pub(crate) fn owner<'a>(&'a self, key_id: &'a str) -> &'a str {
        self.owner.as_deref().unwrap_or(key_id)
    }
}

impl<'a> State<'a> {
    pub(super) fn hold(&mut self, ask: &'a HoldAsk) -> Result<Done, Error> {
        match self.hold_of(&ask.id)? {
            Some(hold) if hold.state == "pending" => return Ok(Done::Held(hold.parts.clone())),
            Some(_) => return Ok(Done::Refused(Refused::NotOpen)),
            None => {}
        }
        let Some(credit) = self.credit(&ask.account_id) else { return Ok(Done::Refused(Refused::Account)) };
        let buckets = self.usable(&ask.account_id, &ask.model);
        let parts = match cover(&buckets, Nanos::new(credit), ask.most, ask.now) {
            Ok(parts) => parts,
            Err(why) => return Ok(Done::Refused(Refused::Uncovered(why))),
        };
        let money = money_of(&parts);
        if let Some(refused) = self.take_budgets(&ask.budgets, money)? {
            return Ok(Done::Refused(refused));
        }
        self.take(&parts)?;
        let held = |budget: &Budget| HeldBudget::of(budget, &ask.key_id, money);
        let hold = Hold {
            account_id: ask.account_id.clone(),
            key_id: ask.key_id.clone(),
            parts: parts.clone(),
            budgets: ask.budgets.iter().map(held).collect(),
            state: "pending".to_owned(),
            expires_at: ask.expires_at,
            settled_at: None,
            new: Some(ask),
            grown: false,
            broken: None,
        };
        self.holds.insert(ask.id.clone(), hold);
        Ok(Done::Held(parts))
    }

    pub(super) fn top_up(&mut self, top_up: &TopUp) -> Result<Done, Error> {
        let TopUp { id, money, expires_at, now } = top_up;
        let Some(hold) = self.hold_of(id)?.filter(|hold| hold.state == "pending") else {
            return Ok(Done::Refused(Refused::NotOpen));
        };
        let held = hold.parts.clone();
        let budgets: Vec<Budget> = hold
            .budgets
            .iter()
            .map(|held| Budget {
                owner: held.owner(&hold.key_id).to_owned(),
                period: held.period.clone(),
                nanos_max: Nanos::new(held.max),
            })
            .collect();
        let account_id = hold.account_id.clone();
        let more = money.get().saturating_sub(money_of(&held));
        if more <= 0 {
            return Ok(Done::Held(held));
        }
        let Some(credit) = self.credit(&account_id) else { return Ok(Done::Refused(Refused::Account)) };
        let mut balances: Vec<Bucket> = self.usable(&account_id, "");
        balances.retain(|bucket| bucket.kind == Kind::Balance);
        let most = Most { tokens: 0, money: Nanos::new(more), money_allowed: true };
        let parts = match cover(&balances, Nanos::new(credit), most, *now) {
            Ok(parts) => parts,
            Err(why) => return Ok(Done::Refused(Refused::Uncovered(why))),
        };
        if let Some(refused) = self.take_budgets(&budgets, more)? {
            return Ok(Done::Refused(refused));
        }
        self.take(&parts)?;
        let Some(hold) = self.hold_of(id)? else { return Ok(Done::Refused(Refused::NotOpen)) };
        for held in &mut hold.budgets {
            held.amount = held.amount.checked_add(more).ok_or(Error::Overflow)?;
        }
        for part in parts {
            match hold.parts.iter_mut().find(|held| held.bucket == part.bucket) {
                Some(held) => held.amount = held.amount.checked_add(part.amount).ok_or(Error::Overflow)?,
                None => hold.parts.push(part),
            }
        }
        (hold.expires_at, hold.grown) = (*expires_at, true);
        Ok(Done::Held(hold.parts.clone()))
    }

    pub(super) fn void(&mut self, id: &str, now: i64) -> Result<Done, Error> {
        self.close(id, "voided", now).map(Done::Changed)
    }

    pub(super) fn expire(&mut self, now: i64) -> Result<Done, Error> {
        let late = std::mem::take(&mut self.late);
        let mut expired = 0;
        for id in &late {
            match self.close(id, "expired", now) {
                Ok(closed) => expired += closed,
                // One that cannot be read must not keep all others; it stays for the audit to find.
                Err(Error::Row { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Done::Changed(expired))
    }

    /// Ends a pending hold of which nothing was used, and says whether there was one.
    fn close(&mut self, id: &str, state: &str, now: i64) -> Result<u64, Error> {
        let Some(hold) = self.hold_of(id)?.filter(|hold| hold.state == "pending") else { return Ok(0) };
        (hold.state, hold.settled_at) = (state.to_owned(), Some(now));
        let (key_id, parts, budgets) = (hold.key_id.clone(), hold.parts.clone(), hold.budgets.clone());
        for part in &parts {
            self.change(&part.bucket, 0, part.amount.checked_neg().ok_or(Error::Overflow)?)?;
        }
        for held in &budgets {
            self.settle_budget(held.owner(&key_id), &held.period, held.amount, 0)?;
        }
        Ok(1)
    }
}

/// The money in a hold.
pub(super) fn money_of(parts: &[Part]) -> i64 {
    parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| part.amount).sum()
}
