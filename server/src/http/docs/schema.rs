//! Fields of a schema as a list of definitions, and those below them as lists that open.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    super::language::Language,
    html::{escape, inline},
};

// Deeper than any schema of the document; what goes deeper is named only.
const DEPTH_MAX: usize = 8;

/// Renders schemas of one document.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'a> {
    pub(super) document: &'a Value,
    pub(super) language: Language,
}

impl<'a> Schemas<'a> {
    /// What a reference leads to; the value itself if it is none.
    pub(super) fn resolve(self, value: &'a Value) -> &'a Value {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(value)
    }

    /// The members of a schema, as HTML; nothing where it names none.
    pub(super) fn fields(self, schema: &'a Value, depth: usize) -> String {
        let schema = self.resolve(schema);
        let mut out = String::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let needed = schema["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
            out.push_str(&self.field(name, field, needed, depth));
        }
        if out.is_empty() { out } else { format!("<dl>\n{out}</dl>\n") }
    }

    /// One field, or parameter, with what is below it.
    pub(super) fn field(self, name: &str, field: &'a Value, needed: bool, depth: usize) -> String {
        let schema = self.resolve(field);
        let mut out = format!("<dt><code>{}</code> <span class=\"type\">{}</span>", escape(name), self.kind(field));
        if needed {
            let _ = write!(out, " <span class=\"need\">{}</span>", self.language.of("required", "必填"));
        }
        if schema["deprecated"] == true {
            let _ = write!(out, " <span class=\"type\">{}</span>", self.language.of("deprecated", "已弃用"));
        }
        out.push_str("</dt>\n<dd>");
        let text = field.get("description").or(schema.get("description")).and_then(Value::as_str);
        if let Some(text) = text {
            let _ = write!(out, "<p>{}</p>", inline(text));
        }
        let range = self.range(schema);
        if !range.is_empty() {
            let _ = write!(out, "<p class=\"range\">{range}</p>");
        }
        if depth < DEPTH_MAX {
            out.push_str(&self.below(name, schema, depth));
        }
        out.push_str("</dd>\n");
        out
    }

    /// What a value of this schema has in it: its members, those of its elements, its forms.
    fn below(self, name: &str, schema: &'a Value, depth: usize) -> String {
        let schema = self.resolve(schema);
        let fields = self.fields(schema, depth + 1);
        if !fields.is_empty() {
            return self.opens(&escape(name), &fields);
        }
        let items = &schema["items"];
        if items.is_object() {
            return self.below(&format!("{name}[]"), items, depth);
        }
        let forms = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
        let forms = forms.map(|form| {
            let form_name = self.form_name(form);
            let inner = self.below(&form_name, form, depth + 1);
            let text = self.resolve(form)["description"].as_str();
            let text = text.filter(|_| inner.is_empty() || depth < 2);
            let text = text.map(|text| format!("<p>{}</p>", inline(text)));
            text.unwrap_or_default() + &inner
        });
        forms.collect()
    }

    fn form_name(self, form: &Value) -> String {
        let named = form["$ref"].as_str().and_then(|target| target.rsplit('/').next());
        named.or(form["title"].as_str()).unwrap_or("…").to_owned()
    }

    fn opens(self, name: &str, fields: &str) -> String {
        let text = self.language.of("fields of", "字段：");
        format!("<details><summary>{text} <code>{name}</code></summary>\n{fields}</details>\n")
    }

    /// What a value is, in a few words, as HTML.
    fn kind(self, schema: &'a Value) -> String {
        let target = self.resolve(schema);
        if let Some(words) = target["enum"].as_array() {
            return words.iter().map(written).collect::<Vec<_>>().join(" | ");
        }
        if let Some(only) = target.get("const") {
            return written(only);
        }
        if let Some(forms) = target["anyOf"].as_array().or(target["oneOf"].as_array())
            && target["type"].is_null()
        {
            let mut kinds: Vec<String> = Vec::new();
            for kind in forms.iter().map(|form| self.kind(form)) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(" | ");
        }
        let words: Vec<&str> = match &target["type"] {
            Value::String(word) => vec![word],
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
            _ => return self.language.of("anything", "任意").to_owned(),
        };
        let of_items = |word: &str| match word {
            "array" if target["items"].is_object() => format!("[{}]", self.kind(&target["items"])),
            word => word.to_owned(),
        };
        words.into_iter().map(of_items).collect::<Vec<_>>().join(" | ")
    }

    /// The bounds and the default of a value, as HTML.
    fn range(self, schema: &Value) -> String {
        let number = |name: &str| schema.get(name).filter(|value| !value.is_null());
        let mut said = Vec::new();
        let least = number("minimum").map(|value| format!("≥ {value}"));
        let more = number("exclusiveMinimum").map(|value| format!("&gt; {value}"));
        let most = number("maximum").map(|value| format!("≤ {value}"));
        let less = number("exclusiveMaximum").map(|value| format!("&lt; {value}"));
        said.extend([least, more, most, less].into_iter().flatten());
        for (least, most, en, zh) in [
            ("minItems", "maxItems", "elements", "项"),
            ("minLength", "maxLength", "characters", "字符"),
            ("minProperties", "maxProperties", "members", "成员"),
        ] {
            let unit = self.language.of(en, zh);
            match (number(least), number(most)) {
                (Some(least), Some(most)) => said.push(format!("{least}–{most} {unit}")),
                (Some(least), None) => said.push(format!("≥ {least} {unit}")),
                (None, Some(most)) => said.push(format!("≤ {most} {unit}")),
                (None, None) => {}
            }
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            said.push(format!("<code>{}</code>", escape(pattern)));
        }
        if let Some(default) = number("default") {
            said.push(format!("{} {}", self.language.of("default", "默认"), written(default)));
        }
        said.join(self.language.of(", ", "，"))
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        value => format!("<code>{}</code>", escape(&value.to_string())),
    }
}
