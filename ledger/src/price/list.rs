//! Catalogue files: the prices of many models in one currency.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::{PriceText, TierText};
use super::{CachePercents, ModelPrice, PriceError};
use crate::money::Currency;

/// The prices of a catalogue file.
///
/// ```toml
/// id = "house-2026-03"
/// currency = "CNY"
/// seen = "2026-03-01"                  # when these prices were looked up
///
/// [[model]]
/// names = ["qwen-plus", "qwen-plus-latest"]
/// tiers = [
///     { input_tokens_max = 131_072, input = "0.8", output = "2", output_thinking = "8" },
///     { input = "2.4", output = "20", output_thinking = "24" },
/// ]
/// cache = { implicit_hit = 40 }        # per cent of the input price, where it is not the usual
/// ```
///
/// Prices are units of the currency for a million tokens, as strings of decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceList {
    id: String,
    currency: Currency,
    models: BTreeMap<String, Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    price: ModelPrice,
    seen: String,
}

/// What is wrong with a catalogue file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is not TOML, or what stands above its models is wrong.
    #[error("line {line} of the price list: {message}")]
    File {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It has no model.
    #[error("price list `{list}` has no model")]
    NoModels {
        /// Its id.
        list: String,
    },
    /// A model's entry cannot be read.
    #[error("price of `{model}`: {message}")]
    Model {
        /// Its first name, or its number in the file.
        model: String,
        /// What is wrong.
        message: String,
    },
    /// A tier cannot be read.
    #[error("price of `{model}`, tier {tier}: {message}")]
    Tier {
        /// Its first name.
        model: String,
        /// Counted from 1.
        tier: usize,
        /// What is wrong.
        message: String,
    },
    /// Its tiers make no price.
    #[error("price of `{model}`: {error}")]
    Price {
        /// Its first name.
        model: String,
        /// What is wrong with them.
        error: PriceError,
    },
    /// A model has two prices.
    #[error("`{model}` has two prices in price list `{list}`")]
    Twice {
        /// Its name.
        model: String,
        /// The list's id.
        list: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListText {
    id: String,
    currency: Currency,
    seen: String,
    #[serde(default, rename = "model")]
    models: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelText {
    names: Vec<String>,
    seen: Option<String>,
    tiers: Vec<toml::Table>,
    #[serde(default)]
    cache: CachePercents,
}

impl PriceList {
    /// The public list prices of the Qwen API: the mainland's in CNY, the international ones in USD. The
    /// files say what they were copied from, and when.
    pub fn published(currency: Currency) -> Self {
        let text = match currency {
            Currency::Cny => include_str!("../../prices/2026-02-cny.toml"),
            Currency::Usd => include_str!("../../prices/2026-02-usd.toml"),
        };
        Self::parse(text).expect("the tests read both lists")
    }

    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`ListError`] with the model and the tier. Keys that are not known are refused.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let file: ListText = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
            ListError::File { line, message: error.message().to_owned() }
        })?;
        let mut list = Self { id: file.id, currency: file.currency, models: BTreeMap::new() };
        for (number, table) in (1..).zip(file.models) {
            let (names, seen, price) = read_model(number, table)?;
            let seen = seen.unwrap_or_else(|| file.seen.clone());
            for model in names {
                let listed = Listed { price: price.clone(), seen: seen.clone() };
                if list.models.insert(model.clone(), listed).is_some() {
                    return Err(ListError::Twice { model, list: list.id });
                }
            }
        }
        if list.models.is_empty() {
            return Err(ListError::NoModels { list: list.id });
        }
        Ok(list)
    }

    /// Its id, by which a version of the price book goes.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its prices are in.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The price of this model; names are taken as they are, with their snapshot.
    pub fn get(&self, model: &str) -> Option<&ModelPrice> {
        self.models.get(model).map(|listed| &listed.price)
    }

    /// When the price of this model was looked up: a date, or a month.
    pub fn seen(&self, model: &str) -> Option<&str> {
        self.models.get(model).map(|listed| listed.seen.as_str())
    }

    /// Every model and its price, by name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &ModelPrice)> {
        self.models.iter().map(|(model, listed)| (model.as_str(), &listed.price))
    }
}

/// Names of a model, when its price was looked up if the file says, and the price.
fn read_model(number: usize, table: toml::Table) -> Result<(Vec<String>, Option<String>, ModelPrice), ListError> {
    let first = table.get("names").and_then(|names| names.get(0)).and_then(toml::Value::as_str);
    let model = first.map_or_else(|| format!("model {number} of the list"), str::to_owned);
    let refuse = |message: String| ListError::Model { model: model.clone(), message };
    let text: ModelText = table.try_into().map_err(|error: toml::de::Error| refuse(one_line(&error)))?;
    if text.names.iter().any(|name| name.trim() != name || name.is_empty()) || text.names.is_empty() {
        return Err(refuse("`names` has at least one name, and none is empty or padded".to_owned()));
    }
    let mut tiers = Vec::with_capacity(text.tiers.len());
    for (tier, table) in (1..).zip(text.tiers) {
        let tier_text: Result<TierText, _> = table.try_into();
        tiers.push(tier_text.map_err(|error| {
            let (model, message) = (model.clone(), one_line(&error));
            ListError::Tier { model, tier, message }
        })?);
    }
    let price = ModelPrice::try_from(PriceText { tiers, cache: text.cache });
    Ok((text.names, text.seen, price.map_err(|error| ListError::Price { model, error })?))
}

/// The error with the key it is about, on one line.
fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
