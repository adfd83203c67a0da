//! The values of single keywords of a JSON schema.

use llguidance::{derivre::RegexBuilder, regex_to_lark};
use serde_json::{Map, Value, json};

use super::{
    GrammarError,
    limits::{BRANCHES_MAX, CONSTANT_BYTES_MAX, COUNT_MAX, PATTERN_BYTES_MAX},
    schema::{parent, wrong},
};

/// Keywords that restrict values in ways a grammar cannot.
const UNSUPPORTED: [&str; 14] = [
    "not",
    "if",
    "contains",
    "uniqueItems",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
    "extends",
    "disallow",
];

/// Formats that are enforced.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// Formats of the specification that are not; all others are names that only people understand.
const FORMATS_UNSUPPORTED: [&str; 9] = [
    "idn-email",
    "idn-hostname",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// The largest integer that the compiler counts to, as a double has it.
const INTEGER_MAX: i64 = 999_999_999_999_999_872;

/// Whether a keyword restricts values in a way that cannot be enforced.
pub(super) fn is_unsupported(keyword: &str, value: &Value, beside: &Map<String, Value>) -> bool {
    let restricts_nothing = |schema: &Value| {
        *schema == Value::Bool(true)
            || schema.as_object().is_some_and(Map::is_empty)
            || *schema == json!({ "type": "string" })
    };
    let says_nothing = match keyword {
        "uniqueItems" => *value == Value::Bool(false),
        "if" => !beside.contains_key("then") && !beside.contains_key("else"),
        "propertyNames" => restricts_nothing(value),
        "unevaluatedItems" | "unevaluatedProperties" => *value == Value::Bool(true),
        "dependencies" | "dependentRequired" | "dependentSchemas" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    };
    UNSUPPORTED.contains(&keyword) && !says_nothing
}

pub(super) fn types(value: &Value, at: &str) -> Result<Value, GrammarError> {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let fits = match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(known),
        one => known(one),
    };
    if fits { Ok(value.clone()) } else { Err(wrong(at, &format!("one or more of {}", TYPES.join(", ")))) }
}

/// Whether a value may be of this type.
fn may_be(beside: &Map<String, Value>, name: &str) -> bool {
    beside.get("type").is_none_or(|types| match types {
        Value::Array(names) => names.iter().any(|one| one == name),
        one => one == name,
    })
}

/// What `minLength` and its like count.
pub(super) fn count(keyword: &str, value: &Value, at: &str) -> Result<Value, GrammarError> {
    // 3.0 is an integer to the specification.
    match value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0) {
        Some(number) if number <= COUNT_MAX as f64 => Ok(json!(number as u64)),
        // No completion is that long, so this bound restricts nothing.
        Some(_) if keyword.starts_with("max") => Ok(json!(COUNT_MAX)),
        Some(_) => Err(wrong(at, &format!("at most {COUNT_MAX}"))),
        None => Err(wrong(at, "a whole number from 0")),
    }
}

/// `minimum` and its like.
pub(super) fn bound(
    keyword: &str,
    value: &Value,
    beside: &Map<String, Value>,
    at: &str,
) -> Result<Value, GrammarError> {
    let exclusive = keyword.starts_with("exclusive");
    let number = match value.as_f64() {
        Some(number) => number,
        None if exclusive && value.is_boolean() => return Ok(value.clone()),
        None => return Err(wrong(at, "a number")),
    };
    if !may_be(beside, "integer") || may_be(beside, "number") || number.abs() < INTEGER_MAX as f64 {
        return Ok(value.clone());
    }
    // Whatever is within a narrower bound is within this one too.
    match (keyword.ends_with("inimum"), number > 0.0) {
        (true, false) => Ok(json!(-INTEGER_MAX)),
        (false, true) => Ok(json!(INTEGER_MAX)),
        _ => Err(wrong(at, &format!("within {INTEGER_MAX} of 0"))),
    }
}

/// A value that must be written as it is.
pub(super) fn constant(value: &Value, at: &str) -> Result<(), GrammarError> {
    match value {
        Value::String(text) => name(text, at),
        Value::Number(number) if number.as_f64().is_none_or(|number| number.abs() > INTEGER_MAX as f64) => {
            Err(GrammarError(format!("`{at}` in the schema has a number beyond {INTEGER_MAX}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| constant(item, at)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            name(key, at)?;
            constant(value, at)
        }),
    }
}

/// A text that must be written as it is.
pub(super) fn name(text: &str, at: &str) -> Result<(), GrammarError> {
    if text.len() > CONSTANT_BYTES_MAX {
        return Err(GrammarError(format!("`{at}` in the schema has a text of more than {CONSTANT_BYTES_MAX} bytes")));
    }
    Ok(())
}

pub(super) fn alternatives(value: &Value, at: &str) -> Result<Value, GrammarError> {
    let values = value.as_array().filter(|values| !values.is_empty());
    let values = values.ok_or_else(|| wrong(at, "an array with at least one value"))?;
    values.iter().try_for_each(|value| constant(value, at))?;
    let composed = values.iter().filter(|value| value.is_array() || value.is_object()).count();
    if composed > BRANCHES_MAX {
        return Err(wrong(at, &format!("an array with at most {BRANCHES_MAX} arrays and objects")));
    }
    Ok(value.clone())
}

pub(super) fn pattern(pattern: &str, at: &str) -> Result<(), GrammarError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(GrammarError(format!("the pattern at `{at}` is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    match RegexBuilder::new().mk_regex_for_serach(&regex_to_lark(pattern, "dw")) {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = error.to_string();
            let why = error.lines().rev().find_map(|line| line.trim().strip_prefix("error:")).unwrap_or(&error);
            Err(GrammarError(format!("the pattern at `{at}` is not supported: {}", why.trim())))
        }
    }
}

pub(super) fn format(value: &Value, beside: &Map<String, Value>, at: &str) -> Result<Option<Value>, GrammarError> {
    let name = value.as_str().ok_or_else(|| wrong(at, "a text"))?;
    if !may_be(beside, "string") {
        return Ok(None);
    }
    if FORMATS_UNSUPPORTED.contains(&name) {
        return Err(GrammarError(format!("`format` at `{}` is `{name}`, which is not supported", parent(at))));
    }
    Ok(FORMATS.contains(&name).then(|| value.clone()))
}
