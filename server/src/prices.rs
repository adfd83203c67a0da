//! What models cost: the published lists, and prices that were made here, whether or not a server runs.

pub use qwenda_ledger::price::{BookError, Cost, ModelPrice, PriceEntry, PriceError, Tier};
use qwenda_ledger::{
    money::{Currency, Nanos},
    policy::ModelPattern,
    price::{CachePercents, Origin, PriceList},
};
use qwenda_store::{Store, prices::Made};

use crate::{
    Place, books,
    keys::{self, KeysError, now},
};

/// The highest price of a million tokens: one whole unit for each. What is greater was meant in another unit.
pub const PRICE_MAX: Nanos = match Nanos::from_units(1_000_000) {
    Some(price) => price,
    None => unreachable!(),
};

/// Why there is no such price.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error(transparent)]
    Folder(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] qwenda_store::Error),
    #[error("`{value}` is no name of a model: {why}")]
    Model { value: String, why: String },
    #[error(transparent)]
    Price(#[from] PriceError),
    #[error("{price} for a million tokens is more than {PRICE_MAX}")]
    TooHigh { price: Nanos },
    #[error("the price would begin at second {from}, but it is {now}: what is over keeps its price")]
    Past { from: i64, now: i64 },
    #[error("the account `{account}` pays in {theirs}, the price would be in {currency}")]
    Currency { account: String, theirs: Currency, currency: Currency },
    #[error(transparent)]
    Book(#[from] BookError),
    #[error("somebody else made a price of this model meanwhile; look at it and try again")]
    Changed,
}

/// A price that is to be made.
#[derive(Debug, Clone)]
pub struct NewPrice {
    pub model: String,
    /// Name or id of the account that it is for; `None`: for all.
    pub account: Option<String>,
    /// `None`: the account's, or CNY.
    pub currency: Option<Currency>,
    /// Unix seconds; `None`: now.
    pub from: Option<i64>,
    /// Unix seconds; `None`: it has no end.
    pub until: Option<i64>,
    /// The smallest requests first.
    pub tiers: Vec<Tier>,
    /// What the upstream takes, in the same currency.
    pub cost: Option<Tier>,
}

/// Every price: the published lists, then what was made here.
pub async fn list(place: impl Into<Place>) -> Result<Vec<PriceEntry>, PricesError> {
    let (store, _) = keys::open(&place.into()).await?;
    let all = list_of(&store).await;
    store.close().await;
    all
}

/// The same of a database that is open.
pub(crate) async fn list_of(store: &Store) -> Result<Vec<PriceEntry>, PricesError> {
    let (book, made) = (books::load(store).await?, store.price_list().await?);
    let lists = Currency::ALL.map(PriceList::published);
    let ids = lists.iter().flat_map(|list| list.models().map(|(model, _)| format!("{}/{model}", list.id())));
    Ok(ids.filter_map(|id| book.get(&id).cloned()).chain(made).collect())
}

/// Makes a price that holds from now or later on. Those that are there stay as they are.
pub async fn set(place: impl Into<Place>, new: NewPrice) -> Result<PriceEntry, PricesError> {
    let (store, _) = keys::open(&place.into()).await?;
    let made = set_in(&store, new, now()).await;
    store.close().await;
    made
}

/// The same in a database that is open.
pub(crate) async fn set_in(store: &Store, new: NewPrice, now: i64) -> Result<PriceEntry, PricesError> {
    let NewPrice { model, account, currency, from, until, tiers, cost } = new;
    if let Err(why) = name(&model) {
        return Err(PricesError::Model { value: model, why });
    }
    let (price, cost) = (price(tiers)?, cost.map(|tier| price(vec![tier])).transpose()?);
    let account = match account {
        None => None,
        Some(wanted) => match store.account(&wanted).await? {
            None => return Err(KeysError::NoSuchAccount { wanted }.into()),
            Some(account) => Some(account),
        },
    };
    let theirs = account.as_ref().map(|account| account.currency);
    let currency = currency.or(theirs).unwrap_or(Currency::Cny);
    if let Some(account) = account.as_ref().filter(|account| account.currency != currency) {
        let (account, theirs) = (account.name.clone(), account.currency);
        return Err(PricesError::Currency { account, theirs, currency });
    }
    if let Some(from) = from.filter(|from| *from < now) {
        return Err(PricesError::Past { from, now });
    }
    let entry = PriceEntry {
        id: format!("price_{}", uuid::Uuid::new_v4().simple()),
        model,
        account: account.map(|account| account.id),
        origin: Origin::Override,
        effective_from: from.unwrap_or(now),
        effective_until: until,
        currency,
        price,
        cost: cost.map(|price| Cost { currency, price }),
    };
    // What a server could not load must never be written.
    books::load(store).await?.of(currency).clone().add(entry.clone())?;
    match store.price_create(&entry, now).await? {
        Made::New => Ok(entry),
        Made::SameId | Made::SameStart => Err(PricesError::Changed),
    }
}

/// A price is for one model, whose name callers write.
fn name(text: &str) -> Result<(), String> {
    text.parse::<ModelPattern>().map_err(|error| error.to_string())?;
    if text.ends_with('*') { Err("a price is for one model".to_owned()) } else { Ok(()) }
}

fn price(tiers: Vec<Tier>) -> Result<ModelPrice, PricesError> {
    let each = tiers.iter().flat_map(|tier| [Some(tier.input), Some(tier.output), tier.output_thinking]);
    if let Some(price) = each.flatten().find(|price| *price > PRICE_MAX) {
        return Err(PricesError::TooHigh { price });
    }
    Ok(ModelPrice::new(tiers, CachePercents::default())?)
}
