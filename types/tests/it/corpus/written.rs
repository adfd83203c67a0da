//! How snapshots are written: what equals a file of the case is not repeated.

use std::fmt::Write;

use qwenda_types::sse::Event;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::reader;

/// A snapshot in the making.
#[derive(Default)]
pub(super) struct Written {
    text: String,
}

impl Written {
    pub(super) fn title(&mut self, title: &str) {
        self.text.push_str(title);
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, name: &str, text: &str) {
        writeln!(self.text, "  {name}: {text}").expect("memory takes everything");
    }

    /// A value, or which of the given ones it equals.
    pub(super) fn value(&mut self, name: &str, value: &impl Serialize, given: &[(&str, Option<&Value>)]) {
        let value = serde_json::to_value(value).expect("it is plain JSON");
        match given.iter().find(|(_, given)| given.is_some_and(|given| same(given, &value))) {
            Some((which, _)) => self.line(name, which),
            None => self.line(name, &shown(&value)),
        }
    }

    /// A stream, or which of the given ones says the same.
    pub(super) fn stream(&mut self, name: &str, stream: &str, given: &[(&str, Option<String>)]) {
        let says = said(stream);
        match given.iter().find(|(_, given)| given.as_deref().is_some_and(|given| said(given) == says)) {
            Some((which, _)) => self.line(name, which),
            None => {
                self.title(&format!("  {name}:"));
                for line in stream.lines().filter(|line| !line.is_empty()) {
                    self.title(&format!("    {line}"));
                }
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A member that is null says what an absent one says.
fn same(a: &Value, b: &Value) -> bool {
    without_nulls(a.clone()) == without_nulls(b.clone())
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        Value::Object(map) => {
            let members = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

/// One member to a line, so that a difference is seen.
fn shown(value: &Value) -> String {
    let Value::Object(map) = value else { return value.to_string() };
    let mut text = "{".to_owned();
    for (name, value) in map {
        write!(text, "\n    {}: {value},", Value::from(name.as_str())).expect("memory takes everything");
    }
    text + "\n  }"
}

/// What a stream says, but for the spelling of its JSON.
fn said(stream: &str) -> Vec<Event> {
    let mut events = reader::events([stream.as_bytes()]);
    for event in &mut events {
        if let Ok(map) = serde_json::from_str::<Map<String, Value>>(&event.data) {
            let mut value = without_nulls(map.into());
            value.sort_all_objects();
            event.data = value.to_string();
        }
    }
    events
}
