//! Accounts of a data folder: money, tokens, usage, bills and audits, whether or not a server runs on it.

use qwenda_ledger::{
    account::settle,
    money::{Currency, Nanos},
    policy::ModelPattern,
    terms::Terms,
};
use qwenda_store::{
    Store,
    deposits::DepositRow,
    ledger::{Deposit, Deposited, GRAINS, Refused},
};
pub use qwenda_store::{
    accounts::{AccountRow, BucketRow},
    audit::{Audit, Difference},
    ledger::RequestLine,
    usage::{PaidRequest, RollupRow, Wanted},
};

use crate::{
    Clock, Place,
    books::{self, Prices},
    keys::{self, KeysError, NAME_CHARS_MAX, Spent, not_below_spent, spent_of},
};

/// Requests that are read at once.
const PAGE: i64 = 1_000;

/// What can go wrong with accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error(transparent)]
    Folder(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] qwenda_store::Error),
    #[error("an account's name has 1 to {NAME_CHARS_MAX} characters and none that control a terminal")]
    Name,
    #[error("an account named `{name}` is there already; choose another name")]
    Taken { name: String },
    #[error("no account has the name or id `{wanted}`")]
    NoSuchAccount { wanted: String },
    #[error("`{value}` is no amount for this: {why}")]
    Amount { value: String, why: String },
    #[error("`{value}` is no pattern of models: {why}")]
    Models { value: String, why: String },
    #[error("the balance is lower than what is to be paid back, or requests hold a part of it")]
    TooLittle,
    #[error("the id `{id}` was used before for something else: {before}; use another id, or ask for the same again")]
    OtherDeposit { id: String, before: String },
    #[error("somebody else changed the account meanwhile; look at it and try again")]
    Changed,
    #[error("`{field}` is of keys only; an account or a project has none")]
    OfKeys { field: &'static str },
    #[error("`{value}` is none of minute, hour, day")]
    Grain { value: String },
}

/// For how many days what is asked and answered may be kept.
pub const CONTENT_DAYS_MAX: i64 = 3_650;

/// Changes to an account. `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub credit: Option<Nanos>,
    pub quota_stops: Option<bool>,
    pub suspended: Option<bool>,
    /// What all its keys together are held to.
    pub terms: Option<Terms>,
    /// For how many days what its keys ask and get is kept; 0: it is not.
    pub content_days: Option<i64>,
}

/// Tokens that an account gets.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    /// Given for nothing, or paid for in advance.
    pub free: bool,
    pub tokens: i64,
    /// A name, or the beginning of one with a `*` behind.
    pub models: &'a str,
    /// Unix seconds.
    pub expires_at: Option<i64>,
}

/// The accounts of one data folder.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    clock: Clock,
}

impl Accounts {
    /// Opens a data folder.
    pub async fn open(place: impl Into<Place>) -> Result<Self, AccountsError> {
        let (store, _) = keys::open(&place.into()).await?;
        Ok(Self { store, clock: Clock::system() })
    }

    /// Over a folder that is open.
    pub(crate) fn over(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Closes it; what was written is there afterwards.
    pub async fn close(self) {
        self.store.close().await;
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }

    /// Makes an account with nothing in it.
    pub async fn create(&self, name: &str, currency: Currency, credit: Nanos) -> Result<AccountRow, AccountsError> {
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(AccountsError::Name);
        }
        not_negative(credit)?;
        let account = AccountRow {
            id: format!("acc_{}", uuid::Uuid::new_v4().simple()),
            name: name.to_owned(),
            currency,
            credit,
            quota_stops: false,
            suspended_at: None,
            version: 1,
            created_at: self.now(),
            terms: Terms::default(),
            content_days: 0,
        };
        match self.store.account_create(&account).await? {
            true => Ok(account),
            false => Err(AccountsError::Taken { name: name.to_owned() }),
        }
    }

    /// All accounts, oldest first.
    pub async fn list(&self) -> Result<Vec<AccountRow>, AccountsError> {
        Ok(self.store.account_list().await?)
    }

    /// Accounts, oldest first: `limit` at most, those behind the one of the id `after`.
    pub(crate) async fn page(&self, after: Option<&str>, limit: i64) -> Result<Vec<AccountRow>, AccountsError> {
        let after = match after {
            None => None,
            Some(wanted) => Some(self.find(wanted).await?),
        };
        Ok(self.store.account_page(after.as_ref(), limit).await?)
    }

    /// The account of this id or name.
    pub async fn find(&self, wanted: &str) -> Result<AccountRow, AccountsError> {
        let found = self.store.account(wanted).await?;
        found.ok_or_else(|| AccountsError::NoSuchAccount { wanted: wanted.to_owned() })
    }

