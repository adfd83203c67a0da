//! Members that have no name in one dialect and mean something in the other.
//!
//! Services add fields of their own: a compatible answer may count `input_tokens` too, a native one may
//! tell its `model`. Beside the other dialect's own members they would stand there twice. So they are
//! set aside, in an object called after the dialect they come from, and taken back on the way home.

use serde_json::{Map, Value};

use crate::Dialect;

/// What one level of an answer calls its members.
pub(super) struct Level {
    /// Names that only the OpenAI-compatible dialect gives.
    compat: &'static [&'static str],
    /// Names that only the native dialect gives.
    native: &'static [&'static str],
}

pub(super) const ANSWER: Level = Level {
    compat: &["id", "object", "created", "model", "choices", "system_fingerprint", OUTPUT],
    native: &[OUTPUT, "request_id"],
};
pub(super) const MESSAGE: Level = Level { compat: &["refusal"], native: &[] };
pub(super) const USAGE: Level = Level {
    compat: &["prompt_tokens", "completion_tokens", "completion_tokens_details"],
    native: &["input_tokens", "output_tokens", "output_tokens_details"],
};
pub(super) const EMBEDDINGS: Level =
    Level { compat: &["id", "object", "model", "data", OUTPUT], native: &[OUTPUT, "request_id"] };
pub(super) const EMBEDDING: Level = Level { compat: &["object", "index"], native: &["text_index"] };
pub(super) const EMBEDDING_USAGE: Level = Level { compat: &["prompt_tokens"], native: &[] };
pub(super) const RANKING: Level =
    Level { compat: &["id", "object", "model", "results", OUTPUT], native: &[OUTPUT, "request_id"] };

/// Where the native dialect has its answer. Members of it without a name are handed on under this one.
const OUTPUT: &str = "output";

impl Level {
    /// Makes members without a name fit to stand in the other dialect.
    pub(super) fn cross(&self, rest: &mut Map<String, Value>, to: Dialect) {
        let (from, home, foreign, own) = match to {
            Dialect::Native => ("compat", "native", self.native, self.compat),
            Dialect::Compat => ("native", "compat", self.compat, self.native),
        };
        // What else stands there was never set aside.
        let (returns, stays): (Map<_, _>, Map<_, _>) =
            take_object(rest, home).into_iter().partition(|(name, _)| own.contains(&name.as_str()));
        if !stays.is_empty() {
            rest.insert(home.to_owned(), stays.into());
        }
        let aside = foreign.iter().filter_map(|name| Some(((*name).to_owned(), rest.shift_remove(*name)?)));
        let aside: Map<_, _> = aside.collect();
        if !aside.is_empty() {
            rest.insert(from.to_owned(), aside.into());
        }
        rest.extend(returns);
    }

    /// As [`cross`](Self::cross), to the native dialect; also what stands in its `output`.
    pub(super) fn to_native(&self, rest: &mut Map<String, Value>) -> Map<String, Value> {
        self.cross(rest, Dialect::Native);
        take_object(rest, OUTPUT)
    }

    /// As [`cross`](Self::cross), from the native dialect, with what stood in its `output`.
    pub(super) fn to_compat(&self, rest: &mut Map<String, Value>, output: Map<String, Value>) {
        if !output.is_empty() {
            rest.insert(OUTPUT.to_owned(), output.into());
        }
        self.cross(rest, Dialect::Compat);
    }
}

/// Takes a member that is an object; empty where it is none.
pub(super) fn take_object(rest: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    let Some(Value::Object(map)) = rest.get_mut(name) else { return Map::new() };
    let map = std::mem::take(map);
    rest.shift_remove(name);
    map
}

/// Takes a member that is a text.
pub(super) fn take_text(rest: &mut Map<String, Value>, name: &str) -> Option<String> {
    let Some(Value::String(text)) = rest.get_mut(name) else { return None };
    let text = std::mem::take(text);
    rest.shift_remove(name);
    Some(text)
}
