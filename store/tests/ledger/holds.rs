//! What holds take, and give back.

use qwenda_ledger::{account::Most, money::Nanos};
use qwenda_store::{accounts::AccountRow, ledger::HoldAsk};

use crate::{
    books::{HOLD_SECONDS, NOW, account, ask, at_once, funded, has, hold, money, said, tokens, used},
    database::Database,
};

on_both! {
    a_hold_takes_quota_then_packs_then_money
    tokens_that_end_or_are_for_other_models_are_not_taken
    a_hold_that_is_not_covered_changes_nothing
    a_hold_asked_for_twice_takes_once
    a_hold_takes_the_credit_line_and_no_more
    what_is_let_go_is_free_again_once
    only_what_is_late_expires_and_what_is_kept_does_not
    a_top_up_grows_the_hold_or_is_refused
    a_suspended_account_is_refused
    an_account_that_stops_with_its_quota_pays_no_money
    amounts_below_zero_are_refused
    amounts_at_the_edge_of_their_range_change_nothing_or_add_up
}

async fn a_hold_takes_quota_then_packs_then_money(database: &Database) {
    let store = funded(database, 1000).await;
    for deposit in [
        tokens("pack-late", false, 50, None),
        tokens("pack-soon", false, 30, Some(NOW + 50)),
        tokens("quota-late", true, 20, Some(NOW + 900)),
        tokens("quota-soon", true, 10, Some(NOW + 800)),
    ] {
        assert_eq!(store.deposit(deposit).await.unwrap(), Ok(true));
    }
    assert_eq!(hold(&store, &ask("r1", 15, 15)).await, "quota-soon 10, quota-late 5");
    assert_eq!(hold(&store, &ask("r2", 50, 50)).await, "quota-late 15, pack-soon 30, pack-late 5");
    // What is not covered by tokens is held in money as a whole.
    assert_eq!(hold(&store, &ask("r3", 60, 61)).await, "pack-late 45, balance 61");
    assert_eq!(hold(&store, &ask("r4", 5, 6)).await, "balance 6");
    // Batches pay money only.
    assert_eq!(hold(&store, &ask("r5", 0, 7)).await, "balance 7");
    assert_eq!(
        has(&store).await,
        "quota-soon 10-10, quota-late 20-20, pack-soon 30-30, pack-late 50-50, balance 1000-74"
    );
}

async fn tokens_that_end_or_are_for_other_models_are_not_taken(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("over", true, 50, Some(NOW))).await.unwrap().unwrap();
    store.deposit(tokens("last-second", true, 5, Some(NOW + 1))).await.unwrap().unwrap();
    assert_eq!(hold(&store, &ask("r1", 5, 5)).await, "last-second 5");
    let other = HoldAsk { model: "deepseek".to_owned(), ..ask("r2", 5, 5) };
    assert_eq!(hold(&store, &other).await, "balance 5");
}

async fn a_hold_that_is_not_covered_changes_nothing(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    let why = "the request may cost up to 0.000000101; the account can spend 0.0000001";
    assert_eq!(hold(&store, &ask("r1", 11, 101)).await, why);
    assert_eq!(hold(&store, &HoldAsk { account_id: "unheard-of".to_owned(), ..ask("r1", 1, 1) }).await, "Account");
    assert_eq!(has(&store).await, "q 10, balance 100");
    assert_eq!(database.number("SELECT COUNT(*) FROM holds").await, 0);
    // The same id may be asked for again.
    assert_eq!(hold(&store, &ask("r1", 11, 100)).await, "q 10, balance 100");
}

