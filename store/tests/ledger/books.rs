//! What a test says in a line, and reads in a line.

use qwenda_ledger::{
    account::{Kind, Most, Part, settle},
    money::{Currency, Nanos},
    price::{Charge, Line, LineKind, Usage},
    terms::Terms,
};
use qwenda_store::{
    Store,
    accounts::AccountRow,
    ledger::{Budget, Deposit, Deposited, HoldAsk, Post, Refused, RequestLine},
};

/// When everything happens unless a test says otherwise.
pub(crate) const NOW: i64 = 1_772_236_800;
/// How long a hold is held.
pub(crate) const HOLD_SECONDS: i64 = 600;
/// What a million tokens cost: a nano each.
const PRICE: Nanos = Nanos::new(1_000_000);

pub(crate) fn account(id: &str) -> AccountRow {
    AccountRow {
        id: id.to_owned(),
        name: format!("name of {id}"),
        currency: Currency::Cny,
        credit: Nanos::ZERO,
        quota_stops: false,
        suspended_at: None,
        version: 1,
        created_at: NOW,
        terms: Terms::default(),
        content_days: 0,
    }
}

/// A hold for the account `a`, by its key `k`, of at most so many tokens and so much money.
pub(crate) fn ask(id: &str, tokens: u64, money: i64) -> HoldAsk {
    HoldAsk {
        id: id.to_owned(),
        account_id: "a".to_owned(),
        key_id: "k".to_owned(),
        model: "qwen-plus".to_owned(),
        price_id: "p".to_owned(),
        most: Most { tokens, money: Nanos::new(money), money_allowed: true },
        budgets: Vec::new(),
        instance: "i".to_owned(),
        now: NOW,
        expires_at: NOW + HOLD_SECONDS,
    }
}

/// Of the key of `ask`.
pub(crate) fn budget(period: &str, nanos_max: i64) -> Budget {
    budget_of("k", period, nanos_max)
}

pub(crate) fn budget_of(owner: &str, period: &str, nanos_max: i64) -> Budget {
    Budget { owner: owner.to_owned(), period: period.to_owned(), nanos_max: Nanos::new(nanos_max) }
}

/// What `ask` comes to when it used so many input tokens, at a nano each.
pub(crate) fn used(ask: &HoldAsk, parts: &[Part], tokens: u64) -> Post {
    let amount = PRICE.scaled(tokens, 1_000_000).unwrap();
    let line = Line { kind: LineKind::Input, tokens, price_nanos_per_mtok: PRICE, percent: 100, amount };
    let lines = if tokens > 0 { vec![line] } else { Vec::new() };
    let settlement = settle(parts, &Charge { lines, total: amount }, ask.most.money_allowed).unwrap();
    let line = RequestLine {
        id: ask.id.clone(),
        at: ask.now,
        account_id: ask.account_id.clone(),
        key_id: ask.key_id.clone(),
        task: "chat".to_owned(),
        model: ask.model.clone(),
        status: "ok".to_owned(),
        usage: Usage { input_tokens: tokens, ..Usage::default() },
        price_id: ask.price_id.clone(),
        first_token_ms: None,
        took_ms: 12,
    };
    Post { line, settlement, content: None, now: ask.now + 1 }
}

pub(crate) fn money(id: &str, amount: i64) -> Deposit {
    let what = Deposited::Money(Nanos::new(amount));
    Deposit { id: id.to_owned(), account_id: "a".to_owned(), what, note: String::new(), now: NOW }
}

pub(crate) fn tokens(id: &str, free: bool, tokens: i64, expires_at: Option<i64>) -> Deposit {
    let what = Deposited::Tokens { free, tokens, models: "qwen-*".to_owned(), expires_at };
    Deposit { id: id.to_owned(), account_id: "a".to_owned(), what, note: "a gift".to_owned(), now: NOW }
}

/// A store with the account `a`, which has so much money.
pub(crate) async fn funded(database: &crate::database::Database, nanos: i64) -> Store {
    let store = database.open().await;
    assert!(store.account_create(&account("a")).await.unwrap());
    if nanos > 0 {
        assert_eq!(store.deposit(money("start", nanos)).await.unwrap(), Ok(true));
    }
    store
}

/// Holds, and says of what: `q 80, balance 20`, or why not.
pub(crate) async fn hold(store: &Store, ask: &HoldAsk) -> String {
    said(store.hold(ask.clone()).await.unwrap())
}

pub(crate) fn said(held: Result<Vec<Part>, Refused>) -> String {
    match held {
        Ok(parts) => {
            parts.iter().map(|part| format!("{} {}", short(&part.bucket), part.amount)).collect::<Vec<_>>().join(", ")
        }
        Err(Refused::Uncovered(why)) => why.to_string(),
        Err(Refused::Budget { period, wanted, left, .. }) => {
            format!("{period}: wanted {}, left {}", wanted.get(), left.get())
        }
        Err(other) => format!("{other:?}"),
    }
}

/// What the account `a` has, and what is held of it: `q 100-80, balance 50-20`.
pub(crate) async fn has(store: &Store) -> String {
    let rows = store.buckets("a").await.unwrap();
    let rows = rows.iter().map(|row| {
        let held = if row.pending == 0 { String::new() } else { format!("-{}", row.pending) };
        let name = if row.kind == Kind::Balance { "balance" } else { short(&row.id) };
        format!("{name} {}{held}", row.posted)
    });
    rows.collect::<Vec<_>>().join(", ")
}

fn short(bucket: &str) -> &str {
    if bucket.starts_with("balance:") { "balance" } else { bucket.trim_start_matches("tokens:") }
}

/// All at once, so that they meet in one batch.
pub(crate) async fn at_once<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
