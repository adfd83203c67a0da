//! The part of JSON Schema that the document is written in, checked against values. A word that is not
//! known here fails the test that meets it, so that none is passed over.

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

/// What is wrong with a value, a line for each.
pub(super) fn complaints(document: &Value, schema: &Value, value: &Value) -> String {
    let mut out = Vec::new();
    Checker { document }.check(schema, value, "", &mut out);
    out.concat()
}

/// Sees that every word of a schema, however deep, is one that is known here.
pub(super) fn is_schema(document: &Value, schema: &Value) {
    // Forms are looked at whatever the value is, so that nothing hides behind another kind.
    for value in [Value::Null, true.into(), 1.into(), "".into(), Value::Array(vec![]), Map::new().into()] {
        complaints(document, schema, &value);
    }
    let below = |word: &str| schema[word].as_object().into_iter().flat_map(Map::values);
    let listed = |word: &str| schema[word].as_array().into_iter().flatten();
    let forms = ["anyOf", "oneOf", "allOf"].into_iter().flat_map(listed);
    let inner =
        ["items", "not", "additionalProperties", "propertyNames"].into_iter().filter_map(|word| schema.get(word));
    for one in below("properties").chain(forms).chain(inner).filter(|one| one.is_object()) {
        is_schema(document, one);
    }
}

struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut out = Vec::new();
        self.check(schema, value, "", &mut out);
        out.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
        let words = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return out.push(format!("{at} may not be there\n")),
            schema => schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema")),
        };
        for (word, wanted) in words {
            if !self.word(words, word, wanted, value, at, out) {
                out.push(format!("{at} is {value}, which is not `{word}: {wanted}`\n"));
            }
        }
    }

    /// Whether the value is as this word has it; what is wrong further in is said by itself.
    fn word(
        &self,
        schema: &Map<String, Value>,
        word: &str,
        wanted: &Value,
        value: &Value,
        at: &str,
        out: &mut Vec<String>,
    ) -> bool {
        let forms = || wanted.as_array().expect("a list of schemas").iter();
        match word {
            "title" | "description" | "default" | "examples" | "deprecated" | "contentEncoding" => true,
            "$ref" => {
                let pointer = wanted.as_str().and_then(|target| target.strip_prefix('#')).expect("a place");
                self.check(self.document.pointer(pointer).expect("a schema"), value, at, out);
                true
            }
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "enum" => forms().any(|one| one == value),
            "const" => wanted == value,
            "anyOf" => forms().any(|form| self.fits(form, value)),
            "oneOf" => forms().filter(|form| self.fits(form, value)).count() == 1,
            "allOf" => forms().all(|form| self.fits(form, value)),
            "not" => !self.fits(wanted, value),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => bound(word, wanted, value),
            "minItems" | "maxItems" => value.as_array().is_none_or(|list| size(word, wanted, list.len())),
            "minLength" | "maxLength" => value.as_str().is_none_or(|text| size(word, wanted, text.chars().count())),
            "minProperties" | "maxProperties" => value.as_object().is_none_or(|map| size(word, wanted, map.len())),
            "format" => wanted == "uuid" || panic!("the format {wanted} is not known here"),
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().expect("a pattern")).expect("a pattern");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "items" => {
                for (place, one) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(wanted, one, &format!("{at}/{place}"), out);
                }
                true
            }
            "required" => value
                .as_object()
                .is_none_or(|map| forms().all(|name| map.contains_key(name.as_str().expect("the name of a member")))),
            "properties" => {
                for (name, one) in wanted.as_object().expect("schemas by name") {
                    if let Some(member) = value.get(name) {
                        self.check(one, member, &format!("{at}/{name}"), out);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &String| schema.get("properties").is_some_and(|known| known.get(name).is_some());
                for (name, member) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name)) {
                    self.check(wanted, member, &format!("{at}/{name}"), out);
                }
                true
            }
            "propertyNames" => {
                let names = value.as_object().into_iter().flat_map(Map::keys);
                names.into_iter().all(|name| self.fits(wanted, &Value::from(name.as_str())))
            }
            word => panic!("{at}: the word `{word}` is not known here"),
        }
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a kind") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // 1.0 is one too.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        kind => panic!("the kind {kind} is not known here"),
    }
}

fn bound(word: &str, wanted: &Value, value: &Value) -> bool {
    // Large integers are compared as such: floats of two of them may be equal.
    let whole = |value: &Value| value.as_number().and_then(serde_json::Number::as_i128);
    let order = match (whole(value), whole(wanted)) {
        (Some(value), Some(wanted)) => Some(value.cmp(&wanted)),
        _ => value.as_f64().zip(wanted.as_f64()).and_then(|(value, wanted)| value.partial_cmp(&wanted)),
    };
    order.is_none_or(|order| match word {
        "minimum" => order.is_ge(),
        "maximum" => order.is_le(),
        "exclusiveMinimum" => order.is_gt(),
        _ => order.is_lt(),
    })
}

fn size(word: &str, wanted: &Value, size: usize) -> bool {
    let wanted = wanted.as_u64().expect("a count");
    if word.starts_with("min") { size as u64 >= wanted } else { size as u64 <= wanted }
}

#[test]
fn values_are_told_apart_as_json_schema_has_it() {
    let object = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false, "minProperties": 1,
        "properties": {"a": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 2}, "b": {"pattern": "^x{1,2}$"}},
    });
    let forms = serde_json::json!({"oneOf": [{"const": 1}, {"type": "number"}], "not": {"enum": [3]}});
    let list =
        serde_json::json!({"type": "array", "maxItems": 2, "items": {"anyOf": [{"type": "null"}, {"minLength": 2}]}});
    for (schema, value, fits) in [
        (&object, r#"{"a": 1}"#, true),
        (&object, r#"{"a": 1.0, "b": "xx"}"#, true),
        (&object, r#"{"a": null}"#, true),
        (&object, r#"{"a": 2}"#, false),
        (&object, r#"{"a": 0.5}"#, false),
        (&object, r#"{"b": "x"}"#, false),
        (&object, r#"{"a": 1, "b": "xxx"}"#, false),
        (&object, r#"{"a": 1, "c": 1}"#, false),
        (&object, "[]", false),
        (&forms, "2", true),
        (&forms, "1", false),
        (&forms, "3", false),
        (&list, r#"[null, "好的"]"#, true),
        (&list, r#"[null, "x"]"#, false),
        (&list, "[null, null, null]", false),
    ] {
        let value: Value = serde_json::from_str(value).unwrap();
        assert_eq!(complaints(&Value::Null, schema, &value).is_empty(), fits, "{schema} {value}");
    }
}
