//! Admin keys, nonces and what keys were before.

use qwenda_ledger::{key::admin::AdminKey, policy::Role};
use qwenda_store::admin::AdminKeyRow;

use super::{Secret, Store, hash, key};

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

#[tokio::test]
async fn an_admin_key_is_found_by_its_hash_or_its_id_and_revoked_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
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

#[tokio::test]
async fn a_nonce_is_used_once_by_each_access_key_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert!(store.nonce_use("a", "n", 1_900, 1_000).await.unwrap());
    assert!(!store.nonce_use("a", "n", 1_950, 1_050).await.unwrap());
    assert!(store.nonce_use("b", "n", 1_950, 1_050).await.unwrap());
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert!(!store.nonce_use("a", "n", 2_800, 1_900).await.unwrap(), "also across restarts");
    assert!(store.nonce_use("a", "n", 2_801, 1_901).await.unwrap());
}

#[tokio::test]
async fn a_rotated_key_is_found_by_its_old_hash_until_the_overlap_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
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
