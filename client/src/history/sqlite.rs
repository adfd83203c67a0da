//! Histories in an SQLite file, any number in one.

use std::path::Path;

use futures_util::future::BoxFuture;
use qwenda_types::chat::Message;
use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use super::{History, Kept, KeptInfo, check_id, conflict};
use crate::{Error, Result, error::Kind, sqlite::File};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    messages INTEGER NOT NULL,
    notes TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    conversation TEXT NOT NULL,
    place INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (conversation, place)
) STRICT, WITHOUT ROWID;
";

/// Histories in an SQLite file. Several processes may use it at once; clones share the connection. Vectors may be
/// in the same file.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("chats.db");
/// # let client = qwenda::Mock::new().reply("Noted.").reply("8123.").client();
/// use qwenda::{Policy, history::SqliteHistory};
///
/// let chats = SqliteHistory::open(path)?;
/// let talk = client.chat("qwen-plus").conversation(Policy::tokens(8_000));
/// let mut talk = talk.open("session-42").store(chats.clone()).await?;
/// talk.send("My order is 8123.").await?;
///
/// let later = client.chat("qwen-plus").conversation(Policy::tokens(8_000));
/// let later = later.open("session-42").store(chats).await?;
/// assert_eq!(later.history().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteHistory {
    file: File,
}

impl SqliteHistory {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`Kind::Storage`] if it cannot be, or is another program's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { file: File::open(path.as_ref(), TABLES)? })
    }
}

impl History for SqliteHistory {
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>> {
        let id = id.to_owned();
        Box::pin(self.file.read(move |file| {
            check_id(&id)?;
            let text = "SELECT notes FROM conversations WHERE id = ?1";
            let notes: Option<String> = file.query_row(text, params![id], |row| row.get(0)).optional()?;
            let Some(notes) = notes else { return Ok(Kept::default()) };
            let wrong = |what: &str, error: serde_json::Error| {
                Error::of(Kind::Storage).say(format!("conversation `{id}`, {what}: {error}"))
            };
            let notes = serde_json::from_str(&notes).map_err(|error| wrong("notes", error))?;
            let mut rows =
                file.prepare_cached("SELECT place, message FROM messages WHERE conversation = ?1 ORDER BY place")?;
            let mut rows = rows.query(params![id])?;
            let mut messages: Vec<Message> = Vec::new();
            while let Some(row) = rows.next()? {
                let (place, message): (i64, String) = (row.get(0)?, row.get(1)?);
                let message = serde_json::from_str(&message);
                messages.push(message.map_err(|error| wrong(&format!("message {place}"), error))?);
            }
            Ok(Kept { messages, notes })
        }))
    }

    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: Map<String, Value>,
    ) -> BoxFuture<'a, Result<()>> {
        let id = id.to_owned();
        Box::pin(self.file.write(move |file| {
            check_id(&id)?;
            let text = "SELECT messages FROM conversations WHERE id = ?1";
            let there: Option<i64> = file.query_row(text, params![id], |row| row.get(0)).optional()?;
            let there = there.unwrap_or(0).unsigned_abs() as usize;
            if there != after {
                return Err(conflict(&id, after, there));
            }
            let mut put = file.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3)")?;
            for (place, message) in (after..).zip(&messages) {
                let message = serde_json::to_string(message).map_err(|error| Error::of(Kind::Storage).say(error))?;
                put.execute(params![id, place as i64, message])?;
            }
            let text = "INSERT INTO conversations VALUES (?1, ?2, ?3)
                        ON CONFLICT (id) DO UPDATE SET messages = excluded.messages, notes = excluded.notes";
            file.execute(text, params![id, (after + messages.len()) as i64, Value::Object(notes).to_string()])?;
            Ok(())
        }))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>> {
        Box::pin(self.file.read(|file| {
            let mut rows = file.prepare_cached("SELECT id, messages FROM conversations ORDER BY id")?;
            let info = |row: &rusqlite::Row<'_>| {
                Ok(KeptInfo { id: row.get(0)?, messages: row.get::<_, i64>(1)?.unsigned_abs() })
            };
            let all = rows.query_map([], info)?;
            Ok(all.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        let id = id.to_owned();
        Box::pin(self.file.write(move |file| {
            check_id(&id)?;
            file.execute("DELETE FROM messages WHERE conversation = ?1", params![id])?;
            Ok(file.execute("DELETE FROM conversations WHERE id = ?1", params![id])? > 0)
        }))
    }
}
