//! What was said, kept: in memory, in files or in SQLite, so that a [`Conversation`](crate::Conversation) goes on
//! in another process. [`History`] is what keeps it.

mod file;
mod ram;
#[cfg(feature = "memory")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;

use futures_util::future::BoxFuture;
use qwenda_types::chat::Message;
use serde_json::{Map, Value};

use crate::{Error, Result, error::Kind};

pub use file::FileHistory;
pub use ram::RamHistory;
#[cfg(feature = "memory")]
pub use sqlite::SqliteHistory;

/// Longest name of a conversation, in bytes.
pub const ID_BYTES_MAX: usize = 80;

/// What is kept of a conversation.
#[derive(Clone, Default, PartialEq)]
pub struct Kept {
    /// All that was said, without the system messages.
    pub messages: Vec<Message>,
    /// What the conversation knows beside: its summary, and up to where things are left out.
    pub notes: Map<String, Value>,
}

impl fmt::Debug for Kept {
    /// Without the messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept {{ messages: {} }}", self.messages.len())
    }
}

/// A conversation that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptInfo {
    /// Its name.
    pub id: String,
    /// How many messages it has.
    pub messages: u64,
}

/// Where conversations are kept, by their names: 1 to [`ID_BYTES_MAX`] bytes.
///
/// # Errors
/// All of its calls fail with [`Kind::Storage`] where what keeps them does, and with [`Kind::Invalid`] for a name
/// that is none.
pub trait History: Send + Sync + 'static {
    /// What is kept of a conversation; nothing if there is none of this name.
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>>;

    /// Adds messages behind the first `after`, and replaces the notes: both or neither, and on the disk, where
    /// there is one, before this returns. [`Kind::Conflict`] if there are not `after` messages: somebody else has
    /// gone on with it.
    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: Map<String, Value>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Which conversations there are, by name.
    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>>;

    /// Removes a conversation; says whether there was one.
    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>>;
}

fn check_id(id: &str) -> Result<()> {
    if (1..=ID_BYTES_MAX).contains(&id.len()) {
        return Ok(());
    }
    Err(Error::of(Kind::Invalid).say(format!("a conversation's name has 1 to {ID_BYTES_MAX} bytes, not {}", id.len())))
}

fn conflict(id: &str, after: usize, there: usize) -> Error {
    let message = format!("conversation `{id}` has {there} messages, not {after}: it went on elsewhere");
    Error::of(Kind::Conflict).say(message)
}
