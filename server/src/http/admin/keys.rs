//! Keys of callers.

use axum::{Json, extract::Path, response::Response};
use qwenda_ledger::{
    policy::{Action, Role},
    terms::Terms,
};
use qwenda_types::error::{ApiError, Code};
use serde_json::{Map, Value, json};

use super::{
    super::error::Failure,
    Page,
    call::Call,
    failure::{internal, of_accounts, of_keys},
    form::{Form, missing, wrong},
    versioned,
};
use crate::keys::{KeyInfo, Keys, NewKey};

/// More than any machine does in a minute.
const PER_MINUTE_MAX: u64 = 1_000_000_000_000;
/// The terms of a key, by their names.
const TERMS: [&str; 10] = [
    "models",
    "networks",
    "expires_at",
    "role",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrency",
    "budget_day",
    "budget_month",
    "budget_total",
];

pub(in crate::http) async fn create(call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageKeys)?;
    let mut form = call.form()?;
    let name = form.text("name")?.ok_or_else(|| missing("name"))?;
    let account = form.text("account")?;
    let terms = changed(&mut form, &Terms::default())?;
    form.end()?;
    check(&call, &terms, account.is_some())?;
    let (key, info) = call.admin.keys().create(NewKey { name, account, terms }).await.map_err(of_keys)?;
    call.admin.did("made a key", &info.id);
    let mut record = record(&info);
    record["key"] = key.reveal().into();
    Ok(versioned(record, info.version))
}

pub(in crate::http) async fn list(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadUsage)?;
    let mut form = call.query()?;
    let (page, account) = (Page::of(&mut form)?, form.text("account")?);
    form.end()?;
    let account = match account {
        None => None,
        Some(which) => Some(call.admin.accounts().find(&which).await.map_err(of_accounts)?.id),
    };
    let keys = call.admin.keys().page(account.as_deref(), page.after.as_deref(), page.wanted()).await;
    Ok(page.show(keys.map_err(of_keys)?.iter().map(record).collect()))
}

pub(in crate::http) async fn show(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ReadUsage)?;
    call.query()?.end()?;
    let keys = call.admin.keys();
    let info = keys.find(&which).await.map_err(of_keys)?;
    shown(&keys, &info).await
}

pub(in crate::http) async fn change(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageKeys)?;
    let keys = call.admin.keys();
    let info = working(&keys, &which).await?;
    let mut form = call.form()?;
    let terms = changed(&mut form, &info.terms)?;
    form.end()?;
    call.must_match(info.version, "key")?;
    check(&call, &terms, info.account_id.is_some())?;
    let info = keys.set_terms(&info, terms).await.map_err(of_keys)?;
    call.admin.did("changed a key", &info.id);
    shown(&keys, &info).await
}

/// Ends a key at once, with its temporary keys and what it was before it was rotated.
pub(in crate::http) async fn disable(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageKeys)?;
    call.form()?.end()?;
    let keys = call.admin.keys();
    let mut info = keys.find(&which).await.map_err(of_keys)?;
    if info.revoked_at.is_none() {
        info = keys.revoke(&info.id).await.map_err(of_keys)?;
        call.admin.did("revoked a key", &info.id);
    }
    shown(&keys, &info).await
}

/// Another secret for the same key. The old one goes on working for the overlap.
pub(in crate::http) async fn rotate(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageKeys)?;
    let mut form = call.form()?;
    let overlap = form.whole("overlap_seconds", crate::keys::OVERLAP_SECONDS)?.unwrap_or(0);
    form.end()?;
    let keys = call.admin.keys();
    let info = working(&keys, &which).await?;
    let (key, info) = keys.rotate(&info, overlap).await.map_err(of_keys)?;
    call.admin.did("rotated a key", &info.id);
    let mut record = record(&info);
    record["key"] = key.reveal().into();
    record["old_works_until"] = call.admin.now().saturating_add(overlap).into();
    Ok(versioned(record, info.version))
}

async fn working(keys: &Keys, which: &str) -> Result<KeyInfo, ApiError> {
    let info = keys.find(which).await.map_err(of_keys)?;
    if info.revoked_at.is_some() {
        let why = format!("The key `{}` is disabled for good; make another.", info.id);
        return Err(ApiError::of(Code::Conflict).say(why));
    }
    Ok(info)
}

/// The terms with what was sent: an absent field leaves one as it is, `null` takes it away.
fn changed(form: &mut Form, terms: &Terms) -> Result<Terms, ApiError> {
    let mut all = match serde_json::to_value(terms) {
        Ok(Value::Object(map)) => map,
        other => return Err(internal(format!("terms are written as {other:?}"))),
    };
    for name in TERMS {
        match form.nullable(name) {
            None => {}
            Some(Value::Null) => {
                all.remove(name);
            }
            Some(value) => {
                // By itself, so that the field can be named.
                let alone = Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
                serde_json::from_value::<Terms>(alone).map_err(|error| wrong(name, &error.to_string()))?;
                all.insert(name.to_owned(), value);
            }
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(internal)
}

/// What terms must be besides well-formed.
fn check(call: &Call, terms: &Terms, has_account: bool) -> Result<(), ApiError> {
    let counts = [
        ("requests_per_minute", terms.requests_per_minute, PER_MINUTE_MAX),
        ("tokens_per_minute", terms.tokens_per_minute, PER_MINUTE_MAX),
        ("concurrency", terms.concurrency.map(u64::from), u32::MAX.into()),
    ];
    for (name, count, max) in counts {
        if count.is_some_and(|count| !(1..=max).contains(&count)) {
            return Err(wrong(name, &format!("it must be in [1, {max}], or null for no limit")));
        }
    }
    let budgets =
        [("budget_day", terms.budget_day), ("budget_month", terms.budget_month), ("budget_total", terms.budget_total)];
    if let Some((name, _)) = budgets.into_iter().find(|(_, budget)| budget.is_some() && !has_account) {
        return Err(wrong(name, "only the keys of an account have budgets; give `account` when the key is made"));
    }
    let role = match &terms.role {
        None => Role::default(),
        Some(name) => name.parse().map_err(|error| wrong("role", &format!("{error}")))?,
    };
    call.admin.may_give(role)
}

async fn shown(keys: &Keys, info: &KeyInfo) -> Result<Response, Failure> {
    let mut record = record(info);
    let spent = keys.spent(info).await.map_err(of_keys)?;
    record["spent"] =
        spent.into_iter().map(|of| (of.period, Value::from(of.spent.to_string()))).collect::<Map<_, _>>().into();
    Ok(versioned(record, info.version))
}

fn record(key: &KeyInfo) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "last4": key.last_four,
        "account": key.account_id,
        "terms": key.terms,
        "version": key.version,
        "created_at": key.created_at,
        "disabled_at": key.revoked_at,
    })
}
