//! `qwenda usage`: how much was used, by minute, hour or day.

use std::collections::BTreeMap;

use qwenda_server::{
    accounts::{AccountRow, RollupRow, Wanted},
    keys::{Currency, KeyInfo, Nanos, now},
};
use serde_json::{Value, json};

use super::projects;
use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, money},
    output::Ui,
    settings::Settings,
    table::Table,
    when::{self, Way},
};

/// More would be no table for anybody.
const ROWS_MAX: usize = 100_000;

pub async fn run(ui: Ui, settings: &Settings, args: args::Usage) -> Result<(), CliError> {
    let lang = ui.lang;
    let by = args.by.unwrap_or(args::Grain::Day);
    let until = args.until.as_deref().map(|text| books::time(lang, "--until", text, Way::Back)).transpose()?;
    let from = args.from.as_deref().map(|text| books::time(lang, "--from", text, Way::Back)).transpose()?;
    // Without `--until` also what is a moment ahead of this clock.
    let until = until.unwrap_or(i64::MAX);
    let from = from.unwrap_or_else(|| until.min(now()) - by.usual_seconds());
    if from >= until {
        return Err(CliError::usage(money::from_behind_until(lang)));
    }
    let seconds = by.seconds();
    let from = from.div_euclid(seconds) * seconds;
    let accounts = books::open(lang, settings, &args.place).await?;
    let account = match &args.account {
        Some(which) => Some(books::find(lang, &accounts, which).await?.id),
        None => None,
    };
    let keys = books::keys(lang, settings, &args.place).await?;
    let key_id = args.key.as_deref().map(|which| books::key_id(lang, &keys, which)).transpose()?;
    let project_id = match &args.project {
        None => None,
        Some(which) => {
            let projects = projects::open(lang, settings, &args.place).await?;
            let found = projects.find(which, args.account.as_deref()).await;
            projects.close().await;
            Some(found.map_err(|error| projects::explain(lang, error))?.id)
        }
    };
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX) + 1;
    let wanted = Wanted { account_id: account, key_id, project_id, from, until, after: None, limit };
    let rows = accounts.usage(by.as_str(), &wanted).await.map_err(|error| books::explain(lang, &error))?;
    let known = accounts.list().await.map_err(|error| books::explain(lang, &error))?;
    accounts.close().await;
    if rows.len() > ROWS_MAX {
        return Err(CliError::usage(money::too_many_rows(lang, ROWS_MAX)));
    }
    let report = Report { by, rows: &rows, accounts: &known, keys: &keys };
    let totals = report.totals(lang)?;
    if args.place.json {
        let rows: Vec<Value> = rows.iter().map(|row| report.record(row)).collect();
        let totals: Vec<Value> = totals.iter().map(|(currency, sum)| sum.record(currency)).collect();
        return ui.answer_line(json!({ "by": by.as_str(), "from": from, "rows": rows, "totals": totals }));
    }
    if rows.is_empty() {
        ui.notice(money::nothing_used(lang, &when::second(from)));
        return Ok(());
    }
    ui.answer_line(report.table(lang, &totals))
}

struct Report<'a> {
    by: args::Grain,
    rows: &'a [RollupRow],
    accounts: &'a [AccountRow],
    keys: &'a [KeyInfo],
}

/// Sums of one currency.
#[derive(Default)]
struct Sum {
    requests: i128,
    input: i128,
    cached: i128,
    output: i128,
    charges: Vec<Nanos>,
    charge: Nanos,
}

impl Report<'_> {
    fn account(&self, row: &RollupRow) -> Option<&AccountRow> {
        self.accounts.iter().find(|account| account.id == row.account_id)
    }

    fn currency(&self, row: &RollupRow) -> &'static str {
        self.account(row).map_or("", |account| Currency::as_str(account.currency))
    }

    fn totals(&self, lang: Lang) -> Result<BTreeMap<&'static str, Sum>, CliError> {
        let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
        for row in self.rows {
            let sum = sums.entry(self.currency(row)).or_default();
            sum.requests += i128::from(row.requests);
            sum.input += i128::from(row.input_tokens);
            sum.cached += i128::from(row.cached_tokens);
            sum.output += i128::from(row.output_tokens);
            sum.charges.push(row.charge);
        }
        for sum in sums.values_mut() {
            let charge = Nanos::checked_sum(std::mem::take(&mut sum.charges));
            sum.charge = charge.ok_or_else(|| CliError::failure(money::sum_too_great(lang)))?;
        }
        Ok(sums)
    }

    fn record(&self, row: &RollupRow) -> Value {
        json!({
            "at": row.at,
            "account": row.account_id,
            "key": row.key_id,
            "model": row.model,
            "requests": row.requests,
            "input_tokens": row.input_tokens,
            "cached_tokens": row.cached_tokens,
            "output_tokens": row.output_tokens,
            "currency": self.currency(row),
            "charge": row.charge.to_string(),
        })
    }

    fn table(&self, lang: Lang, totals: &BTreeMap<&'static str, Sum>) -> Table {
        let mut table = Table::new(&money::usage_headings(lang));
        for row in self.rows {
            let key = self.keys.iter().find(|key| key.id == row.key_id);
            table.row([
                if self.by == args::Grain::Day { when::day_of(row.at) } else { when::second(row.at) },
                self.account(row).map_or(&row.account_id, |account| &account.name).clone(),
                key.map_or(&row.key_id, |key| &key.name).clone(),
                row.model.clone(),
                row.requests.to_string(),
                row.input_tokens.to_string(),
                row.cached_tokens.to_string(),
                row.output_tokens.to_string(),
                row.charge.to_string(),
                self.currency(row).to_owned(),
            ]);
        }
        for (currency, sum) in totals {
            table.row([
                money::total(lang),
                String::new(),
                String::new(),
                String::new(),
                sum.requests.to_string(),
                sum.input.to_string(),
                sum.cached.to_string(),
                sum.output.to_string(),
                sum.charge.to_string(),
                (*currency).to_owned(),
            ]);
        }
        table
    }
}

impl Sum {
    fn record(&self, currency: &str) -> Value {
        // What people use in all time fits 64 bits many times over.
        let number = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
        json!({
            "currency": currency,
            "requests": number(self.requests),
            "input_tokens": number(self.input),
            "cached_tokens": number(self.cached),
            "output_tokens": number(self.output),
            "charge": self.charge.to_string(),
        })
    }
}
