//! The only SQL. It writes what it is given and invents nothing: ids, times and hashes come from
//! the caller. The SQL is such that PostgreSQL would take it too.
//!
//! One file per resource; this one opens the database.

mod error;
pub mod keys;
mod meta;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

pub use error::Error;
use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Name of the database file inside the data folder.
pub const FILE_NAME: &str = "qwenda.db";

const LOCK_NAME: &str = "qwenda.db.lock";

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
        // Turning a new file to WAL and making its tables are not safe against each other, so
        // openers take turns. The lock ends with this function, or with the process.
        let _turn = take_turn(data_dir)
            .await
            .map_err(|source| Error::NotWritable { path: path.clone(), source: source.into() })?;
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
        migrator.run(&self.pool).await.map_err(|error| Error::migrating(path, error))
    }
}

async fn take_turn(data_dir: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(data_dir.join(LOCK_NAME))?;
    tokio::task::spawn_blocking(move || match file.lock() {
        // Some network file systems have no locks; there only the very first opening is at risk.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(file),
    })
    .await
    .expect("locking does not panic")
}
