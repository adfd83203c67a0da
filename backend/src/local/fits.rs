//! Does a value fit a JSON schema?
//!
//! Asked of the arguments of calls that no grammar has enforced, to tell a call from text that looks
//! like one. What it does not know of a schema (`pattern`, `format`, schemas elsewhere) it lets pass, and a
//! schema that says nothing is fitted by everything.

use serde_json::{Map, Value};

/// How often a schema may lead on to another before everything fits: schemas may refer to themselves.
const DEPTH_MAX: u32 = 128;

/// Whether `value` fits `schema`.
pub(crate) fn fits(schema: &Value, value: &Value) -> bool {
    Check { root: schema, steps: std::cell::Cell::new(0) }.fits(schema, value, 0)
}

/// How often a value is compared with a schema at most; alternatives within alternatives multiply.
const STEPS_MAX: u32 = 100_000;

struct Check<'a> {
    root: &'a Value,
    steps: std::cell::Cell<u32>,
}

impl Check<'_> {
    fn fits(&self, schema: &Value, value: &Value, depth: u32) -> bool {
        let Value::Object(schema) = schema else { return *schema != Value::Bool(false) };
        self.steps.set(self.steps.get() + 1);
        if depth == DEPTH_MAX || self.steps.get() > STEPS_MAX {
            return true;
        }
        let is = |schema: &Value| self.fits(schema, value, depth + 1);
        let list = |key: &str| schema.get(key).and_then(Value::as_array);
        if schema.get("nullable") == Some(&Value::Bool(true)) && value.is_null() {
            return true;
        }
        schema.get("type").is_none_or(|kind| typed(kind, value))
            && list("enum").is_none_or(|all| all.iter().any(|one| same(one, value)))
            && schema.get("const").is_none_or(|one| same(one, value))
            && list("allOf").is_none_or(|all| all.iter().all(is))
            && list("anyOf").is_none_or(|any| any.iter().any(is))
            && list("oneOf").is_none_or(|one| one.iter().filter(|schema| is(schema)).count() == 1)
            && schema.get("not").is_none_or(|schema| !is(schema))
            && self.referred(schema).is_none_or(is)
            && match value {
                Value::Object(value) => self.object(schema, value, depth),
                Value::Array(value) => self.array(schema, value, depth),
                Value::String(value) => within(schema, "Length", value.chars().count()),
                Value::Number(value) => value.as_f64().is_none_or(|value| number(schema, value)),
                Value::Null | Value::Bool(_) => true,
            }
    }

    /// The schema that `$ref` names, if it stands in the same document.
    fn referred(&self, schema: &Map<String, Value>) -> Option<&Value> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    fn object(&self, schema: &Map<String, Value>, value: &Map<String, Value>, depth: u32) -> bool {
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = |key: &str| properties.is_some_and(|properties| properties.contains_key(key));
        // Which keys a pattern covers is not known here.
        let rest = schema.get("additionalProperties").filter(|_| !schema.contains_key("patternProperties"));
        let required = schema.get("required").and_then(Value::as_array);
        required.is_none_or(|keys| keys.iter().filter_map(Value::as_str).all(|key| value.contains_key(key)))
            && within(schema, "Properties", value.len())
            && properties.is_none_or(|properties| {
                properties
                    .iter()
                    .all(|(key, schema)| value.get(key).is_none_or(|value| self.fits(schema, value, depth + 1)))
            })
            && rest
                .is_none_or(|schema| value.iter().all(|(key, value)| known(key) || self.fits(schema, value, depth + 1)))
    }

    fn array(&self, schema: &Map<String, Value>, value: &[Value], depth: u32) -> bool {
        let first = schema.get("prefixItems").or_else(|| schema.get("items").filter(|items| items.is_array()));
        let first = first.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items").filter(|items| !items.is_array()).or_else(|| schema.get("additionalItems"));
        within(schema, "Items", value.len())
            && first.iter().zip(value).all(|(schema, value)| self.fits(schema, value, depth + 1))
            && rest.is_none_or(|schema| value.iter().skip(first.len()).all(|value| self.fits(schema, value, depth + 1)))
    }
}

/// Whether `value` is of the type, or of one of the types. Names that are none let everything pass.
fn typed(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| typed(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            // `1.0` is an integer.
            "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|value| value.fract() == 0.0),
            _ => true,
        },
        _ => true,
    }
}

/// Equal as JSON has it: `1` and `1.0` are one number.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}

/// Whether `len` is not less than `min…` and not more than `max…`.
fn within(schema: &Map<String, Value>, what: &str, len: usize) -> bool {
    let bound = |side: &str| schema.get(&format!("{side}{what}")).and_then(Value::as_f64);
    bound("min").is_none_or(|min| len as f64 >= min) && bound("max").is_none_or(|max| len as f64 <= max)
}

