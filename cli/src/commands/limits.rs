//! `qwenda limits`: what a key may do and spend, shown and changed.

use qwenda_server::keys::{self, KeyInfo, Spent, Terms};
use serde_json::json;

use super::keys::{PER_MINUTE_MAX, account_of, explain, find, record};
use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, money},
    output::Ui,
    settings::Settings,
    table, when,
};

/// What takes a limit away.
const NONE: &str = "none";
const ANY: &str = "any";
const NEVER: &str = "never";

pub async fn run(ui: Ui, settings: &Settings, args: args::Limits) -> Result<(), CliError> {
    let lang = ui.lang;
    let place = settings.place(args.place.data_dir.as_deref())?;
    let all = keys::list(&place).await.map_err(|error| explain(lang, &error))?;
    let mut key = find(lang, &all, &args.which)?.clone();
    let terms = changed(lang, &args, &key)?;
    if terms != key.terms {
        key = keys::set_terms(&place, &key, terms).await.map_err(|error| explain(lang, &error))?;
        ui.notice(money::limits_set(lang, &key.name, &key.last_four));
    }
    let spent = keys::spent(&place, &key).await.map_err(|error| explain(lang, &error))?;
    if args.place.json {
        let mut record = record(&key);
        let of = |spent: &Spent| (spent.period.clone(), json!(spent.spent.to_string()));
        record["spent"] = spent.iter().map(of).collect::<serde_json::Map<_, _>>().into();
        return ui.answer_line(record);
    }
    let account = account_of(lang, &place, &key).await?;
    ui.answer_line(table::facts(&money::limits_facts(lang), &facts(lang, &key, account, &spent)))
}

/// The key's terms with what was asked for. What is not named stays.
fn changed(lang: Lang, args: &args::Limits, key: &KeyInfo) -> Result<Terms, CliError> {
    let old = key.terms.clone();
    let count = |field: &str, text: &Option<String>, old: Option<u64>, max: u64| {
        either(text.as_deref(), NONE, old, |text| books::count(lang, field, text, max))
    };
    let budget = |field: &str, text: &Option<String>, old| {
        either(text.as_deref(), NONE, old, |text| match key.account_id {
            None => Err(CliError::usage(money::budget_of_no_account(lang, field))),
            Some(_) => books::amount_unsigned(lang, field, text),
        })
    };
    let list = |texts: &[String], old| match texts {
        [] => old,
        [any] if any == ANY => None,
        texts => Some(texts.to_vec()),
    };
    let ahead = |text: &str| books::time_ahead(lang, "--expires", text).map(i64::unsigned_abs);
    let concurrency = count("--concurrency", &args.concurrency, old.concurrency.map(u64::from), u32::MAX.into())?;
    Ok(Terms {
        models: list(&args.models, old.models),
        networks: list(&args.networks, old.networks),
        expires_at: either(args.expires.as_deref(), NEVER, old.expires_at, ahead)?,
        role: old.role,
        requests_per_minute: count("--rpm", &args.rpm, old.requests_per_minute, PER_MINUTE_MAX)?,
        tokens_per_minute: count("--tpm", &args.tpm, old.tokens_per_minute, PER_MINUTE_MAX)?,
        concurrency: concurrency.and_then(|n| u32::try_from(n).ok()),
        budget_day: budget("--budget-day", &args.budget_day, old.budget_day)?,
        budget_month: budget("--budget-month", &args.budget_month, old.budget_month)?,
        budget_total: budget("--budget-total", &args.budget_total, old.budget_total)?,
    })
}

/// What is not named stays, `none` takes it away.
fn either<T>(
    text: Option<&str>,
    none: &str,
    old: Option<T>,
    read: impl FnOnce(&str) -> Result<T, CliError>,
) -> Result<Option<T>, CliError> {
    match text {
        None => Ok(old),
        Some(text) if text == none => Ok(None),
        Some(text) => read(text).map(Some),
    }
}

fn facts(lang: Lang, key: &KeyInfo, account: String, spent: &[Spent]) -> Vec<String> {
    let terms = &key.terms;
    let free = || money::not_limited(lang);
    let list = |texts: &Option<Vec<String>>| texts.as_ref().map_or_else(free, |texts| texts.join(","));
    let count = |count: Option<u64>| count.map_or_else(free, |count| count.to_string());
    let budget = |name: &str| {
        let of = spent.iter().find(|spent| spent.period == name);
        of.map_or_else(free, |of| money::budget_spent(lang, &of.budget.to_string(), &of.spent.to_string()))
    };
    let expires = terms.expires_at.and_then(|at| i64::try_from(at).ok());
    vec![
        format!("{} (…{})", key.name, key.last_four),
        key.id.clone(),
        account,
        list(&terms.models),
        list(&terms.networks),
        expires.map_or_else(free, when::second),
        count(terms.requests_per_minute),
        count(terms.tokens_per_minute),
        count(terms.concurrency.map(u64::from)),
        budget("day"),
        budget("month"),
        budget("total"),
    ]
}
