use std::time::Instant;

use qwenda_testkit::TinyModel;
use qwenda_tokenizer::Specials;

use super::*;
use crate::LoadOptions;

fn model() -> Model {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    TinyModel::qwen2().write(&path).unwrap();
    Model::load(&path, &LoadOptions::default()).unwrap()
}

/// Whether a completion may be exactly `text`, as the sampler would take it.
fn takes(model: &Model, grammar: &Grammar, text: &str) -> bool {
    let mut state = grammar.start();
    let mut stopped = false;
    for id in model.tokenizer().encode(text, Specials::Parse) {
        let mut logits = vec![0.0; model.info().vocab as usize];
        if stopped {
            return false;
        }
        state.mask().unwrap().apply(&mut logits);
        if logits[id as usize] != 0.0 {
            return false;
        }
        stopped = state.accept(id).unwrap();
    }
    if stopped {
        return true;
    }
    let mut logits = vec![0.0; model.info().vocab as usize];
    state.mask().unwrap().apply(&mut logits);
    let ends: Vec<bool> = model.info().eos.iter().map(|&id| logits[id as usize] == 0.0).collect();
    assert!(ends.iter().all(|&end| end == ends[0]), "all end tokens are allowed or none");
    ends[0]
}

#[test]
fn which_texts_a_schema_takes() {
    let model = model();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a title", "description": "a description", "default": {}, "examples": [1],
        "type": "object",
        "properties": {
            "title": { "type": "integer", "minimum": -9_007_199_254_740_991i64, "maximum": 9_007_199_254_740_991i64 },
            "list": { "type": "array", "items": { "$ref": "#/$defs/item%20~1one" } },
        },
        "required": ["title", "list"],
        "additionalProperties": false,
        "$defs": { "item /one": { "type": ["string", "null"], "format": "color" } },
    });
    let grammar = Grammar::json_schema(&model, &schema).unwrap();
    let table: &[(&str, bool)] = &[
        (r#"{"title":1,"list":[]}"#, true),
        (r#"{"title": -9007199254740991, "list": ["x", null]}"#, true),
        ("{\n  \"title\": 9007199254740991,\n  \"list\": [\n    \"x\"\n  ]\n}", true),
        ("{\n\t\"title\": 1,\n\t\"list\": []\n}", true),
        (r#"{ "title" : 1 , "list" : [ ] }"#, true),
        (r#"{"title":9007199254740992,"list":[]}"#, false),
        (r#"{"title":1.5,"list":[]}"#, false),
        (r#"{"title":1}"#, false),
        (r#"{"list":[],"title":1}"#, false),
        (r#"{"title":1,"list":[2]}"#, false),
        (r#"{"title":1,"list":[],"more":1}"#, false),
        // Blanks are bounded, and none stand around the whole.
        (r#"{"title":  1,"list":[]}"#, false),
        ("{\n\n\"title\":1,\"list\":[]}", false),
        ("{ \n\"title\":1,\"list\":[]}", false),
        (r#" {"title":1,"list":[]}"#, false),
        (r#"{"title":1,"list":[]} "#, false),
    ];
    for (text, expected) in table {
        assert_eq!(takes(&model, &grammar, text), *expected, "{text}");
    }
}

/// An object of named things.
fn named<T: Into<Value>>(count: usize, one: impl Fn(usize) -> (String, T)) -> Value {
    Value::Object((0..count).map(one).map(|(name, value)| (name, value.into())).collect())
}

fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!({ "type": "integer" }), |inner, _| wrap(inner))
}

/// Definitions of which each is the next.
fn chain(len: usize) -> Value {
    let defs = named(len, |i| {
        let next = json!({ "$ref": format!("#/$defs/{}", i + 1) });
        (i.to_string(), if i + 1 == len { json!({ "type": "null" }) } else { next })
    });
    json!({ "$ref": "#/$defs/0", "$defs": defs })
}

fn strings(count: usize) -> Value {
    let properties = named(count, |i| (format!("property {i}"), json!({ "type": "string", "maxLength": i })));
    json!({ "type": "object", "properties": properties })
}

#[test]
fn what_cannot_be_enforced_is_refused_with_its_name() {
    let model = model();
    let inside = |schema: Value| json!({ "properties": { "x": schema } });
    let table = [
        (json!(7), "`/` in the schema must be a schema"),
        (json!(false), "no value satisfies"),
        (inside(json!("text")), "`/properties/x` in the schema must be a schema"),
        (inside(json!({ "type": "dict" })), "`/properties/x/type` in the schema must be one or more of null"),
        (inside(json!({ "not": { "type": "null" } })), "`not` at `/properties/x` is not supported"),
        (json!({ "uniqueItems": true }), "`uniqueItems` at `/` is not supported"),
        (json!({ "if": {}, "then": false }), "`if` at `/` is not supported"),
        (inside(json!({ "contains": {} })), "`contains` at"),
        (inside(json!({ "propertyNames": { "pattern": "a" } })), "`propertyNames` at"),
        (inside(json!({ "dependentRequired": { "a": ["b"] } })), "`dependentRequired` at"),
        (inside(json!({ "unevaluatedProperties": false })), "`unevaluatedProperties` at"),
        (inside(json!({ "format": "json-pointer" })), "`format` at `/properties/x` is `json-pointer`"),
        (inside(json!({ "pattern": "(?=a)" })), "`/properties/x/pattern` is not supported: look-around"),
        (inside(json!({ "pattern": "(a)\\1" })), "backreferences are not supported"),
        (json!({ "patternProperties": { "(": {} } }), "the pattern at `/patternProperties` is not supported: unclosed"),
        (json!({ "$ref": "http://example.com/a.json" }), "`$ref` at `/` must begin with `#/`"),
        (json!({ "$ref": "#/$defs/nothing" }), "`$ref` at `/` points to nothing"),
        (json!({ "$ref": "#/a", "a": { "$ref": "#/b" }, "b": { "$ref": "#/a" } }), "nothing satisfies the schema"),
        (json!({ "oneOf": [{ "type": "object" }, { "type": "object" }] }), "`oneOf` is supported only where"),
        (json!({ "anyOf": [] }), "`/anyOf` in the schema must be an array"),
        (json!({ "enum": [] }), "`/enum` in the schema must be an array"),
        (json!({ "required": true }), "`/required` in the schema must be an array of names"),
        (json!({ "minimum": "3" }), "`/minimum` in the schema must be a number"),
        (json!({ "minLength": -1 }), "`/minLength` in the schema must be a whole number"),
        (json!({ "type": "integer", "minimum": 1e19 }), "`/minimum` in the schema must be within"),
        (json!({ "const": [1e19] }), "a number beyond"),
        (json!({ "type": "number", "multipleOf": 0 }), "`/multipleOf` in the schema must be a number above 0"),
        (json!({ "type": "integer", "minimum": 3, "maximum": 2 }), "minimum (3) is greater than maximum (2)"),
        (json!({ "type": "object", "properties": { "a": false }, "required": ["a"] }), "Unsatisfiable"),
    ];
    for (schema, says) in table {
        let error = Grammar::json_schema(&model, &schema).map(|_| "taken").unwrap_err().to_string();
        assert!(error.contains(says), "{schema}: {error}");
        assert!(!error.contains('\n') && error.len() < 400, "fit to be read: {error}");
    }
}

#[test]
fn what_restricts_nothing_is_passed_over() {
    let model = model();
    let table = [
        json!({ "uniqueItems": false, "unevaluatedProperties": true, "if": { "type": "null" } }),
        json!({ "propertyNames": { "type": "string" }, "dependentRequired": {} }),
        json!({ "type": "integer", "format": "int32", "nullable": true, "x-order": 1, "discriminator": {} }),
        json!({ "type": "string", "format": "password" }),
        json!({ "type": "string", "maxLength": u64::MAX }),
        json!({ "type": "integer", "minimum": i64::MIN, "maximum": u64::MAX }),
        json!({ "type": "object", "x-guidance": { "whitespace_pattern": "(", "lenient": "no" } }),
        json!({ "$id": "https://example.com/a", "$ref": "https://example.com/a#/$defs/b", "$defs": { "b": true } }),
    ];
    for schema in table {
        Grammar::json_schema(&model, &schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    }
}

#[test]
fn hostile_schemas_are_compiled_or_refused_at_once() {
    let model = model();
    model.vocabulary().unwrap();
    let text = |count: usize| (0..count).map(|i| format!("alternative {i}")).collect::<Vec<_>>();
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let table = [
        ("nested arrays", nested(31, |inner| json!({ "type": "array", "items": inner }))),
        ("nested choices", nested(31, |inner| json!({ "anyOf": [inner, { "type": "null" }] }))),
        ("nested too deep", nested(300, |inner| json!({ "items": inner }))),
        ("many alternatives", json!({ "enum": text(29_000) })),
        ("too many alternatives", json!({ "enum": text(40_000) })),
        ("a long constant", json!({ "const": "x".repeat(500_000) })),
        ("a long chain", chain(2_900)),
        ("too long a chain", chain(14_000)),
        ("itself", json!({ "$ref": "#" })),
        ("itself or nothing", json!({ "anyOf": [{ "$ref": "#" }, { "type": "null" }] })),
        ("itself and nothing", json!({ "allOf": [{ "$ref": "#" }, { "type": "null" }] })),
        ("itself inside", json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] })),
        ("repeats of repeats", pattern("^(((((a+)+)+)+)+)+$")),
        ("counts of counts", pattern("^((a{1,1000}b?){1,1000}c?){1,1000}$")),
        ("a count", pattern("^.{1000000000}$")),
        ("a search", pattern(".*a.{200}b.{200}c.*d.{100}")),
        ("all letters", pattern(r"^\p{L}{50}\p{N}{50}(\p{Han}|\p{Greek}){1,50}$")),
        ("parentheses", pattern(&format!("{}a{}", "(".repeat(900), ")".repeat(900)))),
        ("a pattern of a length", json!({ "pattern": "^(ab|ba)*$", "minLength": 10_000, "maxLength": 20_000 })),
        ("long texts", json!({ "type": "string", "minLength": 90_000, "maxLength": 100_000 })),
        ("many items", nested(6, |inner| json!({ "type": "array", "items": inner, "minItems": 9_999 }))),
        ("tuples", json!({ "prefixItems": vec![json!({ "type": "string" }); 10_000] })),
        ("small multiples", json!({ "type": "number", "multipleOf": 1e-9 })),
        ("multiples of all", json!({ "allOf": vec![json!({ "type": "integer", "multipleOf": 999_999 }); 9] })),
        ("wide bounds", json!({ "type": "number", "minimum": -1.2e-300, "maximum": 9.8e300 })),
        ("many properties", strings(1_000)),
        ("too many properties", strings(5_000)),
        ("choices of properties", json!({ "anyOf": vec![strings(90); 30] })),
        ("patterns of names", json!({ "patternProperties": named(32, |i| (format!("^p{i}_.*x.{{20}}$"), true)) })),
        (
            "products of choices",
            json!({ "allOf": (0..14).map(|i| json!({ "anyOf": [strings(i + 1), strings(i + 2)] })).collect::<Vec<_>>() }),
        ),
        ("products of alternatives", json!({ "allOf": [{ "enum": text(5_000) }, { "enum": text(5_000) }] })),
    ];
    for (what, schema) in table {
        let begun = Instant::now();
        let made = Grammar::json_schema(&model, &schema);
        assert!(begun.elapsed() < compile::PATIENCE * 3 / 4, "{what}: compiling takes {:?}", begun.elapsed());
        let Ok(grammar) = made else { continue };
        // What was taken does not hold up the others either, whatever is written.
        let mut state = grammar.start();
        for step in 0..40usize {
            let begun = Instant::now();
            let mut logits = vec![0.0; model.info().vocab as usize];
            state.forced().unwrap();
            state.mask().unwrap().apply(&mut logits);
            model.info().eos.iter().for_each(|&end| logits[end as usize] = 1.0);
            let allowed: Vec<u32> = (0..model.info().vocab).filter(|&id| logits[id as usize] == 0.0).collect();
            if allowed.is_empty() || state.accept(allowed[step * 7919 % allowed.len()]).unwrap() {
                break;
            }
            assert!(begun.elapsed().as_millis() < 250, "{what}: a mask takes {:?}", begun.elapsed());
        }
    }
}

#[test]
fn a_grammar_that_outgrows_its_limits_on_the_way_says_so() {
    let model = model();
    // Each branch allows any name but its own, and all of that is told apart only where a name begins.
    let branch = |name: String| json!({ "type": "object", "properties": { name: { "type": "string" } } });
    let group = |of: &dyn Fn(u32) -> Value| json!({ "anyOf": (0..11).map(of).collect::<Vec<_>>() });
    let schema = group(&|a| group(&|b| group(&|c| branch(format!("name {a} {b} {c}")))));
    let grammar = Grammar::json_schema(&model, &schema).unwrap();
    let mut state = grammar.start();
    let ids = model.tokenizer().encode(r#"{"name 1 2 3":"x","y":{"z":1}}"#, Specials::Parse);
    let broken = ids.iter().find_map(|&id| state.mask().and_then(|_| state.accept(id)).err());
    assert!(matches!(broken, Some(Broken::TooComplex(_))), "{broken:?}");
}

#[test]
fn hostile_lark_is_compiled_or_refused_at_once() {
    let model = model();
    model.vocabulary().unwrap();
    let rules: String = (0..5_500).map(|i| format!("r{i}: r{}\n", i + 1)).collect();
    let table = [
        ("a long chain", format!("start: r0\n{rules}r5500: \"x\"\n")),
        ("too long a chain", format!("start: r0\n{}r5500: \"x\"\n", rules.repeat(3))),
        ("brackets", format!("start: {}\"a\"{}", "(".repeat(60), ")".repeat(60))),
        ("too many brackets", format!("start: {}\"a\"{}", "(".repeat(5_000), ")".repeat(5_000))),
        ("left recursion", "start: start start | \"a\" |".to_owned()),
        ("counts", "start: (((\"a\"~0..9999)~0..9999)~0..9999)".to_owned()),
        ("a pattern", "start: /((a{1,1000}b?){1,1000}c?){1,1000}/".to_owned()),
        ("an open text", "start: \"abc".to_owned()),
        ("an open schema", "start: %json {\"type\":".to_owned()),
        ("no schema", "start: %json".to_owned()),
        ("nothing", String::new()),
        ("a schema that is refused", "start: %json {\"not\": {}}".to_owned()),
        ("no such token", "start: <|nothing|>".to_owned()),
    ];
    for (what, grammar) in table {
        let begun = Instant::now();
        let made = Grammar::lark(&model, &grammar);
        assert!(begun.elapsed() < compile::PATIENCE * 3 / 4, "{what}: compiling takes {:?}", begun.elapsed());
        if let Err(error) = made {
            assert!(error.to_string().len() < 400, "{what}: {error}");
        }
    }
    for (grammar, says) in [
        ("start: %json {\"a\": 1, \"not\": {}}", "`not` at `/` is not supported"),
        ("start: \"%json {\" // %json 7\nstart: \"a\"", "duplicate rule"),
        ("start: <|nothing|>", "<|nothing|>"),
    ] {
        let error = Grammar::lark(&model, grammar).map(|_| "taken").unwrap_err().to_string();
        assert!(error.contains(says), "{grammar}: {error}");
    }
}
