//! The same books in memory, as simple as they can be: what the store is compared with.

use std::collections::BTreeMap;

use qwenda_ledger::{
    account::{Bucket, Kind, Most, Part, cover},
    money::Nanos,
};
use qwenda_store::ledger::{Budget, Deposit, Deposited, HoldAsk, Post, Refused};

use crate::books::said;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Hold(HoldAsk),
    TopUp { id: String, money: i64, expires_at: i64, now: i64 },
    Post(Post),
    Void { id: String, now: i64 },
    Expire { now: i64 },
    Keep { instance: String, expires_at: i64 },
    Deposit(Deposit),
}

#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) kind: Kind,
    pub(crate) posted: i64,
    pub(crate) pending: i64,
    expires_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Open,
    Expired,
    Voided,
    Posted,
}

#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) ask: HoldAsk,
    pub(crate) parts: Vec<Part>,
    pub(crate) state: State,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) credit: BTreeMap<String, i64>,
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) holds: BTreeMap<String, Hold>,
    /// Spent and pending, by key and period.
    pub(crate) budgets: BTreeMap<(String, String), (i64, i64)>,
    pub(crate) charges: BTreeMap<String, i64>,
    deposits: BTreeMap<String, ()>,
}

impl Model {
    pub(crate) fn account(&mut self, id: &str, credit: i64) {
        self.credit.insert(id.to_owned(), credit);
        self.place(format!("balance:{id}"), id, Kind::Balance, None);
    }

    fn place(&mut self, id: String, account: &str, kind: Kind, expires_at: Option<i64>) -> &mut Place {
        let place = Place { account: account.to_owned(), kind, posted: 0, pending: 0, expires_at };
        self.places.entry(id).or_insert(place)
    }

    /// Does it, and says what the store should say.
    pub(crate) fn apply(&mut self, step: &Step) -> String {
        match step {
            Step::Hold(ask) => said(self.hold(ask)),
            Step::TopUp { id, money, expires_at, now } => said(self.top_up(id, *money, *expires_at, *now)),
            Step::Post(post) => self.post(post).to_string(),
            Step::Void { id, .. } => self.let_go(id, State::Voided).to_string(),
            Step::Expire { now } => {
                let late = |hold: &&Hold| hold.state == State::Open && hold.ask.expires_at <= *now;
                let late: Vec<String> = self.holds.values().filter(late).map(|hold| hold.ask.id.clone()).collect();
                late.iter().filter(|id| self.let_go(id, State::Expired)).count().to_string()
            }
            Step::Keep { instance, expires_at } => {
                let mut kept = 0;
                for hold in self.holds.values_mut() {
                    let ask = &mut hold.ask;
                    if hold.state == State::Open && ask.instance == *instance && ask.expires_at < *expires_at {
                        ask.expires_at = *expires_at;
                        kept += 1;
                    }
                }
                kept.to_string()
            }
            Step::Deposit(deposit) => self.deposit(deposit),
        }
    }

    fn free(&self, account: &str) -> Vec<Bucket> {
        let of = self.places.iter().filter(|(_, place)| place.account == account);
        of.map(|(id, place)| Bucket {
            id: id.clone(),
            kind: place.kind,
            free: place.posted - place.pending,
            expires_at: place.expires_at,
        })
        .collect()
    }

    fn take_budgets(&mut self, budgets: &[Budget], money: i64) -> Result<(), Refused> {
        for budget in budgets {
            let (spent, pending) =
                self.budgets.get(&(budget.owner.clone(), budget.period.clone())).copied().unwrap_or_default();
            let max = budget.nanos_max.get();
            if money > 0 && spent + pending + money > max {
                let left = Nanos::new((max - spent - pending).max(0));
                let (owner, period) = (budget.owner.clone(), budget.period.clone());
                return Err(Refused::Budget { owner, period, wanted: Nanos::new(money), left });
            }
        }
        for budget in budgets {
            self.budgets.entry((budget.owner.clone(), budget.period.clone())).or_default().1 += money;
        }
        Ok(())
    }

