//! Columns that hold a document.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

pub(crate) fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys only")
}

pub(crate) fn read<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Row { what, why: error.to_string() })
}
