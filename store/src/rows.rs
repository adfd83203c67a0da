//! Statements for many rows at once: their texts have few sizes, so that a connection keeps them prepared.

use crate::{
    Error,
    link::{Row, Tx, Value},
};

/// Rows of one statement that writes, largest first.
const SIZES: [usize; 5] = [64, 16, 4, 2, 1];

/// Cuts rows into runs whose lengths are among [`SIZES`].
fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (run, rest) = rows.split_at(size);
        rows = rest;
        Some(run)
    })
}

/// `($1, $2), ($3, $4)`: so many rows of columns, each cast to its type where one is given.
fn places_of(rows: usize, types: &[&str]) -> String {
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

/// Writes rows with a statement that has `{}` where their values go. It must change each of them.
pub(crate) async fn write<T>(
    tx: &mut Tx<'_>,
    sql: &str,
    types: &[&str],
    rows: &[T],
    each: impl Fn(&T) -> Vec<Value>,
) -> Result<(), Error> {
    for run in runs(rows) {
        let sql = sql.replace("{}", &places_of(run.len(), types));
        wrote(tx.execute(&sql, run.iter().flat_map(&each).collect()).await?, run.len())?;
    }
    Ok(())
}

/// Fails where a statement did not write what it should have: somebody else was there.
pub(crate) fn wrote(changed: u64, rows: usize) -> Result<(), Error> {
    if changed == rows as u64 { Ok(()) } else { Err(Error::Raced) }
}

/// Pieces of a list that a statement takes, its placeholders after the first few, and the values for them. Lists
/// are filled up with their last to few lengths.
pub(crate) fn pieces<'a>(
    after: usize,
    list: &'a [&'a str],
) -> impl Iterator<Item = (usize, String, impl Iterator<Item = Value> + 'a)> {
    list.chunks(SIZES[0]).map(move |piece| {
        let padded = piece.len().next_power_of_two();
        let places: Vec<String> = (after + 1..=after + padded).map(|at| format!("${at}")).collect();
        let values = (0..padded).map(|at| Value::from(piece[at.min(piece.len() - 1)]));
        (piece.len(), places.join(", "), values)
    })
}

/// Reads what is in a list; `sql` has `{}` where its placeholders go.
pub(crate) async fn read(tx: &mut Tx<'_>, sql: &str, list: &[&str]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (_, places, values) in pieces(0, list) {
        rows.extend(tx.query(&sql.replace("{}", &places), values.collect()).await?);
    }
    Ok(rows)
}
