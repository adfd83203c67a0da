//! Answers as models write them, and what they are: `⟦name|arguments⟧` is a call.

use std::{fmt::Write, sync::Arc};

use qwenda_testkit::mutate;
use serde_json::{Value, json};

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

/// An answer, and what it is.
type Case = (&'static str, &'static str);

const HERMES: &[Case] = &[
    (
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"上海\"}}\n</tool_call>",
        "⟦weather|{\"city\": \"上海\"}⟧",
    ),
    ("Let me see.\n\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>", "Let me see.⟦now|{}⟧"),
    (
        "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"weather\", \
         \"arguments\": {\"city\": \"a\"}}\n</tool_call>",
        "⟦now|{}⟧⟦weather|{\"city\": \"a\"}⟧",
    ),
    ("<tool_call>{\"arguments\": {\"city\": \"a\"}, \"name\": \"weather\"}</tool_call>", "⟦weather|{\"city\": \"a\"}⟧"),
    ("<tool_call>{\"name\": \"now\"}</tool_call> Done.\n", "⟦now|{}⟧Done.\n"),
    ("<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>", "⟦now|{}⟧"),
    ("<tool_call>{\"name\": \"now\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", "⟦now|{\"a\": 1}⟧"),
    // The end may be missing.
    ("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}", "⟦now|{}⟧"),
    // Quotes, braces and tags in a string are its own.
    (
        "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"\\\"}</tool_call>{\\\\\"}}</tool_call>!",
        "⟦weather|{\"city\": \"\\\"}</tool_call>{\\\\\"}⟧!",
    ),
];

const OTHERS: &[Case] = &[
    ("```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"a\"}}\n```", "⟦weather|{\"city\": \"a\"}⟧"),
    ("Sure:\n```\n{\n  \"name\": \"now\",\n  \"arguments\": {}\n}\n```\nWell?", "Sure:⟦now|{}⟧Well?"),
    ("{\"name\": \"weather\", \"parameters\": {\"city\": \"a\"}}", "⟦weather|{\"city\": \"a\"}⟧"),
    ("好的。{\"name\": \"now\", \"arguments\": {}}", "好的。⟦now|{}⟧"),
    ("<tools>\n{\"name\": \"now\", \"arguments\": {}}\n</tools>", "⟦now|{}⟧"),
    ("<function_call>{\"name\": \"now\", \"arguments\": {}}</function_call>", "⟦now|{}⟧"),
    ("```xml\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n```", "⟦now|{}⟧"),
    (
        "[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"weather\", \"arguments\": {\"city\": \"b\"}}]",
        "⟦now|{}⟧⟦weather|{\"city\": \"b\"}⟧",
    ),
    (
        "```json\n[\n{\"name\": \"now\", \"arguments\": {}},\n{\"name\": \"now\", \"arguments\": {}}\n]\n```\n",
        "⟦now|{}⟧⟦now|{}⟧",
    ),
    (
        "```json\n{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\", \"arguments\": {}}\n```",
        "⟦now|{}⟧⟦now|{}⟧",
    ),
    ("{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\", \"arguments\": {}}", "⟦now|{}⟧⟦now|{}⟧"),
    ("{{\"name\": \"weather\", \"arguments\": {\"city\": \"a\"}}}", "⟦weather|{\"city\": \"a\"}⟧"),
    ("<tools>{\"name\": \"now\", \"arguments\": {}}</tool_call>", "⟦now|{}⟧"),
];

const XML: &[Case] = &[
    (
        "<tool_call>\n<function=weather>\n<parameter=city>\nNew York\n</parameter>\n<parameter=days>\n3\n</parameter>\n\
         </function>\n</tool_call>",
        "⟦weather|{\"city\":\"New York\",\"days\":3}⟧",
    ),
    ("I look.\n<function=now>\n</function>", "I look.⟦now|{}⟧"),
    ("<tool_call><function=now></function></tool_call>\n\nDone", "⟦now|{}⟧Done"),
    (
        "<tool_call>\n<function=edit>\n<parameter=text>\n  a\n</parameter>\n b</parameter>c\n\n</parameter>\n\
         <parameter=at>\nnull\n</parameter>\n<parameter=fast>True</parameter><parameter=lines>[1, 2]</parameter>\
         <parameter=more>{\"x\": \"</parameter>\"}</parameter>\n<parameter=any>7</parameter></function></tool_call>",
        "⟦edit|{\"text\":\"  a\\n</parameter>\\n b</parameter>c\\n\",\"at\":null,\"fast\":true,\"lines\":[1,2],\
         \"more\":{\"x\":\"</parameter>\"},\"any\":\"7\"}⟧",
    ),
];

