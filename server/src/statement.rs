//! Requests as a statement has them: rows of CSV, records of JSON, and what they come to.

use std::collections::BTreeMap;

use qwenda_ledger::{account::Kind, money::Nanos};
use qwenda_store::usage::{PaidRequest, Wanted};
use serde_json::{Value, json};

use crate::{
    accounts::{AccountRow, Accounts, AccountsError},
    when,
};

/// Requests that are read at once.
const PAGE: i64 = 1_000;

/// The columns of the CSV, the same in every language.
pub const COLUMNS: [&str; 16] = [
    "time",
    "request",
    "key",
    "key_name",
    "model",
    "task",
    "status",
    "price",
    "currency",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "quota_tokens",
    "pack_tokens",
    "lines",
    "charge",
];

/// Sums of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfModel {
    pub requests: u64,
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    pub quota: u64,
    pub pack: u64,
    pub charge: Nanos,
}

impl Default for OfModel {
    fn default() -> Self {
        Self { requests: 0, input: 0, cached: 0, output: 0, quota: 0, pack: 0, charge: Nanos::ZERO }
    }
}

/// What requests come to, model by model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(pub BTreeMap<String, OfModel>);

impl Sums {
    /// Adds a request; `None` where the sum would be out of range.
    pub fn add(&mut self, request: &PaidRequest) -> Option<()> {
        let usage = &request.line.usage;
        let sums = self.0.entry(request.line.model.clone()).or_default();
        for (sum, more) in [
            (&mut sums.requests, 1),
            (&mut sums.input, usage.input_tokens),
            (&mut sums.cached, cached(request)),
            (&mut sums.output, usage.output_tokens),
            (&mut sums.quota, covered(request, Kind::Quota)),
            (&mut sums.pack, covered(request, Kind::Pack)),
        ] {
            *sum = sum.saturating_add(more);
        }
        sums.charge = sums.charge.checked_add(request.charge)?;
        Some(())
    }

    /// The charges of all; `None` where the sum would be out of range.
    pub fn total(&self) -> Option<Nanos> {
        Nanos::checked_sum(self.0.values().map(|sums| sums.charge))
    }

    /// As JSON.
    pub fn records(&self) -> Vec<Value> {
        let record = |(model, sums): (&String, &OfModel)| {
            json!({
                "model": model,
                "requests": sums.requests,
                "input_tokens": sums.input,
                "cached_tokens": sums.cached,
                "output_tokens": sums.output,
                "quota_tokens": sums.quota,
                "pack_tokens": sums.pack,
                "charge": sums.charge.to_string(),
            })
        };
        self.0.iter().map(record).collect()
    }
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error("the sum of all charges is too great")]
    TooGreat,
    #[error("the lines of request {id} do not come to its charge of {charge}")]
    Lines { id: String, charge: Nanos },
    #[error("the requests come to {summed}, the books say {booked}")]
    Differs { summed: Nanos, booked: Nanos },
}

/// What an account's requests of whole days come to, which is what the books say.
///
/// Requests may end meanwhile. None goes away, so the sum lies between what the books say before and after: where
/// nothing runs, it is equal to both, to the nano.
pub async fn sums(accounts: &Accounts, of: &AccountRow, from: i64, until: i64) -> Result<Sums, StatementError> {
    let before = booked(accounts, of, from, until).await?;
    let mut sums = Sums::default();
    let mut wanted = Wanted { account_id: Some(of.id.clone()), from, until, limit: PAGE, ..Wanted::default() };
    loop {
        let page = accounts.requests(&wanted).await?;
        let Some(last) = page.last() else { break };
        wanted.after = Some((last.line.at, last.line.id.clone()));
        for request in &page {
            if Nanos::checked_sum(request.lines.iter().map(|line| line.amount)) != Some(request.charge) {
                return Err(StatementError::Lines { id: request.line.id.clone(), charge: request.charge });
            }
            sums.add(request).ok_or(StatementError::TooGreat)?;
        }
    }
    let after = booked(accounts, of, from, until).await?;
    let summed = sums.total().ok_or(StatementError::TooGreat)?;
    match summed < before || summed > after {
        true => Err(StatementError::Differs { summed, booked: before }),
        false => Ok(sums),
    }
}

