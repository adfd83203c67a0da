//! Accounts, and what comes to them.

use axum::{Json, extract::Path, response::Response};
use qwenda_ledger::{
    account::Kind,
    money::{Currency, Nanos},
    policy::Action,
};
use qwenda_store::{deposits::DepositRow, ledger::Deposited};
use serde_json::{Value, json};

use super::{
    super::error::Failure,
    Page,
    call::Call,
    failure::{internal, of_accounts},
    form::{missing, wrong},
    terms::{self, OF_ACCOUNTS, OF_PROJECTS},
    versioned,
};
use crate::accounts::{AccountRow, Accounts, BucketRow, CONTENT_DAYS_MAX, Changes, Tokens};

pub(in crate::http) async fn create(call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageAccounts)?;
    let mut form = call.form()?;
    let name = form.text("name")?.ok_or_else(|| missing("name"))?;
    let currency = form.currency("currency")?.unwrap_or(Currency::Cny);
    let credit = form.unsigned("credit")?.unwrap_or(Nanos::ZERO);
    form.end()?;
    let accounts = call.admin.accounts();
    let account = accounts.create(&name, currency, credit).await.map_err(of_accounts)?;
    call.admin.did("made an account", &account.id);
    shown(&accounts, &account).await
}

pub(in crate::http) async fn list(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadBills)?;
    let mut form = call.query()?;
    let page = Page::of(&mut form)?;
    form.end()?;
    let accounts = call.admin.accounts();
    let rows = accounts.page(page.after.as_deref(), page.wanted()).await.map_err(of_accounts)?;
    Ok(page.show(rows.iter().map(record).collect()))
}

pub(in crate::http) async fn show(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ReadBills)?;
    call.query()?.end()?;
    let accounts = call.admin.accounts();
    let account = accounts.find(&which).await.map_err(of_accounts)?;
    shown(&accounts, &account).await
}

pub(in crate::http) async fn change(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageAccounts)?;
    let mut form = call.form()?;
    let accounts = call.admin.accounts();
    let account = accounts.find(&which).await.map_err(of_accounts)?;
    let changes = Changes {
        credit: form.unsigned("credit")?,
        quota_stops: form.flag("quota_stops")?,
        suspended: form.flag("suspended")?,
        terms: Some(terms::changed(&mut form, &account.terms, &[OF_PROJECTS, OF_ACCOUNTS])?),
        content_days: form.whole("content_days", 0..=CONTENT_DAYS_MAX)?,
    };
    form.end()?;
    call.must_match(account.version, "account")?;
    let account = accounts.change(account, changes).await.map_err(of_accounts)?;
    call.admin.did("changed an account", &account.id);
    shown(&accounts, &account).await
}

/// Money that is paid in, or, where it is negative, back.
pub(in crate::http) async fn top_up(Path(which): Path<String>, call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::GrantMoney)?;
    let mut form = call.form()?;
    let id = form.label("id")?.ok_or_else(|| missing("id"))?;
    let amount = form.amount("amount")?.ok_or_else(|| missing("amount"))?;
    let note = form.label("note")?.unwrap_or_default();
    form.end()?;
    let accounts = call.admin.accounts();
    let account = accounts.find(&which).await.map_err(of_accounts)?;
    if accounts.top_up(&account, amount, Some(&id), &note).await.map_err(of_accounts)? {
        call.admin.did("topped up an account", &account.id);
    }
    deposited(&accounts, &account, &id).await
}

/// Tokens: given for nothing, or paid for in advance.
pub(in crate::http) async fn grant(Path(which): Path<String>, call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::GrantMoney)?;
    let mut form = call.form()?;
    let id = form.label("id")?.ok_or_else(|| missing("id"))?;
    let tokens = form.whole("tokens", 1..=i64::MAX)?.ok_or_else(|| missing("tokens"))?;
    let models = form.text("models")?.unwrap_or_else(|| "*".to_owned());
    let free = match form.text("kind")?.as_deref() {
        None | Some("quota") => true,
        Some("pack") => false,
        Some(_) => return Err(wrong("kind", "it must be quota (given) or pack (paid for in advance)").into()),
    };
    let expires_at = form.time("expires_at")?;
    let note = form.label("note")?.unwrap_or_default();
    form.end()?;
    if expires_at.is_some_and(|at| at <= call.admin.now()) {
        return Err(wrong("expires_at", "that time is over; give one that is to come").into());
    }
    let accounts = call.admin.accounts();
    let account = accounts.find(&which).await.map_err(of_accounts)?;
    let tokens = Tokens { free, tokens, models: &models, expires_at };
    if accounts.grant(&account, tokens, Some(&id), &note).await.map_err(of_accounts)? {
        call.admin.did("granted tokens to an account", &account.id);
    }
    deposited(&accounts, &account, &id).await
}

/// What is on record under this id: whoever asks twice reads the same twice.
async fn deposited(accounts: &Accounts, account: &AccountRow, id: &str) -> Result<Json<Value>, Failure> {
    let found = accounts.deposit_of(account, id).await.map_err(of_accounts)?;
    let DepositRow { what, note, at, .. } = found.ok_or_else(|| internal("a deposit that was made is not there"))?;
    let mut record = match what {
        Deposited::Money(amount) => json!({"amount": amount.to_string(), "currency": account.currency.as_str()}),
        Deposited::Tokens { free, tokens, models, expires_at } => {
            let kind = if free { Kind::Quota } else { Kind::Pack };
            json!({"tokens": tokens, "kind": kind.as_str(), "models": models, "expires_at": expires_at})
        }
    };
    record["id"] = id.into();
    record["account"] = account.id.as_str().into();
    record["note"] = note.into();
    record["at"] = at.into();
    Ok(Json(record))
}

/// The account with what it has.
async fn shown(accounts: &Accounts, account: &AccountRow) -> Result<Response, Failure> {
    let buckets = accounts.buckets(account).await.map_err(of_accounts)?;
    let mut record = record(account);
    let balance = buckets.iter().find(|bucket| bucket.kind == Kind::Balance);
    let (posted, pending) = balance.map_or((0, 0), |bucket| (bucket.posted, bucket.pending));
    let spendable = posted.saturating_sub(pending).saturating_add(account.credit.get()).max(0);
    record["balance"] = Nanos::new(posted).to_string().into();
    record["held"] = Nanos::new(pending).to_string().into();
    record["spendable"] = Nanos::new(spendable).to_string().into();
    record["tokens"] = buckets.iter().filter(|bucket| bucket.kind != Kind::Balance).map(tokens).collect();
    record["spent"] = terms::spent(accounts.spent(account).await.map_err(of_accounts)?);
    Ok(versioned(record, account.version))
}

fn record(account: &AccountRow) -> Value {
    json!({
        "id": account.id,
        "name": account.name,
        "currency": account.currency.as_str(),
        "credit": account.credit.to_string(),
        "quota_stops": account.quota_stops,
        "suspended": account.suspended_at.is_some(),
        "suspended_at": account.suspended_at,
        "terms": account.terms,
        "content_days": account.content_days,
        "version": account.version,
        "created_at": account.created_at,
    })
}

fn tokens(bucket: &BucketRow) -> Value {
    json!({
        "id": bucket.id,
        "kind": bucket.kind.as_str(),
        "models": bucket.models,
        "tokens": bucket.posted,
        "held": bucket.pending,
        "expires_at": bucket.expires_at,
    })
}
