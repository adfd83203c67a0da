//! `qwenda keys`: the API keys of a data folder, whether or not a service runs on it.

use qwenda_server::{
    Place,
    keys::{self, KeyInfo, Keys, KeysError, NewKey, OVERLAP_SECONDS, Terms, now},
};
use serde_json::{Value, json};

use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, admin as texts, messages, money},
    output::Ui,
    settings::Settings,
    table::Table,
    when,
};

/// More than any machine does in a minute.
pub const PER_MINUTE_MAX: u64 = 1_000_000_000_000;

pub async fn run(ui: Ui, settings: &Settings, command: args::Keys) -> Result<(), CliError> {
    match command {
        args::Keys::Create(args) => create(ui, &settings.place(args.place.data_dir.as_deref())?, *args).await,
        args::Keys::List { data_dir, json } => list(ui, &settings.place(data_dir.as_deref())?, json).await,
        args::Keys::Rotate(args) => rotate(ui, &settings.place(args.place.data_dir.as_deref())?, args).await,
        args::Keys::Revoke { which, data_dir } => revoke(ui, &settings.place(data_dir.as_deref())?, &which).await,
    }
}

/// Whether a folder has a key that works.
pub async fn any(lang: Lang, folder: &Place) -> Result<bool, CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(lang, &error))?;
    Ok(keys.iter().any(|key| key.revoked_at.is_none()))
}

async fn create(ui: Ui, folder: &Place, args: args::CreateKey) -> Result<(), CliError> {
    let name = args.name.clone().unwrap_or_else(|| "default".to_owned());
    let new = NewKey { name, terms: terms(ui.lang, &args)?, account: args.account, project: args.project };
    let (key, info) = keys::create_with(folder, new).await.map_err(|error| explain(ui.lang, &error))?;
    if args.place.json {
        let mut record = record(&info);
        record["key"] = key.reveal().into();
        return ui.answer_line(record);
    }
    ui.notice(messages::key_shown_once(ui.lang, &info.name));
    ui.answer_line(key.reveal())
}

fn terms(lang: Lang, args: &args::CreateKey) -> Result<Terms, CliError> {
    let count = |field, text: &Option<String>, max| {
        text.as_deref().map(|text| books::count(lang, field, text, max)).transpose()
    };
    let budget = |field, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        if args.account.is_none() && args.project.is_none() {
            return Err(CliError::usage(money::budget_without_account(lang, field)));
        }
        books::amount_unsigned(lang, field, text).map(Some)
    };
    let expires_at = args.expires.as_deref().map(|text| books::time_ahead(lang, "--expires", text)).transpose()?;
    let some = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
    Ok(Terms {
        models: some(&args.models),
        networks: some(&args.networks),
        expires_at: expires_at.and_then(|at| u64::try_from(at).ok()),
        language: args.language.map(|language| language.code().to_owned()),
        requests_per_minute: count("--rpm", &args.rpm, PER_MINUTE_MAX)?,
        tokens_per_minute: count("--tpm", &args.tpm, PER_MINUTE_MAX)?,
        concurrency: count("--concurrency", &args.concurrency, u32::MAX.into())?.and_then(|n| u32::try_from(n).ok()),
        budget_day: budget("--budget-day", &args.budget_day)?,
        budget_month: budget("--budget-month", &args.budget_month)?,
        budget_total: budget("--budget-total", &args.budget_total)?,
        ..Terms::default()
    })
}

pub fn record(key: &KeyInfo) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "last4": key.last_four,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "account": key.account_id,
        "project": key.project_id,
        "terms": key.terms,
        "version": key.version,
    })
}

/// The terms on one line, as the options that would make them.
pub fn summary(terms: &Terms) -> String {
    let list = |texts: &Option<Vec<String>>| texts.as_ref().map(|texts| texts.join(","));
    let parts = [
        ("models", list(&terms.models)),
        ("networks", list(&terms.networks)),
        ("expires", terms.expires_at.and_then(|at| i64::try_from(at).ok()).map(when::second)),
        ("role", terms.role.clone()),
        ("language", terms.language.clone()),
        ("rpm", terms.requests_per_minute.map(|n| n.to_string())),
        ("tpm", terms.tokens_per_minute.map(|n| n.to_string())),
        ("concurrency", terms.concurrency.map(|n| n.to_string())),
        ("pace", terms.pace.clone()),
        ("burst-guard", terms.burst_guard.map(|guards| guards.to_string())),
        ("budget-day", terms.budget_day.map(|n| n.to_string())),
        ("budget-month", terms.budget_month.map(|n| n.to_string())),
        ("budget-total", terms.budget_total.map(|n| n.to_string())),
    ];
    let parts: Vec<String> = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

async fn list(ui: Ui, folder: &Place, as_json: bool) -> Result<(), CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(ui.lang, &error))?;
    if as_json {
        return ui.answer_line(json!({ "keys": keys.iter().map(record).collect::<Vec<_>>() }));
    }
    if keys.is_empty() {
        ui.notice(messages::no_keys(ui.lang));
        return Ok(());
    }
    let accounts = books::open_at(ui.lang, folder).await?;
    let named = accounts.list().await.map_err(|error| books::explain(ui.lang, &error))?;
    accounts.close().await;
    let mut table = Table::new(&money::key_headings(ui.lang));
    for key in keys {
        let state = if key.revoked_at.is_some() { messages::is_revoked(ui.lang) } else { messages::works(ui.lang) };
        let account = key.account_id.map_or("-".to_owned(), |id| {
            named.iter().find(|account| account.id == id).map_or(id, |account| account.name.clone())
        });
        let last_four = format!("…{}", key.last_four);
        table.row([key.id, last_four, state.trim_end().to_owned(), key.name, account, summary(&key.terms)]);
    }
    ui.answer_line(table)
}

