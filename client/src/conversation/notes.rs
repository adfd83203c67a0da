//! What a conversation knows beside what was said.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result, error::Kind};

/// What is kept with a history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Notes {
    /// What is told of the turns at the beginning.
    pub(super) summary: Option<String>,
    /// How many turns it tells of.
    pub(super) summarised: usize,
    /// Turns at the beginning that are not sent any more.
    pub(super) turns: usize,
    /// Results of tools, from the first on, that are not sent any more.
    pub(super) results: usize,
}

impl Notes {
    pub(super) fn of(map: Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(map))
            .map_err(|error| Error::of(Kind::Storage).say(format!("notes of a conversation: {error}")))
    }

    pub(super) fn to_map(&self) -> Map<String, Value> {
        crate::plain::map_of(self)
    }
}
