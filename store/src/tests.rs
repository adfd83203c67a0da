use super::*;

#[tokio::test]
async fn every_connection_to_sqlite_waits_for_others_and_writes_through() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        all.push(store.pool.acquire().await.unwrap());
    }
    for connection in &mut all {
        for (pragma, want) in [("PRAGMA busy_timeout", 10_000), ("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
            let (value,): (i64,) = sqlx::query_as(pragma).fetch_one(&mut **connection).await.unwrap();
            assert_eq!(value, want, "{pragma}");
        }
        let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
        assert_eq!(mode, "wal");
    }
}

#[test]
fn a_url_is_told_without_what_is_secret_in_it() {
    for (url, want) in [
        ("postgres://u:secret@host:5432/db", "postgres://u:***@host:5432/db"),
        ("postgres://u:sec@ret@host/db", "postgres://u:***@host/db"),
        ("postgres://host/db?password=secret", "postgres://host/db"),
        ("postgres://u:secret@host/db?password=secret", "postgres://u:***@host/db"),
        ("postgres://host/db?user=u&password=sec@ret", "postgres://***"),
        ("postgres://u:sec?ret@host/db", "postgres://***"),
    ] {
        assert_eq!(without_password(url), want);
        assert!(!without_password(url).contains("sec"));
    }
}
