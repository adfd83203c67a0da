//! What requests pay, once.

use qwenda_ledger::money::Nanos;
use qwenda_store::{ledger::HoldAsk, usage::Wanted};

use crate::{
    books::{HOLD_SECONDS, NOW, ask, at_once, budget, funded, has, hold, tokens, used},
    database::Database,
};

on_both! {
    a_post_pays_once_and_frees_the_rest
    a_post_pays_tokens_before_money
    a_post_of_nothing_is_on_record
    a_hold_that_expired_is_paid_all_the_same
    a_hold_that_was_let_go_is_not_paid
    a_post_above_its_hold_is_owed
    many_posts_at_once_pay_once_each
    roll_ups_equal_requests
    one_spoilt_hold_does_not_spoil_the_others
}

async fn a_post_pays_once_and_frees_the_rest(database: &Database) {
    let store = funded(database, 100).await;
    let ask = ask("r1", 0, 60);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    let post = used(&ask, &parts, 25);
    assert!(store.post(post.clone()).await.unwrap());
    assert!(!store.post(post.clone()).await.unwrap());
    assert!(!store.post(used(&ask, &parts, 60)).await.unwrap());
    assert!(!store.void("r1", NOW).await.unwrap());
    assert_eq!(store.expire(i64::MAX).await.unwrap(), 0);
    assert_eq!(has(&store).await, "balance 75");
    let paid = store.request("r1").await.unwrap().unwrap();
    assert_eq!((paid.line, paid.charge), (post.line, Nanos::new(25)));
    assert_eq!(database.number("SELECT posted FROM buckets WHERE id = 'revenue:CNY'").await, 25);
    assert_eq!(store.request("unheard-of").await.unwrap(), None);
}

async fn a_post_pays_tokens_before_money(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    store.deposit(tokens("p", false, 10, None)).await.unwrap().unwrap();
    for (id, want, tokens) in
        [("r1", "q 6, p 10, balance 100", 4), ("r2", "q 0, p 9, balance 100", 7), ("r3", "q 0, p 0, balance 98", 11)]
    {
        let ask = ask(id, 30, 50);
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        assert!(store.post(used(&ask, &parts, tokens)).await.unwrap());
        assert_eq!(has(&store).await, want);
    }
    assert_eq!(database.number("SELECT posted FROM buckets WHERE id = 'used:tokens'").await, 20);
    assert_eq!(database.number("SELECT posted FROM buckets WHERE id = 'given:tokens'").await, -20);
}

async fn a_post_of_nothing_is_on_record(database: &Database) {
    let store = funded(database, 100).await;
    let ask = ask("r1", 0, 60);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&ask, &parts, 0)).await.unwrap());
    assert_eq!(has(&store).await, "balance 100");
    assert_eq!(store.request("r1").await.unwrap().unwrap().charge, Nanos::ZERO);
}

async fn a_hold_that_expired_is_paid_all_the_same(database: &Database) {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    let late = HoldAsk { budgets: vec![budget("total", 100)], ..ask("late", 30, 60) };
    let parts = store.hold(late.clone()).await.unwrap().unwrap();
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 1);
    // Others take what it let go of.
    let other = HoldAsk { budgets: vec![budget("total", 100)], ..ask("other", 30, 90) };
    assert_eq!(hold(&store, &other).await, "q 10, balance 90");
    assert!(store.post(used(&late, &parts, 40)).await.unwrap());
    assert!(!store.post(used(&late, &parts, 40)).await.unwrap());
    assert_eq!(has(&store).await, "q 0-10, balance 70-90");
    assert_eq!(database.number("SELECT spent FROM budgets").await, 30);
    assert_eq!(database.number("SELECT pending FROM budgets").await, 90);
    assert!(store.void("other", NOW).await.unwrap());
    assert_eq!(has(&store).await, "q 0, balance 70");
    assert_eq!(database.number("SELECT pending FROM budgets").await, 0);
}

async fn a_hold_that_was_let_go_is_not_paid(database: &Database) {
    let store = funded(database, 100).await;
    let ask = ask("r1", 0, 60);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    assert!(store.void("r1", NOW).await.unwrap());
    assert!(!store.post(used(&ask, &parts, 10)).await.unwrap());
    assert_eq!(store.request("r1").await.unwrap(), None);
    assert_eq!(has(&store).await, "balance 100");
}

