//! Several servers on one database.

use std::sync::Arc;

use qwenda_ledger::limit::{Lease, Rate, Short};

use crate::{
    books::{NOW, account, ask, funded, has, money, used},
    database::Database,
};

on_both! {
    three_replicas_never_overspend
    three_replicas_pay_each_request_once
    three_replicas_share_a_limit_and_give_back_what_they_do_not_use
    a_trade_that_another_server_makes_at_the_same_time_is_not_lost
}

async fn three_replicas_never_overspend(database: &Database) {
    let first = funded(database, 100).await;
    let stores = [first, database.open().await, database.open().await].map(Arc::new);
    let asked: Vec<_> = (0..200)
        .map(|i| {
            let store = Arc::clone(&stores[i % 3]);
            tokio::spawn(async move { store.hold(ask(&format!("r{i}"), 0, 10)).await.unwrap().is_ok() })
        })
        .collect();
    let mut held = 0;
    for one in asked {
        held += u32::from(one.await.unwrap());
    }
    assert_eq!(held, 10);
    assert_eq!(has(&stores[1]).await, "balance 100-100");
    for store in &stores {
        store.close().await;
    }
}

async fn three_replicas_pay_each_request_once(database: &Database) {
    let first = funded(database, 1000).await;
    let stores = [first, database.open().await, database.open().await].map(Arc::new);
    assert!(stores[0].account_create(&account("b")).await.unwrap());
    let tasks: Vec<_> = (0..90)
        .map(|i| {
            // Each request is asked for at every replica, as a caller does that tries again.
            let store = Arc::clone(&stores[i % 3]);
            tokio::spawn(async move {
                let ask = ask(&format!("r{}", i / 3), 0, 20);
                let parts = store.hold(ask.clone()).await.unwrap();
                let deposited = store.deposit(money(&format!("m{}", i / 3), 7)).await.unwrap() == Ok(true);
                // Whoever comes after the post finds the hold closed.
                let Ok(parts) = parts else { return (0, u32::from(deposited)) };
                let paid = store.post(used(&ask, &parts, 13)).await.unwrap();
                store.expire(NOW).await.unwrap();
                (u32::from(paid), u32::from(deposited))
            })
        })
        .collect();
    let mut sums = (0, 0);
    for task in tasks {
        let (paid, deposited) = task.await.unwrap();
        sums = (sums.0 + paid, sums.1 + deposited);
    }
    assert_eq!(sums, (30, 30));
    assert_eq!(has(&stores[2]).await, "balance 820");
    for store in &stores {
        store.close().await;
    }
}

async fn three_replicas_share_a_limit_and_give_back_what_they_do_not_use(database: &Database) {
    let stores = [database.open().await, database.open().await, database.open().await];
    let (rate, now_ns) = (Rate::strict(600), 1_772_236_800_000_000_000);
    let mut leases: [Lease; 3] = Default::default();
    let ids = ["a", "b"].map(str::to_owned);
    let mut taken = [0_u64; 3];
    // All at one moment: what one server is lent, the others do not have.
    for round in 0..400 {
        let (store, lease) = (&stores[round % 3], &mut leases[round % 3]);
        match lease.take(rate, 1, 0) {
            Ok(unit) => {
                lease.settle(unit, 1);
                taken[round % 3] += 1;
            }
            Err(Short::Borrow) => {
                let trade = lease.trade(rate, 1, 0).unwrap();
                let asked: Vec<_> = ids.iter().map(|id| (id.clone(), rate, trade.clone())).collect();
                let grants = store.trade(&asked, now_ns).await.unwrap();
                // Both limits began alike and were asked alike.
                assert!(grants[0].lent > 0 && grants[0].lent <= grants[1].lent || grants[0].refused.is_some());
                lease.receive(rate, &trade, &grants[0], 0);
            }
            Err(Short::Wait(_)) => {}
        }
    }
    let all: u64 = taken.iter().sum();
    // On a server the database's own clock runs on meanwhile, a hundredth of a second for each of these.
    assert!(all <= rate.burst() + 100 && taken.iter().all(|one| *one > 0), "{taken:?}");
    assert!(all + leases.iter().map(Lease::left).sum::<u64>() >= rate.burst() - 3, "{taken:?}");
    assert_eq!(database.number("SELECT COUNT(*) FROM shared_limits").await, 2);
    stores[0].forget_limits(now_ns).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM shared_limits").await, 2);
    stores[0].forget_limits(now_ns * 2).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM shared_limits").await, 0);
    for store in &stores {
        store.close().await;
    }
}

async fn a_trade_that_another_server_makes_at_the_same_time_is_not_lost(database: &Database) {
    let stores = [database.open().await, database.open().await, database.open().await].map(Arc::new);
    let (rate, now_ns) = (Rate::minute(1_000_000), 1_772_236_800_000_000_000);
    let tasks: Vec<_> = (0..60)
        .map(|i| {
            let store = Arc::clone(&stores[i % 3]);
            tokio::spawn(async move {
                let trade = Lease::default().trade(rate, 7, 0).unwrap();
                store.trade(&[("shared".to_owned(), rate, trade)], now_ns).await.unwrap()[0].lent
            })
        })
        .collect();
    let mut lent = 0;
    for task in tasks {
        lent += task.await.unwrap();
    }
    assert!(lent >= 60 * 7);
    let counted = database.number("SELECT taken FROM shared_limits").await;
    assert_eq!(counted.cast_unsigned(), lent);
    for store in &stores {
        store.close().await;
    }
}
