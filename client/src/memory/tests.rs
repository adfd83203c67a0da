//! What holds of every store; each runs it.

use super::*;

fn record(id: &str, conversation: &str, turn: u64, vector: &[f32]) -> Record {
    let metadata = Map::from_iter([("role".to_owned(), Value::from("user"))]);
    let text = format!("text of {id}: “é, 你好”");
    Record { id: id.into(), conversation: conversation.into(), turn, text, metadata, vector: vector.to_vec() }
}

fn query(vector: &[f32], most: usize, conversation: Option<&str>) -> Query {
    Query { vector: vector.to_vec(), most, conversation: conversation.map(str::to_owned) }
}

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.id.as_str()).collect()
}

/// Uses the spaces `one`, `two` and `none`, which have to be empty.
pub(crate) async fn check(store: &dyn VectorStore) {
    let records = vec![
        record("a", "c1", 0, &[1.0, 0.0, 0.0]),
        record("b", "c1", 7, &[0.0, 2.0, 0.0]),
        record("c", "c2", 1, &[0.9, 0.1, 0.0]),
    ];
    store.upsert("one", records).await.unwrap();
    store.upsert("two", vec![record("a", "c1", 3, &[0.0, 1.0])]).await.unwrap();
    store.upsert("one", Vec::new()).await.unwrap();

    let near = store.search("one", query(&[1.0, 0.1, 0.0], 2, None)).await.unwrap();
    assert_eq!(ids(&near), ["c", "a"]);
    assert!((near[0].score - 0.99995).abs() < 1e-3, "{}", near[0].score);
    let near = store.search("one", query(&[1.0, 0.1, 0.0], 9, Some("c1"))).await.unwrap();
    assert_eq!(ids(&near), ["a", "b"]);
    let b = &near[1];
    assert_eq!((b.turn, b.text.as_str(), b.conversation.as_str()), (7, "text of b: “é, 你好”", "c1"));
    assert_eq!(b.metadata["role"], "user");
    assert!(store.search("one", query(&[1.0, 0.0, 0.0], 0, None)).await.unwrap().is_empty());
    assert!(store.search("none", query(&[1.0], 3, None)).await.unwrap().is_empty());

    let known = store.known("one", ["a", "x", "c"].map(str::to_owned).to_vec()).await.unwrap();
    assert_eq!(known, HashSet::from(["a".to_owned(), "c".to_owned()]));
    assert!(store.known("none", vec!["a".to_owned()]).await.unwrap().is_empty());
    let count = async |space, of| store.count(space, of).await.unwrap();
    assert_eq!((count("one", None).await, count("one", Some("c1")).await, count("none", None).await), (3, 2, 0));

    // A record of the same id replaces the one that was there.
    store.upsert("one", vec![record("a", "c1", 9, &[0.0, 0.0, 5.0])]).await.unwrap();
    let near = store.search("one", query(&[0.0, 0.0, 1.0], 1, Some("c1"))).await.unwrap();
    assert_eq!((ids(&near), near[0].turn), (vec!["a"], 9));
    assert_eq!(count("one", None).await, 3);

    // What is wrong changes nothing.
    for wrong in [&[1.0, 2.0][..], &[f32::NAN, 0.0, 0.0], &[]] {
        let records = vec![record("d", "c1", 0, &[1.0, 1.0, 1.0]), record("e", "c1", 0, wrong)];
        assert_eq!(store.upsert("one", records).await.unwrap_err().kind(), Kind::Invalid, "{wrong:?}");
    }
    assert_eq!(count("one", None).await, 3);

    let gone = store.delete("one", Which::Ids(vec!["b".to_owned(), "x".to_owned()])).await.unwrap();
    let near = store.search("one", query(&[0.0, 1.0, 0.0], 9, None)).await.unwrap();
    assert_eq!((gone, near.len()), (1, 2));
    assert_eq!(store.delete("one", Which::Conversation("c1".to_owned())).await.unwrap(), 1);
    assert_eq!(count("two", None).await, 1, "another space is left alone");
    assert_eq!(store.delete("one", Which::All).await.unwrap(), 1);
    assert_eq!((count("one", None).await, count("two", None).await), (0, 1));
    assert_eq!(store.delete("none", Which::All).await.unwrap(), 0);
    store.delete("two", Which::All).await.unwrap();
}

#[tokio::test]
async fn what_holds_of_every_store_holds_in_memory() {
    check(&RamVectors::new()).await;
}

