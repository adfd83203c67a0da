//! What was used, by time and request by request, and what is left of it when the upstreams have been paid.

use std::collections::BTreeMap;

use axum::{Json, extract::Path};
use qwenda_ledger::{money::Nanos, policy::Action, price::PriceEntry};
use qwenda_store::{
    ledger::GRAINS,
    usage::{Apart, PaidRequest, UsageRow, Wanted},
};
use qwenda_types::error::{ApiError, Code};
use serde_json::{Value, json};

use super::{
    super::error::Failure,
    Page,
    call::Call,
    failure::{internal, of_accounts, of_keys, of_projects},
    form::{Form, wrong},
    period::Period,
};
use crate::{books, statement};

/// What is shown of each grain when nothing is said.
const USUAL: [i64; GRAINS.len()] = [3_600, 86_400, 30 * 86_400];
/// What is shown of requests when nothing is said.
const USUAL_SECONDS: i64 = 30 * 86_400;
/// Most rows of usage at once.
const ROWS_MAX: i64 = 10_000;
const ROWS_DEFAULT: i64 = 1_000;
/// Requests that are read at once.
const READ: i64 = 1_000;

pub(in crate::http) async fn show(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadUsage)?;
    let mut form = call.query()?;
    let grain = form.text("grain")?.unwrap_or_else(|| "day".to_owned());
    let known = GRAINS.into_iter().zip(USUAL).find(|((name, _), _)| *name == grain);
    let ((grain, seconds), usual) = known.ok_or_else(|| wrong("grain", "it must be minute, hour or day"))?;
    let period = Period::of_grains(&mut form, seconds, usual, call.admin.now())?;
    let group = form.text("group")?;
    let apart = apart(group.as_deref())?;
    let limit = form.whole("limit", 1..=ROWS_MAX)?.unwrap_or(ROWS_DEFAULT);
    let offset = form.whole("offset", 0..=i64::MAX)?.unwrap_or(0);
    let wanted = wanted(&call, &mut form, period, limit + 1).await?;
    form.end()?;
    let mut rows = call.admin.store.usage(grain, apart, &wanted, offset).await.map_err(internal)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > shown;
    rows.truncate(shown);
    let data: Vec<Value> = rows.iter().map(|row| record(row, apart)).collect();
    Ok(Json(json!({
        "grain": grain, "from": period.from, "until": period.until, "data": data, "has_more": has_more,
    })))
}

fn apart(group: Option<&str>) -> Result<Apart, ApiError> {
    let mut apart = Apart::default();
    for name in group.into_iter().flat_map(|group| group.split(',')) {
        match name.trim() {
            "account" => apart.account = true,
            "key" => apart.key = true,
            "model" => apart.model = true,
            _ => return Err(wrong("group", "it must be some of account, key, model, with commas between them")),
        }
    }
    Ok(apart)
}

fn record(row: &UsageRow, apart: Apart) -> Value {
    let UsageRow { row, currency } = row;
    let mut record = json!({
        "at": row.at,
        "currency": currency,
        "requests": row.requests,
        "input_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "charge": row.charge.to_string(),
    });
    for (name, said, value) in [
        ("account", apart.account, &row.account_id),
        ("key", apart.key, &row.key_id),
        ("model", apart.model, &row.model),
    ] {
        if said {
            record[name] = value.as_str().into();
        }
    }
    record
}

/// What `account`, `project` and `key` of the query mean.
async fn wanted(call: &Call, form: &mut Form, period: Period, limit: i64) -> Result<Wanted, ApiError> {
    let (account, project, key) = (form.text("account")?, form.text("project")?, form.text("key")?);
    if project.is_some() && key.is_some() {
        return Err(wrong("project", "it goes without `key`, which is of one project at most"));
    }
    let project_id = match project {
        None => None,
        Some(which) => Some(call.admin.projects().find(&which, account.as_deref()).await.map_err(of_projects)?.id),
    };
    let account_id = match account {
        None => None,
        Some(which) => Some(call.admin.accounts().find(&which).await.map_err(of_accounts)?.id),
    };
    let key_id = match key {
        None => None,
        Some(which) => Some(call.admin.keys().find(&which).await.map_err(of_keys)?.id),
    };
    Ok(Wanted { account_id, key_id, project_id, from: period.from, until: period.until, after: None, limit })
}