/// What the sums by day come to.
async fn booked(accounts: &Accounts, of: &AccountRow, from: i64, until: i64) -> Result<Nanos, StatementError> {
    let wanted = Wanted { account_id: Some(of.id.clone()), from, until, limit: i64::MAX, ..Wanted::default() };
    let days = accounts.usage("day", &wanted).await?;
    Nanos::checked_sum(days.iter().map(|day| day.charge)).ok_or(StatementError::TooGreat)
}

/// A request as JSON.
pub fn record(request: &PaidRequest) -> Value {
    let line = &request.line;
    let lines: Vec<Value> = request
        .lines
        .iter()
        .map(|line| {
            json!({
                "kind": line.kind.as_str(),
                "tokens": line.tokens,
                "price_per_mtok": line.price_nanos_per_mtok.to_string(),
                "percent": line.percent,
                "amount": line.amount.to_string(),
            })
        })
        .collect();
    json!({
        "id": line.id,
        "at": line.at,
        "key": line.key_id,
        "model": line.model,
        "task": line.task,
        "status": line.status,
        "price": line.price_id,
        "input_tokens": line.usage.input_tokens,
        "cached_tokens": cached(request),
        "output_tokens": line.usage.output_tokens,
        "quota_tokens": covered(request, Kind::Quota),
        "pack_tokens": covered(request, Kind::Pack),
        "lines": lines,
        "charge": request.charge.to_string(),
    })
}

/// The first row of the CSV (RFC 4180).
pub fn csv_heading() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// The row of a request.
pub fn csv_row(request: &PaidRequest, account: &AccountRow, key_name: &str) -> String {
    let line = &request.line;
    let cells: [String; COLUMNS.len()] = [
        when::second(line.at),
        cell(&line.id),
        cell(&line.key_id),
        cell(key_name),
        cell(&line.model),
        cell(&line.task),
        cell(&line.status),
        cell(&line.price_id),
        account.currency.to_string(),
        line.usage.input_tokens.to_string(),
        cached(request).to_string(),
        line.usage.output_tokens.to_string(),
        covered(request, Kind::Quota).to_string(),
        covered(request, Kind::Pack).to_string(),
        cell(&lines(request, 'x')),
        request.charge.to_string(),
    ];
    cells.join(",") + "\r\n"
}

/// A text as one cell. A spreadsheet takes what begins like a formula for one: a `'` before it makes it text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = format!("{}{text}", if formula { "'" } else { "" });
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Tokens of the input that were found in a cache.
pub fn cached(request: &PaidRequest) -> u64 {
    let usage = &request.line.usage;
    usage.implicit_hit_tokens.saturating_add(usage.explicit_hit_tokens)
}

/// Tokens that were paid with those of this kind.
pub fn covered(request: &PaidRequest, kind: Kind) -> u64 {
    let parts = request.covered.iter().filter(|part| part.kind == kind);
    parts.fold(0, |sum, part| sum.saturating_add(u64::try_from(part.amount).unwrap_or(0)))
}

/// `input 1000 × 0.8 × 20% = 0.00016`; prices are per million tokens.
pub fn lines(request: &PaidRequest, times: char) -> String {
    let lines = request.lines.iter().map(|line| {
        let percent = if line.percent == 100 { String::new() } else { format!(" {times} {}%", line.percent) };
        let (kind, price) = (line.kind.as_str(), line.price_nanos_per_mtok);
        format!("{kind} {} {times} {price}{percent} = {}", line.tokens, line.amount)
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (text, want) in [
            ("qwen-plus", "qwen-plus"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("-1+2", "'-1+2"),
            ("@a,b", "\"'@a,b\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("团队", "团队"),
            ("", ""),
        ] {
            assert_eq!(cell(text), want);
        }
    }
}
