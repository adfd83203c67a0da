//! The two databases behind one text: a statement, its values, and rows of texts and whole numbers.
//!
//! The file is asked by the thread that holds it, without a hop for each statement; a server through the pool.

use std::path::Path;

use rusqlite::{OpenFlags, TransactionBehavior, types::ToSqlOutput};
use sqlx::{Any, AnyPool, Row as _, Transaction, TypeInfo, ValueRef, any::AnyRow};

use crate::{Error, PRAGMAS};

/// Statements that a connection to the file keeps prepared.
const PREPARED_MAX: usize = 256;

/// A value of a statement or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, where a text could be. A server prepares a statement for the types of its values.
    NoText,
    /// Nothing, where a number could be.
    NoInt,
    Int(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NoInt, Self::Int)
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::NoText, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::NoText | Self::NoInt => ToSqlOutput::Owned(rusqlite::types::Value::Null),
            Self::Int(value) => ToSqlOutput::from(*value),
            Self::Text(value) => ToSqlOutput::from(value.as_str()),
        })
    }
}

/// A row of an answer.
#[derive(Debug)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    /// A row that the pool has read.
    pub(crate) fn of(row: &AnyRow) -> Result<Self, Error> {
        (0..row.len()).map(|at| any(row, at)).collect::<Result<_, _>>().map(Self)
    }

    /// A text that is looked at before it is taken; empty where there is none.
    pub(crate) fn text_at(&self, at: usize) -> &str {
        match self.0.get(at) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A column that has a text.
    pub(crate) fn text(&mut self, at: usize) -> Result<String, Error> {
        match self.take(at) {
            Value::Text(text) => Ok(text),
            other => Err(unexpected(at, &other)),
        }
    }

    /// A column that may have a text.
    pub(crate) fn text_or_none(&mut self, at: usize) -> Result<Option<String>, Error> {
        match self.take(at) {
            Value::NoText => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(unexpected(at, &other)),
        }
    }

    /// A column that has a whole number.
    pub(crate) fn int(&mut self, at: usize) -> Result<i64, Error> {
        match self.take(at) {
            Value::Int(value) => Ok(value),
            other => Err(unexpected(at, &other)),
        }
    }

    /// A column that may have a whole number.
    pub(crate) fn int_or_none(&mut self, at: usize) -> Result<Option<i64>, Error> {
        match self.take(at) {
            Value::NoText => Ok(None),
            Value::Int(value) => Ok(Some(value)),
            other => Err(unexpected(at, &other)),
        }
    }

    fn take(&mut self, at: usize) -> Value {
        self.0.get_mut(at).map_or(Value::NoText, |value| std::mem::replace(value, Value::NoText))
    }
}

fn unexpected(at: usize, found: &Value) -> Error {
    let found = match found {
        Value::NoText | Value::NoInt => "nothing",
        Value::Int(_) => "a number",
        Value::Text(_) => "a text",
    };
    Error::Row { what: "row", why: format!("its column {at} holds {found}") }
}

/// A way to the database.
pub(crate) enum Link {
    File(rusqlite::Connection),
    Server(AnyPool),
}

impl Link {
    /// A connection of its own to the file, which is a database already.
    pub(crate) fn to_file(path: &Path) -> Result<Self, Error> {
        // Not as a URI, which some paths look like.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.execute_batch(PRAGMAS)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Ok(Self::File(connection))
    }

    /// Runs a statement that only reads.
    pub(crate) async fn query(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match self {
            Self::File(connection) => rows_of(connection, sql, values),
            Self::Server(pool) => statement(sql, values).fetch_all(&*pool).await?.iter().map(Row::of).collect(),
        }
    }

    /// Begins a transaction that no other writer is beside.
    pub(crate) async fn begin(&mut self) -> Result<Tx<'_>, Error> {
        match self {
            Self::File(connection) => {
                Ok(Tx::File(connection.transaction_with_behavior(TransactionBehavior::Immediate)?))
            }
            Self::Server(pool) => {
                let mut tx = pool.begin().await?;
                // Whoever writes this row has the turn until the end of the transaction.
                sqlx::query("UPDATE meta SET value = value WHERE name = 'ledger'").execute(&mut *tx).await?;
                Ok(Tx::Server(tx))
            }
        }
    }
}

/// An open transaction. Dropped, it has changed nothing.
pub(crate) enum Tx<'l> {
    File(rusqlite::Transaction<'l>),
    Server(Transaction<'static, Any>),
}

impl Tx<'_> {
    /// Runs a statement, and says how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, Error> {
        match self {
            Self::File(tx) => {
                let changed = tx.prepare_cached(&numbered(sql))?.execute(rusqlite::params_from_iter(values))?;
                Ok(changed as u64)
            }
            Self::Server(tx) => Ok(statement(sql, values).execute(&mut **tx).await?.rows_affected()),
        }
    }

    /// Runs a statement that answers with rows.
    pub(crate) async fn query(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match self {
            Self::File(tx) => rows_of(tx, sql, values),
            Self::Server(tx) => statement(sql, values).fetch_all(&mut **tx).await?.iter().map(Row::of).collect(),
        }
    }

    /// Ends it. What was written is durable then.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::File(tx) => Ok(tx.commit()?),
            Self::Server(tx) => Ok(tx.commit().await?),
        }
    }
}

/// The text as SQLite counts its values: to it, `$1` is a name.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn rows_of(connection: &rusqlite::Connection, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let columns = statement.column_count();
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
        (0..columns).map(|at| row.get_ref(at).and_then(|value| read(at, value))).collect()
    })?;
    Ok(rows.map(|row| row.map(Row)).collect::<Result<_, _>>()?)
}

fn read(at: usize, value: rusqlite::types::ValueRef<'_>) -> rusqlite::Result<Value> {
    use rusqlite::types::ValueRef;
    Ok(match value {
        ValueRef::Null => Value::NoText,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Text(_) => Value::Text(value.as_str()?.to_owned()),
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            return Err(rusqlite::Error::InvalidColumnType(at, String::new(), value.data_type()));
        }
    })
}

fn statement(sql: &str, values: Vec<Value>) -> sqlx::query::Query<'_, Any, sqlx::any::AnyArguments> {
    // Texts are put together of nothing but texts of ours; what comes from outside is a value.
    values.into_iter().fold(sqlx::query(sqlx::AssertSqlSafe(sql)), |statement, value| match value {
        Value::NoText => statement.bind(None::<String>),
        Value::NoInt => statement.bind(None::<i64>),
        Value::Int(value) => statement.bind(value),
        Value::Text(value) => statement.bind(value),
    })
}

fn any(row: &AnyRow, at: usize) -> Result<Value, Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::NoText);
    }
    Ok(match raw.type_info().name() {
        "TEXT" => Value::Text(row.try_get(at)?),
        _ => Value::Int(row.try_get(at)?),
    })
}
