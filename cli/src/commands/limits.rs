//! `qwenda limits`: what a key, a project or an account may do and spend, shown and changed.

use qwenda_server::{
    accounts,
    keys::{self, KeyInfo, ModelLimits, Spent, Terms},
    projects,
};
use serde_json::{Map, Value, json};

use super::{
    keys::{PER_MINUTE_MAX, account_of, explain, find, record},
    projects as of_projects,
};
use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, money, projects as texts},
    output::Ui,
    settings::Settings,
    table::{self, Table},
    when,
};

/// What takes a limit away.
const NONE: &str = "none";
const ANY: &str = "any";
const NEVER: &str = "never";

pub async fn run(ui: Ui, settings: &Settings, args: args::Limits) -> Result<(), CliError> {
    match (&args.which, &args.project, &args.account) {
        (Some(which), ..) => of_key(ui, settings, &args, which).await,
        (None, Some(which), account) => of_project(ui, settings, &args, which, account.as_deref()).await,
        (None, None, Some(which)) => of_account(ui, settings, &args, which).await,
        (None, None, None) => unreachable!("one of them is required"),
    }
}

async fn of_key(ui: Ui, settings: &Settings, args: &args::Limits, which: &str) -> Result<(), CliError> {
    let lang = ui.lang;
    if args.of_model.is_some() {
        return Err(CliError::usage(texts::of_accounts_only(lang)));
    }
    let place = settings.place(args.place.data_dir.as_deref())?;
    let all = keys::list(&place).await.map_err(|error| explain(lang, &error))?;
    let mut key = find(lang, &all, which)?.clone();
    let terms = changed(lang, args, &key.terms, key.account_id.is_some())?;
    if terms != key.terms {
        key = keys::set_terms(&place, &key, terms).await.map_err(|error| explain(lang, &error))?;
        ui.notice(money::limits_set(lang, &key.name, &key.last_four));
    }
    let spent = keys::spent(&place, &key).await.map_err(|error| explain(lang, &error))?;
    if args.place.json {
        return ui.answer_line(with_spent(record(&key), &spent));
    }
    let account = account_of(lang, &place, &key).await?;
    ui.answer_line(table::facts(&money::limits_facts(lang), &facts(lang, &key, account, &spent)))
}

async fn of_project(
    ui: Ui,
    settings: &Settings,
    args: &args::Limits,
    which: &str,
    account: Option<&str>,
) -> Result<(), CliError> {
    let lang = ui.lang;
    shared_only(lang, args)?;
    if args.of_model.is_some() {
        return Err(CliError::usage(texts::of_accounts_only(lang)));
    }
    let wrong = |error| of_projects::explain(lang, error);
    let projects = of_projects::open(lang, settings, &args.place).await?;
    let mut project = projects.find(which, account).await.map_err(wrong)?;
    let terms = changed(lang, args, &project.terms, true)?;
    if terms != project.terms {
        let changes = projects::Changes { terms: Some(terms), disabled: None };
        project = projects.change(project, changes).await.map_err(wrong)?;
        ui.notice(texts::shared_set(lang, &project.name));
    }
    let spent = projects.spent(&project).await.map_err(wrong)?;
    projects.close().await;
    if args.place.json {
        return ui.answer_line(with_spent(of_projects::record(&project), &spent));
    }
    show_shared(ui, [project.name, project.id], &project.terms, &spent)
}