fn number(schema: &Map<String, Value>, value: f64) -> bool {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let open = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let above = |min: f64| if open("exclusiveMinimum") { value > min } else { value >= min };
    let below = |max: f64| if open("exclusiveMaximum") { value < max } else { value <= max };
    bound("minimum").is_none_or(above)
        && bound("maximum").is_none_or(below)
        && bound("exclusiveMinimum").is_none_or(|min| value > min)
        && bound("exclusiveMaximum").is_none_or(|max| value < max)
        && bound("multipleOf").is_none_or(|step| step <= 0.0 || whole(value / step))
}

/// Whole but for what dividing by a step such as 0.1 takes away.
fn whole(times: f64) -> bool {
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, fit: &[Value], unfit: &[Value]) {
        for value in fit {
            assert!(fits(&schema, value), "{value} fits {schema}");
        }
        for value in unfit {
            assert!(!fits(&schema, value), "{value} does not fit {schema}");
        }
    }

    #[test]
    fn types_are_those_of_json() {
        check(json!({"type": "integer"}), &[json!(1), json!(1.0), json!(-3)], &[json!(1.5), json!("1"), json!(null)]);
        check(json!({"type": "number"}), &[json!(1), json!(1.5)], &[json!("1"), json!(true)]);
        check(json!({"type": ["string", "null"]}), &[json!("a"), json!(null)], &[json!(1)]);
        check(json!({"type": "string", "nullable": true}), &[json!("a"), json!(null)], &[json!(1)]);
        check(json!({"type": "boolean"}), &[json!(true)], &[json!("true")]);
        check(
            json!({"type": "array", "items": {"type": "string"}}),
            &[json!([]), json!(["a"])],
            &[json!([1]), json!({})],
        );
        check(
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            &[json!(["a"])],
            &[json!(["a", 1]), json!([1])],
        );
    }

    #[test]
    fn objects_have_what_is_required_and_may_have_more() {
        let schema = json!({"properties": {"a": {"type": "integer"}}, "required": ["a"]});
        check(schema, &[json!({"a": 1}), json!({"a": 1, "b": 2})], &[json!({}), json!({"a": "1"})]);
        let schema = json!({"properties": {"a": {}}, "additionalProperties": false});
        check(schema, &[json!({}), json!({"a": 1})], &[json!({"b": 1})]);
        let schema = json!({"additionalProperties": {"type": "string"}, "maxProperties": 1});
        check(schema, &[json!({"a": "b"})], &[json!({"a": 1}), json!({"a": "b", "b": "c"})]);
    }

    #[test]
    fn bounds_and_choices_hold() {
        check(json!({"enum": ["a", 1]}), &[json!("a"), json!(1.0)], &[json!("b"), json!(true)]);
        check(json!({"const": 2}), &[json!(2)], &[json!(3)]);
        check(json!({"minimum": 1, "exclusiveMaximum": 3}), &[json!(1), json!(2.5)], &[json!(0), json!(3)]);
        check(json!({"minimum": 1, "exclusiveMinimum": true}), &[json!(2)], &[json!(1)]);
        check(json!({"multipleOf": 0.1}), &[json!(0.3), json!(7)], &[json!(0.35)]);
        check(json!({"minLength": 2, "maxLength": 2}), &[json!("上海")], &[json!("a"), json!("abc")]);
        check(json!({"minItems": 1, "maxItems": 2}), &[json!([1])], &[json!([]), json!([1, 2, 3])]);
    }

    #[test]
    fn schemas_are_combined_and_referred_to() {
        let (text, number) = (json!({"type": "string"}), json!({"type": "number"}));
        check(json!({"anyOf": [text, number]}), &[json!("a"), json!(1)], &[json!(null)]);
        check(json!({"oneOf": [{"type": "integer"}, number]}), &[json!(1.5)], &[json!(1), json!("a")]);
        check(json!({"allOf": [number, {"minimum": 3}]}), &[json!(3)], &[json!(2), json!("a")]);
        check(json!({"not": text}), &[json!(3)], &[json!("a")]);
        let tree = json!({
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}},
        });
        check(tree, &[json!({}), json!({"left": {"left": {}}})], &[json!(1), json!({"left": {"left": 1}})]);
    }

    #[test]
    fn what_is_not_known_of_a_schema_lets_everything_pass() {
        let schemas = [
            json!(true),
            json!({}),
            json!("dict"),
            json!({"type": "dict"}),
            json!({"type": 7, "required": "a", "properties": [], "items": 3, "enum": {}}),
            json!({"$ref": "#/nowhere"}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#"}),
        ];
        for schema in schemas {
            check(schema, &[json!(null), json!(1), json!("a"), json!([1]), json!({"a": 1})], &[]);
        }
        check(json!(false), &[], &[json!(1)]);
    }

    #[test]
    fn alternatives_within_alternatives_end() {
        let schema = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"not": {}}], "minimum": 3});
        fits(&schema, &json!(1));
        let schema = json!({"oneOf": [{"$ref": "#"}, {"$ref": "#"}]});
        fits(&schema, &json!(1));
    }
}
