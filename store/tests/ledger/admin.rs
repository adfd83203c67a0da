//! What administrators need: their keys, nonces, what keys were before, pages, and sums told apart.

use qwenda_ledger::{
    key::{Key, KeyHash, Secret, admin::AdminKey},
    money::Nanos,
    policy::Role,
    terms::Terms,
};
use qwenda_store::{
    admin::AdminKeyRow,
    deposits::DepositRow,
    keys::{KeyAccount, KeyRow},
    ledger::Deposited,
    usage::{Apart, UsageRow, Wanted},
};

use crate::{
    books::{NOW, account, ask, funded, money, tokens, used},
    database::Database,
};

on_both! {
    an_admin_key_is_found_by_its_hash_or_its_id_and_revoked_once
    a_nonce_is_used_once_by_each_access_key_until_it_is_forgotten
    a_rotated_key_is_found_by_its_old_hash_until_the_overlap_ends
    a_deposit_is_found_as_it_was_made
    pages_of_keys_and_accounts_follow_each_other
    usage_is_summed_by_what_is_told_apart
}

fn hash(seed: u8) -> KeyHash {
    Key::from_random([seed; 20]).hash(&Secret::new([0; 32]))
}

fn key(seed: u8) -> KeyRow {
    KeyRow {
        id: format!("id-{seed}"),
        name: format!("name {}", seed % 2),
        hash: hash(seed),
        last_four: "abcd".to_owned(),
        // Some are of one second.
        created_at: i64::from(seed / 2),
        revoked_at: None,
        account: None,
        terms: Terms::default(),
        version: 1,
    }
}

fn admin(seed: u8, signs: bool) -> AdminKeyRow {
    let hash = AdminKey::from_random([seed; 20]).hash(&Secret::new([0; 32]));
    AdminKeyRow {
        id: format!("adm-{seed}"),
        name: "me".to_owned(),
        role: Role::Billing,
        hash: (!signs).then_some(hash),
        last_four: "abcd".to_owned(),
        created_at: i64::from(seed),
        revoked_at: None,
    }
}

async fn an_admin_key_is_found_by_its_hash_or_its_id_and_revoked_once(database: &Database) {
    let store = database.open().await;
    // Of those that sign, many have no hash.
    for row in [admin(3, true), admin(1, false), admin(2, true)] {
        store.admin_key_create(&row).await.unwrap();
    }
    assert_eq!(store.admin_key_list().await.unwrap(), [admin(1, false), admin(2, true), admin(3, true)]);
    let hash = admin(1, false).hash.unwrap();
    assert_eq!(store.admin_key_by_hash(hash).await.unwrap(), Some(admin(1, false)));
    assert_eq!(store.admin_key_by_hash(admin(3, false).hash.unwrap()).await.unwrap(), None);
    assert!(store.admin_key_create(&AdminKeyRow { id: "other".to_owned(), ..admin(1, false) }).await.is_err());
    assert_eq!(store.admin_key_by_id("adm-3").await.unwrap(), Some(admin(3, true)));
    assert!(store.admin_key_revoke("adm-3", 9).await.unwrap());
    assert!(!store.admin_key_revoke("adm-3", 10).await.unwrap());
    assert_eq!(store.admin_key_by_id("adm-3").await.unwrap().unwrap().revoked_at, Some(9));
}

async fn a_nonce_is_used_once_by_each_access_key_until_it_is_forgotten(database: &Database) {
    let store = database.open().await;
    assert!(store.nonce_use("a", "n", 1_900, 1_000).await.unwrap());
    assert!(!store.nonce_use("a", "n", 1_950, 1_050).await.unwrap());
    assert!(store.nonce_use("b", "n", 1_950, 1_050).await.unwrap());
    store.close().await;
    let store = database.open().await;
    assert!(!store.nonce_use("a", "n", 2_800, 1_900).await.unwrap(), "also across restarts");
    assert!(store.nonce_use("a", "n", 2_801, 1_901).await.unwrap());
}