    /// What an account has spent of each of its budgets.
    pub async fn spent(&self, account: &AccountRow) -> Result<Vec<Spent>, AccountsError> {
        Ok(spent_of(&self.store, &account.id, &account.terms, self.now()).await?)
    }

    /// What an account has.
    pub async fn buckets(&self, account: &AccountRow) -> Result<Vec<BucketRow>, AccountsError> {
        Ok(self.store.buckets(&account.id).await?)
    }

    /// Changes an account that was just read.
    pub async fn change(&self, mut account: AccountRow, changes: Changes) -> Result<AccountRow, AccountsError> {
        if let Some(credit) = changes.credit {
            not_negative(credit)?;
            account.credit = credit;
        }
        account.quota_stops = changes.quota_stops.unwrap_or(account.quota_stops);
        account.suspended_at = match changes.suspended {
            Some(true) => account.suspended_at.or(Some(self.now())),
            Some(false) => None,
            None => account.suspended_at,
        };
        if let Some(terms) = changes.terms {
            shared_terms(&terms)?;
            not_below_spent(&self.store, &account.id, (&account.terms, &terms), self.now()).await?;
            account.terms = terms;
        }
        if let Some(days) = changes.content_days {
            if !(0..=CONTENT_DAYS_MAX).contains(&days) {
                let why = format!("it is not in [0, {CONTENT_DAYS_MAX}] days");
                return Err(AccountsError::Amount { value: days.to_string(), why });
            }
            account.content_days = days;
        }
        if !self.store.account_update(&account).await? {
            return Err(AccountsError::Changed);
        }
        if account.content_days == 0 {
            self.store.contents_remove(&account.id).await?;
        }
        Ok(AccountRow { version: account.version + 1, ..account })
    }

    /// Pays money in, or, where it is negative, back. With the `id` of an earlier call nothing is done again:
    /// `false`.
    pub async fn top_up(
        &self,
        account: &AccountRow,
        amount: Nanos,
        id: Option<&str>,
        note: &str,
    ) -> Result<bool, AccountsError> {
        if amount == Nanos::ZERO {
            return Err(AccountsError::Amount { value: amount.to_string(), why: "it is nothing".to_owned() });
        }
        self.deposit(account, Deposited::Money(amount), id, note).await
    }

    /// Gives tokens. With the `id` of an earlier call nothing is done again: `false`.
    pub async fn grant(
        &self,
        account: &AccountRow,
        tokens: Tokens<'_>,
        id: Option<&str>,
        note: &str,
    ) -> Result<bool, AccountsError> {
        let Tokens { free, tokens, models, expires_at } = tokens;
        if tokens <= 0 {
            return Err(AccountsError::Amount { value: tokens.to_string(), why: "it is not above zero".to_owned() });
        }
        if let Some(at) = expires_at.filter(|at| *at <= self.now()) {
            return Err(AccountsError::Amount { value: at.to_string(), why: "that time is over".to_owned() });
        }
        models
            .parse::<ModelPattern>()
            .map_err(|error| AccountsError::Models { value: models.to_owned(), why: error.to_string() })?;
        let what = Deposited::Tokens { free, tokens, models: models.to_owned(), expires_at };
        self.deposit(account, what, id, note).await
    }

    async fn deposit(
        &self,
        account: &AccountRow,
        what: Deposited,
        id: Option<&str>,
        note: &str,
    ) -> Result<bool, AccountsError> {
        let stored = match id {
            Some(id) => deposit_id(account, id),
            None => format!("dep_{}", uuid::Uuid::new_v4().simple()),
        };
        let deposit = Deposit {
            id: stored.clone(),
            account_id: account.id.clone(),
            what: what.clone(),
            note: note.to_owned(),
            now: self.now(),
        };
        match self.store.deposit(deposit).await? {
            Ok(true) => Ok(true),
            Ok(false) => match self.store.deposit_by_id(&stored).await? {
                Some(before) if same(&before.what, &what) => Ok(false),
                before => Err(AccountsError::OtherDeposit {
                    id: id.unwrap_or(&stored).to_owned(),
                    before: before.map_or_else(|| "no deposit".to_owned(), |before| told(&before.what)),
                }),
            },
            Err(Refused::Uncovered(_)) => Err(AccountsError::TooLittle),
            Err(_) => Err(AccountsError::NoSuchAccount { wanted: account.name.clone() }),
        }
    }

    /// What was deposited under this id, as it was then.
    pub(crate) async fn deposit_of(&self, account: &AccountRow, id: &str) -> Result<Option<DepositRow>, AccountsError> {
        Ok(self.store.deposit_by_id(&deposit_id(account, id)).await?)
    }

