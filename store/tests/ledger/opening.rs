//! Databases that are there already, and those that are not.

use std::borrow::Cow;

use qwenda_ledger::key::{Key, Secret};
use qwenda_store::{Error, Store};
use sqlx::{
    SqlSafeStr,
    any::AnyPoolOptions,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::{
    books::{account, ask, hold, money},
    database::Database,
};

on_both! {
    a_database_of_the_first_schema_keeps_its_keys
    many_may_open_a_new_database_at_once
    a_schema_from_the_future_is_refused
    what_is_closed_says_so
}

async fn a_database_of_the_first_schema_keeps_its_keys(database: &Database) {
    let pool = AnyPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    let sql = include_str!("../../migrations/0001_keys.sql").into_sql_str();
    let first = Migration::new(1, Cow::Borrowed("keys"), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first]).run(&pool).await.unwrap();
    pool.close().await;
    let hash = Key::from_random([7; 20]).hash(&Secret::new([0; 32]));
    for (id, revoked) in [("k1", "NULL"), ("k2", "2000")] {
        let hash = if id == "k1" { hash.to_hex() } else { "0".repeat(64) };
        let sql = format!("INSERT INTO keys VALUES ('{id}', 'name', '{hash}', 'abcd', 1000, {revoked})");
        database.execute(&sql).await;
    }
    let store = database.open().await;
    let key = store.key_by_hash(hash).await.unwrap().unwrap();
    assert_eq!((key.id.as_str(), key.revoked_at, key.account), ("k1", None, None));
    assert_eq!(key.terms, Default::default());
    assert_eq!(store.key_by_id("k2").await.unwrap().unwrap().revoked_at, Some(2000));
    // And it can do what is new.
    assert!(store.account_create(&account("a")).await.unwrap());
    store.deposit(money("m", 10)).await.unwrap().unwrap();
    assert_eq!(hold(&store, &ask("r1", 0, 10)).await, "balance 10");
}

async fn many_may_open_a_new_database_at_once(database: &Database) {
    let opened = crate::books::at_once((0..6).map(|_| database.open())).await;
    for store in opened {
        store.close().await;
    }
}

async fn a_schema_from_the_future_is_refused(database: &Database) {
    database.open().await.close().await;
    let (blob, yes) = if database.is_sqlite() { ("x'00'", "1") } else { ("'\\x00'::bytea", "TRUE") };
    let sql = format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'later', {yes}, {blob}, 0)"
    );
    database.execute(&sql).await;
    let error = database.try_open().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::FromTheFuture { found: 99, .. }), "{error}");
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 99").await;
}

async fn what_is_closed_says_so(database: &Database) {
    let store = database.open().await;
    assert!(store.account_create(&account("a")).await.unwrap());
    store.close().await;
    let error = store.deposit(money("m", 10)).await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_its_password() {
    let error = Store::open_url("postgres://me:secret@localhost/books?host=/nowhere").await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("postgres://me:***@localhost/books:"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