/// The name of the account that pays for a key's requests.
pub async fn account_of(lang: Lang, place: &Place, key: &KeyInfo) -> Result<String, CliError> {
    let Some(id) = &key.account_id else { return Ok("-".to_owned()) };
    let accounts = books::open_at(lang, place).await?;
    let account = books::find(lang, &accounts, id).await?;
    accounts.close().await;
    Ok(account.name)
}

/// Gives the one working key that is meant another secret.
async fn rotate(ui: Ui, folder: &Place, args: args::Rotate) -> Result<(), CliError> {
    let lang = ui.lang;
    let overlap = match args.overlap.as_deref() {
        None => 0,
        // What is no length is a time, which lies far behind zero.
        Some(text) => when::read(text, 0, when::Way::Ahead)
            .filter(|seconds| text.ends_with(['h', 'd']) && OVERLAP_SECONDS.contains(seconds))
            .ok_or_else(|| CliError::usage(texts::bad_overlap(lang, text)))?,
    };
    let keys = Keys::open(folder).await.map_err(|error| explain(lang, &error))?;
    let all = keys.list().await.map_err(|error| explain(lang, &error))?;
    let key = find(lang, &all, &args.which)?;
    let (fresh, info) = keys.rotate(key, overlap).await.map_err(|error| explain(lang, &error))?;
    keys.close().await;
    let until = now().saturating_add(overlap);
    ui.notice(match overlap {
        0 => texts::rotated_at_once(lang, &info.name),
        _ => texts::rotated(lang, &info.name, &when::second(until)),
    });
    if args.place.json {
        let mut record = record(&info);
        record["key"] = fresh.reveal().into();
        record["old_works_until"] = until.into();
        return ui.answer_line(record);
    }
    ui.answer_line(fresh.reveal())
}

/// Ends the one working key that is meant.
async fn revoke(ui: Ui, folder: &Place, which: &str) -> Result<(), CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(ui.lang, &error))?;
    let key = find(ui.lang, &keys, which)?;
    keys::revoke(folder, &key.id).await.map_err(|error| explain(ui.lang, &error))?;
    ui.notice(messages::key_revoked(ui.lang, &key.name, &key.last_four));
    Ok(())
}

/// The one working key that is meant. An id is tried first, then a name, then the last four characters; what
/// fits several is refused.
pub fn find<'a>(lang: Lang, keys: &'a [KeyInfo], which: &str) -> Result<&'a KeyInfo, CliError> {
    let working: Vec<&KeyInfo> = keys.iter().filter(|key| key.revoked_at.is_none()).collect();
    let by =
        |same: fn(&KeyInfo, &str) -> bool| working.iter().filter(|key| same(key, which)).copied().collect::<Vec<_>>();
    let found = [
        by(|key, which| key.id == which),
        by(|key, which| key.name == which),
        by(|key, which| key.last_four == which.trim_start_matches('…')),
    ];
    match found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().as_slice() {
        [] => Err(CliError::usage(messages::no_such_key(lang, which))),
        [key] => Ok(key),
        several => {
            let ids = several.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ");
            Err(CliError::usage(messages::several_keys(lang, which, &ids)))
        }
    }
}

pub fn explain(lang: Lang, error: &KeysError) -> CliError {
    let message = messages::bad_keys(lang, error);
    match error {
        KeysError::Name | KeysError::Terms(_) | KeysError::BelowSpent { .. } | KeysError::Overlap { .. } => {
            CliError::usage(message)
        }
        KeysError::NoSuchProject { .. } | KeysError::AmbiguousProject { .. } | KeysError::OtherAccount { .. } => {
            CliError::usage(message)
        }
        KeysError::NoSuchAccount { .. } => CliError::usage(message).hint(money::list_accounts(lang)),
        _ => CliError::failure(message),
    }
}
