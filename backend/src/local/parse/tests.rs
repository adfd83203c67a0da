//! Answers as models write them, and what they are: `⟦name|arguments⟧` is a call.

mod cases;
mod cuts;
mod forced;
mod hostile;

use std::{fmt::Write, sync::Arc};

use serde_json::{Value, json};

use self::cases::{TEXT, calls};
use super::{Callable, Menu, Parser, Piece};

fn tools() -> Vec<Callable> {
    let tool = |name: &str, parameters: Option<Value>| Callable { name: name.to_owned(), parameters };
    vec![
        tool(
            "weather",
            Some(json!({
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            })),
        ),
        tool(
            "edit",
            Some(json!({
                "type": "object",
                "properties": {
                    "text": {"type": "string"}, "at": {"type": ["integer", "null"]}, "fast": {"type": "boolean"},
                    "lines": {"type": "array", "items": {"type": "integer"}}, "more": {"type": "object"},
                    "any": {},
                },
                "additionalProperties": false,
            })),
        ),
        tool("now", None),
    ]
}

fn menu(calls_max: u32, forced: bool) -> Arc<Menu> {
    Arc::new(Menu { tools: tools(), calls_max, forced })
}

fn auto() -> Arc<Menu> {
    menu(8, false)
}

/// What comes of pushing `parts` one after the other.
fn read<'a>(menu: &Arc<Menu>, parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut parser = Parser::new(Arc::clone(menu));
    let mut all = Vec::new();
    for part in parts {
        // As whoever streams them does: what has been handed out is gone.
        let mut pieces = Vec::new();
        parser.push(part, &mut pieces);
        all.append(&mut pieces);
    }
    parser.end(&mut all);
    let calls = all.iter().filter(|piece| matches!(piece, Piece::Call { .. })).count();
    assert_eq!(parser.calls() as usize, calls, "every call is counted");
    shown(&all)
}

fn shown(pieces: &[Piece]) -> String {
    let mut shown = String::new();
    let mut open = false;
    for piece in pieces {
        let closes = std::mem::take(&mut open);
        match piece {
            Piece::Arguments(text) => {
                assert!(closes, "arguments belong to a call: {pieces:?}");
                shown.push_str(text);
                open = true;
                continue;
            }
            Piece::Text(text) => write!(shown, "{}{text}", if closes { "⟧" } else { "" }),
            Piece::Call { name } => {
                open = true;
                write!(shown, "{}⟦{name}|", if closes { "⟧" } else { "" })
            }
        }
        .expect("a string takes all");
    }
    if open {
        shown.push('⟧');
    }
    shown
}

#[test]
fn calls_are_read_however_they_are_written() {
    for (answer, wanted) in calls() {
        assert_eq!(read(&auto(), [answer]), wanted, "{answer}");
    }
}

#[test]
fn what_is_no_call_is_text_as_written() {
    for answer in TEXT {
        assert_eq!(read(&auto(), [*answer]), *answer);
    }
}

#[test]
fn text_around_what_is_no_call_does_not_hide_the_call_behind_it() {
    for text in TEXT.iter().filter(|text| !text.trim_end().is_empty()) {
        // What was cut off is not, if more follows; what it becomes then is another matter.
        if ["```json\n{\"name\": \"no", "```js"].contains(text) || text.starts_with("<function=now>\n<parameter") {
            continue;
        }
        let answer = format!("{text}\n\n<tool_call>{{\"name\": \"now\", \"arguments\": {{}}}}</tool_call>");
        assert_eq!(read(&auto(), [answer.as_str()]), format!("{}⟦now|{{}}⟧", text.trim_end()));
    }
}

#[test]
fn only_so_many_calls_are_made_and_nothing_is_wanted_behind_them() {
    let menu = menu(1, false);
    let mut parser = Parser::new(Arc::clone(&menu));
    let mut pieces = Vec::new();
    parser.push("<tool_call>{\"name\": \"now\", \"arguments\": {}", &mut pieces);
    assert!(!parser.full());
    parser.push("}\n</tool_call>\n<tool_call>{\"name\": \"now\"}</tool_call> and text", &mut pieces);
    parser.end(&mut pieces);
    assert!(parser.full());
    assert_eq!(parser.calls(), 1);
    assert_eq!(shown(&pieces), "⟦now|{}⟧");
}
