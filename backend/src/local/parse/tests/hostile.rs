//! Answers made to be slow to read, or to break what reads them.
//!
//! Time is measured in bytes of held text that are read: see `held`.

use std::sync::Arc;

use super::{Menu, Parser, Piece, auto, menu, read, shown};

/// How often a byte of held text is read at most, taken over the whole answer: what ends a tag or a
/// value is looked for behind every character.
const READS_MAX: u64 = 32;

/// What comes of an answer in pieces of the size of tokens; reading it must take its length and no more.
#[track_caller]
fn read_measured(menu: &Arc<Menu>, answer: &str) -> String {
    let mut parser = Parser::new(Arc::clone(menu));
    let mut all = Vec::new();
    let mut rest = answer;
    while !rest.is_empty() {
        let (token, more) = rest.split_at(rest.ceil_char_boundary(3));
        let mut pieces = Vec::new();
        parser.push(token, &mut pieces);
        all.append(&mut pieces);
        rest = more;
    }
    parser.end(&mut all);
    let (read, len) = (parser.bytes_read(), answer.len() as u64);
    assert!(read <= READS_MAX * len, "{read} bytes read of {len}: {}…", answer.chars().take(40).collect::<String>());
    shown(&all)
}

/// Without an end, so that no call comes of it.
fn endless() -> Vec<String> {
    let long = 100_000;
    let open = "{\"name\": \"edit\", \"arguments\": {\"text\": \"";
    vec![
        "{".repeat(long),
        "[".repeat(long),
        "[{".repeat(long),
        "<".repeat(1 << 20),
        "`".repeat(1 << 20),
        "```\n".repeat(long),
        "```json\n```json\n[".repeat(long / 10),
        "~~~```".repeat(long / 10),
        " ".repeat(long),
        " \n<".repeat(long),
        "<tool_call>".repeat(long / 10),
        "<tool_call>\n".repeat(long / 10),
        "<tool_call".repeat(long / 10),
        "<tool_respons".repeat(long / 10),
        "</tool_call>".repeat(long / 10),
        "<tool_call><tools><json><xml>[{".repeat(long / 10),
        "{\"name\": \"now\", \"arguments\": ".repeat(long / 10),
        "{\"name\": \"now\", \"name\"".repeat(long / 10),
        format!("{{\"name\": \"now\", \"arguments\": {}", "{\"a\":".repeat(long)),
        format!("{{\"name\": \"now\", \"arguments\": {{\"a\": {}", "[".repeat(long)),
        format!("{{\"name\": \"now\", \"arguments\": {{\"a\": {}", "[{},".repeat(long)),
        format!("{{\"{}", "a".repeat(long)),
        format!("{{\"name\": \"{}", "now".repeat(long)),
        format!("{{\"name\": \"now\", \"arguments\": {{{}", "\"a\": 1, ".repeat(long / 10)),
        format!("```json\n{open}{}", "x\\n".repeat(long)),
        format!("```json\n{open}{}", "上海\u{10ffff}".repeat(long / 10)),
        format!("<function=now><parameter=a>{}", "</parameter>".repeat(long / 10)),
        format!("<function=now><parameter=a>{}", "</parameter>\n<".repeat(long / 10)),
        format!("<function=now><parameter=a>{}", "</parameter>\n</functio".repeat(long / 10)),
        format!("<function=now><parameter=a></parameter>{}", " ".repeat(long)),
        format!("<function=now>{}", "\n".repeat(long)),
        format!("<function=now>{}", "<parameter=a>1</parameter>".repeat(long / 10)),
        format!("<function={}", "n".repeat(long)),
        "<function=now><parameter=".repeat(long / 10),
        "\u{0}".repeat(long),
        "\u{feff}<\u{0}tool_call>".repeat(long / 10),
    ]
}

#[test]
fn hostile_answers_are_text_and_take_their_length_and_no_more() {
    for answer in endless() {
        for menu in [auto(), menu(1, true)] {
            let came = read_measured(&menu, &answer);
            assert!(came == answer || menu.forced, "{}…", answer.chars().take(40).collect::<String>());
        }
    }
}

#[test]
fn a_long_call_is_read_once() {
    let text = "x\\n<`上".repeat(100_000);
    let answer = format!("```json\n{{\"name\": \"edit\", \"arguments\": {{\"text\": \"{text}\"}}}}\n```");
    assert_eq!(read_measured(&auto(), &answer), format!("⟦edit|{{\"text\": \"{text}\"}}⟧"));
    let text = "</parameter> <function=now>".repeat(10_000);
    let answer = format!("<function=edit>\n<parameter=text>\n{text}\n</parameter>\n</function>");
    assert_eq!(read_measured(&auto(), &answer), format!("⟦edit|{{\"text\":\"{text}\"}}⟧"));
}

#[test]
fn many_calls_take_their_length_and_no_more() {
    let count = 10_000;
    let menu = menu(u32::MAX, false);
    let call = "{\"name\": \"now\", \"arguments\": {}}";
    let shown = "⟦now|{}⟧".repeat(count);
    assert_eq!(read_measured(&menu, &format!("<tool_call>{call}</tool_call>\n").repeat(count)), shown);
    assert_eq!(read_measured(&menu, &format!("[{}]", vec![call; count].join(", "))), shown);
    assert_eq!(read_measured(&menu, &format!("```json\n{call}\n```\n").repeat(count)), shown);
    assert_eq!(read_measured(&menu, &"<function=now></function>".repeat(count)), shown);
}

#[test]
fn what_is_held_is_only_what_may_become_a_call() {
    let mut parser = Parser::new(auto());
    // Each of these begins like a call and is none by its last character.
    for text in ["a <tool_x", "b\n```rust\nfn", "c {\"nam\"", "d [1", "e <function=rm>", "f\n<tools>\nx"] {
        let mut pieces = Vec::new();
        parser.push(text, &mut pieces);
        assert_eq!(pieces.len(), 1, "{text}: {pieces:?}");
        let Some(Piece::Text(came)) = pieces.first() else { panic!("{text}: {pieces:?}") };
        assert!(came.ends_with(text.trim_start()), "{text}: {came}");
    }
}

#[test]
fn marks_within_marks_are_one_call_or_text() {
    let call = "{\"name\": \"now\", \"arguments\": {}}";
    // A fence, a tag and a list, in any order; no two fences.
    for (before, behind) in [
        ("```json\n<tool_call>\n[", "]\n</tool_call>\n```"),
        ("<tool_call>\n```json\n[", "]\n```\n</tool_call>"),
        ("<tools><tool_call><function_call><json>", "</json></function_call></tool_call></tools>"),
        ("```\n[", ""),
    ] {
        let answer = format!("{before}{call}{behind}");
        assert_eq!(read(&auto(), [answer.as_str()]), "⟦now|{}⟧", "{answer}");
    }
    // Marks that nobody puts around each other are text; the call behind them is one.
    let answer = format!("```json\n```json\n{call}\n```\n```");
    assert_eq!(read(&auto(), [answer.as_str()]), "```json\n```json⟦now|{}⟧```\n```");
    let answer = format!("<json><xml><tool><tools><json>{call}");
    assert_eq!(read(&auto(), [answer.as_str()]), answer);
}
