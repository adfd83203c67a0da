//! Several servers on one database.

use std::sync::Arc;

use crate::{
    books::{NOW, account, ask, funded, has, money, used},
    database::Database,
};

on_both! {
    three_replicas_never_overspend
    three_replicas_pay_each_request_once
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