pub(in crate::http) async fn requests(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadUsage)?;
    let mut form = call.query()?;
    let page = Page::of(&mut form)?;
    let period = Period::of_seconds(&mut form, USUAL_SECONDS, call.admin.now())?;
    let mut wanted = wanted(&call, &mut form, period, page.wanted()).await?;
    form.end()?;
    wanted.after = match &page.after {
        None => None,
        Some(id) => {
            let found = call.admin.store.request(id).await.map_err(internal)?;
            let nothing = || ApiError::of(Code::NotFound).say(format!("There is no request of the id `{id}`."));
            found.ok_or_else(nothing).map(|request| Some((request.line.at, request.line.id)))?
        }
    };
    let rows = call.admin.accounts().requests(&wanted).await.map_err(of_accounts)?;
    Ok(page.show(rows.iter().map(with_account).collect()))
}

/// What was asked and answered, where the account wishes it kept.
pub(in crate::http) async fn content(Path(id): Path<String>, call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ManageAccounts)?;
    call.query()?.end()?;
    let found = call.admin.store.content(&id, call.admin.now()).await.map_err(internal)?;
    let content = found.ok_or_else(|| {
        let why = "Content is kept where an account has `content_days`, from then on and for so long.";
        ApiError::of(Code::NotFound).say(format!("Nothing is kept of a request of the id `{id}`. {why}"))
    })?;
    call.admin.did("read the content of a request", &id);
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(internal);
    Ok(Json(json!({
        "id": id,
        "request": read(&content.request)?,
        "answer": read(&content.answer)?,
        "expires_at": content.expires_at,
    })))
}

fn with_account(request: &PaidRequest) -> Value {
    let mut record = statement::record(request);
    record["account"] = request.line.account_id.as_str().into();
    record
}

/// What one model brought in and cost.
struct Margin {
    requests: u64,
    charge: Nanos,
    /// Requests whose price says what the upstream takes, in the same currency; what they brought in and cost.
    costed: u64,
    costed_charge: Nanos,
    cost: Nanos,
}

impl Margin {
    const NOTHING: Self =
        Self { requests: 0, charge: Nanos::ZERO, costed: 0, costed_charge: Nanos::ZERO, cost: Nanos::ZERO };

    fn add(&mut self, request: &PaidRequest, entry: Option<&PriceEntry>) -> Result<(), ApiError> {
        let over = || internal("a sum of charges is out of range");
        self.requests += 1;
        self.charge = self.charge.checked_add(request.charge).ok_or_else(over)?;
        let cost = entry.and_then(|entry| entry.cost.as_ref().filter(|cost| cost.currency == entry.currency));
        if let Some(cost) = cost {
            let cost = cost.price.charge(&request.line.usage).map_err(internal)?.total;
            self.costed += 1;
            self.costed_charge = self.costed_charge.checked_add(request.charge).ok_or_else(over)?;
            self.cost = self.cost.checked_add(cost).ok_or_else(over)?;
        }
        Ok(())
    }
}

/// Customers' charges beside what upstreams take, model by model. What free quota paid for costs all the same.
pub(in crate::http) async fn margin(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ManagePrices)?;
    let mut form = call.query()?;
    let period = Period::of_seconds(&mut form, USUAL_SECONDS, call.admin.now())?.bounded()?;
    let mut wanted = wanted(&call, &mut form, period, READ).await?;
    form.end()?;
    let prices = books::load(&call.admin.store).await.map_err(internal)?;
    let accounts = call.admin.accounts();
    let mut currencies = BTreeMap::new();
    let mut margins: BTreeMap<(String, &str), Margin> = BTreeMap::new();
    loop {
        let page = accounts.requests(&wanted).await.map_err(of_accounts)?;
        let Some(last) = page.last() else { break };
        wanted.after = Some((last.line.at, last.line.id.clone()));
        for request in &page {
            let account = request.line.account_id.as_str();
            if !currencies.contains_key(account) {
                let found = accounts.find(account).await.map_err(of_accounts)?;
                currencies.insert(account.to_owned(), found.currency.as_str());
            }
            let currency = currencies.get(account).copied().unwrap_or_default();
            let entry = margins.entry((request.line.model.clone(), currency)).or_insert(Margin::NOTHING);
            entry.add(request, prices.get(&request.line.price_id))?;
        }
    }
    let mut data = Vec::with_capacity(margins.len());
    for ((model, currency), sums) in margins {
        let margin = sums.costed_charge.checked_sub(sums.cost).ok_or_else(|| internal("a margin is out of range"))?;
        data.push(json!({
            "model": model,
            "currency": currency,
            "requests": sums.requests,
            "charge": sums.charge.to_string(),
            "costed_requests": sums.costed,
            "costed_charge": sums.costed_charge.to_string(),
            "cost": sums.cost.to_string(),
            "margin": margin.to_string(),
        }));
    }
    Ok(Json(json!({"from": period.from, "until": period.until, "data": data})))
}