async fn a_post_above_its_hold_is_owed(database: &Database) {
    let store = funded(database, 10).await;
    let ask = ask("r1", 0, 10);
    let parts = store.hold(ask.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&ask, &parts, 13)).await.unwrap());
    assert_eq!(has(&store).await, "balance -3");
    assert!(hold(&store, &crate::books::ask("r2", 0, 1)).await.ends_with("can spend 0"));
    // A hold of tokens only, which then took more than those.
    store.deposit(tokens("q", true, 5, None)).await.unwrap().unwrap();
    let free = crate::books::ask("r3", 5, 5);
    let parts = store.hold(free.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&free, &parts, 7)).await.unwrap());
    assert_eq!(has(&store).await, "q 0, balance -5");
}

async fn many_posts_at_once_pay_once_each(database: &Database) {
    let store = funded(database, 100_000).await;
    let asks: Vec<HoldAsk> = (0..100).map(|i| ask(&format!("r{i}"), 0, 100)).collect();
    let held = at_once(asks.iter().map(|ask| store.hold(ask.clone()))).await;
    let held: Vec<_> = held.into_iter().map(|held| held.unwrap().unwrap()).collect();
    let posts: Vec<_> = asks.iter().zip(&held).map(|(ask, parts)| used(ask, parts, 70)).collect();
    let paid = at_once(posts.iter().chain(&posts).map(|post| store.post(post.clone()))).await;
    assert_eq!(paid.into_iter().filter(|paid| *paid.as_ref().unwrap()).count(), 100);
    assert_eq!(has(&store).await, "balance 93000");
}

async fn roll_ups_equal_requests(database: &Database) {
    let store = funded(database, 100_000).await;
    for i in 0..40_i64 {
        let ask = HoldAsk { now: NOW + i * 1801, key_id: format!("k{}", i % 3), ..ask(&format!("r{i}"), 0, 100) };
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        assert!(store.post(used(&ask, &parts, i as u64)).await.unwrap());
    }
    let all = Wanted { until: i64::MAX, limit: 1000, ..Wanted::default() };
    let requests = store.requests(&all).await.unwrap();
    assert_eq!(requests.len(), 40);
    for (grain, seconds) in [("minute", 60), ("hour", 3600), ("day", 86_400)] {
        let rollups = store.rollups(grain, &all).await.unwrap();
        assert_eq!(rollups.iter().map(|row| row.requests).sum::<i64>(), 40);
        for row in rollups {
            let these = requests
                .iter()
                .filter(|paid| paid.line.key_id == row.key_id && (row.at..row.at + seconds).contains(&paid.line.at));
            let (count, nanos) = these.fold((0, 0), |(count, nanos), paid| (count + 1, nanos + paid.charge.get()));
            assert_eq!((row.at % seconds, row.requests, row.charge.get(), row.input_tokens), (0, count, nanos, nanos));
        }
    }
    // Page by page it is the same, and nobody else's.
    let mut page = Wanted { key_id: Some("k1".to_owned()), limit: 5, ..all.clone() };
    let mut paged = Vec::new();
    loop {
        let rows = store.requests(&page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page.after = Some((last.line.at, last.line.id.clone()));
        paged.extend(rows);
    }
    let of_k1: Vec<_> = requests.into_iter().filter(|paid| paid.line.key_id == "k1").collect();
    assert_eq!(paged, of_k1);
    let none = Wanted { account_id: Some("b".to_owned()), ..all };
    assert_eq!(store.requests(&none).await.unwrap(), []);
    assert_eq!(store.rollups("day", &none).await.unwrap(), []);
}

async fn one_spoilt_hold_does_not_spoil_the_others(database: &Database) {
    let store = funded(database, 1000).await;
    let asks: Vec<HoldAsk> = (0..10).map(|i| ask(&format!("r{i}"), 0, 10)).collect();
    let held = at_once(asks.iter().map(|ask| store.hold(ask.clone()))).await;
    let parts = held.into_iter().next().unwrap().unwrap().unwrap();
    database.execute("UPDATE holds SET parts = 'rubbish' WHERE id = 'r4'").await;
    let posts = asks[..5].iter().map(|ask| store.post(used(ask, &parts, 7)));
    let paid: Vec<bool> = at_once(posts).await.into_iter().map(|paid| paid.is_ok()).collect();
    assert_eq!(paid, [true, true, true, true, false]);
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 5, "the others are let go of");
    assert_eq!(has(&store).await, "balance 972-10");
    database.execute("UPDATE holds SET parts = '[{\"bucket\":\"balance:a\",\"kind\":\"balance\",\"amount\":10}]' WHERE id = 'r4'").await;
    assert_eq!(store.expire(NOW + HOLD_SECONDS).await.unwrap(), 1);
    assert_eq!(has(&store).await, "balance 972");
}