/// What is no call, however much it looks like one: comes out as it is.
const TEXT: &[&str] = &[
    "",
    " \n",
    "Just an answer.\n\nWith two paragraphs. \n",
    "fn main() {\n    println!(\"{}\", [1, 2][0]);\n}\n",
    "```rust\nfn main() {}\n```\n",
    "```json\n{\"name\": \"Alice\", \"age\": 3}\n```",
    "```json\n[1, 2, {\"a\": null}]\n```\n`now`",
    // Not declared; does not fit; is no object.
    "<tool_call>\n{\"name\": \"rm\", \"arguments\": {}}\n</tool_call>",
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\": 3}}\n</tool_call>\n",
    "{\"name\": \"weather\", \"arguments\": {\"city\": 7}}",
    "{\"name\": \"weather\", \"arguments\": \"Paris\"}",
    "{\"name\": \"weather\", \"arguments\": [1]}",
    "{\"name\": \"edit\", \"arguments\": {\"other\": 1}}",
    "{\"name\": \"now\", \"arguments\": {}, \"result\": 3}",
    "{\"name\": \"now\", \"name\": \"now\", \"arguments\": {}}",
    // No JSON.
    "<tool_call>\n{\"name\": \"now\", \"arguments\": {}\n</tool_call>",
    "<tool_call>\n{'name': 'now', 'arguments': {}}\n</tool_call>",
    "{\"name\": \"now\", \"arguments\": {\"a\": 01}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": tru}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": 1.}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\n\"}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\\x\"}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": [1}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": 1,}}",
    "{\"name\": \"now\", \"arguments\": {\"a\": \"\\ud800\"}}",
    // The declaration, said again.
    "{\"name\": \"weather\", \"description\": \"d\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}",
    // Cut off.
    "So: <tool_call>\n{\"name\": \"now\", \"argu",
    "<tool_ca",
    "```js",
    "```json\n{\"name\": \"no",
    "<function=now>\n<parameter=a>\nb",
    "<function=now>\n<parameter=a>\nb\n</parameter>\n</func",
    // Quoted or in the middle of a word.
    "Write `{\"name\": \"now\", \"arguments\": {}}` then.",
    "x{\"name\": \"now\", \"arguments\": {}}",
    "a < b and <tool> and <tool_call> and </tool_call>, ``` and `` and <tool_<tool_call",
    "<function=rm>\n</function>",
    "<function=now\n>\n</function>",
    "<function=now>\nnow</function>",
    "\u{0}{\u{0}\"name\": \"now\"}\u{0}",
];

fn calls() -> impl Iterator<Item = Case> {
    [HERMES, OTHERS, XML].into_iter().flatten().copied()
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
fn every_cut_of_an_answer_gives_the_same() {
    let answers = calls().map(|(answer, _)| answer).chain(TEXT.iter().copied());
    for answer in answers {
        for menu in [auto(), menu(1, false), menu(8, true)] {
            let whole = read(&menu, [answer]);
            for at in (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)) {
                let (one, two) = answer.split_at(at);
                assert_eq!(read(&menu, [one, two]), whole, "{one}✂{two}");
            }
            let mut buffer: Vec<String> = answer.chars().map(String::from).collect();
            buffer.push(String::new());
            assert_eq!(read(&menu, buffer.iter().map(String::as_str)), whole, "{answer}");
        }
    }
}

