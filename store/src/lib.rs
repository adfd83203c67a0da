//! The only SQL. It writes what it is given and invents nothing: ids, times and hashes come from
//! the caller. The SQL is such that PostgreSQL would take it too.
//!
//! One file per resource; this one opens the database.

mod error;
pub mod keys;
mod meta;

use std::{borrow::Cow, path::Path, time::Duration};

pub use error::Error;
use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Name of the database file inside the data folder.
pub const FILE_NAME: &str = "qwenda.db";

const CONNECTIONS_MAX: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

static MIGRATIONS: &[(i64, &str, &str)] = &[(1, "keys", include_str!("../migrations/0001_keys.sql"))];

/// An open database. Cloning it shares the connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database of a data folder, making both when missing, and brings its tables up to
    /// date. Several processes may do so at once.
    pub async fn open(data_dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(data_dir).map_err(|source| Error::Folder { path: data_dir.to_owned(), source })?;
        let path = data_dir.join(FILE_NAME);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .map_err(|source| Error::opening(&path, source))?;
        let store = Self { pool };
        store.migrate(&path).await?;
        Ok(store)
    }

    /// Closes all connections; what was written is in the file afterwards.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self, path: &Path) -> Result<(), Error> {
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            let sql = (*sql).into_sql_str();
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
        });
        let migrator = Migrator::with_migrations(migrations.collect());
        // Another process may apply the same migration between our look and our write; then ours
        // fails whole, and a second look finds it done.
        let mut last = None;
        for _ in 0..3 {
            match migrator.run(&self.pool).await {
                Ok(()) => return Ok(()),
                Err(error @ (MigrateError::ExecuteMigration(..) | MigrateError::Execute(_))) => {
                    last = Some(error);
                }
                Err(error) => return Err(Error::migrating(path, error)),
            }
        }
        Err(Error::migrating(path, last.expect("the loop ran")))
    }
}
