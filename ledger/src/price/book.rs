//! Which price holds for whom and when.

use std::collections::HashMap;

use super::{ChargeError, ModelPrice, PriceList, Usage};
use crate::money::{Currency, Nanos};

/// Where a price comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A list of many models.
    List,
    /// Made for this model alone; it goes before a list.
    Override,
}

/// What the upstream takes for the same tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// What it is counted in; need not be the customer's currency.
    pub currency: Currency,
    /// The upstream's price.
    pub price: ModelPrice,
}

/// One price of one model for a time. It never changes: a new price is a new entry, and a request is
/// charged by the entry it was admitted under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceEntry {
    /// By which it is found again; those of a list are `list/model`.
    pub id: String,
    /// The model.
    pub model: String,
    /// The account it is for; `None`: for all.
    pub account: Option<String>,
    /// Whether it was made for this model.
    pub origin: Origin,
    /// First second at which it holds, since 1970.
    pub effective_from: i64,
    /// First second at which it no longer holds; `None`: it has no end.
    pub effective_until: Option<i64>,
    /// What the customer pays in.
    pub currency: Currency,
    /// What the customer pays.
    pub price: ModelPrice,
    /// What the upstream takes, if that is known.
    pub cost: Option<Cost>,
}

impl PriceEntry {
    /// Whether a request may be admitted under it at this second.
    pub fn holds_at(&self, now: i64) -> bool {
        self.effective_from <= now && self.effective_until.is_none_or(|until| now < until)
    }

    /// What is left of the charge when the upstream has been paid; `None` when its cost is not known or in
    /// another currency. A loss is negative.
    ///
    /// # Errors
    /// [`ChargeError`] as of [`ModelPrice::charge`].
    pub fn margin(&self, usage: &Usage) -> Result<Option<Nanos>, ChargeError> {
        let Some(cost) = self.cost.as_ref().filter(|cost| cost.currency == self.currency) else {
            return Ok(None);
        };
        let (charge, cost) = (self.price.charge(usage)?.total, cost.price.charge(usage)?.total);
        Ok(charge.checked_sub(cost))
    }

    /// The order of precedence: the account first, then the override.
    fn rank(&self) -> (bool, Origin) {
        (self.account.is_some(), self.origin)
    }
}

/// For whom and when a whole list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What the ids of its entries begin with.
    pub id: String,
    /// The account it is for; `None`: for all.
    pub account: Option<String>,
    /// First second at which it holds, since 1970.
    pub effective_from: i64,
    /// First second at which it no longer holds; `None`: it has no end.
    pub effective_until: Option<i64>,
}

/// Why a price cannot be added to a book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// It holds at no second.
    #[error("price `{id}` holds from second {from} until {until}, which is never")]
    Never {
        /// Its id.
        id: String,
        /// Its first second.
        from: i64,
        /// The first second after it.
        until: i64,
    },
    /// It is in another currency than the book.
    #[error("price `{id}` is in {currency}, but the book is in {book}")]
    Currency {
        /// Its id.
        id: String,
        /// Its currency.
        currency: Currency,
        /// The book's.
        book: Currency,
    },
    /// Its id is taken.
    #[error("there is a price `{id}` already; prices do not change, a new one has a new id")]
    SameId {
        /// The id.
        id: String,
    },
    /// Neither would go before the other.
    #[error("prices `{id}` and `{other}` of `{model}` are for the same and begin at the same second {from}")]
    SameStart {
        /// Its id.
        id: String,
        /// The id of the one that is there.
        other: String,
        /// Their model.
        model: String,
        /// Their first second.
        from: i64,
    },
}

/// All prices in one currency: those that held, hold and will hold.
///
/// # Example
/// ```
/// use qwenda_ledger::money::Currency;
/// use qwenda_ledger::price::{PriceBook, PriceList, Terms};
///
/// let list = PriceList::published(Currency::Usd);
/// let terms = Terms { id: "v1".to_owned(), account: None, effective_from: 1_000, effective_until: None };
/// let mut book = PriceBook::new(Currency::Usd);
/// book.add_list(&list, &terms, None)?;
/// assert!(book.at("alice", "qwen-plus", 999).is_none());
/// let entry = book.at("alice", "qwen-plus", 1_000).expect("it holds");
/// assert_eq!(book.get("v1/qwen-plus"), Some(entry));
/// # Ok::<(), qwenda_ledger::price::BookError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PriceBook {
    currency: Currency,
    entries: Vec<PriceEntry>,
    by_id: HashMap<String, usize>,
    by_model: HashMap<String, OfModel>,
}