async fn a_hold_asked_for_twice_takes_once(database: &Database) {
    let store = funded(database, 100).await;
    for _ in 0..3 {
        assert_eq!(hold(&store, &ask("r1", 0, 60)).await, "balance 60");
    }
    assert_eq!(has(&store).await, "balance 100-60");
    // Together in one batch, too.
    let twice = (0..20).map(|_| store.hold(ask("r2", 0, 30)));
    for held in at_once(twice).await {
        assert_eq!(said(held.unwrap()), "balance 30");
    }
    assert_eq!(has(&store).await, "balance 100-90");
    assert!(store.void("r1", NOW).await.unwrap());
    assert_eq!(hold(&store, &ask("r1", 0, 60)).await, "NotOpen");
}

async fn a_hold_takes_the_credit_line_and_no_more(database: &Database) {
    let store = funded(database, 100).await;
    let with_credit = AccountRow { credit: Nanos::new(50), ..account("a") };
    assert!(store.account_update(&with_credit).await.unwrap());
    assert_eq!(
        hold(&store, &ask("r1", 0, 151)).await,
        "the request may cost up to 0.000000151; the account can spend 0.00000015"
    );
    assert_eq!(hold(&store, &ask("r1", 0, 150)).await, "balance 150");
    assert!(hold(&store, &ask("r2", 0, 1)).await.ends_with("can spend 0"));
    assert_eq!(hold(&store, &ask("r3", 0, 0)).await, "", "what costs nothing needs no money");
}

async fn what_is_let_go_is_free_again_once(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    hold(&store, &ask("r1", 20, 40)).await;
    assert_eq!(has(&store).await, "q 10-10, balance 100-40");
    assert!(store.void("r1", NOW).await.unwrap());
    assert!(!store.void("r1", NOW).await.unwrap());
    assert!(!store.void("unheard-of", NOW).await.unwrap());
    assert_eq!(has(&store).await, "q 10, balance 100");
    assert_eq!(store.expire(i64::MAX).await.unwrap(), 0);
    assert_eq!(has(&store).await, "q 10, balance 100");
}

async fn only_what_is_late_expires_and_what_is_kept_does_not(database: &Database) {
    let store = funded(database, 100).await;
    let of_another = HoldAsk { instance: "j".to_owned(), ..ask("r2", 0, 20) };
    hold(&store, &ask("r1", 0, 10)).await;
    hold(&store, &of_another).await;
    assert_eq!(store.expire(NOW + HOLD_SECONDS - 1).await.unwrap(), 0);
    assert_eq!(store.keep("i", NOW + 2 * HOLD_SECONDS).await.unwrap(), 1);
    assert_eq!(store.keep("i", NOW).await.unwrap(), 0, "keeping never shortens");
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 1);
    assert_eq!(has(&store).await, "balance 100-10");
    assert_eq!(store.expire(NOW + 2 * HOLD_SECONDS).await.unwrap(), 1);
    assert_eq!(store.expire(NOW + 2 * HOLD_SECONDS).await.unwrap(), 0);
    assert!(!store.void("r1", NOW).await.unwrap(), "an expired hold has nothing to let go of");
    assert_eq!(has(&store).await, "balance 100");
}

async fn a_top_up_grows_the_hold_or_is_refused(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    hold(&store, &ask("r1", 10, 10)).await;
    let top_up = async |id: &str, all| said(store.top_up(id, Nanos::new(all), NOW + 700, NOW).await.unwrap());
    assert_eq!(top_up("r1", 40).await, "q 10, balance 40");
    assert_eq!(top_up("r1", 90).await, "q 10, balance 90");
    assert_eq!(top_up("r1", 90).await, "q 10, balance 90", "asked twice, taken once");
    assert!(top_up("r1", 101).await.ends_with("can spend 0.00000001"));
    assert_eq!(top_up("r1", 0).await, "q 10, balance 90");
    assert_eq!(has(&store).await, "q 10-10, balance 100-90");
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 0, "it has more time");
    assert!(store.void("r1", NOW).await.unwrap());
    assert_eq!(top_up("r1", 1).await, "NotOpen");
    assert_eq!(top_up("unheard-of", 1).await, "NotOpen");
    assert_eq!(has(&store).await, "q 10, balance 100");
}

