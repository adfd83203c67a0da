//! The hand-kept parts, read and put into one language and one strictness.

use qwenda_types::chat::Strictness;
use serde_json::{Map, Value};

use super::{super::language::Language, operation::Operation};

const FRAME: &str = include_str!("parts/frame.json");
const OPERATIONS: [&str; 4] = [
    include_str!("parts/operations-compat.json"),
    include_str!("parts/operations-native.json"),
    include_str!("parts/operations-admin.json"),
    include_str!("parts/operations-service.json"),
];
const SCHEMAS: [&str; 10] = [
    include_str!("parts/sampling.json"),
    include_str!("parts/chat.json"),
    include_str!("parts/messages.json"),
    include_str!("parts/tools.json"),
    include_str!("parts/answers.json"),
    include_str!("parts/completions.json"),
    include_str!("parts/vectors.json"),
    include_str!("parts/native.json"),
    include_str!("parts/admin.json"),
    include_str!("parts/service.json"),
];
/// What a schema of the parts may have besides the words of JSON Schema: the names of schemas whose
/// properties it has too, and what changes under a strictness.
pub(super) const WITH: &str = "x-with";
pub(super) const STRICTNESS: &str = "x-strictness";

/// What the document is made of.
pub(super) struct Parts {
    pub(super) info: Value,
    pub(super) tags: Value,
    pub(super) parameters: Value,
    pub(super) operations: Vec<Operation>,
    pub(super) schemas: Map<String, Value>,
}

impl Parts {
    pub(super) fn read(strictness: Strictness, language: Language) -> Self {
        let read = |text: &str| {
            let mut value: Value = serde_json::from_str(text).expect("the parts are JSON; a test reads them");
            settle(&mut value, strictness, language);
            value
        };
        let mut frame = read(FRAME);
        let mut info = frame["info"].take();
        info["version"] = env!("CARGO_PKG_VERSION").into();
        let operations = OPERATIONS.iter().flat_map(|text| {
            let list: Vec<Operation> = serde_json::from_value(read(text)).expect("operations have their shape");
            list
        });
        let mut schemas: Map<String, Value> = SCHEMAS.iter().flat_map(|text| object(read(text))).collect();
        gather(&mut schemas);
        Self {
            info,
            tags: frame["tags"].take(),
            parameters: frame["parameters"].take(),
            operations: operations.collect(),
            schemas,
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => unreachable!("a part of schemas is an object"),
    }
}

/// Chooses the language of every text, and what holds under this strictness.
fn settle(value: &mut Value, strictness: Strictness, language: Language) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| settle(one, strictness, language)),
        Value::Object(map) => {
            if let Some(changes) = map.shift_remove(STRICTNESS) {
                let word = serde_json::to_value(strictness).expect("a word");
                let changes = changes.get(word.as_str().unwrap_or_default());
                for (name, change) in changes.and_then(Value::as_object).into_iter().flatten() {
                    match change {
                        Value::Null => map.shift_remove(name),
                        change => map.insert(name.clone(), change.clone()),
                    };
                }
            }
            for (name, one) in map.iter_mut() {
                match one {
                    Value::Array(pair) if pair.len() == 2 && matches!(name.as_str(), "description" | "summary") => {
                        *one = pair[usize::from(language == Language::Zh)].take();
                    }
                    one => settle(one, strictness, language),
                }
            }
        }
        _ => {}
    }
}

/// Gives each schema the properties of those it names, before its own.
fn gather(schemas: &mut Map<String, Value>) {
    let known = schemas.clone();
    for schema in schemas.values_mut() {
        let Some(map) = schema.as_object_mut() else { continue };
        let Some(Value::Array(names)) = map.shift_remove(WITH) else { continue };
        let mut all = Map::new();
        for name in names.iter().filter_map(Value::as_str) {
            let properties = known.get(name).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
            all.extend(properties.expect("a schema that exists, with properties").clone());
        }
        if let Some(Value::Object(own)) = map.shift_remove("properties") {
            all.extend(own);
        }
        map.insert("properties".to_owned(), all.into());
    }
    // What only lends its properties is no schema of the document.
    schemas.retain(|name, _| !name.starts_with('_'));
}