#[cfg(feature = "memory")]
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn what_holds_of_every_store_holds_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        check(&SqliteVectors::open(folder.path().join("memory.db")).unwrap()).await;
    }

    #[tokio::test]
    async fn two_that_have_a_file_open_see_what_the_other_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.db");
        let (one, other) = (SqliteVectors::open(&path).unwrap(), SqliteVectors::open(&path).unwrap());
        let found = async |store: &SqliteVectors| {
            let near = store.search("s", query(&[1.0, 0.0], 9, None)).await.unwrap();
            near.iter().map(|found| (found.id.clone(), found.turn)).collect::<Vec<_>>()
        };
        one.upsert("s", vec![record("a", "c", 1, &[1.0, 0.0])]).await.unwrap();
        assert_eq!(found(&other).await, [("a".to_owned(), 1)]);
        one.upsert("s", vec![record("b", "c", 2, &[1.0, 1.0])]).await.unwrap();
        assert_eq!(found(&other).await, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        other.upsert("s", vec![record("a", "c", 3, &[0.0, 1.0])]).await.unwrap();
        assert_eq!(found(&one).await, [("b".to_owned(), 2), ("a".to_owned(), 3)]);
        one.delete("s", Which::Ids(vec!["b".to_owned()])).await.unwrap();
        assert_eq!(found(&other).await, [("a".to_owned(), 3)]);
        drop((one, other));
        assert_eq!(found(&SqliteVectors::open(&path).unwrap()).await, [("a".to_owned(), 3)]);
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
        let error = SqliteVectors::open(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.message().contains("other.db"), "{error}");
        std::fs::write(&path, "no database at all, but long enough to be looked at").unwrap();
        assert_eq!(SqliteVectors::open(&path).unwrap_err().kind(), Kind::Storage);
    }
}

mod qdrant {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        Secret,
        cassette::Cassette,
        transport::{Body, Request, Response, Transport, TransportError, http::Http},
    };

    /// Recorded with what is written in `tests/tapes/qdrant.py`.
    #[tokio::test]
    async fn what_holds_of_every_store_holds_of_what_qdrant_said() {
        let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/qdrant.json");
        let transport = Cassette::new(&tape, || {
            let url = std::env::var("QWENDA_RECORD_QDRANT").map_err(Error::config)?;
            Ok(Arc::new(Http::to(&url, None)?))
        });
        let url = std::env::var("QWENDA_RECORD_QDRANT").unwrap_or_else(|_| "http://qdrant.invalid".to_owned());
        check(&QdrantVectors::over(Arc::new(transport.unwrap()), url, None)).await;
    }

    /// Says one thing, whatever it is asked.
    struct Says(u16, &'static str);

    impl Transport for Says {
        fn send(&self, request: Request) -> BoxFuture<'static, std::result::Result<Response, TransportError>> {
            assert_eq!(request.header("api-key"), Some("secret"));
            assert!(!format!("{request:?}").contains("secret"));
            let answer = Response::new(self.0, Vec::new(), Body::whole(self.1));
            Box::pin(async move { Ok(answer) })
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_at_qdrant_is_told_apart() {
        for (status, says, kind) in [
            (401, "Must provide an API key", Kind::Unauthorized),
            (500, r#"{"status":{"error":"disk full"},"time":0.1}"#, Kind::Storage),
            (503, "<html>", Kind::Storage),
            (200, "<html>", Kind::Malformed),
            (200, r#"{"result":{"points":1}}"#, Kind::Malformed),
        ] {
            let key = Some(Secret::new("secret"));
            let store = QdrantVectors::over(Arc::new(Says(status, says)), "http://q.invalid".to_owned(), key);
            let error = store.count("s", None).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{says}");
            assert!(!says.contains("disk") || error.message().contains("disk full"), "{error}");
        }
        assert_eq!(QdrantVectors::open("nowhere", None).unwrap_err().kind(), Kind::Config);
    }
}

#[cfg(all(feature = "pgvector", unix))]
#[path = "../../../store/tests/ledger/postgres.rs"]
#[expect(dead_code, reason = "the tests of `store` also stop and start it")]
mod postgres;

#[cfg(all(feature = "pgvector", unix))]
mod pg {
    use super::*;

    /// Several at once make the table, on a database that has nothing.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_holds_of_every_store_holds_in_postgresql() {
        let Some(server) = postgres::Server::start_with(Some("vector")) else {
            let required = std::env::var_os("QWENDA_TEST_PGVECTOR").is_some_and(|value| value == "required");
            assert!(!required, "PostgreSQL with pgvector is not on this machine, and QWENDA_TEST_PGVECTOR requires it");
            eprintln!("PostgreSQL with pgvector is not on this machine: ITS TEST IS SKIPPED");
            return;
        };
        let url = server.url("postgres");
        let (one, other, third) = tokio::join!(PgVectors::open(&url), PgVectors::open(&url), PgVectors::open(&url));
        let [store, ..] = [one, other, third].map(Result::unwrap);
        check(&store).await;
        let mut odd = record("odd", "c", 0, &[0.0, 0.0]);
        odd.text = "zero \0 in it".to_owned();
        store.upsert("odd", vec![odd, record("plain", "c", 1, &[1.0, 0.0])]).await.unwrap();
        let near = store.search("odd", query(&[1.0, 0.0], 9, None)).await.unwrap();
        assert_eq!((ids(&near), near[1].score), (vec!["plain", "odd"], 0.0));
        assert_eq!(near[1].text, "zero \u{fffd} in it");
        assert!(store.search("odd", query(&[1.0], 9, None)).await.unwrap().is_empty());
        tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
        let error = store.count("odd", None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
    }
}
