//! Keys of callers.

use axum::{Json, extract::Path, response::Response};
use qwenda_ledger::{
    policy::{Action, Role},
    terms::Terms,
};
use qwenda_types::error::{ApiError, Code};
use serde_json::{Value, json};

use super::{
    super::error::Failure,
    Page,
    call::Call,
    failure::{of_accounts, of_keys},
    form::{missing, wrong},
    terms::{self, OF_KEYS, OF_PROJECTS},
    versioned,
};
use crate::keys::{KeyInfo, Keys, NewKey};

/// The terms that keys have.
const TERMS: &[&[&str]] = &[OF_PROJECTS, OF_KEYS];

pub(in crate::http) async fn create(call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageKeys)?;
    let mut form = call.form()?;
    let name = form.text("name")?.ok_or_else(|| missing("name"))?;
    let (account, project) = (form.text("account")?, form.text("project")?);
    let terms = terms::changed(&mut form, &Terms::default(), TERMS)?;
    form.end()?;
    check(&call, &terms, account.is_some() || project.is_some())?;
    let (key, info) = call.admin.keys().create(NewKey { name, account, project, terms }).await.map_err(of_keys)?;
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
    let terms = terms::changed(&mut form, &info.terms, TERMS)?;
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

/// What terms must be besides well-formed.
fn check(call: &Call, terms: &Terms, has_account: bool) -> Result<(), ApiError> {
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
    record["spent"] = terms::spent(keys.spent(info).await.map_err(of_keys)?);
    Ok(versioned(record, info.version))
}

fn record(key: &KeyInfo) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "last4": key.last_four,
        "account": key.account_id,
        "project": key.project_id,
        "terms": key.terms,
        "version": key.version,
        "created_at": key.created_at,
        "disabled_at": key.revoked_at,
    })
}
