//! What administrators need: their keys, nonces, what keys were before, pages, and sums told apart.

use qwenda_ledger::{
    key::{Key, KeyHash, Secret, admin::AdminKey},
    money::Nanos,
    policy::Role,
    terms::Terms,
};
use qwenda_store::{
    accounts::AccountRow,
    admin::AdminKeyRow,
    contents::Content,
    deposits::DepositRow,
    keys::{KeyAccount, KeyRow},
    ledger::{Deposited, HoldAsk, Post},
    projects::ProjectRow,
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
    a_key_knows_its_project_and_what_is_above_it
    a_project_is_changed_by_who_has_seen_it
    content_is_kept_for_so_long
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
        project: None,
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
    let of_a = KeyAccount {
        id: "a".to_owned(),
        currency: account("a").currency,
        quota_stops: false,
        suspended: false,
        content_days: 0,
        terms: Terms::default(),
    };
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

fn project(id: &str, name: &str) -> ProjectRow {
    ProjectRow {
        id: id.to_owned(),
        account_id: "a".to_owned(),
        name: name.to_owned(),
        terms: Terms { requests_per_minute: Some(7), ..Terms::default() },
        disabled_at: None,
        version: 1,
        created_at: 3,
    }
}

async fn a_key_knows_its_project_and_what_is_above_it(database: &Database) {
    let store = funded(database, 0).await;
    let shop = project("prj_1", "shop");
    assert!(store.project_create(&shop).await.unwrap());
    let mut of_a = store.account("a").await.unwrap().unwrap();
    of_a.terms.models = Some(vec!["qwen-*".to_owned()]);
    of_a.content_days = 30;
    assert!(store.account_update(&of_a).await.unwrap());
    let row = KeyRow { account: Some(of_a.into()), project: Some(shop.into()), ..key(1) };
    store.key_create(&row).await.unwrap();
    store.key_create(&key(2)).await.unwrap();
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap().unwrap(), row);
    assert_eq!(store.key_by_id("id-2").await.unwrap().unwrap(), key(2));
    assert!(store.key_rotate(&row, hash(3), "next", NOW + 9, NOW).await.unwrap());
    let old = store.key_by_old_hash(hash(1), NOW).await.unwrap().unwrap();
    assert_eq!((old.hash, old.project, old.account), (hash(1), row.project, row.account));
    // Its usage is the project's.
    for (id, key_id) in [("r1", "id-1"), ("r2", "id-2")] {
        let ask = HoldAsk { key_id: key_id.to_owned(), ..ask(id, 0, 0) };
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        store.post(used(&ask, &parts, 0)).await.unwrap();
    }
    let wanted = Wanted { project_id: Some("prj_1".to_owned()), until: i64::MAX, limit: 9, ..Wanted::default() };
    let ids = |wanted: Wanted| {
        let store = &store;
        async move { store.requests(&wanted).await.unwrap().into_iter().map(|one| one.line.id).collect::<Vec<_>>() }
    };
    assert_eq!(ids(wanted.clone()).await, ["r1"]);
    assert_eq!(ids(Wanted { account_id: Some("a".to_owned()), ..wanted.clone() }).await, ["r1"]);
    assert_eq!(store.usage("day", Apart::default(), &wanted, 0).await.unwrap()[0].row.requests, 1);
    assert_eq!(store.rollups("day", &wanted).await.unwrap().len(), 1);
}

async fn a_project_is_changed_by_who_has_seen_it(database: &Database) {
    let store = funded(database, 0).await;
    for (id, name) in [("prj_1", "shop"), ("prj_2", "web"), ("prj_3", "app")] {
        assert!(store.project_create(&project(id, name)).await.unwrap());
    }
    assert!(!store.project_create(&project("prj_4", "shop")).await.unwrap());
    let seen = store.project_by_id("prj_2").await.unwrap().unwrap();
    assert_eq!(seen, project("prj_2", "web"));
    let disabled = ProjectRow { disabled_at: Some(9), ..seen.clone() };
    assert!(store.project_update(&disabled).await.unwrap());
    assert!(!store.project_update(&seen).await.unwrap());
    let named = store.projects_named("web", Some("a")).await.unwrap();
    assert_eq!(named, [ProjectRow { version: 2, ..disabled }]);
    assert_eq!(store.projects_named("web", Some("b")).await.unwrap(), []);
    let first = store.project_page(Some("a"), None, 2).await.unwrap();
    let rest = store.project_page(None, first.last(), 9).await.unwrap();
    assert_eq!((first.len(), rest.len(), rest[0].id.as_str()), (2, 1, "prj_3"));
}

async fn content_is_kept_for_so_long(database: &Database) {
    let store = funded(database, 0).await;
    let keeps = async |content_days| {
        let of_a = store.account("a").await.unwrap().unwrap();
        assert!(store.account_update(&AccountRow { content_days, ..of_a }).await.unwrap());
    };
    keeps(30).await;
    let content = |expires_at| Content { request: "{}".to_owned(), answer: "[]".to_owned(), expires_at };
    for (id, expires_at) in [("r1", NOW + 10), ("r2", NOW + 20), ("r3", NOW + 20)] {
        let ask = ask(id, 0, 0);
        let parts = store.hold(ask.clone()).await.unwrap().unwrap();
        let post = Post { content: Some(content(expires_at)), ..used(&ask, &parts, 0) };
        assert!(store.post(post.clone()).await.unwrap());
        assert!(!store.post(post).await.unwrap());
    }
    assert_eq!(store.content("r1", NOW + 9).await.unwrap(), Some(content(NOW + 10)));
    assert_eq!(store.content("r1", NOW + 10).await.unwrap(), None);
    assert_eq!(store.contents_expire(NOW + 10).await.unwrap(), 1);
    assert_eq!(store.contents_remove("b").await.unwrap(), 0);
    assert_eq!(store.contents_remove("a").await.unwrap(), 2);
    assert_eq!(store.content("r2", NOW).await.unwrap(), None);
    // One that was admitted before the account changed its mind is paid, and nothing of it is kept.
    keeps(0).await;
    let late = ask("r4", 0, 0);
    let parts = store.hold(late.clone()).await.unwrap().unwrap();
    assert!(store.post(Post { content: Some(content(NOW + 20)), ..used(&late, &parts, 0) }).await.unwrap());
    assert_eq!(store.content("r4", NOW).await.unwrap(), None);
}