async fn of_account(ui: Ui, settings: &Settings, args: &args::Limits, which: &str) -> Result<(), CliError> {
    let lang = ui.lang;
    shared_only(lang, args)?;
    let wrong = |error| books::explain(lang, &error);
    let accounts = books::open(lang, settings, &args.place).await?;
    let mut account = books::find(lang, &accounts, which).await?;
    let terms = match &args.of_model {
        None => changed(lang, args, &account.terms, true)?,
        Some(model) => of_model(lang, args, &account.terms, model)?,
    };
    if terms != account.terms {
        let changes = accounts::Changes { terms: Some(terms), ..accounts::Changes::default() };
        account = accounts.change(account, changes).await.map_err(wrong)?;
        ui.notice(texts::shared_set(lang, &account.name));
    }
    let spent = accounts.spent(&account).await.map_err(wrong)?;
    accounts.close().await;
    if args.place.json {
        let record = json!({
            "id": account.id,
            "name": account.name,
            "terms": account.terms,
            "version": account.version,
        });
        return ui.answer_line(with_spent(record, &spent));
    }
    show_shared(ui, [account.name, account.id], &account.terms, &spent)
}

/// Only keys end, and speak.
fn shared_only(lang: Lang, args: &args::Limits) -> Result<(), CliError> {
    let of_keys = [("--expires", args.expires.is_some()), ("--language", args.language.is_some())];
    match of_keys.into_iter().find(|(_, is)| *is) {
        Some((field, _)) => Err(CliError::usage(texts::of_keys_only(lang, field))),
        None => Ok(()),
    }
}

fn with_spent(mut record: Value, spent: &[Spent]) -> Value {
    let of = |spent: &Spent| (spent.period.clone(), json!(spent.spent.to_string()));
    record["spent"] = spent.iter().map(of).collect::<Map<_, _>>().into();
    record
}

/// Terms with what was asked for. What is not named stays.
fn changed(lang: Lang, args: &args::Limits, old: &Terms, has_account: bool) -> Result<Terms, CliError> {
    let old = old.clone();
    let budget = |field: &str, text: &Option<String>, old| {
        either(text.as_deref(), NONE, old, |text| match has_account {
            false => Err(CliError::usage(money::budget_of_no_account(lang, field))),
            true => books::amount_unsigned(lang, field, text),
        })
    };
    let list = |texts: &[String], old| match texts {
        [] => old,
        [any] if any == ANY => None,
        texts => Some(texts.to_vec()),
    };
    let ahead = |text: &str| books::time_ahead(lang, "--expires", text).map(i64::unsigned_abs);
    let counts = ModelLimits {
        requests_per_minute: old.requests_per_minute,
        tokens_per_minute: old.tokens_per_minute,
        concurrency: old.concurrency,
    };
    let ModelLimits { requests_per_minute, tokens_per_minute, concurrency } = counted(lang, args, counts)?;
    Ok(Terms {
        models: list(&args.models, old.models),
        networks: list(&args.networks, old.networks),
        expires_at: either(args.expires.as_deref(), NEVER, old.expires_at, ahead)?,
        role: old.role,
        language: args.language.map_or(old.language, |language| Some(language.code().to_owned())),
        requests_per_minute,
        tokens_per_minute,
        concurrency,
        pace: args.pace.map_or(old.pace, |pace| pace.name().map(str::to_owned)),
        burst_guard: args.burst_guard.map_or(old.burst_guard, |guards| guards.then_some(true)),
        model_limits: old.model_limits,
        budget_day: budget("--budget-day", &args.budget_day, old.budget_day)?,
        budget_month: budget("--budget-month", &args.budget_month, old.budget_month)?,
        budget_total: budget("--budget-total", &args.budget_total, old.budget_total)?,
    })
}

/// Terms with what was asked for of one model. Where nothing limits it any more it is named no more.
fn of_model(lang: Lang, args: &args::Limits, old: &Terms, model: &str) -> Result<Terms, CliError> {
    if args.rpm.is_none() && args.tpm.is_none() && args.concurrency.is_none() {
        return Err(CliError::usage(texts::model_has_counts(lang)));
    }
    let mut limits = old.model_limits.clone().unwrap_or_default();
    let counts = counted(lang, args, limits.remove(model).unwrap_or_default())?;
    if counts != ModelLimits::default() {
        limits.insert(model.to_owned(), counts);
    }
    Ok(Terms { model_limits: (!limits.is_empty()).then_some(limits), ..old.clone() })
}

