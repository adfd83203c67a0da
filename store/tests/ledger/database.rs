//! A database for one test.

use std::{
    env,
    ffi::OsString,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use qwenda_store::{FILE_NAME, Store};
use sqlx::{AnyConnection, Connection};

use crate::postgres::Server;

/// Makes two tests of each fact, one on SQLite and one on PostgreSQL. Afterwards everything must add up.
macro_rules! on_both {
    ($($fact:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let database = $crate::database::Database::sqlite();
                super::$fact(&database).await;
                database.adds_up().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                if let Some(database) = $crate::database::Database::postgres().await {
                    super::$fact(&database).await;
                    database.adds_up().await;
                    database.remove().await;
                }
            })*
        }
    };
}

pub(crate) struct Database {
    /// As SQL statements are sent to it by hand.
    url: String,
    /// The folder, where it is SQLite.
    dir: Option<tempfile::TempDir>,
}

/// Where databases are made: the URL of one that is there already. The server ends with this process.
static SERVER: LazyLock<Option<String>> = LazyLock::new(|| {
    if let Ok(url) = env::var("QWENDA_TEST_POSTGRES_URL") {
        return Some(url);
    }
    if let Some(server) = Server::start() {
        let url = server.url("postgres");
        std::mem::forget(server);
        return Some(url);
    }
    let required = env::var_os("QWENDA_TEST_POSTGRES") == Some(OsString::from("required"));
    assert!(!required, "PostgreSQL is not on this machine, and QWENDA_TEST_POSTGRES requires it");
    eprintln!("PostgreSQL is not on this machine: ITS TESTS ARE SKIPPED");
    None
});

static MADE: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub(crate) fn sqlite() -> Self {
        sqlx::any::install_default_drivers();
        let dir = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}?mode=rwc", dir.path().join(FILE_NAME).display()), dir: Some(dir) }
    }

    /// An empty one, or `None` where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = SERVER.as_deref()?;
        let name = format!("qwenda_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        execute(server, &format!("CREATE DATABASE {name}")).await;
        let (before, parameters) = server.split_once('?').unwrap_or((server, ""));
        let (host, _) = before.rsplit_once('/').expect("a URL names a database");
        Some(Self { url: format!("{host}/{name}?{parameters}"), dir: None })
    }

    /// One that is there already.
    pub(crate) fn at(url: String) -> Self {
        sqlx::any::install_default_drivers();
        Self { url, dir: None }
    }

    /// Where another process finds it: a folder or a URL.
    pub(crate) fn place(&self) -> String {
        self.dir.as_ref().map_or_else(|| self.url.clone(), |dir| dir.path().to_string_lossy().into_owned())
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.dir.is_some()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, qwenda_store::Error> {
        match &self.dir {
            Some(dir) => Store::open(dir.path()).await,
            None => Store::open_url(&self.url).await,
        }
    }

    /// Statements by hand, past the store.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// One number by hand.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let (number,): (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        number
    }

    /// The audit finds nothing.
    pub(crate) async fn adds_up(&self) {
        let store = self.open().await;
        assert_eq!(store.audit().await.unwrap().difference, None);
        store.close().await;
        assert_eq!(self.number("SELECT COUNT(*) FROM buckets WHERE pending < 0").await, 0, "pending is negative");
        assert_eq!(self.number("SELECT COUNT(*) FROM budgets WHERE pending < 0").await, 0, "pending is negative");
    }

    /// Removes it from the server.
    pub(crate) async fn remove(self) {
        if let (None, Some(server)) = (&self.dir, SERVER.as_deref()) {
            let name = self.url.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            execute(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

async fn execute(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
