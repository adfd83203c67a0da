//! What every database behind the store must do.

use std::path::Path;

use qwenda_ledger::{
    key::{Key, KeyHash, Secret},
    terms::Terms,
};
use qwenda_store::{Error, FILE_NAME, Store, keys::KeyRow};

fn hash(seed: u8) -> KeyHash {
    Key::from_random([seed; 20]).hash(&Secret::new([0; 32]))
}

fn key(seed: u8) -> KeyRow {
    KeyRow {
        id: format!("id-{seed}"),
        name: format!("name {seed}"),
        hash: hash(seed),
        last_four: "abcd".to_owned(),
        created_at: 1000 + i64::from(seed),
        revoked_at: None,
        account: None,
        project: None,
        terms: Terms::default(),
        version: 1,
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_until_and_after_it_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for seed in [3, 1, 2] {
        store.key_create(&key(seed)).await.unwrap();
    }
    assert_eq!(store.key_by_hash(hash(2)).await.unwrap(), Some(key(2)));
    assert_eq!(store.key_by_hash(hash(9)).await.unwrap(), None);
    assert_eq!(store.key_by_id(&key(2).id).await.unwrap(), Some(key(2)));
    assert_eq!(store.key_by_id("key_unheard_of").await.unwrap(), None);
    let ids: Vec<String> = store.key_list().await.unwrap().into_iter().map(|k| k.id).collect();
    assert_eq!(ids, ["id-1", "id-2", "id-3"]);

    assert!(store.key_revoke("id-2", 5000).await.unwrap());
    assert!(!store.key_revoke("id-2", 6000).await.unwrap(), "a key is revoked once");
    assert!(!store.key_revoke("id-9", 6000).await.unwrap());
    let revoked = store.key_by_hash(hash(2)).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(5000));
}

#[tokio::test]
async fn of_two_who_change_the_terms_of_a_key_the_second_does_not_overwrite_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.key_create(&key(1)).await.unwrap();
    let rpm = |n| Terms { requests_per_minute: Some(n), ..Terms::default() };
    assert!(store.key_set_terms("id-1", &rpm(5), 1).await.unwrap());
    assert!(!store.key_set_terms("id-1", &rpm(6), 1).await.unwrap(), "it was changed since");
    assert!(!store.key_set_terms("id-2", &rpm(6), 1).await.unwrap(), "it is not there");
    let after = KeyRow { terms: rpm(5), version: 2, ..key(1) };
    assert_eq!(store.key_by_id("id-1").await.unwrap(), Some(after.clone()));
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap(), Some(after.clone()));
    assert_eq!(store.key_list().await.unwrap(), [after]);
    assert!(store.key_set_terms("id-1", &rpm(7), 2).await.unwrap());
    store.key_revoke("id-1", 5000).await.unwrap();
    assert!(!store.key_set_terms("id-1", &rpm(8), 3).await.unwrap(), "it is revoked");
}

#[tokio::test]
async fn two_keys_of_one_hash_or_one_id_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.key_create(&key(1)).await.unwrap();
    assert!(store.key_create(&KeyRow { id: "other".into(), ..key(1) }).await.is_err());
    assert!(store.key_create(&KeyRow { hash: hash(2), ..key(1) }).await.is_err());
    assert_eq!(store.key_list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_written_is_there_when_opened_again_and_beside() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("made/when/missing");
    let store = Store::open(&data).await.unwrap();
    let beside = Store::open(&data).await.unwrap();
    store.key_create(&key(1)).await.unwrap();
    assert_eq!(beside.key_list().await.unwrap(), [key(1)]);
    store.close().await;
    beside.close().await;
    assert_eq!(Store::open(&data).await.unwrap().key_list().await.unwrap(), [key(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_folder_may_be_opened_by_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let opened = (0..8).map(|_| {
        let path = dir.path().to_owned();
        tokio::spawn(async move { Store::open(&path).await.map(drop) })
    });
    for task in opened.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_fact_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.meta_set_once("a", "1").await.unwrap(), "1");
    assert_eq!(store.meta_set_once("a", "2").await.unwrap(), "1");
}

async fn refusal(data_dir: &Path) -> Error {
    Store::open(data_dir).await.expect_err("it must not open")
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = refusal(&file).await;
    assert!(matches!(error, Error::Folder { .. }), "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()));

    let error = refusal(&file.join("below")).await;
    assert!(matches!(error, Error::Folder { .. }), "{error}");

    let data = dir.path().join("data");
    std::fs::create_dir_all(data.join(FILE_NAME)).unwrap();
    let error = refusal(&data).await;
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "this is my diary, not a database; ".repeat(100);
    std::fs::write(dir.path().join(FILE_NAME), &text).unwrap();
    let error = refusal(dir.path()).await;
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(), text);
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).await.unwrap().close().await;
    let url = format!("sqlite://{}", dir.path().join(FILE_NAME).display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'later', TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let error = refusal(dir.path()).await;
    assert!(matches!(error, Error::FromTheFuture { found: 99, known: 5, .. }), "{error}");
}