fn counted(lang: Lang, args: &args::Limits, old: ModelLimits) -> Result<ModelLimits, CliError> {
    let count = |field: &str, text: &Option<String>, old: Option<u64>, max: u64| {
        either(text.as_deref(), NONE, old, |text| books::count(lang, field, text, max))
    };
    let concurrency = count("--concurrency", &args.concurrency, old.concurrency.map(u64::from), u32::MAX.into())?;
    Ok(ModelLimits {
        requests_per_minute: count("--rpm", &args.rpm, old.requests_per_minute, PER_MINUTE_MAX)?,
        tokens_per_minute: count("--tpm", &args.tpm, old.tokens_per_minute, PER_MINUTE_MAX)?,
        concurrency: concurrency.and_then(|n| u32::try_from(n).ok()),
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

/// How terms are shown.
struct Shown<'a> {
    lang: Lang,
    terms: &'a Terms,
    spent: &'a [Spent],
}

impl Shown<'_> {
    fn free(&self) -> String {
        money::not_limited(self.lang)
    }

    fn list(&self, texts: &Option<Vec<String>>) -> String {
        texts.as_ref().map_or_else(|| self.free(), |texts| texts.join(","))
    }

    fn count(&self, count: Option<u64>) -> String {
        count.map_or_else(|| self.free(), |count| count.to_string())
    }

    fn counts(&self) -> [String; 3] {
        let terms = self.terms;
        [terms.requests_per_minute, terms.tokens_per_minute, terms.concurrency.map(u64::from)].map(|n| self.count(n))
    }

    fn pace(&self) -> [String; 2] {
        let guards = self.terms.burst_guard == Some(true);
        let guards = if guards { money::yes(self.lang) } else { money::no(self.lang) };
        [self.terms.pace.clone().unwrap_or_else(|| "minute".to_owned()), guards]
    }

    fn budgets(&self) -> [String; 3] {
        ["day", "month", "total"].map(|name| {
            let of = self.spent.iter().find(|spent| spent.period == name);
            let said = |of: &Spent| money::budget_spent(self.lang, &of.budget.to_string(), &of.spent.to_string());
            of.map_or_else(|| self.free(), said)
        })
    }
}

fn facts(lang: Lang, key: &KeyInfo, account: String, spent: &[Spent]) -> Vec<String> {
    let shown = Shown { lang, terms: &key.terms, spent };
    let expires = key.terms.expires_at.and_then(|at| i64::try_from(at).ok());
    let whose = [format!("{} (…{})", key.name, key.last_four), key.id.clone(), account];
    let where_and_when = [
        shown.list(&key.terms.models),
        shown.list(&key.terms.networks),
        expires.map_or_else(|| shown.free(), when::second),
    ];
    let rest = shown.counts().into_iter().chain(shown.pace()).chain(shown.budgets());
    whose.into_iter().chain(where_and_when).chain(rest).collect()
}

fn show_shared(ui: Ui, whose: [String; 2], terms: &Terms, spent: &[Spent]) -> Result<(), CliError> {
    let shown = Shown { lang: ui.lang, terms, spent };
    let places = [shown.list(&terms.models), shown.list(&terms.networks)];
    let rest = shown.counts().into_iter().chain(shown.pace()).chain(shown.budgets());
    let facts: Vec<String> = whose.into_iter().chain(places).chain(rest).collect();
    ui.answer_line(table::facts(&texts::shared_facts(ui.lang), &facts))?;
    let Some(models) = &terms.model_limits else { return Ok(()) };
    let mut table = Table::new(&texts::model_headings(ui.lang));
    for (model, limits) in models {
        table.row([
            model.clone(),
            shown.count(limits.requests_per_minute),
            shown.count(limits.tokens_per_minute),
            shown.count(limits.concurrency.map(u64::from)),
        ]);
    }
    ui.answer_line(format!("\n{table}"))
}
