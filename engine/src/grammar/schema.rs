//! Which JSON schemas are taken, and the form in which the compiler gets them.
//!
//! Everything that does not restrict a value is left out, references become plain, and what cannot
//! be enforced is refused with its name and place. Keywords that the specification does not know
//! are comments to it, and so to us.

use serde_json::{Map, Value, json};

use super::{
    GrammarError, keywords,
    limits::{BRANCHES_MAX, Budget, PATTERN_PROPERTIES_MAX, PROPERTIES_MAX},
};

/// What may stand between two parts of a JSON text: a space, or a line break with an indentation.
/// Bounded, because a small model that may write blanks for ever sometimes does.
const WHITESPACE: &str = r"[ ]|\n(?:[ ]{0,24}|\t{1,8})";

/// Checks a schema and brings it into form.
pub(super) fn normalise(schema: &Value, budget: &mut Budget) -> Result<Value, GrammarError> {
    let mut walk = Walk { root: schema, references: Vec::new(), budget };
    let mut normal = match walk.schema(schema, "")? {
        Value::Object(map) => map,
        Value::Bool(true) => Map::new(),
        _ => return Err(GrammarError("the schema is `false`, which no value satisfies".to_owned())),
    };
    let mut definitions = Map::new();
    // Each may name more.
    while let Some(&(pointer, target)) = walk.references.get(definitions.len()) {
        let definition = walk.schema(target, pointer)?;
        definitions.insert(definitions.len().to_string(), definition);
    }
    if !definitions.is_empty() {
        normal.insert("$defs".to_owned(), Value::Object(definitions));
    }
    normal.insert("x-guidance".to_owned(), json!({ "whitespace_pattern": WHITESPACE }));
    Ok(Value::Object(normal))
}

struct Walk<'a> {
    root: &'a Value,
    /// Pointers that `$ref` names and what is there, in the order of their new names.
    references: Vec<(&'a str, &'a Value)>,
    budget: &'a mut Budget,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Value, at: &str) -> Result<Value, GrammarError> {
        self.budget.schema()?;
        match schema {
            Value::Bool(_) => Ok(schema.clone()),
            Value::Object(map) => {
                let mut normal = Map::new();
                for (keyword, value) in map {
                    let at = child(at, keyword);
                    if let Some(value) = self.keyword(keyword, value, map, &at)? {
                        normal.insert(keyword.clone(), value);
                    }
                }
                Ok(Value::Object(normal))
            }
            _ => Err(wrong(at, "a schema, which is an object or a boolean")),
        }
    }

    /// The value that a keyword goes on with; nothing if it restricts nothing.
    fn keyword(
        &mut self,
        keyword: &str,
        value: &'a Value,
        beside: &Map<String, Value>,
        at: &str,
    ) -> Result<Option<Value>, GrammarError> {
        let normal = match keyword {
            "$ref" => self.reference(value, at)?,
            "type" => keywords::types(value, at)?,
            "enum" => keywords::alternatives(value, at)?,
            "const" => {
                keywords::constant(value, at)?;
                value.clone()
            }
            "properties" | "patternProperties" => self.schemas_by_name(keyword, value, at)?,
            "additionalProperties" | "additionalItems" => self.schema(value, at)?,
            "items" if !value.is_array() => self.schema(value, at)?,
            "items" | "prefixItems" | "allOf" | "anyOf" | "oneOf" => self.schemas(keyword, value, at)?,
            "required" => match value.as_array() {
                Some(names) if names.iter().all(Value::is_string) => {
                    names.iter().try_for_each(|name| keywords::constant(name, at))?;
                    value.clone()
                }
                _ => return Err(wrong(at, "an array of names")),
            },
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                keywords::bound(keyword, value, beside, at)?
            }
            "multipleOf" => match value.as_f64() {
                Some(number) if self.budget.multiple_of(number) => value.clone(),
                _ => return Err(wrong(at, "a number above 0 of a few digits, also when multiplied with others")),
            },
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                keywords::count(keyword, value, at)?
            }
            "pattern" => {
                keywords::pattern(value.as_str().ok_or_else(|| wrong(at, "a regular expression"))?, at)?;
                value.clone()
            }
            "format" => return keywords::format(value, beside, at),
            _ if keywords::is_unsupported(keyword, value, beside) => {
                return Err(GrammarError(format!("`{keyword}` at `{}` is not supported", parent(at))));
            }
            _ => return Ok(None),
        };
        Ok(Some(normal))
    }

    fn schemas_by_name(&mut self, keyword: &str, value: &'a Value, at: &str) -> Result<Value, GrammarError> {
        let map = value.as_object().ok_or_else(|| wrong(at, "an object of schemas"))?;
        let patterns = keyword == "patternProperties";
        let most = if patterns { PATTERN_PROPERTIES_MAX } else { PROPERTIES_MAX };
        if map.len() > most {
            return Err(wrong(at, &format!("an object of at most {most} schemas")));
        }
        let mut normal = Map::new();
        for (name, schema) in map {
            if patterns { keywords::pattern(name, at) } else { keywords::name(name, at) }?;
            normal.insert(name.clone(), self.schema(schema, &child(at, name))?);
        }
        Ok(Value::Object(normal))
    }

    fn schemas(&mut self, keyword: &str, value: &'a Value, at: &str) -> Result<Value, GrammarError> {
        let items = value.as_array().ok_or_else(|| wrong(at, "an array of schemas"))?;
        if (items.is_empty() && keyword.ends_with("Of")) || items.len() > BRANCHES_MAX {
            return Err(wrong(at, &format!("an array of 1 to {BRANCHES_MAX} schemas")));
        }
        let schemas = items.iter().enumerate();
        let schemas = schemas.map(|(index, item)| self.schema(item, &child(at, &index.to_string())));
        Ok(Value::Array(schemas.collect::<Result<_, _>>()?))
    }

    /// A reference under its new name.
    fn reference(&mut self, value: &'a Value, at: &str) -> Result<Value, GrammarError> {
        let text = value.as_str().ok_or_else(|| wrong(at, "a text"))?;
        let base = self.root.get("$id").and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        let text = base.and_then(|base| text.strip_prefix(base)).unwrap_or(text);
        let pointer = text.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let Some(pointer) = pointer else {
            return Err(GrammarError(format!("`$ref` at `{}` must begin with `#/`", parent(at))));
        };
        if pointer.is_empty() || pointer == "/" {
            return Ok(json!("#"));
        }
        let known = self.references.iter().position(|(known, _)| *known == pointer);
        let number = match known {
            Some(number) => number,
            None => {
                let nowhere = || GrammarError(format!("`$ref` at `{}` points to nothing", parent(at)));
                let target = self.root.pointer(&decoded(pointer)).ok_or_else(nowhere)?;
                self.references.push((pointer, target));
                self.references.len() - 1
            }
        };
        Ok(json!(format!("#/$defs/{number}")))
    }
}

/// A pointer inside a URI without its percent signs.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn child(at: &str, name: &str) -> String {
    format!("{at}/{name}")
}

/// Where the schema is that has this keyword.
pub(super) fn parent(at: &str) -> &str {
    match at.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// What stands `at` a place is not what must stand there.
pub(super) fn wrong(at: &str, expected: &str) -> GrammarError {
    let at = if at.is_empty() { "/" } else { at };
    GrammarError(format!("`{at}` in the schema must be {expected}"))
}