/// Places in `entries`.
#[derive(Debug, Clone, Default)]
struct OfModel {
    for_all: Vec<usize>,
    by_account: HashMap<String, Vec<usize>>,
}

impl OfModel {
    fn of(&self, account: Option<&str>) -> &[usize] {
        account.map_or(self.for_all.as_slice(), |account| self.by_account.get(account).map_or(&[], Vec::as_slice))
    }
}

impl PriceBook {
    /// A book without a price.
    pub fn new(currency: Currency) -> Self {
        Self { currency, entries: Vec::new(), by_id: HashMap::new(), by_model: HashMap::new() }
    }

    /// What its prices are in.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Adds a price.
    ///
    /// # Errors
    /// [`BookError`]; the book is then as it was.
    pub fn add(&mut self, entry: PriceEntry) -> Result<(), BookError> {
        self.check(&entry)?;
        self.insert(entry);
        Ok(())
    }

    /// Adds every model of a list, and beside each what `costs` says the upstream takes for it.
    ///
    /// # Errors
    /// [`BookError`] for the first model that cannot be added; the book is then as it was.
    pub fn add_list(&mut self, list: &PriceList, terms: &Terms, costs: Option<&PriceList>) -> Result<(), BookError> {
        let entries = list.models().map(|(model, price)| PriceEntry {
            id: format!("{}/{model}", terms.id),
            model: model.to_owned(),
            account: terms.account.clone(),
            origin: Origin::List,
            effective_from: terms.effective_from,
            effective_until: terms.effective_until,
            currency: list.currency(),
            price: price.clone(),
            cost: costs.and_then(|costs| {
                let price = costs.get(model)?.clone();
                Some(Cost { currency: costs.currency(), price })
            }),
        });
        let entries: Vec<_> = entries.collect();
        entries.iter().try_for_each(|entry| self.check(entry))?;
        // A list names each model once, so its entries do not stand in each other's way.
        entries.into_iter().for_each(|entry| self.insert(entry));
        Ok(())
    }

    /// The price that a request of this account for this model is admitted under at this second.
    ///
    /// Of those that hold, the account's override goes before the account's list, that before the
    /// override for all, and that before the list for all. Among equals the one that began last wins.
    pub fn at(&self, account: &str, model: &str, now: i64) -> Option<&PriceEntry> {
        let of_model = self.by_model.get(model)?;
        let places = of_model.of(Some(account)).iter().chain(of_model.of(None));
        let holding = places.map(|place| &self.entries[*place]).filter(|entry| entry.holds_at(now));
        holding.max_by_key(|entry| (entry.rank(), entry.effective_from))
    }

    /// The price with this id, whether it still holds or not.
    pub fn get(&self, id: &str) -> Option<&PriceEntry> {
        self.by_id.get(id).map(|place| &self.entries[*place])
    }

    /// Every price, in the order in which they were added.
    pub fn entries(&self) -> &[PriceEntry] {
        &self.entries
    }

    fn check(&self, entry: &PriceEntry) -> Result<(), BookError> {
        let (id, from) = (entry.id.clone(), entry.effective_from);
        if let Some(until) = entry.effective_until.filter(|until| *until <= from) {
            return Err(BookError::Never { id, from, until });
        }
        if entry.currency != self.currency {
            return Err(BookError::Currency { id, currency: entry.currency, book: self.currency });
        }
        if self.by_id.contains_key(&id) {
            return Err(BookError::SameId { id });
        }
        let places = self.by_model.get(&entry.model).map_or(&[][..], |model| model.of(entry.account.as_deref()));
        let mut others = places.iter().map(|place| &self.entries[*place]);
        match others.find(|other| (other.origin, other.effective_from) == (entry.origin, from)) {
            Some(other) => Err(BookError::SameStart { id, other: other.id.clone(), model: entry.model.clone(), from }),
            None => Ok(()),
        }
    }

    fn insert(&mut self, entry: PriceEntry) {
        let place = self.entries.len();
        let of_model = self.by_model.entry(entry.model.clone()).or_default();
        match &entry.account {
            Some(account) => of_model.by_account.entry(account.clone()).or_default().push(place),
            None => of_model.for_all.push(place),
        }
        self.by_id.insert(entry.id.clone(), place);
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests;
