//! `qwenda accounts`, `topup` and `grant`: who pays, and what they have.

use qwenda_server::{
    accounts::{AccountRow, Accounts, BucketRow, CONTENT_DAYS_MAX, Changes, Tokens},
    keys::{Currency, Kind, Nanos, now},
};
use serde_json::{Value, json};

use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, messages, money},
    output::Ui,
    settings::Settings,
    table::Table,
    when,
};

pub async fn run(ui: Ui, settings: &Settings, command: args::Accounts) -> Result<(), CliError> {
    match command {
        args::Accounts::Create { name, currency, credit, place } => {
            let currency = currency.map_or(Ok(Currency::Cny), |text| books::currency(ui.lang, &text))?;
            let credit = credit.map_or(Ok(Nanos::ZERO), |text| books::amount_unsigned(ui.lang, "--credit", &text))?;
            let accounts = books::open(ui.lang, settings, &place).await?;
            let made = accounts.create(&name, currency, credit).await;
            let account = made.map_err(|error| books::explain(ui.lang, &error))?;
            if place.json {
                show(ui, &accounts, &account, true).await?;
            } else {
                ui.notice(money::account_made(ui.lang, &account.name, account.currency.as_str()));
                ui.answer_line(&account.id)?;
            }
            accounts.close().await;
            Ok(())
        }
        args::Accounts::List { place } => {
            let accounts = books::open(ui.lang, settings, &place).await?;
            list(ui, &accounts, place.json).await?;
            accounts.close().await;
            Ok(())
        }
        args::Accounts::Show { which, place } => {
            let accounts = books::open(ui.lang, settings, &place).await?;
            let account = books::find(ui.lang, &accounts, &which).await?;
            show(ui, &accounts, &account, place.json).await?;
            accounts.close().await;
            Ok(())
        }
        args::Accounts::Set { which, credit, quota_stops, suspended, keep_content, place } => {
            if credit.is_none() && quota_stops.is_none() && suspended.is_none() && keep_content.is_none() {
                return Err(CliError::usage(money::nothing_to_set(ui.lang)));
            }
            let credit = credit.map(|text| books::amount_unsigned(ui.lang, "--credit", &text)).transpose()?;
            if let Some(days) = keep_content.filter(|days| !(0..=CONTENT_DAYS_MAX).contains(days)) {
                let range = format!("[0, {CONTENT_DAYS_MAX}]");
                let said = messages::out_of_range(ui.lang, "--keep-content", &range, &days.to_string());
                return Err(CliError::usage(said));
            }
            let accounts = books::open(ui.lang, settings, &place).await?;
            let account = books::find(ui.lang, &accounts, &which).await?;
            let changes = Changes { credit, quota_stops, suspended, content_days: keep_content, ..Changes::default() };
            let changed = accounts.change(account, changes).await;
            let account = changed.map_err(|error| books::explain(ui.lang, &error))?;
            show(ui, &accounts, &account, place.json).await?;
            accounts.close().await;
            Ok(())
        }
    }
}

pub async fn top_up(ui: Ui, settings: &Settings, args: args::Topup) -> Result<(), CliError> {
    let lang = ui.lang;
    let amount = books::amount(lang, "AMOUNT", &args.amount)?;
    if amount == Nanos::ZERO {
        return Err(CliError::usage(money::nothing_to_pay(lang)));
    }
    let (id, note) = labels(lang, &args.label)?;
    let accounts = books::open(lang, settings, &args.place).await?;
    let account = books::find(lang, &accounts, &args.which).await?;
    // What does not fit is refused before anything is written.
    let money = Money::of(&account, &buckets(lang, &accounts, &account).await?);
    if money.balance.checked_add(amount).is_none() {
        let (balance, currency) = (money.balance.to_string(), account.currency.as_str());
        return Err(CliError::usage(money::balance_full(lang, &args.amount, &balance, currency)));
    }
    let done = accounts.top_up(&account, amount, id, note).await.map_err(|error| books::explain(lang, &error))?;
    let said = match amount.checked_neg().filter(|_| amount.is_negative()) {
        Some(back) => money::paid_back(lang, &back.to_string(), account.currency.as_str(), &account.name),
        None => money::paid_in(lang, &amount.to_string(), account.currency.as_str(), &account.name),
    };
    deposited(ui, accounts, &account, id.filter(|_| !done), &said, args.place.json).await
}

pub async fn grant(ui: Ui, settings: &Settings, args: args::Grant) -> Result<(), CliError> {
    let lang = ui.lang;
    let tokens = books::count(lang, "TOKENS", &args.tokens, i64::MAX.unsigned_abs())?;
    let expires_at = args.expires.map(|text| books::time_ahead(lang, "--expires", &text)).transpose()?;
    let models = args.models.as_deref().unwrap_or("*");
    let (id, note) = labels(lang, &args.label)?;
    let accounts = books::open(lang, settings, &args.place).await?;
    let account = books::find(lang, &accounts, &args.which).await?;
    let what = Tokens { free: !args.pack, tokens: i64::try_from(tokens).unwrap_or(i64::MAX), models, expires_at };
    let done = accounts.grant(&account, what, id, note).await.map_err(|error| books::explain(lang, &error))?;
    let said = money::granted(lang, tokens, models, &account.name);
    deposited(ui, accounts, &account, id.filter(|_| !done), &said, args.place.json).await
}

