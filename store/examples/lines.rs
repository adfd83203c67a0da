//! How long the log takes to answer when it is full: so many request lines are written into an SQLite database of
//! their own, with their sums by minute, hour and day, and then everything is asked that the commands ask.
//!
//! ```text
//! cargo run --release -p qwenda-store --example lines [-- LINES] [--keep FOLDER]
//! ```
//!
//! Prints a table, and as its last line JSON for `benches/record`. The lines are those of a year, of accounts large
//! and small. `--keep` writes to a folder that stays, and finds the lines of an earlier run there.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

use qwenda_ledger::{
    money::Nanos,
    price::{Charge, Line, LineKind, Usage},
};
use qwenda_store::{
    FILE_NAME, Store,
    usage::{PaidRequest, Wanted},
};
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// When the year begins.
const BEGINS: i64 = 1_767_225_600;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// Lines written in one statement.
const LINES_AT_ONCE: i64 = 500_000;
const LINES: i64 = 10_000_000;
/// What a page of a log has.
const PAGE: i64 = 100;
/// What the commands read at once.
const LONG_PAGE: i64 = 1_000;
/// A rollup has at most so many rows in a table.
const ROWS_MAX: i64 = 100_001;
const ROUNDS: usize = 7;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let lines = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(LINES);
    let kept = args.iter().position(|arg| arg == "--keep").and_then(|at| args.get(at + 1)).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // The tables are those of the program.
        Store::open(folder).await?.close().await;
        fill(folder, lines).await?;
        measure(folder, lines).await
    })
}

/// Writes what is not there yet. Half of the lines are of five accounts, the rest of five thousand; each has
/// two keys.
async fn fill(folder: &Path, lines: i64) -> Outcome<()> {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", folder.join(FILE_NAME).display())).await?;
    let (there,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM requests").fetch_one(&mut connection).await?;
    if there == lines {
        return Ok(());
    }
    if there != 0 {
        return Err(format!("{} has {there} lines, not {lines}", folder.display()).into());
    }
    // Nothing that is here cannot be made again.
    connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000").await?;
    let indexes: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('requests', 'rollups') AND sql NOT NULL")
            .fetch_all(&mut connection)
            .await?;
    for (name, _) in &indexes {
        connection.execute(sqlx::AssertSqlSafe(format!("DROP INDEX {name}"))).await?;
    }
    // One request is as long as another.
    let usage = Usage { input_tokens: 1_234, output_tokens: 432, ..Usage::default() };
    let charge = charge(&usage)?;
    let began = Instant::now();
    for from in (0..lines).step_by(LINES_AT_ONCE as usize) {
        let until = (from + LINES_AT_ONCE).min(lines);
        // A multiplicative hash scatters ids, accounts and sizes.
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2),
             h AS (SELECT i, (i * 2654435761) % 4294967296 AS h, (i * 40503 + 12345) % 65536 AS g FROM n),
             a AS (SELECT i, h, g, CASE WHEN g % 2 = 0 THEN h % 10 ELSE 10 + h % 10000 END AS account FROM h)
             INSERT INTO requests (id, at, account_id, key_id, task, model, status, usage, covered, lines, charge_nanos,
                                   price_id, first_token_ms, took_ms)
             SELECT printf('%08x-%04x-4000-8000-%012x', h, g, i), $3 + i * $4 / $5, printf('acc_%032d', account),
                    printf('key_%032d_%d', account, g / 2 % 2), 'chat', printf('qwen-%d', h % 7), 'finished',
                    $6, '[]', $7, $8, 'price', 50, 500 FROM a",
        )
        .bind(from)
        .bind(until)
        .bind(BEGINS)
        .bind(YEAR)
        .bind(lines)
        .bind(serde_json::to_string(&usage)?)
        .bind(serde_json::to_string(&charge.lines)?)
        .bind(charge.total.get())
        .execute(&mut connection)
        .await?;
        println!("{until} lines after {:.0} s", began.elapsed().as_secs_f64());
    }
    for (grain, seconds) in [("minute", 60), ("hour", 3_600), ("day", DAY)] {
        sqlx::query(
            "INSERT INTO rollups (grain, at, account_id, key_id, model, requests, input_tokens, cached_tokens,
                                  output_tokens, charge_nanos)
             SELECT $1, at / $2 * $2, account_id, key_id, model, COUNT(*), SUM(1234), 0, SUM(200), SUM(charge_nanos)
             FROM requests GROUP BY 1, 2, 3, 4, 5",
        )
        .bind(grain)
        .bind(seconds)
        .execute(&mut connection)
        .await?;
        println!("sums by {grain} after {:.0} s", began.elapsed().as_secs_f64());
    }
    for (_, sql) in indexes {
        connection.execute(sqlx::AssertSqlSafe(sql)).await?;
    }
    println!("filled after {:.0} s", began.elapsed().as_secs_f64());
    connection.close().await?;
    Ok(())
}

