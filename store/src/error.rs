//! What can go wrong with the database, in words an operator can act on.

use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be made.
    #[error("cannot make the data folder {path}: {source}", path = path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// The file cannot be opened or written.
    #[error(
        "cannot open the database {path} for writing; check that its folder exists and may be written to: {source}",
        path = path.display()
    )]
    NotWritable { path: PathBuf, source: sqlx::Error },
    /// The file is something else.
    #[error("{path} is not a database of this program", path = path.display())]
    NotADatabase { path: PathBuf },
    /// A newer program made the tables.
    #[error(
        "the database {path} was written by a newer version of this program (schema {found}, this one knows {known}); \
         use that version, or another data folder",
        path = path.display()
    )]
    FromTheFuture { path: PathBuf, found: i64, known: i64 },
    /// The tables are not what this program made.
    #[error("cannot bring the tables of {path} up to date: {source}", path = path.display())]
    Schema { path: PathBuf, source: MigrateError },
    /// The server does not answer.
    #[error("cannot reach the database {url}: {source}")]
    Unreachable { url: String, source: sqlx::Error },
    /// A row holds what this program does not write.
    #[error("the database holds a {what} that cannot be read: {why}")]
    Row { what: &'static str, why: String },
    /// A sum would be out of range.
    #[error("an amount would be out of range")]
    Overflow,
    /// An amount that nobody can have meant.
    #[error("{what} cannot be {amount}")]
    Amount { what: &'static str, amount: i64 },
    /// Nothing was written, and what waited behind it was not tried: the database does not answer.
    #[error("the database does not answer: {0}")]
    Away(String),
    /// Somebody wrote between a reading and a write, which turns should have kept from happening.
    #[error("another writer was faster")]
    Raced,
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
    /// The writer cannot be started.
    #[error("cannot start a thread that writes: {0}")]
    Thread(std::io::Error),
    /// A statement failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A statement of the writer to a file failed.
    #[error("database: {0}")]
    File(#[from] rusqlite::Error),
}

impl Error {
    /// The same for another who asked at the same time.
    pub(crate) fn shared(&self) -> Self {
        match self {
            Self::Row { what, why } => Self::Row { what, why: why.clone() },
            Self::Sql(sqlx::Error::PoolClosed) | Self::Closed => Self::Closed,
            error => Self::Away(error.to_string()),
        }
    }

    pub(crate) fn opening(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        // SQLite's primary result codes are the low byte.
        match primary_code(&source) {
            Some(26 | 11) => Self::NotADatabase { path },
            Some(8 | 14 | 23) => Self::NotWritable { path, source },
            _ => Self::Sql(source),
        }
    }

    pub(crate) fn migrating(path: &Path, source: MigrateError) -> Self {
        let path_buf = path.to_owned();
        match source {
            MigrateError::VersionMissing(found) => {
                let known = crate::MIGRATIONS.last().map_or(0, |(version, ..)| *version);
                Self::FromTheFuture { path: path_buf, found, known }
            }
            MigrateError::Execute(source) => Self::opening(path, source),
            MigrateError::ExecuteMigration(source, _) if primary_code(&source) == Some(8) => {
                Self::opening(path, source)
            }
            source => Self::Schema { path: path_buf, source },
        }
    }
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