#[test]
fn no_mutant_of_an_answer_loses_text_or_depends_on_the_cut() {
    let samples: Vec<&[u8]> =
        calls().map(|(answer, _)| answer).chain(TEXT.iter().copied()).map(str::as_bytes).collect();
    mutate::rounds(11, 200, &samples, |bytes| {
        let answer = String::from_utf8_lossy(bytes);
        for menu in [auto(), menu(2, true)] {
            let whole = read(&menu, [&*answer]);
            if !whole.contains('⟦') {
                assert_eq!(whole, answer);
            }
            let chars: Vec<String> = answer.chars().map(String::from).collect();
            assert_eq!(read(&menu, chars.iter().map(String::as_str)), whole);
        }
    });
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

#[test]
fn forced_calls_are_handed_out_while_they_come() {
    let steps = [
        ("<tool_call>\n{\"name\": \"wea", ""),
        ("ther\", \"argum", ""),
        ("ents\": {", "⟦weather|{⟧"),
        ("\"city\": \"P", "⟦weather|{\"city\": \"P⟧"),
        ("aris\"}", "⟦weather|{\"city\": \"Paris\"}⟧"),
        ("}\n</tool_call>", "⟦weather|{\"city\": \"Paris\"}⟧"),
        ("\n<tool_call>\n<function=edit>", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("\n<parameter=at>\n7", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("\n</parameter>\n</", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|⟧"),
        ("function>", "⟦weather|{\"city\": \"Paris\"}⟧⟦edit|{\"at\": 7}⟧"),
    ];
    let mut parser = Parser::new(menu(8, true));
    let mut pieces = Vec::new();
    for (text, wanted) in steps {
        parser.push(text, &mut pieces);
        assert_eq!(shown(&pieces), wanted, "after {text}");
    }
    assert_eq!(parser.calls(), 2);
}

#[test]
fn a_forced_call_cut_off_is_a_call_as_far_as_it_came() {
    let mut parser = Parser::new(menu(1, true));
    let mut pieces = Vec::new();
    parser.push("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Par", &mut pieces);
    parser.end(&mut pieces);
    assert_eq!(shown(&pieces), "⟦weather|{\"city\": \"Par⟧");
    assert!(!parser.full());
    assert_eq!(parser.calls(), 1);
}

#[test]
fn forced_and_free_answers_are_read_alike_when_the_calls_are_sound() {
    for (answer, _) in HERMES.iter().chain(OTHERS) {
        assert_eq!(read(&menu(8, true), [*answer]), read(&auto(), [*answer]), "{answer}");
    }
}

#[test]
fn large_and_hostile_answers_take_their_length_and_no_more() {
    let long = 100_000;
    let open = "{\"name\": \"edit\", \"arguments\": {\"text\": \"";
    let answers = [
        "{".repeat(long),
        "[".repeat(long),
        "[{".repeat(long),
        "<".repeat(long),
        "`".repeat(long),
        "```\n".repeat(long),
        " ".repeat(long),
        "<tool_call>".repeat(long / 10),
        "<tool_call>\n".repeat(long / 10),
        "{\"name\": \"now\", \"arguments\": ".repeat(long / 10),
        format!("{{\"name\": \"now\", \"arguments\": {}", "{\"a\":".repeat(long)),
        format!("{{\"name\": \"now\", \"arguments\": {{\"a\": {}", "[".repeat(long)),
        format!("{{\"{}", "a".repeat(long)),
        format!("```json\n{open}{}", "x\\n".repeat(long)),
        format!("<function=now><parameter=a>{}", "</parameter>".repeat(long / 10)),
        format!("<function=now><parameter=a>{}", "</parameter>\n<".repeat(long / 10)),
        format!("<function=now><parameter=a></parameter>{}", " ".repeat(long)),
        format!("<function=now>{}", "\n".repeat(long)),
        format!("<function={}", "n".repeat(long)),
        "\u{0}".repeat(long),
    ];
    for answer in answers {
        for menu in [auto(), menu(1, true)] {
            // In pieces of the size of tokens: reading again from the front would take for ever.
            let tokens: Vec<&str> =
                answer.as_bytes().chunks(3).map(|token| str::from_utf8(token).expect("ASCII")).collect();
            let came = read(&menu, tokens);
            assert!(came == answer || menu.forced, "{}…", &answer[..40.min(answer.len())]);
        }
    }
    let text = "x\\n".repeat(long);
    let answer = format!("```json\n{open}{text}\"}}}}\n```");
    let tokens = answer.as_bytes().chunks(3).map(|token| str::from_utf8(token).expect("ASCII"));
    assert_eq!(read(&auto(), tokens), format!("⟦edit|{{\"text\": \"{text}\"}}⟧"));
}
