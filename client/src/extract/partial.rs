//! The value that the beginning of a JSON text tells of.

use serde_json::Value;

/// What is known of the value whose text begins so; `None` before its first brace or bracket. Members and
/// elements that are not whole are left out, but for texts, which are shown as far as they came.
pub(super) fn value(text: &str) -> Option<Value> {
    let text = &text[text.find(['{', '['])?..];
    let mut open: Vec<char> = Vec::new();
    // Where everything before is whole, and how many closers it wants.
    let mut whole = (0, 0);
    let (mut in_text, mut escaped, mut escape) = (false, false, 0);
    for (place, character) in text.char_indices() {
        if in_text {
            match character {
                _ if escaped => escaped = false,
                '\\' => (escaped, escape) = (true, place),
                '"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match character {
            '"' => in_text = true,
            '{' | '[' => {
                open.push(if character == '{' { '}' } else { ']' });
                whole = (place + 1, open.len());
            }
            '}' | ']' => {
                open.pop();
                if open.is_empty() {
                    return serde_json::from_str(&text[..=place]).ok();
                }
            }
            ',' => whole = (place, open.len()),
            _ => {}
        }
    }
    let closers = |depth: usize| open.iter().take(depth).rev().collect::<String>();
    if in_text {
        // An escape that is not whole is left out.
        let code = text.get(escape..).is_some_and(|rest| rest.starts_with("\\u") && rest.len() < 6);
        let end = if escaped || (code && escape > 0) { escape } else { text.len() };
        let shown = format!("{}\"{}", &text[..end], closers(open.len()));
        if let Ok(value) = serde_json::from_str(&shown) {
            return Some(value);
        }
    } else if text.ends_with(['"', '}', ']'])
        && let Ok(value) = serde_json::from_str(&format!("{text}{}", closers(open.len())))
    {
        return Some(value);
    }
    let (end, depth) = whole;
    serde_json::from_str(&format!("{}{}", &text[..end], closers(depth))).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_beginning_tells_of_all_that_is_whole_in_it() {
        for (text, want) in [
            ("", None),
            ("Here is", None),
            ("{", Some(json!({}))),
            ("```json\n{\"a\"", Some(json!({}))),
            ("{\"a\": tru", Some(json!({}))),
            ("{\"a\": 12", Some(json!({}))),
            ("{\"a\": 12,", Some(json!({"a": 12}))),
            ("{\"a\": \"b", Some(json!({"a": "b"}))),
            ("{\"a\": \"b\\", Some(json!({"a": "b"}))),
            ("{\"a\": \"b\\u4f", Some(json!({"a": "b"}))),
            ("{\"a\": \"b\", \"c", Some(json!({"a": "b"}))),
            ("{\"a\": [1, 2", Some(json!({"a": [1]}))),
            ("{\"a\": [{\"b\": \"c\"}", Some(json!({"a": [{"b": "c"}]}))),
            ("{\"a\": [{\"b\": \"{[\"}, {", Some(json!({"a": [{"b": "{["}, {}]}))),
            ("{\"a\": {}} and more", Some(json!({"a": {}}))),
        ] {
            assert_eq!(value(text), want, "{text}");
        }
    }

    #[test]
    fn no_beginning_panics_and_the_whole_is_itself() {
        let whole = json!({"你": ["🙂\\\"\n\u{1}", {"a": [1.5e3, null, true]}], "b": {"c": "d, }]"}});
        for text in [whole.to_string(), serde_json::to_string_pretty(&whole).unwrap()] {
            for (end, _) in text.char_indices() {
                value(&text[..end]);
            }
            assert_eq!(value(&text), Some(whole.clone()));
        }
    }
}
