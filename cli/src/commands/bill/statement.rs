//! A statement as a table, as CSV and as JSON.

use std::collections::BTreeMap;

use qwenda_server::{
    accounts::{AccountRow, PaidRequest},
    keys::{KeyInfo, Kind, Nanos},
};
use serde_json::{Value, json};

use super::sum;
use crate::{
    exit::CliError,
    lang::{Lang, messages},
    table::Table,
    when,
};

/// The columns of the CSV, the same in every language.
const COLUMNS: [&str; 16] = [
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

/// What an account used and pays in a month.
pub struct Statement<'a> {
    pub account: &'a AccountRow,
    pub month: &'a str,
    pub from: i64,
    pub until: i64,
    pub requests: &'a [PaidRequest],
    pub keys: &'a [KeyInfo],
    pub total: Nanos,
}

/// Sums of one model.
#[derive(Default)]
struct OfModel {
    requests: u64,
    input: u64,
    cached: u64,
    output: u64,
    quota: u64,
    pack: u64,
    charges: Vec<Nanos>,
}

impl Statement<'_> {
    fn key_name(&self, request: &PaidRequest) -> Option<&str> {
        self.keys.iter().find(|key| key.id == request.line.key_id).map(|key| key.name.as_str())
    }

    fn models(&self) -> BTreeMap<&str, OfModel> {
        let mut models: BTreeMap<&str, OfModel> = BTreeMap::new();
        for request in self.requests {
            let usage = &request.line.usage;
            let sums = models.entry(&request.line.model).or_default();
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
            sums.charges.push(request.charge);
        }
        models
    }

    pub fn text(&self, lang: Lang) -> Result<String, CliError> {
        let AccountRow { name, currency, .. } = self.account;
        let title = messages::bill_title(lang, name, self.month, currency.as_str());
        if self.requests.is_empty() {
            return Ok(format!("{title}\n\n{}", messages::bill_total(lang, "0", currency.as_str())));
        }
        let mut requests = Table::new(&messages::bill_headings(lang));
        for request in self.requests {
            requests.row([
                when::second(request.line.at),
                request.line.id.clone(),
                self.key_name(request).unwrap_or(&request.line.key_id).to_owned(),
                request.line.model.clone(),
                request.line.status.clone(),
                covered(request, Kind::Quota).to_string(),
                covered(request, Kind::Pack).to_string(),
                request.charge.to_string(),
                lines(request, '×'),
            ]);
        }
        let mut models = Table::new(&messages::models_headings(lang));
        for (model, sums) in self.models() {
            let OfModel { requests, input, cached, output, quota, pack, charges } = sums;
            let [requests, input, cached, output, quota, pack] =
                [requests, input, cached, output, quota, pack].map(|sum| sum.to_string());
            let charge = sum(lang, charges.into_iter())?.to_string();
            models.row([model.to_owned(), requests, input, cached, output, quota, pack, charge]);
        }
        let total = messages::bill_total(lang, &self.total.to_string(), currency.as_str());
        Ok(format!("{title}\n\n{requests}\n\n{models}\n\n{total}"))
    }

    pub fn record(&self, lang: Lang) -> Result<Value, CliError> {
        let request = |request: &PaidRequest| {
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
        };
        let mut models = Vec::new();
        for (model, sums) in self.models() {
            models.push(json!({
                "model": model,
                "requests": sums.requests,
                "input_tokens": sums.input,
                "cached_tokens": sums.cached,
                "output_tokens": sums.output,
                "quota_tokens": sums.quota,
                "pack_tokens": sums.pack,
                "charge": sum(lang, sums.charges.into_iter())?.to_string(),
            }));
        }
        Ok(json!({
            "account": self.account.id,
            "name": self.account.name,
            "currency": self.account.currency.as_str(),
            "month": self.month,
            "from": self.from,
            "until": self.until,
            "requests": self.requests.iter().map(request).collect::<Vec<_>>(),
            "models": models,
            "total": self.total.to_string(),
        }))
    }

    /// One row for each request (RFC 4180).
    pub fn csv(&self) -> String {
        let mut text = COLUMNS.join(",") + "\r\n";
        for request in self.requests {
            let line = &request.line;
            let cells: [String; COLUMNS.len()] = [
                when::second(line.at),
                cell(&line.id),
                cell(&line.key_id),
                cell(self.key_name(request).unwrap_or("")),
                cell(&line.model),
                cell(&line.task),
                cell(&line.status),
                cell(&line.price_id),
                self.account.currency.to_string(),
                line.usage.input_tokens.to_string(),
                cached(request).to_string(),
                line.usage.output_tokens.to_string(),
                covered(request, Kind::Quota).to_string(),
                covered(request, Kind::Pack).to_string(),
                cell(&lines(request, 'x')),
                request.charge.to_string(),
            ];
            text += &cells.join(",");
            text += "\r\n";
        }
        text
    }
}

/// A text as one cell. A spreadsheet takes what begins like a formula for one: a `'` before it makes it text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = format!("{}{text}", if formula { "'" } else { "" });
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn cached(request: &PaidRequest) -> u64 {
    let usage = &request.line.usage;
    usage.implicit_hit_tokens.saturating_add(usage.explicit_hit_tokens)
}

fn covered(request: &PaidRequest, kind: Kind) -> u64 {
    let parts = request.covered.iter().filter(|part| part.kind == kind);
    parts.fold(0, |sum, part| sum.saturating_add(u64::try_from(part.amount).unwrap_or(0)))
}

/// `input 1000 × 0.8 × 20% = 0.00016`; prices are per million tokens.
fn lines(request: &PaidRequest, times: char) -> String {
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
