//! Statements for many rows at once: their texts have few sizes, so that a connection keeps them prepared.

use sqlx::{Any, Row, Transaction, any::AnyRow, query::Query};

use crate::Error;

/// Rows of one statement that writes, largest first.
const SIZES: [usize; 5] = [64, 16, 4, 2, 1];

type Statement<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

/// Cuts rows into runs whose lengths are among [`SIZES`].
pub(super) fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (run, rest) = rows.split_at(size);
        rows = rest;
        Some(run)
    })
}

/// `($1, $2), ($3, $4)`: so many rows of columns, each cast to its type where one is given.
pub(super) fn values(rows: usize, types: &[&str]) -> String {
    let mut text = String::with_capacity(rows * types.len() * 8);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for (column, kind) in types.iter().enumerate() {
            if column > 0 {
                text.push_str(", ");
            }
            let at = row * types.len() + column + 1;
            text += &if kind.is_empty() { format!("${at}") } else { format!("CAST(${at} AS {kind})") };
        }
        text.push(')');
    }
    text
}

/// `$3, $4, $5`: so many placeholders after the first few.
fn places(after: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 5);
    for at in after + 1..=after + count {
        if at > after + 1 {
            text.push_str(", ");
        }
        text += &format!("${at}");
    }
    text
}

/// Which of a list a statement is about. The list is filled up with its last to few lengths.
pub(super) struct In<'a>(&'a [&'a str]);

impl<'a> In<'a> {
    /// The list in pieces that a statement takes.
    pub(super) fn pieces(list: &'a [&'a str]) -> impl Iterator<Item = Self> {
        list.chunks(SIZES[0]).map(In)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn padded(&self) -> usize {
        self.0.len().next_power_of_two()
    }

    pub(super) fn places(&self, after: usize) -> String {
        places(after, self.padded())
    }

    pub(super) fn bind<'q>(&self, mut statement: Statement<'q>) -> Statement<'q> {
        for at in 0..self.padded() {
            statement = statement.bind(self.0[at.min(self.0.len() - 1)].to_owned());
        }
        statement
    }
}

/// A statement that was put together here, of nothing but texts of ours.
pub(super) fn statement<'q>(sql: String) -> Statement<'q> {
    sqlx::query(sqlx::AssertSqlSafe(sql))
}

/// Reads what is in a list; `sql` has `{}` where its placeholders go.
pub(super) async fn read(
    tx: &mut Transaction<'static, Any>,
    sql: &str,
    list: &[&str],
    mut each: impl FnMut(&AnyRow) -> Result<(), Error>,
) -> Result<(), Error> {
    for piece in In::pieces(list) {
        let sql = sql.replace("{}", &piece.places(0));
        for row in piece.bind(statement(sql)).fetch_all(&mut **tx).await? {
            each(&row)?;
        }
    }
    Ok(())
}

/// A column of a row.
pub(super) fn column<'r, T>(row: &'r AnyRow, at: usize) -> Result<T, Error>
where
    T: sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    Ok(row.try_get(at)?)
}
