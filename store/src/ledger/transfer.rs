//! What comes in, and goes back.

use qwenda_ledger::{account::Uncovered, money::Nanos};

use super::{
    Deposit, Deposited, Done, Refused,
    post::balance_id,
    state::{Place, State, Transfer},
};
use crate::Error;

impl<'a> State<'a> {
    pub(super) fn deposit(&mut self, deposit: &'a Deposit) -> Result<Done, Error> {
        if self.deposited.contains(&deposit.id) {
            return Ok(Done::Changed(0));
        }
        let Some(account) = self.accounts.get(&deposit.account_id) else {
            return Ok(Done::Refused(Refused::Account));
        };
        let (kind, ours, theirs, amount) = match &deposit.what {
            Deposited::Money(amount) => {
                let kind = if amount.is_negative() { "refund" } else { "top-up" };
                (kind, format!("paid:{}", account.currency), balance_id(&deposit.account_id), amount.get())
            }
            Deposited::Tokens { free, tokens, .. } => {
                let kind = if *free { "quota" } else { "pack" };
                (kind, "given:tokens".to_owned(), format!("tokens:{}", deposit.id), *tokens)
            }
        };
        let back = amount.checked_neg().ok_or(Error::Overflow)?;
        if let Deposited::Tokens { models, expires_at, .. } = &deposit.what {
            let place = Place {
                account_id: Some(deposit.account_id.clone()),
                kind: kind.to_owned(),
                models: models.clone(),
                expires_at: *expires_at,
                was: Default::default(),
                now: Default::default(),
                new: Some(deposit),
            };
            self.buckets.insert(theirs.clone(), place);
        } else if amount < 0 {
            let free = self.buckets.get(&theirs).map_or(0, |place| place.now.posted.saturating_sub(place.now.pending));
            if free < back {
                let (wanted, spendable) = (Nanos::new(back), Nanos::new(free.max(0)));
                return Ok(Done::Refused(Refused::Uncovered(Uncovered::Money { wanted, spendable })));
            }
        }
        self.change(&theirs, amount, 0)?;
        self.change(&ours, back, 0)?;
        let (debit, credit) = if amount > 0 { (ours, theirs) } else { (theirs, ours) };
        self.transfers.push(Transfer {
            id: deposit.id.clone(),
            kind,
            debit,
            credit,
            amount: amount.abs(),
            request_id: None,
            note: &deposit.note,
            at: deposit.now,
        });
        self.deposited.insert(deposit.id.clone());
        Ok(Done::Changed(1))
    }
}
