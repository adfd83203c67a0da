//! Posts: what a request used is paid, once.

use qwenda_ledger::account::Kind;

use super::{
    Done, Post,
    state::{State, Transfer},
};
use crate::Error;

impl<'a> State<'a> {
    pub(super) fn post(&mut self, post: &'a Post) -> Result<Done, Error> {
        let Post { line, settlement, now, .. } = post;
        let open = self.hold_of(&line.id)?.filter(|hold| hold.state == "pending" || hold.state == "expired");
        let Some(hold) = open else { return Ok(Done::Changed(0)) };
        // What was held is free again since its time was over.
        let expired = hold.state == "expired";
        (hold.state, hold.settled_at) = ("posted".to_owned(), Some(*now));
        let (key_id, parts, budgets) = (hold.key_id.clone(), hold.parts.clone(), hold.budgets.clone());
        let charge = settlement.charge.total.get();
        for part in &parts {
            let used = match part.kind {
                Kind::Balance => charge,
                _ => settlement.tokens.iter().find(|used| used.bucket == part.bucket).map_or(0, |used| used.amount),
            };
            self.pay(&part.bucket, if expired { 0 } else { part.amount }, used)?;
        }
        let mut balance = parts.iter().find(|part| part.kind == Kind::Balance).map(|part| part.bucket.clone());
        if charge > 0 && balance.is_none() {
            // Nothing was held, and something was used: it is owed all the same.
            let id = balance_id(&line.account_id);
            self.pay(&id, 0, charge)?;
            balance = Some(id);
        }
        for used in &settlement.tokens {
            self.change("used:tokens", used.amount, 0)?;
            self.transfers.push(Transfer {
                id: format!("{}/{}", line.id, used.bucket),
                kind: "usage",
                debit: used.bucket.clone(),
                credit: "used:tokens".to_owned(),
                amount: used.amount,
                request_id: Some(&line.id),
                note: "",
                at: *now,
            });
        }
        if let Some(balance) = balance.filter(|_| charge > 0) {
            let revenue = format!("revenue:{}", self.currency(&line.account_id)?);
            self.change(&revenue, charge, 0)?;
            self.transfers.push(Transfer {
                id: format!("{}/money", line.id),
                kind: "usage",
                debit: balance,
                credit: revenue,
                amount: charge,
                request_id: Some(&line.id),
                note: "",
                at: *now,
            });
        }
        for held in &budgets {
            let amount = if expired { 0 } else { held.amount };
            self.settle_budget(held.owner(&key_id), &held.period, amount, charge)?;
        }
        self.posts.push(post);
        self.roll_up(line, charge)?;
        Ok(Done::Changed(1))
    }

    /// Takes out of a bucket what was used, and lets go of what was held.
    fn pay(&mut self, bucket: &str, held: i64, used: i64) -> Result<(), Error> {
        let [used, held] = [used, held].map(i64::checked_neg);
        self.change(bucket, used.ok_or(Error::Overflow)?, held.ok_or(Error::Overflow)?)
    }
}

/// The id of an account's balance.
pub(crate) fn balance_id(account_id: &str) -> String {
    format!("balance:{account_id}")
}
