//! `--schema`: answers that are JSON of one shape.

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

use crate::{
    exit::{CliError, Exit},
    input,
    lang::{Lang, chat as words},
};

/// A shape that the answer must have.
pub struct Schema {
    pub value: Value,
    validator: Validator,
}

impl Schema {
    /// What `FILE|JSON` stands for.
    pub fn read(lang: Lang, text: &str) -> Result<Self, CliError> {
        let inline = text.trim_start().starts_with('{');
        let written = if inline { text.to_owned() } else { input::file(lang, Path::new(text))? };
        let wrong = |what: String| CliError::usage(words::bad_schema(lang, &what));
        let value: Value = serde_json::from_str(&written).map_err(|error| wrong(error.to_string()))?;
        let validator = jsonschema::validator_for(&value).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { value, validator })
    }

    /// The answer as JSON, if it fits.
    pub fn check(&self, lang: Lang, text: &str) -> Result<Value, CliError> {
        let unfit = |what: String| CliError::new(Exit::Unfit, words::unfit(lang, &what));
        let value: Value = serde_json::from_str(text.trim()).map_err(|error| unfit(error.to_string()))?;
        let wrong = self.validator.iter_errors(&value).next();
        if let Some(wrong) = wrong.map(|error| format!("{}: {error}", error.instance_path())) {
            return Err(unfit(wrong));
        }
        Ok(value)
    }
}