/// A line for what is read and one for what is written.
fn charge(usage: &Usage) -> Outcome<Charge> {
    let line = |kind, tokens, price: i64| {
        let price_nanos_per_mtok = Nanos::new(price);
        let amount = price_nanos_per_mtok.scaled(tokens, 1_000_000).ok_or("a price is too great")?;
        Ok::<_, Box<dyn Error>>(Line { kind, tokens, price_nanos_per_mtok, percent: 100, amount })
    };
    let lines = vec![
        line(LineKind::Input, usage.input_tokens, 800_000_000)?,
        line(LineKind::Output, usage.output_tokens, 2_000_000_000)?,
    ];
    let total = Nanos::checked_sum(lines.iter().map(|line| line.amount)).ok_or("a sum is too great")?;
    Ok(Charge { lines, total })
}

/// What is asked, and of what.
struct Case {
    name: &'static str,
    /// The sums of a grain, or the lines themselves.
    grain: Option<&'static str>,
    wanted: Wanted,
}

async fn measure(folder: &Path, lines: i64) -> Outcome<()> {
    let began = Instant::now();
    let store = Store::open(folder).await?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1_000.0);
    let mut results = serde_json::Map::new();
    println!("{:<58} {:>7} {:>9} {:>9}", "asked", "rows", "median", "first");
    for case in cases(&store).await? {
        let (mut took, mut rows) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            rows = match case.grain {
                Some(grain) => store.rollups(grain, &case.wanted).await?.len(),
                None => store.requests(&case.wanted).await?.len(),
            };
            took.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let first = took[0];
        took.sort_by(f64::total_cmp);
        let median = took[ROUNDS / 2];
        println!("{:<58} {rows:>7} {median:>6.1} ms {first:>6.1} ms", case.name);
        results.insert(case.name.to_owned(), json!({"rows": rows, "median_ms": median, "first_ms": first}));
    }
    let size = std::fs::metadata(folder.join(FILE_NAME))?.len();
    println!("{}", json!({"kind": "lines", "lines": lines, "bytes": size, "results": results}));
    store.close().await;
    Ok(())
}

async fn cases(store: &Store) -> Outcome<Vec<Case>> {
    let all = || Wanted { from: i64::MIN, until: i64::MAX, limit: PAGE, ..Wanted::default() };
    let (large, small) = (format!("acc_{:032}", 3), format!("acc_{:032}", 4_330));
    let of = |account: &str| Wanted { account_id: Some(account.to_owned()), ..all() };
    let by = |account: i64| Wanted { key_id: Some(format!("key_{account:032}_0")), ..all() };
    let month = |wanted: Wanted| Wanted { from: BEGINS + 200 * DAY, until: BEGINS + 230 * DAY, ..wanted };
    let year = |wanted: Wanted| Wanted { from: BEGINS, until: BEGINS + YEAR, limit: ROWS_MAX, ..wanted };
    let day =
        |wanted: Wanted| Wanted { from: BEGINS + 200 * DAY, until: BEGINS + 201 * DAY, limit: ROWS_MAX, ..wanted };
    let behind = |last: Option<&PaidRequest>| last.map(|paid| (paid.line.at, paid.line.id.clone()));
    // Somewhere in the middle, as who turns pages gets there.
    let in_large = behind(store.requests(&month(of(&large))).await?.last());
    let in_all = behind(store.requests(&month(all())).await?.last());
    let line = |name, wanted| Case { name, grain: None, wanted };
    let sums = |name, grain, wanted| Case { name, grain: Some(grain), wanted };
    Ok(vec![
        line("lines: the first page", all()),
        line("lines: a page of a month", month(all())),
        line("lines: a page in the middle", Wanted { after: in_all.clone(), ..all() }),
        line("lines: the first page of a large account", of(&large)),
        line("lines: a page of a month of a large account", month(of(&large))),
        line("lines: a page in the middle of a large account", Wanted { after: in_large.clone(), ..of(&large) }),
        line(
            "lines: 1,000 in the middle of a large account",
            Wanted { after: in_large, limit: LONG_PAGE, ..of(&large) },
        ),
        line("lines: all of a small account", Wanted { limit: LONG_PAGE, ..of(&small) }),
        line("lines: a month of a small account", month(of(&small))),
        line("lines: a page of a large key", by(3)),
        line("lines: a month of a small key", month(by(4_330))),
        line("lines: a page of a large key and its account", Wanted { account_id: Some(large.clone()), ..by(3) }),
        line("lines: all of a small key and its account", Wanted { account_id: Some(small.clone()), ..by(4_330) }),
        line("lines: of nobody", of("nobody")),
        sums("days: a year of a large account", "day", year(of(&large))),
        sums("days: a year of a small account", "day", year(of(&small))),
        sums("days: a year of a small key", "day", year(by(4_330))),
        sums("days: one day of all", "day", day(all())),
        sums("hours: a month of a large account", "hour", month(Wanted { limit: ROWS_MAX, ..of(&large) })),
        sums("hours: a month of a small account", "hour", month(Wanted { limit: ROWS_MAX, ..of(&small) })),
        sums("minutes: a day of all", "minute", day(all())),
        sums("minutes: a day of a large account", "minute", day(of(&large))),
        sums("minutes: a day of a small key", "minute", day(by(4_330))),
        sums("minutes: a year of a small account", "minute", year(of(&small))),
    ])
}
