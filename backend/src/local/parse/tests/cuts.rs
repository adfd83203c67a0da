//! However an answer is cut into pieces, it is the same.

use std::sync::Arc;

use qwenda_testkit::{mutate, rng::Rng};
use serde_json::{Map, Value, json};

use super::{
    Parser, Piece, auto,
    cases::{TEXT, calls},
    menu, read,
};

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
            match (whole.contains('⟦'), menu.forced) {
                (true, _) => {}
                (false, false) => assert_eq!(whole, answer),
                // Its end may be a call that did not begin.
                (false, true) => assert!(answer.starts_with(&whole), "{answer}: {whole}"),
            }
            let chars: Vec<String> = answer.chars().map(String::from).collect();
            assert_eq!(read(&menu, chars.iter().map(String::as_str)), whole);
        }
    });
}

#[test]
fn arguments_come_in_pieces_that_are_one_object() {
    for (answer, _) in calls() {
        for menu in [auto(), menu(8, true)] {
            let mut parser = Parser::new(Arc::clone(&menu));
            let mut all: Vec<(String, String)> = Vec::new();
            for c in answer.chars() {
                let mut pieces = Vec::new();
                parser.push(c.encode_utf8(&mut [0; 4]), &mut pieces);
                for piece in pieces {
                    match piece {
                        Piece::Call { name } => all.push((name, String::new())),
                        Piece::Arguments(text) => all.last_mut().expect("a call comes first").1.push_str(&text),
                        Piece::Text(_) => {}
                    }
                }
            }
            assert!(!all.is_empty(), "{answer}");
            for (name, arguments) in all {
                let value: Result<Value, _> = serde_json::from_str(&arguments);
                assert!(value.is_ok_and(|value| value.is_object()), "{name}: {arguments}");
            }
        }
    }
}

/// Strings that hold what stands around calls, and what is awkward in them.
const STRINGS: [&str; 12] = [
    "",
    "\"",
    "\\",
    "\u{0}",
    "上海😀",
    "</tool_call>",
    "```\n",
    "{\"name\": \"now\"}",
    "]}}",
    "<function=now>",
    "\u{2028}",
    "\r\n\t",
];

/// Some arguments of the tool `edit`.
fn some_arguments(rng: &mut Rng) -> Value {
    let mut arguments = Map::new();
    for _ in 0..rng.below(4) {
        let (key, value) = match rng.below(5) {
            0 => ("text", json!(format!("{}{}", rng.pick(&STRINGS), rng.pick(&STRINGS)))),
            1 => ("at", json!(rng.next() as i64)),
            2 => ("fast", json!(rng.below(2) == 0)),
            3 => ("lines", json!([rng.below(10), rng.below(10)])),
            _ => ("more", json!({ *rng.pick(&STRINGS): [rng.pick(&STRINGS), null, 1.5, {"a": {}}] })),
        };
        arguments.insert(key.to_owned(), value);
    }
    Value::Object(arguments)
}

/// A call in one of the forms that models write.
fn written(rng: &mut Rng, arguments: &Value) -> String {
    let object = json!({"name": "edit", "arguments": arguments});
    let object = if rng.below(2) == 0 { object.to_string() } else { format!("{object:#}") };
    match rng.below(7) {
        0 => format!("<tool_call>\n{object}\n</tool_call>"),
        1 => format!("```json\n{object}\n```"),
        2 => format!("```\n<tools>{object}</tools>\n```"),
        3 => format!("[{object}]"),
        4 => format!("<tool_call>\n{}\n</tool_call>", xml(arguments)),
        5 => xml(arguments),
        _ => object,
    }
}

fn xml(arguments: &Value) -> String {
    let mut call = "<function=edit>\n".to_owned();
    for (key, value) in arguments.as_object().expect("arguments are an object") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        call.push_str(&format!("<parameter={key}>\n{value}\n</parameter>\n"));
    }
    call + "</function>"
}

#[test]
fn whatever_the_arguments_the_form_and_the_cuts_the_call_is_read() {
    for round in 0..2000 {
        let mut rng = Rng::round(5, round);
        let arguments = some_arguments(&mut rng);
        let before = *rng.pick(&["", "Let me see.\n\n", "好的：", "a < b, `c` and ```\ncode\n```\nso:\n"]);
        let answer = format!("{before}{}", written(&mut rng, &arguments));
        let mut parts = Vec::new();
        let mut rest = answer.as_str();
        while !rest.is_empty() {
            let (part, more) = rest.split_at(rest.floor_char_boundary(rng.below(9)));
            parts.push(part);
            rest = more;
        }
        for menu in [auto(), menu(8, true)] {
            let came = read(&menu, parts.iter().copied());
            let call = came.strip_prefix(before.trim_end()).expect("the text comes first");
            let call = call.strip_prefix("⟦edit|").and_then(|call| call.strip_suffix('⟧'));
            let call = call.unwrap_or_else(|| panic!("round {round}: no call in {came}, of {answer}"));
            let value: Value = serde_json::from_str(call).expect("arguments are JSON");
            assert_eq!(value, arguments, "round {round}: {answer}");
        }
    }
}
