//! Checks of grammars in the library's own language, a dialect of Lark.
//!
//! Whoever writes one is a program of ours, but parts of it come from callers: names and JSON
//! schemas. Schemas are brought into the same form as when they stand alone.

use serde_json::Value;

use super::{
    GrammarError,
    limits::{self, Budget, CONSTANT_BYTES_MAX},
    schema,
};

/// Most bytes of a grammar.
const BYTES_MAX: usize = 1 << 20;

/// Most bytes of it outside of schemas.
const RULES_BYTES_MAX: usize = 64 << 10;

/// Deepest nesting of brackets.
const DEPTH_MAX: usize = 64;

/// Bounds what has to be read.
pub(super) fn check_size(grammar: &str) -> Result<(), GrammarError> {
    if grammar.len() > BYTES_MAX {
        return Err(GrammarError(format!("the grammar has more than {BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Checks a grammar and brings its schemas into form.
pub(super) fn normalise(grammar: &str, budget: &mut Budget) -> Result<String, GrammarError> {
    let mut normal = String::with_capacity(grammar.len());
    let mut rest = grammar;
    let (mut depth, mut rules_bytes) = (0usize, 0);
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => quoted(rest, '"'),
            '/' if rest.starts_with("//") => line(rest),
            '/' => quoted(rest, '/'),
            '#' => line(rest),
            '%' if is_json(rest) => {
                let (schema, len) = embedded(&rest["%json".len()..], budget)?;
                normal.push_str("%json ");
                normal.push_str(&schema.to_string());
                rest = &rest["%json".len() + len..];
                continue;
            }
            _ => first.len_utf8(),
        };
        depth = match first {
            '(' | '[' | '{' => depth + 1,
            ')' | ']' | '}' => depth.saturating_sub(1),
            _ => depth,
        };
        if depth > DEPTH_MAX {
            return Err(GrammarError(format!("the grammar is nested deeper than {DEPTH_MAX} brackets")));
        }
        rules_bytes += len;
        if rules_bytes > RULES_BYTES_MAX {
            return Err(GrammarError(format!("the grammar has more than {RULES_BYTES_MAX} bytes without its schemas")));
        }
        if first == '"' && len > CONSTANT_BYTES_MAX {
            return Err(GrammarError(format!("the grammar has a text of more than {CONSTANT_BYTES_MAX} bytes")));
        }
        normal.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    Ok(normal)
}

/// Whether a schema follows.
fn is_json(rest: &str) -> bool {
    rest.strip_prefix("%json").is_some_and(|behind| !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// A schema in form, and the bytes it takes in the grammar.
fn embedded(text: &str, budget: &mut Budget) -> Result<(Value, usize), GrammarError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            limits::check_size(&value)?;
            Ok((schema::normalise(&value, budget)?, values.byte_offset()))
        }
        Some(Err(error)) => Err(GrammarError(format!("the JSON after `%json` cannot be read: {error}"))),
        None => Err(GrammarError("nothing follows `%json`".to_owned())),
    }
}

/// Bytes of a text in quotes; to the end of the line where the closing one is missing.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Bytes up to the end of the line.
fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}
