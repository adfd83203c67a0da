//! What keys, projects and accounts are held to, as it is sent and shown.

use qwenda_ledger::terms::Terms;
use qwenda_types::error::ApiError;
use serde_json::{Map, Value};

use super::{
    failure::internal,
    form::{Form, wrong},
};
use crate::keys::Spent;

/// More than any machine does in a minute.
const PER_MINUTE_MAX: u64 = 1_000_000_000_000;

/// The terms that projects have; accounts have those of single models beside them, keys others.
pub(super) const OF_PROJECTS: &[&str] = &[
    "models",
    "networks",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrency",
    "pace",
    "burst_guard",
    "budget_day",
    "budget_month",
    "budget_total",
];
/// Those of accounts only.
pub(super) const OF_ACCOUNTS: &[&str] = &["model_limits"];
/// Those of keys only.
pub(super) const OF_KEYS: &[&str] = &["expires_at", "role", "language"];

/// The terms with what was sent of these: an absent field leaves one as it is, `null` takes it away.
pub(super) fn changed(form: &mut Form, terms: &Terms, names: &[&[&'static str]]) -> Result<Terms, ApiError> {
    let mut all = match serde_json::to_value(terms) {
        Ok(Value::Object(map)) => map,
        other => return Err(internal(format!("terms are written as {other:?}"))),
    };
    for name in names.iter().copied().flatten().copied() {
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
    let terms = serde_json::from_value(Value::Object(all)).map_err(internal)?;
    in_range(&terms)?;
    Ok(terms)
}

/// Refuses counts that limit nothing, or everything.
fn in_range(terms: &Terms) -> Result<(), ApiError> {
    let of_models = terms.model_limits.iter().flatten().flat_map(|(_, limits)| {
        let concurrency = limits.concurrency.map(u64::from);
        [limits.requests_per_minute, limits.tokens_per_minute, concurrency].map(|count| ("model_limits", count))
    });
    let counts = [
        ("requests_per_minute", terms.requests_per_minute),
        ("tokens_per_minute", terms.tokens_per_minute),
        ("concurrency", terms.concurrency.map(u64::from)),
    ];
    for (name, count) in counts.into_iter().chain(of_models) {
        if count.is_some_and(|count| !(1..=PER_MINUTE_MAX).contains(&count)) {
            return Err(wrong(name, &format!("it must be in [1, {PER_MINUTE_MAX}], or null for no limit")));
        }
    }
    Ok(())
}

/// What was spent of each budget, by its period.
pub(super) fn spent(spent: Vec<Spent>) -> Value {
    spent.into_iter().map(|of| (of.period, Value::from(of.spent.to_string()))).collect::<Map<_, _>>().into()
}
