//! The fields of a body or a query, taken one by one. What is wrong is said with its field and the way out;
//! what is left over at the end is refused, so that a misspelt field never passes for one that is absent.

use std::ops::RangeInclusive;

use qwenda_ledger::money::{Currency, Nanos};
use qwenda_types::error::{ApiError, Invalid};
use serde_json::{Map, Value};

use crate::when;

/// Longest note or id of a deposit.
const LABEL_CHARS_MAX: usize = 200;

/// Fields that were sent.
#[derive(Debug)]
pub(super) struct Form {
    fields: Map<String, Value>,
    /// Whether all values are texts, as in a query.
    texts: bool,
    known: Vec<&'static str>,
}

impl Form {
    /// The fields of a body.
    pub(super) fn body(fields: Map<String, Value>) -> Self {
        Self { fields, texts: false, known: Vec::new() }
    }

    /// The fields of a query.
    pub(super) fn query(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut fields = Map::new();
        for (name, value) in pairs {
            if fields.insert(name.clone(), Value::String(value)).is_some() {
                return Err(wrong(&name, "it is there twice; give it once"));
            }
        }
        Ok(Self { fields, texts: true, known: Vec::new() })
    }

    /// Refuses what nobody took.
    pub(super) fn end(self) -> Result<(), ApiError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(_) if self.known.is_empty() => Err(wrong(&self.first(), "nothing is taken here")),
            Some(_) => Err(wrong(&self.first(), &format!("it is none of {}", self.known.join(", ")))),
        }
    }

    fn first(&self) -> String {
        self.fields.keys().next().map_or_else(String::new, |name| name.chars().take(64).collect())
    }

    /// A value of any kind. `null` says what an absent field says.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// A value where `null` says something else than an absent field.
    pub(super) fn nullable(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(wrong(name, "it must be a text that is not empty")),
        }
    }

    /// A text that is kept and shown again.
    pub(super) fn label(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let fits = text.chars().count() <= LABEL_CHARS_MAX && !text.chars().any(char::is_control);
        if fits && !text.trim().is_empty() {
            return Ok(Some(text));
        }
        Err(wrong(name, &format!("it must have 1 to {LABEL_CHARS_MAX} characters and none that control a terminal")))
    }

    /// An amount of money, as a text, since JSON's numbers are floats to many programs.
    pub(super) fn amount(&mut self, name: &'static str) -> Result<Option<Nanos>, ApiError> {
        let value = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.parse().map_err(|error| format!("{error}")),
            Some(Value::Number(number)) if number.is_i64() => number.to_string().parse().map_err(|e| format!("{e}")),
            Some(_) => Err("it is no text".to_owned()),
        };
        value.map(Some).map_err(|why| wrong(name, &format!("{why}; give an amount such as \"12.50\"")))
    }

    /// An amount that is not below zero.
    pub(super) fn unsigned(&mut self, name: &'static str) -> Result<Option<Nanos>, ApiError> {
        match self.amount(name)? {
            Some(amount) if amount.is_negative() => Err(wrong(name, "it must not be below zero")),
            amount => Ok(amount),
        }
    }

    pub(super) fn currency(&mut self, name: &'static str) -> Result<Option<Currency>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.to_ascii_uppercase().parse().map(Some).map_err(|_| wrong(name, "it must be CNY or USD"))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if self.texts && text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if self.texts && text == "false" => Ok(Some(false)),
            Some(_) => Err(wrong(name, "it must be true or false")),
        }
    }

    pub(super) fn whole(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let number = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) if self.texts => text.parse().ok(),
            Some(value) => whole(&value),
        };
        let wrong = || wrong(name, &format!("it must be a whole number in [{}, {}]", range.start(), range.end()));
        number.filter(|number| range.contains(number)).ok_or_else(wrong).map(Some)
    }

    /// Unix seconds, `2026-02-28` or `2026-02-28T12:30:00Z`.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let at = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => when::point(&text),
            Some(value) => whole(&value).and_then(|at| when::point(&at.to_string())),
        };
        let wrong = || wrong(name, "it must be Unix seconds, 2026-02-28 or 2026-02-28T12:30:00Z");
        at.ok_or_else(wrong).map(Some)
    }
}

/// A whole number, which some programs write as a float.
fn whole(value: &Value) -> Option<i64> {
    let exact = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(exact))
}

/// A field that is missing.
pub(super) fn missing(name: &str) -> ApiError {
    wrong(name, "it is missing; add it")
}

/// What is wrong with a field.
pub(super) fn wrong(name: &str, why: &str) -> ApiError {
    Invalid::parameter(name, format!("`{name}` does not do: {why}.")).into()
}
