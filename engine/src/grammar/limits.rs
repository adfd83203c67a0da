//! How large a schema may be. The bounds are far above what people write, and low enough that the
//! compiler answers within a second.

use serde_json::Value;

use super::GrammarError;

/// Deepest nesting.
const DEPTH_MAX: usize = 64;

/// Most values of any kind, the alternatives of an `enum` included.
const VALUES_MAX: usize = 30_000;

/// Most schemas inside of it, those of definitions counted again for each name they go by.
const SCHEMAS_MAX: usize = 3_000;

/// Most bytes of all texts and names.
const TEXT_BYTES_MAX: usize = 512 << 10;

/// Most properties of one object, and `patternProperties` of it.
pub(super) const PROPERTIES_MAX: usize = 1_000;
pub(super) const PATTERN_PROPERTIES_MAX: usize = 32;

/// Most branches of an `anyOf` and its like, and most objects and arrays in an `enum`.
pub(super) const BRANCHES_MAX: usize = 500;

/// Most bytes of a text that must be written as it is: a constant, or a name.
pub(super) const CONSTANT_BYTES_MAX: usize = 8 << 10;

/// Most bytes of one pattern.
pub(super) const PATTERN_BYTES_MAX: usize = 2_000;

/// Most that `maxLength` and its like may count to.
pub(super) const COUNT_MAX: u64 = 100_000;

/// Most that all different `multipleOf` may come to when they are multiplied, each as a whole
/// number of its last decimal place.
const MULTIPLES_MAX: f64 = 1e6;

/// What all schemas of one grammar have used up.
#[derive(Default)]
pub(super) struct Budget {
    schemas: usize,
    multiples: Vec<f64>,
}

impl Budget {
    /// One schema more.
    pub(super) fn schema(&mut self) -> Result<(), GrammarError> {
        self.schemas += 1;
        if self.schemas > SCHEMAS_MAX {
            return Err(GrammarError(format!("the schema has more than {SCHEMAS_MAX} schemas inside")));
        }
        Ok(())
    }

    /// One `multipleOf` more. False if it is beyond what can be counted.
    pub(super) fn multiple_of(&mut self, value: f64) -> bool {
        let mut whole = value.abs();
        while whole.fract() != 0.0 && whole <= MULTIPLES_MAX {
            whole *= 10.0;
        }
        if !self.multiples.contains(&whole) {
            self.multiples.push(whole);
        }
        whole > 0.0 && self.multiples.iter().product::<f64>() <= MULTIPLES_MAX
    }
}

/// Bounds what has to be walked through. Does not recurse itself.
pub(super) fn check_size(schema: &Value) -> Result<(), GrammarError> {
    let mut left = vec![(schema, 0)];
    let (mut values, mut text_bytes) = (0, 0);
    while let Some((value, depth)) = left.pop() {
        values += 1;
        match value {
            Value::String(text) => text_bytes += text.len(),
            Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => {
                text_bytes += map.keys().map(String::len).sum::<usize>();
                left.extend(map.values().map(|value| (value, depth + 1)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if depth > DEPTH_MAX {
            return Err(GrammarError(format!("the schema is nested deeper than {DEPTH_MAX} levels")));
        }
        if text_bytes > TEXT_BYTES_MAX {
            return Err(GrammarError(format!("the schema has more than {TEXT_BYTES_MAX} bytes of text")));
        }
        if values + left.len() > VALUES_MAX {
            return Err(GrammarError(format!("the schema has more than {VALUES_MAX} values")));
        }
    }
    Ok(())
}
