//! A copy that is made while others write is of one moment: everything in it adds up.

use std::sync::atomic::{AtomicBool, Ordering};

use qwenda_store::{FILE_NAME, Store, ledger::HoldAsk};

use crate::{
    books::{ask, at_once, budget, funded, tokens, used},
    database::Database,
};

const COPIES: usize = 8;

/// Holds, posts and voids until it is over.
async fn work(store: &Store, caller: usize, over: &AtomicBool) {
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("{caller}-{n}");
        let ask = HoldAsk { budgets: vec![budget("total", i64::MAX)], ..ask(&id, 3, 20) };
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        match n % 4 {
            0 => drop(store.void(&id, ask.now).await.unwrap()),
            _ => drop(store.post(used(&ask, &parts, 7)).await.unwrap()),
        }
    }
}

async fn copies(store: &Store, folder: &std::path::Path, over: &AtomicBool) {
    for n in 0..COPIES {
        let folder = folder.join(n.to_string());
        std::fs::create_dir(&folder).unwrap();
        store.copy_to(folder.join(FILE_NAME).to_str().unwrap()).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_others_write_adds_up() {
    let database = Database::sqlite();
    let store = funded(&database, 1_000_000_000).await;
    store.deposit(tokens("q", true, 1000, None)).await.unwrap().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let over = AtomicBool::new(false);
    let all: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = (0..6)
        .map(|caller| Box::pin(work(&store, caller, &over)) as _)
        .chain([Box::pin(copies(&store, dir.path(), &over)) as _])
        .collect();
    at_once(all.into_iter()).await;
    let mut before = 0;
    for n in 0..COPIES {
        let copy = Store::open(&dir.path().join(n.to_string())).await.unwrap();
        let audit = copy.audit().await.unwrap();
        assert_eq!(audit.difference, None, "copy {n}");
        assert!(audit.requests >= before, "copy {n} has fewer requests than the one before it");
        before = audit.requests;
        copy.close().await;
    }
    assert!(before > 0 && store.audit().await.unwrap().requests >= before);
    let taken = dir.path().join("0").join(FILE_NAME);
    store.copy_to(taken.to_str().unwrap()).await.expect_err("it is there already");
    store.close().await;
    database.adds_up().await;
}
