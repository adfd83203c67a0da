//! The only SQL of the service. It writes what it is given and invents nothing: ids, times and hashes come from
//! the caller. One text for SQLite and PostgreSQL.
//!
//! One file per resource; this one opens the database.

pub mod accounts;
pub mod admin;
pub mod audit;
mod backup;
pub mod contents;
pub mod deposits;
mod error;
mod json;
pub mod keys;
pub mod ledger;
pub mod limits;
mod link;
mod meta;
pub mod prices;
pub mod projects;
mod reader;
mod rows;
pub mod usage;
mod worker;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

pub use error::Error;
use link::Link;
use reader::Reader;
use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, SqlSafeStr,
    any::AnyPoolOptions,
    migrate::{Migration, MigrationType, Migrator},
};

/// Name of the database file inside the data folder.
pub const FILE_NAME: &str = "qwenda.db";

const LOCK_NAME: &str = "qwenda.db.lock";

const CONNECTIONS_MAX: u32 = 4;
const CONNECTIONS_MAX_POSTGRES: u32 = 8;

/// What every connection to SQLite begins with: it waits for others, and what is committed is on the disk.
const PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                       PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000";
/// How long a connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

static MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "keys", include_str!("../migrations/0001_keys.sql")),
    (2, "ledger", include_str!("../migrations/0002_ledger.sql")),
    (3, "admin", include_str!("../migrations/0003_admin.sql")),
    (4, "usage", include_str!("../migrations/0004_usage.sql")),
    (5, "projects", include_str!("../migrations/0005_projects.sql")),
];

/// Whether a text is the URL of a database server, rather than none.
pub fn is_server_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// An open database. Cloning it shares the connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// Whether it is a server's, which several processes of ours may share.
    is_server: bool,
    reader: Reader,
    writer: ledger::Writer,
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
        // A URL would have to be told of every character that has a meaning in it.
        let encoded: String = path.to_string_lossy().bytes().map(encoded).collect();
        let url = format!("sqlite://{encoded}?mode=rwc");
        sqlx::any::install_default_drivers();
        // A pool would try again and again what cannot be opened, and say only that it took too long.
        let first = async {
            let mut first = AnyConnection::connect(&url).await?;
            first.execute(PRAGMAS).await?;
            first.close().await
        };
        first.await.map_err(|source| Error::opening(&path, source))?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(PRAGMAS).await.map(|_| ()) }))
            // Where a disk is full, SQLite ends a transaction by itself, and its connection goes on counting it: the
            // next that fails would not end, and hold the file for ever. Such a connection is closed instead.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect(&url)
            .await
            .map_err(|source| Error::opening(&path, source))?;
        migrate(&pool, &path).await?;
        let [reader, writer] = [Link::to_file(&path)?, Link::to_file(&path)?];
        Ok(Self { reader: reader::start(reader)?, writer: ledger::start(writer)?, is_server: false, pool })
    }

    /// Opens the database of a PostgreSQL server, `postgres://USER:PASSWORD@HOST/NAME`, which several servers
    /// of ours may share, and brings its tables up to date.
    pub async fn open_url(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX_POSTGRES)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect(url)
            .await
            .map_err(|source| Error::Unreachable { url: without_password(url), source })?;
        migrate(&pool, Path::new(&without_password(url))).await?;
        let [reader, writer] = [Link::Server(pool.clone()), Link::Server(pool.clone())];
        Ok(Self { reader: reader::start(reader)?, writer: ledger::start(writer)?, is_server: true, pool })
    }

    /// Closes all connections; what was written is in the database afterwards.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        self.pool.close().await;
    }
}

async fn migrate(pool: &AnyPool, place: &Path) -> Result<(), Error> {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = (*sql).into_sql_str();
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run(pool).await.map_err(|error| Error::migrating(place, error))
}

/// A byte of a path as a URL has it.
fn encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// The same URL for messages and logs.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "postgres://…".to_owned() };
    // Parameters may hold a password too.
    let place = rest.split('?').next().unwrap_or_default();
    match place.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}:***@{host}", user.split(':').next().unwrap_or_default()),
        // Either a parameter has an `@`, or a password a `?`.
        None if rest.contains('@') => format!("{scheme}://***"),
        None => format!("{scheme}://{place}"),
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

#[cfg(test)]
mod tests;