    fn hold(&mut self, ask: &HoldAsk) -> Result<Vec<Part>, Refused> {
        if let Some(hold) = self.holds.get(&ask.id) {
            return if hold.state == State::Open { Ok(hold.parts.clone()) } else { Err(Refused::NotOpen) };
        }
        let credit = Nanos::new(self.credit[&ask.account_id]);
        let parts = cover(&self.free(&ask.account_id), credit, ask.most, ask.now).map_err(Refused::Uncovered)?;
        self.take_budgets(&ask.budgets, money(&parts))?;
        for part in &parts {
            self.places.get_mut(&part.bucket).unwrap().pending += part.amount;
        }
        let hold = Hold { ask: ask.clone(), parts: parts.clone(), state: State::Open };
        self.holds.insert(ask.id.clone(), hold);
        Ok(parts)
    }

    fn top_up(&mut self, id: &str, all: i64, expires_at: i64, now: i64) -> Result<Vec<Part>, Refused> {
        let Some(hold) = self.holds.get(id).filter(|hold| hold.state == State::Open).cloned() else {
            return Err(Refused::NotOpen);
        };
        let account = &hold.ask.account_id;
        let more = all - money(&hold.parts);
        if more <= 0 {
            return Ok(hold.parts);
        }
        let balance: Vec<Bucket> = self.free(account).into_iter().filter(|b| b.kind == Kind::Balance).collect();
        let most = Most { tokens: 0, money: Nanos::new(more), money_allowed: true };
        let new = cover(&balance, Nanos::new(self.credit[account]), most, now).map_err(Refused::Uncovered)?;
        let Some(new) = new.into_iter().next() else { return Ok(hold.parts) };
        self.take_budgets(&hold.ask.budgets, more)?;
        self.places.get_mut(&new.bucket).unwrap().pending += more;
        let hold = self.holds.get_mut(id).unwrap();
        hold.ask.expires_at = expires_at;
        match hold.parts.iter_mut().find(|part| part.kind == Kind::Balance) {
            Some(part) => part.amount += more,
            None => hold.parts.push(new),
        }
        Ok(hold.parts.clone())
    }

    fn let_go(&mut self, id: &str, state: State) -> bool {
        let Some(hold) = self.holds.get_mut(id).filter(|hold| hold.state == State::Open) else { return false };
        hold.state = state;
        for part in &hold.parts {
            self.places.get_mut(&part.bucket).unwrap().pending -= part.amount;
        }
        for budget in &hold.ask.budgets {
            let of = (budget.owner.clone(), budget.period.clone());
            self.budgets.get_mut(&of).unwrap().1 -= money(&hold.parts);
        }
        true
    }

    fn post(&mut self, post: &Post) -> bool {
        let id = &post.line.id;
        if !self.holds.get(id).is_some_and(|hold| matches!(hold.state, State::Open | State::Expired)) {
            return false;
        }
        self.let_go(id, State::Expired);
        let hold = self.holds.get_mut(id).unwrap();
        hold.state = State::Posted;
        let charge = post.settlement.charge.total.get();
        for used in &post.settlement.tokens {
            self.places.get_mut(&used.bucket).unwrap().posted -= used.amount;
        }
        self.places.get_mut(&format!("balance:{}", hold.ask.account_id)).unwrap().posted -= charge;
        for budget in &hold.ask.budgets {
            let of = (budget.owner.clone(), budget.period.clone());
            self.budgets.get_mut(&of).unwrap().0 += charge;
        }
        self.charges.insert(id.clone(), charge);
        true
    }

    fn deposit(&mut self, deposit: &Deposit) -> String {
        if self.deposits.contains_key(&deposit.id) {
            return "Ok(false)".to_owned();
        }
        match &deposit.what {
            Deposited::Money(amount) => {
                let place = self.places.get_mut(&format!("balance:{}", deposit.account_id)).unwrap();
                if amount.is_negative() && place.posted - place.pending + amount.get() < 0 {
                    return "short".to_owned();
                }
                place.posted += amount.get();
            }
            Deposited::Tokens { free, tokens, expires_at, .. } => {
                let kind = if *free { Kind::Quota } else { Kind::Pack };
                self.place(format!("tokens:{}", deposit.id), &deposit.account_id, kind, *expires_at).posted += tokens;
            }
        }
        self.deposits.insert(deposit.id.clone(), ());
        "Ok(true)".to_owned()
    }
}

fn money(parts: &[Part]) -> i64 {
    parts.iter().filter(|part| part.kind == Kind::Balance).map(|part| part.amount).sum()
}