    /// Sums of each minute, hour or day.
    pub async fn usage(&self, grain: &str, wanted: &Wanted) -> Result<Vec<RollupRow>, AccountsError> {
        if !GRAINS.iter().any(|(name, _)| *name == grain) {
            return Err(AccountsError::Grain { value: grain.to_owned() });
        }
        Ok(self.store.rollups(grain, wanted).await?)
    }

    /// Requests of a time, oldest first, `limit` at most.
    pub async fn requests(&self, wanted: &Wanted) -> Result<Vec<PaidRequest>, AccountsError> {
        Ok(self.store.requests(wanted).await?)
    }

    /// Adds everything up again: every bucket from the journal, every charge from its usage and its price.
    pub async fn audit(&self) -> Result<(Audit, Option<WrongCharge>), AccountsError> {
        let audit = self.store.audit().await?;
        let prices = books::load(&self.store).await?;
        let mut wanted = Wanted { from: i64::MIN, until: i64::MAX, limit: PAGE, ..Wanted::default() };
        loop {
            let page = self.store.requests(&wanted).await?;
            let Some(last) = page.last() else { return Ok((audit, None)) };
            wanted.after = Some((last.line.at, last.line.id.clone()));
            if let Some(wrong) = page.iter().find_map(|request| wrong(request, &prices)) {
                return Ok((audit, Some(wrong)));
            }
        }
    }
}

/// A charge that is not what its usage and its price come to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongCharge {
    #[error("request {id} was charged by the price {price_id}, which is not there")]
    NoPrice { id: String, price_id: String },
    #[error("request {id} was charged {stated}, its usage and price come to {computed}")]
    Amount { id: String, stated: Nanos, computed: Nanos },
    #[error("the usage of request {id} cannot be charged: {why}")]
    Usage { id: String, why: String },
}

fn wrong(request: &PaidRequest, prices: &Prices) -> Option<WrongCharge> {
    let id = request.line.id.clone();
    if request.line.price_id.is_empty() {
        let (stated, computed) = (request.charge, Nanos::ZERO);
        return (stated != computed).then_some(WrongCharge::Amount { id, stated, computed });
    }
    let Some(entry) = prices.get(&request.line.price_id) else {
        return Some(WrongCharge::NoPrice { id, price_id: request.line.price_id.clone() });
    };
    let charge = match entry.price.charge(&request.line.usage) {
        Ok(charge) => charge,
        Err(why) => return Some(WrongCharge::Usage { id, why: why.to_string() }),
    };
    // What an account that stops at the end of its quota was not charged has no lines.
    let money = !request.lines.is_empty() || request.charge != Nanos::ZERO;
    match settle(&request.covered, &charge, money) {
        Ok(settled) if settled.charge.total == request.charge => None,
        Ok(settled) => Some(WrongCharge::Amount { id, stated: request.charge, computed: settled.charge.total }),
        Err(why) => Some(WrongCharge::Usage { id, why: why.to_string() }),
    }
}

/// The terms of an account or a project must be some that all keys together can have.
pub(crate) fn shared_terms(terms: &Terms) -> Result<(), AccountsError> {
    terms.rules().map_err(KeysError::from)?;
    let of_keys = [
        ("role", terms.role.is_some()),
        ("expires_at", terms.expires_at.is_some()),
        ("language", terms.language.is_some()),
    ];
    match of_keys.into_iter().find(|(_, is)| *is) {
        Some((field, _)) => Err(AccountsError::OfKeys { field }),
        None => Ok(()),
    }
}

/// Ids of deposits are of one account each.
fn deposit_id(account: &AccountRow, id: &str) -> String {
    format!("{}/{id}", account.id)
}

/// Whether two deposits are one asked for twice. When tokens end is not looked at: `90d` is another second each time.
fn same(one: &Deposited, other: &Deposited) -> bool {
    match (one, other) {
        (Deposited::Money(one), Deposited::Money(other)) => one == other,
        (
            Deposited::Tokens { free, tokens, models, .. },
            Deposited::Tokens { free: other_free, tokens: other_tokens, models: other_models, .. },
        ) => (free, tokens, models) == (other_free, other_tokens, other_models),
        _ => false,
    }
}

/// A deposit in words.
fn told(what: &Deposited) -> String {
    match what {
        Deposited::Money(amount) => format!("an amount of {amount}"),
        Deposited::Tokens { free, tokens, models, .. } => {
            let kind = if *free { "free quota" } else { "pack" };
            format!("a {kind} of {tokens} tokens for `{models}`")
        }
    }
}

fn not_negative(amount: Nanos) -> Result<(), AccountsError> {
    match amount.is_negative() {
        false => Ok(()),
        true => Err(AccountsError::Amount { value: amount.to_string(), why: "it is below zero".to_owned() }),
    }
}
