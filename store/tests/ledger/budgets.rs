//! What a key may spend in a time.

use qwenda_ledger::money::Nanos;
use qwenda_store::ledger::HoldAsk;

use crate::{
    books::{HOLD_SECONDS, NOW, ask, budget, budget_of, funded, has, hold, said, tokens, used},
    database::Database,
};

on_both! {
    budgets_are_taken_together_or_not_at_all
    a_top_up_counts_in_the_same_budgets
    what_was_not_spent_of_a_budget_may_be_spent
    a_request_that_takes_no_money_needs_no_budget
    keys_share_the_budget_of_their_project
}

const DAY: &str = "day:2026-02-28";
const MONTH: &str = "month:2026-02";

fn limited(id: &str, money: i64) -> HoldAsk {
    let budgets = vec![budget(DAY, 50), budget(MONTH, 70), budget("total", 75)];
    HoldAsk { budgets, ..ask(id, 0, money) }
}

/// What is spent and pending of each budget.
async fn spent(database: &Database) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for period in [DAY, MONTH, "total"] {
        let of = |column: &str| format!("SELECT {column} FROM budgets WHERE period = '{period}'");
        all.push((database.number(&of("spent")).await, database.number(&of("pending")).await));
    }
    all
}

async fn budgets_are_taken_together_or_not_at_all(database: &Database) {
    let store = funded(database, 1000).await;
    assert_eq!(hold(&store, &limited("r1", 50)).await, "balance 50");
    assert_eq!(hold(&store, &limited("r2", 1)).await, format!("{DAY}: wanted 1, left 0"));
    let next_day = |id: &str, money| {
        let budgets = vec![budget("day:2026-03-01", 50), budget(MONTH, 70), budget("total", 75)];
        HoldAsk { budgets, ..ask(id, 0, money) }
    };
    assert_eq!(hold(&store, &next_day("r3", 21)).await, format!("{MONTH}: wanted 21, left 20"));
    assert_eq!(database.number("SELECT pending FROM budgets WHERE period = 'day:2026-03-01'").await, 0);
    assert_eq!(hold(&store, &next_day("r3", 20)).await, "balance 20");
    let next_month = HoldAsk { budgets: vec![budget("month:2026-03", 70), budget("total", 75)], ..ask("r4", 0, 6) };
    assert_eq!(hold(&store, &next_month).await, "total: wanted 6, left 5");
    assert_eq!(database.number("SELECT pending FROM budgets WHERE period = 'month:2026-03'").await, 0);
    // Another key has its own.
    let budgets = vec![budget_of("other", DAY, 50), budget_of("other", "total", 75)];
    let of_other = HoldAsk { key_id: "other".to_owned(), budgets, ..ask("r5", 0, 50) };
    assert_eq!(hold(&store, &of_other).await, "balance 50");
    assert_eq!(has(&store).await, "balance 1000-120");
}

async fn a_top_up_counts_in_the_same_budgets(database: &Database) {
    let store = funded(database, 1000).await;
    let ask = limited("r1", 30);
    hold(&store, &ask).await;
    let top_up = async |all| said(store.top_up("r1", Nanos::new(all), NOW + 700, NOW).await.unwrap());
    assert_eq!(top_up(51).await, format!("{DAY}: wanted 21, left 20"));
    assert_eq!(spent(database).await, [(0, 30); 3]);
    assert_eq!(has(&store).await, "balance 1000-30");
    assert_eq!(top_up(50).await, "balance 50");
    assert_eq!(spent(database).await, [(0, 50); 3]);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&ask, &parts, 45)).await.unwrap());
    assert_eq!(spent(database).await, [(45, 0); 3]);
}

async fn what_was_not_spent_of_a_budget_may_be_spent(database: &Database) {
    let store = funded(database, 1000).await;
    hold(&store, &limited("r1", 50)).await;
    assert!(store.void("r1", NOW).await.unwrap());
    assert_eq!(spent(database).await, [(0, 0); 3]);
    hold(&store, &limited("r2", 50)).await;
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 1);
    assert_eq!(spent(database).await, [(0, 0); 3]);
    let ask = limited("r3", 50);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&ask, &parts, 10)).await.unwrap());
    assert_eq!(spent(database).await, [(10, 0); 3]);
    assert_eq!(hold(&store, &limited("r4", 41)).await, format!("{DAY}: wanted 41, left 40"));
}

async fn a_request_that_takes_no_money_needs_no_budget(database: &Database) {
    let store = funded(database, 1000).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    let ask = limited("r1", 50);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    // An answer may come to more than was held; then more than the budget is spent.
    assert!(store.post(used(&ask, &parts, 55)).await.unwrap());
    assert_eq!(hold(&store, &limited("r2", 1)).await, format!("{DAY}: wanted 1, left 0"));
    assert_eq!(hold(&store, &HoldAsk { most: crate::books::ask("", 4, 4).most, ..limited("r3", 0) }).await, "q 4");
}

async fn keys_share_the_budget_of_their_project(database: &Database) {
    let store = funded(database, 1000).await;
    let of = |id: &str, key: &str, money| {
        let budgets = vec![budget_of(key, "total", 60), budget_of("p", "total", 100)];
        HoldAsk { key_id: key.to_owned(), budgets, ..ask(id, 0, money) }
    };
    let first = of("r1", "k1", 60);
    assert_eq!(hold(&store, &first).await, "balance 60");
    assert_eq!(hold(&store, &of("r2", "k1", 1)).await, "total: wanted 1, left 0");
    assert_eq!(hold(&store, &of("r3", "k2", 41)).await, "total: wanted 41, left 40");
    assert_eq!(hold(&store, &of("r3", "k2", 30)).await, "balance 30");
    let more = said(store.top_up("r3", Nanos::new(41), NOW + 700, NOW).await.unwrap());
    assert_eq!(more, "total: wanted 11, left 10");
    assert!(store.post(used(&first, &store.hold(first.clone()).await.unwrap().unwrap(), 20)).await.unwrap());
    assert!(store.void("r3", NOW).await.unwrap());
    let spent = async |owner| store.budget_spent(owner, "total").await.unwrap();
    assert_eq!((spent("k1").await, spent("k2").await, spent("p").await), (20, 0, 20));
}
