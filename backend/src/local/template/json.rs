//! JSON into a template, and out of it by the filter `tojson`, which writes what Python's
//! `json.dumps` writes.

use std::fmt::Write;

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind},
};

use super::{DEPTH_MAX, bounded::Charged, python};

/// The value that a template sees for `json`; fields keep their order.
pub(super) fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(truth) => Value::from(*truth),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(number.as_f64()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(value).collect(),
        serde_json::Value::Object(fields) => {
            Value::from_pairs(fields.iter().map(|(name, field)| (name.as_str(), value(field))))
        }
    }
}

/// `json.dumps(value, ensure_ascii=False)`; the options are Python's.
pub(super) fn tojson(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let indent = options.get::<Option<u8>>("indent")?.map(usize::from);
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    options.assert_all_used()?;
    // Python leaves no space at the end of a line.
    let item = if indent.is_some() { "," } else { ", " };
    let (item, key) = match separators.as_deref() {
        None => (item.to_owned(), ": ".to_owned()),
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(refuse("tojson: separators are two texts".to_owned())),
    };
    let mut writer = Writer { ascii, sort, indent, item, key, out: Charged::new(state) };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out.text))
}

struct Writer<'a> {
    ascii: bool,
    sort: bool,
    indent: Option<usize>,
    item: String,
    key: String,
    out: Charged<'a>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(refuse(format!("tojson: values nested deeper than {DEPTH_MAX}")));
        }
        self.out.charge()?;
        match value.kind() {
            ValueKind::None => self.out.text.push_str("null"),
            ValueKind::Bool => self.out.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.mapping(value, depth)?,
            other => return Err(refuse(format!("tojson: {other} is not JSON serializable"))),
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) {
        match python::as_float(value) {
            Some(number) if number.is_nan() => self.out.text.push_str("NaN"),
            Some(number) if number.is_infinite() => {
                self.out.text.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Some(number) => self.out.text.push_str(&python::float(number)),
            None => self.out.text.push_str(&value.to_string()),
        }
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.text.push('[');
        let mut empty = true;
        for item in value.try_iter()? {
            self.before(empty, depth + 1);
            empty = false;
            self.value(&item, depth + 1)?;
        }
        self.close(empty, depth, ']');
        Ok(())
    }

    fn mapping(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut names = Vec::new();
        for name in value.try_iter()? {
            names.push((key(&name)?, name));
        }
        if self.sort {
            names.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.out.text.push('{');
        for (index, (text, name)) in names.iter().enumerate() {
            self.before(index == 0, depth + 1);
            self.text(text);
            self.out.text.push_str(&self.key);
            self.value(&value.get_item(name)?, depth + 1)?;
        }
        self.close(names.is_empty(), depth, '}');
        Ok(())
    }

    /// What stands before an item at `depth`.
    fn before(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.text.push_str(&self.item);
        }
        self.line(depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.line(depth);
        }
        self.out.text.push(bracket);
    }

    /// Begins a line if there are lines.
    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.text.push('\n');
            self.out.text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.text.push_str("\\\""),
                '\\' => self.out.text.push_str("\\\\"),
                '\n' => self.out.text.push_str("\\n"),
                '\r' => self.out.text.push_str("\\r"),
                '\t' => self.out.text.push_str("\\t"),
                '\u{8}' => self.out.text.push_str("\\b"),
                '\u{c}' => self.out.text.push_str("\\f"),
                c if c < ' ' || (self.ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out.text, "\\u{unit:04x}");
                    }
                }
                c => self.out.text.push(c),
            }
        }
        self.out.text.push('"');
    }
}

/// The name of a field; Python writes these kinds of keys as text too.
fn key(name: &Value) -> Result<String, Error> {
    match name.kind() {
        ValueKind::String => Ok(name.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if name.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number => Ok(python::as_float(name).map_or_else(|| name.to_string(), python::float)),
        other => Err(refuse(format!("tojson: a key may not be a {other}"))),
    }
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
