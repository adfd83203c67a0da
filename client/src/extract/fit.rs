//! Whether a value fits its schema: serde knows the fields of a type, and no ranges, lengths or patterns.

use jsonschema::Validator;
use schemars::JsonSchema;
use serde_json::Value;

use crate::{Error, Result, error::Kind, tools::schema_of};

/// How much of what is wrong is told.
const TOLD_MAX: usize = 3;

/// A schema, made ready. Nothing is fetched for it.
pub(super) struct Fit(Validator);

impl Fit {
    pub(super) fn of<T: JsonSchema>() -> Result<Self> {
        let validator = jsonschema::validator_for(&schema_of::<T>());
        let validator = validator.map_err(|error| {
            let name = T::schema_name();
            Error::of(Kind::Invalid).say(format!("the schema of `{name}` is none: {error}"))
        })?;
        Ok(Self(validator))
    }

    /// Says what is wrong with a JSON text, without its values: they are somebody's text.
    pub(super) fn check(&self, text: &str) -> std::result::Result<(), String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "the answer is no JSON".to_owned())?;
        let wrong: Vec<String> = self
            .0
            .iter_errors(&value)
            .take(TOLD_MAX)
            .map(|error| {
                let place = error.instance_path().to_string();
                format!("`{}`: {}", if place.is_empty() { "/" } else { &place }, error.masked())
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}