async fn a_rotated_key_is_found_by_its_old_hash_until_the_overlap_ends(database: &Database) {
    let store = database.open().await;
    store.key_create(&key(1)).await.unwrap();
    assert!(store.key_rotate(&key(1), hash(7), "wxyz", 2_000, 1_500).await.unwrap());
    assert!(!store.key_rotate(&key(1), hash(8), "wxyz", 2_000, 1_500).await.unwrap(), "of a version that is gone");
    let now = store.key_by_hash(hash(7)).await.unwrap().unwrap();
    assert_eq!((now.id.as_str(), now.version, now.last_four.as_str()), ("id-1", 2, "wxyz"));
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap(), None);
    let old = store.key_by_old_hash(hash(1), 1_999).await.unwrap().unwrap();
    assert_eq!((old.id.as_str(), old.hash == hash(1), old.last_four.as_str()), ("id-1", true, "abcd"));
    assert_eq!(store.key_by_old_hash(hash(1), 2_000).await.unwrap(), None);
    // Without an overlap nothing is kept.
    assert!(store.key_rotate(&now, hash(9), "9999", 1_600, 1_600).await.unwrap());
    assert_eq!(store.key_by_old_hash(hash(7), 0).await.unwrap(), None);
    assert!(store.key_by_old_hash(hash(1), 1_999).await.unwrap().is_some(), "the one before goes its own time");
}

async fn a_deposit_is_found_as_it_was_made(database: &Database) {
    let store = funded(database, 100).await;
    for deposit in
        [money("in", 30), money("back", -10), tokens("free", true, 5, Some(NOW + 9)), tokens("pack", false, 7, None)]
    {
        let made = store.deposit(deposit.clone()).await.unwrap();
        assert_eq!(made, Ok(true));
        let found = store.deposit_by_id(&deposit.id).await.unwrap();
        let want = DepositRow { id: deposit.id, what: deposit.what, note: deposit.note, at: deposit.now };
        assert_eq!(found, Some(want));
    }
    let back = store.deposit_by_id("back").await.unwrap().unwrap();
    assert_eq!(back.what, Deposited::Money(Nanos::new(-10)));
    assert_eq!(store.deposit_by_id("unheard of").await.unwrap(), None);
}

async fn pages_of_keys_and_accounts_follow_each_other(database: &Database) {
    let store = funded(database, 0).await;
    let of_a = KeyAccount { id: "a".to_owned(), currency: account("a").currency, quota_stops: false, suspended: false };
    for seed in 1..=5 {
        let account = (seed > 3).then(|| of_a.clone());
        store.key_create(&KeyRow { account, ..key(seed) }).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let page = store.key_page(None, seen.last(), 2).await.unwrap();
        assert!(!page.is_empty() && page.len() <= 2);
        seen.extend(page);
    }
    let ids: Vec<&str> = seen.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["id-1", "id-2", "id-3", "id-4", "id-5"]);
    assert_eq!(store.key_page(Some("a"), None, 9).await.unwrap().len(), 2);
    assert_eq!(store.keys_named("name 1").await.unwrap().len(), 3);
    assert!(store.key_revoke("id-3", NOW).await.unwrap());
    assert_eq!(store.keys_named("name 1").await.unwrap().len(), 2);

    assert!(store.account_create(&account("b")).await.unwrap());
    let first = store.account_page(None, 1).await.unwrap();
    let second = store.account_page(first.first(), 5).await.unwrap();
    assert_eq!([first, second].concat(), [account("a"), account("b")]);
}

async fn usage_is_summed_by_what_is_told_apart(database: &Database) {
    let store = funded(database, 1_000).await;
    for (id, key, model, spent) in [("1", "k", "m", 5), ("2", "k", "n", 7), ("3", "l", "m", 11)] {
        let mut ask = ask(id, 0, 100);
        (ask.key_id, ask.model) = (key.to_owned(), model.to_owned());
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        assert!(store.post(used(&ask, &parts, spent)).await.unwrap());
    }
    let wanted = Wanted { from: 0, until: i64::MAX, limit: 10, ..Wanted::default() };
    let rows = async |apart: Apart, skip: i64| -> Vec<String> {
        let rows = store.usage("day", apart, &wanted, skip).await.unwrap();
        let told = |row: &UsageRow| {
            let UsageRow { row, currency } = row;
            format!("{}/{}/{} {} {} {currency}", row.account_id, row.key_id, row.model, row.requests, row.charge.get())
        };
        rows.iter().map(told).collect()
    };
    assert_eq!(rows(Apart::default(), 0).await, ["// 3 23 CNY"]);
    let key = Apart { key: true, ..Apart::default() };
    assert_eq!(rows(key, 0).await, ["/k/ 2 12 CNY", "/l/ 1 11 CNY"]);
    assert_eq!(rows(key, 1).await, ["/l/ 1 11 CNY"]);
    let all = Apart { account: true, key: true, model: true };
    assert_eq!(rows(all, 0).await, ["a/k/m 1 5 CNY", "a/k/n 1 7 CNY", "a/l/m 1 11 CNY"]);
}