fn labels(lang: Lang, label: &args::Label) -> Result<(Option<&str>, &str), CliError> {
    let id = label.id.as_deref().map(|id| books::note(lang, "--id", id)).transpose()?;
    if id.is_some_and(|id| id.trim().is_empty()) {
        return Err(CliError::usage(money::empty_id(lang)));
    }
    Ok((id, books::note(lang, "--note", label.note.as_deref().unwrap_or(""))?))
}

/// Says what was done, or that the id was there already, and shows the account.
async fn deposited(
    ui: Ui,
    accounts: Accounts,
    account: &AccountRow,
    known: Option<&str>,
    said: &str,
    as_json: bool,
) -> Result<(), CliError> {
    match known {
        None => ui.notice(said),
        Some(id) => ui.notice(money::done_already(ui.lang, id)),
    }
    if as_json {
        let record = record(account, &buckets(ui.lang, &accounts, account).await?);
        ui.answer_line(json!({ "done": known.is_none(), "account": record }))?;
    } else {
        show(ui, &accounts, account, false).await?;
    }
    accounts.close().await;
    Ok(())
}

async fn buckets(lang: Lang, accounts: &Accounts, account: &AccountRow) -> Result<Vec<BucketRow>, CliError> {
    accounts.buckets(account).await.map_err(|error| books::explain(lang, &error))
}

async fn list(ui: Ui, accounts: &Accounts, as_json: bool) -> Result<(), CliError> {
    let rows = accounts.list().await.map_err(|error| books::explain(ui.lang, &error))?;
    let mut table = Table::new(&money::accounts_headings(ui.lang));
    let mut records = Vec::with_capacity(rows.len());
    for account in &rows {
        let buckets = buckets(ui.lang, accounts, account).await?;
        let money = Money::of(account, &buckets);
        table.row([
            account.name.clone(),
            account.currency.to_string(),
            money.balance.to_string(),
            money.held.to_string(),
            account.credit.to_string(),
            money.spendable.to_string(),
            state(ui.lang, account),
            account.id.clone(),
        ]);
        records.push(record(account, &buckets));
    }
    if as_json {
        return ui.answer_line(json!({ "accounts": records }));
    }
    if rows.is_empty() {
        ui.notice(money::no_accounts(ui.lang));
        return Ok(());
    }
    ui.answer_line(table)
}

async fn show(ui: Ui, accounts: &Accounts, account: &AccountRow, as_json: bool) -> Result<(), CliError> {
    let buckets = buckets(ui.lang, accounts, account).await?;
    if as_json {
        return ui.answer_line(record(account, &buckets));
    }
    let money = Money::of(account, &buckets);
    let yes = if account.quota_stops { money::yes(ui.lang) } else { money::no(ui.lang) };
    let facts = [
        account.name.clone(),
        account.id.clone(),
        account.currency.to_string(),
        money.balance.to_string(),
        money.held.to_string(),
        account.credit.to_string(),
        money.spendable.to_string(),
        yes,
        state(ui.lang, account),
        account.content_days.to_string(),
        when::second(account.created_at),
    ];
    ui.answer_line(crate::table::facts(&money::account_facts(ui.lang), &facts))?;
    let mut table = Table::new(&money::tokens_headings(ui.lang));
    let mut any = false;
    for bucket in buckets.iter().filter(|bucket| bucket.kind != Kind::Balance) {
        any = true;
        let over = bucket.expires_at.filter(|at| *at <= now()).map(|_| money::is_over(ui.lang));
        let expires = bucket.expires_at.map_or("-".to_owned(), when::second);
        table.row([
            money::kind(ui.lang, bucket.kind).to_owned(),
            bucket.models.clone(),
            bucket.posted.to_string(),
            bucket.pending.to_string(),
            expires + &over.unwrap_or_default(),
        ]);
    }
    if any { ui.answer_line(format!("\n{table}")) } else { Ok(()) }
}

fn state(lang: Lang, account: &AccountRow) -> String {
    match account.suspended_at {
        Some(_) => money::is_suspended(lang),
        None => messages::works(lang).trim_end().to_owned(),
    }
}

/// What an account can pay with.
struct Money {
    balance: Nanos,
    held: Nanos,
    spendable: Nanos,
}

impl Money {
    fn of(account: &AccountRow, buckets: &[BucketRow]) -> Self {
        let balance = buckets.iter().find(|bucket| bucket.kind == Kind::Balance);
        let (posted, pending) = balance.map_or((0, 0), |bucket| (bucket.posted, bucket.pending));
        let spendable = posted.saturating_sub(pending).saturating_add(account.credit.get()).max(0);
        Self { balance: Nanos::new(posted), held: Nanos::new(pending), spendable: Nanos::new(spendable) }
    }
}

fn record(account: &AccountRow, buckets: &[BucketRow]) -> Value {
    let money = Money::of(account, buckets);
    let tokens: Vec<Value> = buckets
        .iter()
        .filter(|bucket| bucket.kind != Kind::Balance)
        .map(|bucket| {
            json!({
                "id": bucket.id,
                "kind": bucket.kind.as_str(),
                "models": bucket.models,
                "tokens": bucket.posted,
                "held": bucket.pending,
                "expires_at": bucket.expires_at,
            })
        })
        .collect();
    json!({
        "id": account.id,
        "name": account.name,
        "currency": account.currency.as_str(),
        "balance": money.balance.to_string(),
        "held": money.held.to_string(),
        "credit": account.credit.to_string(),
        "spendable": money.spendable.to_string(),
        "quota_stops": account.quota_stops,
        "suspended_at": account.suspended_at,
        "content_days": account.content_days,
        "created_at": account.created_at,
        "tokens": tokens,
    })
}
