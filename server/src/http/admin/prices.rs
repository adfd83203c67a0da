//! What models cost.

use std::sync::Arc;

use axum::{Json, extract::State};
use qwenda_ledger::{
    policy::{Action, may},
    price::{PriceEntry, PriceError, Tier},
};
use qwenda_types::error::{ApiError, Code};
use serde_json::{Value, json};

use super::{
    super::error::Failure,
    call::Call,
    failure::{internal, of_accounts, of_keys},
    form::{Form, missing, wrong},
};
use crate::{
    app::App,
    prices::{self, NewPrice, PricesError},
};

/// Most tiers of a price.
const TIERS_MAX: usize = 100;

pub(in crate::http) async fn list(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadBills)?;
    let mut form = call.query()?;
    let (model, currency, account) = (form.text("model")?, form.currency("currency")?, form.text("account")?);
    form.end()?;
    let account = match account {
        None => None,
        Some(which) => Some(call.admin.accounts().find(&which).await.map_err(of_accounts)?.id),
    };
    // What upstreams take is for those who make prices.
    let costs = may(call.admin.role, Action::ManagePrices);
    let all = prices::list_of(&call.admin.store).await.map_err(refused)?;
    let wanted = all.iter().filter(|entry| {
        model.as_ref().is_none_or(|model| entry.model == *model)
            && currency.is_none_or(|currency| entry.currency == currency)
            && account.as_ref().is_none_or(|account| entry.account.as_ref() == Some(account))
    });
    Ok(Json(json!({"data": wanted.map(|entry| record(entry, costs)).collect::<Vec<_>>()})))
}

pub(in crate::http) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ManagePrices)?;
    let mut form = call.form()?;
    let new = NewPrice {
        model: form.text("model")?.ok_or_else(|| missing("model"))?,
        account: form.text("account")?,
        currency: form.currency("currency")?,
        from: form.time("effective_from")?,
        until: form.time("effective_until")?,
        tiers: tiers(form.value("tiers").ok_or_else(|| missing("tiers"))?)?,
        cost: form.value("cost").map(|value| tier("cost", value)).transpose()?,
    };
    form.end()?;
    let made = prices::set_in(&call.admin.store, new, call.admin.now()).await.map_err(refused)?;
    call.admin.did("made a price", &made.id);
    // Other processes see it within seconds; who asks this one next finds it.
    if let Some(books) = &app.books {
        books.tick().await.map_err(internal)?;
    }
    Ok(Json(record(&made, true)))
}

fn tiers(value: Value) -> Result<Vec<Tier>, ApiError> {
    match value {
        Value::Array(list) if (1..=TIERS_MAX).contains(&list.len()) => {
            list.into_iter().map(|value| tier("tiers", value)).collect()
        }
        _ => Err(wrong("tiers", &format!("it must be a list of 1 to {TIERS_MAX} tiers, the smallest requests first"))),
    }
}

fn tier(name: &str, value: Value) -> Result<Tier, ApiError> {
    let Value::Object(fields) = value else {
        return Err(wrong(name, "it must be made of objects such as {\"input\": \"0.8\", \"output\": \"2\"}"));
    };
    let mut form = Form::body(fields);
    let tier = Tier {
        input_tokens_max: form.whole("input_tokens_max", 1..=i64::MAX)?.map(i64::unsigned_abs),
        input: form.unsigned("input")?.ok_or_else(|| missing("input"))?,
        output: form.unsigned("output")?.ok_or_else(|| missing("output"))?,
        output_thinking: form.unsigned("output_thinking")?,
    };
    form.end()?;
    Ok(tier)
}

fn record(entry: &PriceEntry, costs: bool) -> Value {
    let mut record = json!({
        "id": entry.id,
        "model": entry.model,
        "account": entry.account,
        "currency": entry.currency.as_str(),
        "effective_from": entry.effective_from,
        "effective_until": entry.effective_until,
        "tiers": entry.price.tiers(),
        "cache_percent": entry.price.cache(),
    });
    if costs {
        record["cost"] = entry
            .cost
            .as_ref()
            .map_or(Value::Null, |cost| json!({"currency": cost.currency.as_str(), "tiers": cost.price.tiers()}));
    }
    record
}

fn refused(error: PricesError) -> ApiError {
    match error {
        PricesError::Folder(error) => of_keys(error),
        PricesError::Store(error) => internal(error),
        PricesError::Model { why, .. } => wrong("model", &why),
        PricesError::Price(PriceError::NoTiers) => missing("tiers"),
        PricesError::Price(error) => wrong("tiers", &error.to_string()),
        PricesError::TooHigh { .. } => wrong("tiers", &format!("{error}; prices are for a million tokens")),
        PricesError::Past { .. } => wrong("effective_from", &error.to_string()),
        PricesError::Currency { .. } => wrong("currency", &error.to_string()),
        PricesError::Book(error) => wrong("effective_from", &error.to_string()),
        PricesError::Changed => ApiError::of(Code::Conflict).say(error),
    }
}