async fn a_suspended_account_is_refused(database: &Database) {
    let store = funded(database, 100).await;
    let first = ask("r1", 0, 10);
    let parts = store.hold(first.clone()).await.unwrap().unwrap();
    let suspended = AccountRow { suspended_at: Some(NOW), ..account("a") };
    assert!(store.account_update(&suspended).await.unwrap());
    assert_eq!(hold(&store, &ask("r2", 0, 10)).await, "Account");
    assert_eq!(said(store.top_up("r1", Nanos::new(11), NOW + 700, NOW).await.unwrap()), "Account");
    assert!(store.post(used(&first, &parts, 9)).await.unwrap(), "what was begun is paid");
    assert_eq!(store.deposit(money("more", 5)).await.unwrap(), Ok(true), "it may still pay");
    assert_eq!(has(&store).await, "balance 96");
}

async fn an_account_that_stops_with_its_quota_pays_no_money(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    let stops = |id: &str, tokens| HoldAsk {
        most: Most { tokens, money: Nanos::new(90), money_allowed: false },
        ..ask(id, 0, 0)
    };
    // The request that the quota ends in is completed, and pays with what there was.
    let last = stops("r1", 15);
    let parts = store.hold(last.clone()).await.unwrap().unwrap();
    assert_eq!(has(&store).await, "q 10-10, balance 100");
    assert_eq!(hold(&store, &stops("r2", 1)).await, "the free quota has ended, and the account stops there");
    assert!(store.post(used(&last, &parts, 15)).await.unwrap());
    assert_eq!(has(&store).await, "q 0, balance 100");
}

async fn amounts_below_zero_are_refused(database: &Database) {
    let store = funded(database, 100).await;
    assert!(store.hold(ask("r1", 0, -1)).await.is_err());
    hold(&store, &ask("r2", 0, 10)).await;
    assert!(store.top_up("r2", Nanos::new(-10), NOW + 700, NOW).await.is_err());
    assert!(store.deposit(tokens("t", true, -5, None)).await.is_err());
    assert!(store.deposit(tokens("t", true, 0, None)).await.is_err());
    assert!(store.deposit(money("m", 0)).await.is_err());
    let minus = AccountRow { credit: Nanos::MIN, ..account("b") };
    assert!(store.account_create(&minus).await.is_err());
    assert!(store.account_update(&AccountRow { credit: Nanos::new(-1), ..account("a") }).await.is_err());
    assert_eq!(has(&store).await, "balance 100-10");
    assert_eq!(store.deposit(tokens("t", true, 5, None)).await.unwrap(), Ok(true), "the id is still free");
}

async fn amounts_at_the_edge_of_their_range_change_nothing_or_add_up(database: &Database) {
    let store = funded(database, i64::MAX - 10).await;
    assert!(store.deposit(money("one-too-many", 11)).await.is_err());
    assert!(store.deposit(money("least", i64::MIN)).await.is_err());
    assert!(store.account_create(&account("b")).await.unwrap());
    // What was paid in by all accounts together has a range, too.
    let for_b = qwenda_store::ledger::Deposit { account_id: "b".to_owned(), ..money("b", i64::MAX) };
    assert!(store.deposit(for_b).await.is_err());
    assert_eq!(store.deposit(money("the-rest", 10)).await.unwrap(), Ok(true));
    let most = AccountRow { credit: Nanos::MAX, ..account("a") };
    assert!(store.account_update(&most).await.unwrap());
    assert_eq!(hold(&store, &ask("r1", u64::MAX, i64::MAX)).await, format!("balance {}", i64::MAX));
    // The credit line would pay for it, but no column holds so much.
    assert!(store.hold(ask("r2", 0, i64::MAX)).await.is_err());
    assert!(store.void("r1", NOW).await.unwrap());
    assert_eq!(has(&store).await, format!("balance {}", i64::MAX));
}
