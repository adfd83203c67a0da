//! An SQLite file of the SDK's own: for one process after the other, or several at once.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{Error, Result, error::Kind, memory::blocking};

/// How long another process is waited for that writes.
const BUSY: Duration = Duration::from_secs(10);
/// What the file is for, so that another program's is not written to.
const APPLICATION: i32 = 0x7177_656e;

/// One connection, used by one at a time, away from the async runtime.
#[derive(Debug, Clone)]
pub(crate) struct File {
    path: Arc<PathBuf>,
    connection: Arc<Mutex<Connection>>,
}

impl File {
    /// Opens or makes the file, and makes the tables that it does not have yet.
    pub(crate) fn open(path: &Path, tables: &str) -> Result<Self> {
        let failed = |error| storage(path, &error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // The journal stays SQLite's plain one: it needs no turn to be switched on, and no files beside. What is
        // committed is on the disk.
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let made = make(&mut connection, tables).map_err(failed)?;
        if !made {
            return Err(Error::of(Kind::Storage).say(format!("{}: this file is of another program", path.display())));
        }
        Ok(Self { path: Arc::new(path.to_owned()), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Reads, of one state of the file.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.transact(TransactionBehavior::Deferred, work).await
    }

    /// Writes: all of it or nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.transact(TransactionBehavior::Immediate, work).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || {
            // A transaction that a panic cut short was taken back.
            let mut connection = this.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = |error| storage(&this.path, &error);
            let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
            let done = work(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(done)
        })
        .await
    }
}

/// False if the file is not ours.
fn make(connection: &mut Connection, tables: &str) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id")?;
    let empty: i64 = transaction.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application != 0 || empty != 0) {
        return Ok(false);
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.execute_batch(tables)?;
    transaction.commit()?;
    Ok(true)
}

fn storage(path: &Path, error: &rusqlite::Error) -> Error {
    Error::of(Kind::Storage).say(format!("{}: {error}", path.display()))
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::of(Kind::Storage).say(error)
    }
}
