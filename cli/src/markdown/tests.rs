//! The same text in any pieces gives the same screen.

use super::*;

fn show_in(width: usize, color: bool, pieces: &[&str]) -> String {
    let mut markdown = Markdown::new(Paper { color, width: Box::new(move || width) });
    let mut out: String = pieces.iter().map(|piece| markdown.push(piece)).collect();
    out.push_str(&markdown.finish());
    out
}

/// Runs of one look, written as `<1>bold</>`; where a look was switched off and on again between makes no difference.
fn named(shown: &str) -> String {
    let mut runs: Vec<(String, String)> = Vec::new();
    let mut add = |codes: &str, text: &str| match runs.last_mut() {
        Some((same, run)) if same == codes => run.push_str(text),
        _ if text.is_empty() => {}
        _ => runs.push((codes.to_owned(), text.to_owned())),
    };
    let (mut codes, mut rest) = (String::new(), shown);
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        add(&codes, before);
        let (new, after) = sequence.split_once('m').unwrap();
        codes = if new == "0" { String::new() } else { new.to_owned() };
        rest = after;
    }
    assert!(codes.is_empty(), "the terminal is left in a style: {shown:?}");
    add(&codes, rest);
    let run = |(codes, text): (String, String)| if codes.is_empty() { text } else { format!("<{codes}>{text}</>") };
    runs.into_iter().map(run).collect()
}

/// In colours, all at once and character by character.
fn show(width: usize, text: &str) -> String {
    let shown = named(&show_in(width, true, &[text]));
    let chars: Vec<String> = text.chars().map(String::from).collect();
    let one_by_one = show_in(width, true, &chars.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(named(&one_by_one), shown, "{text:?}");
    shown
}

#[test]
fn marks_become_looks() {
    for (text, want) in [
        ("plain\n", "plain\n"),
        ("no end", "no end\n"),
        ("", ""),
        ("a **b** c\n", "a <1>b</> c\n"),
        ("这是**重点**吗\n", "这是<1>重点</>吗\n"),
        ("*it* and _it_ and ***both***\n", "<3>it</> and <3>it</> and <1;3>both</>\n"),
        ("~~gone~~\n", "<9>gone</>\n"),
        ("`a*b*c` ``x`y``\n", "<36>a*b*c</> <36>x`y</>\n"),
        ("snake_case_name 2*3*4 2 * 3 * 4\n", "snake_case_name 2*3*4 2 * 3 * 4\n"),
        ("never **closed\nnext\n", "never **closed\nnext\n"),
        ("a `tick\n", "a `tick\n"),
        ("\\*not\\* it\n", "*not* it\n"),
        ("see [it](http://h/x) [y] [z]\n", "see <4>it</> <2>(http://h/x)</> [y] [z]\n"),
        ("**bold `code`**\n", "<1>bold</> <1;36>code</>\n"),
        ("# Title\n## Two\n", "<1;4;36>Title</>\n<1;36>Two</>\n"),
        ("#hash\n", "#hash\n"),
        ("- one\n  * two\n10. ten\n", "<2>• </>one\n<2>  • </>two\n<2>10. </>ten\n"),
        ("- [x] done\n- [ ] open\n", "<2>• ☑ </>done\n<2>• ☐ </>open\n"),
        ("1.5 is no list\n-5 neither\n", "1.5 is no list\n-5 neither\n"),
        ("> said\n> - x\n", "<2>│ </>said\n<2>│ • </>x\n"),
        ("a\n\n---\n\nb\n", "a\n\n<2>────────────────────────────────────────</>\n\nb\n"),
        ("**bold** begins\n", "<1>bold</> begins\n"),
    ] {
        assert_eq!(show(40, text), want, "{text:?}");
    }
}

#[test]
fn rows_end_at_the_width_and_chinese_counts_double() {
    for (width, text, want) in [
        (20, "one two three four five six\n", "one two three four\nfive six\n"),
        (20, "- one two three four five six\n", "<2>• </>one two three four\n  five six\n"),
        (20, "一二三四五六七八九十十一\n", "一二三四五六七八九十\n十一\n"),
        // A comma does not begin a row.
        (20, "一二三四五六七八九十，十一\n", "一二三四五六七八九\n十，十一\n"),
        (20, "中文和English混排的一句话\n", "中文和English混排的\n一句话\n"),
        (20, "http://example.com/a/very/long/path\n", "http://example.com/a\n/very/long/path\n"),
        (20, "**一二三四五六七八九十十一**\n", "<1>一二三四五六七八九十</>\n<1>十一</>\n"),
        (20, "> one two three four five\n", "<2>│ </>one two three four\n<2>│ </>five\n"),
    ] {
        assert_eq!(show(width, text), want, "{text:?}");
    }
}

#[test]
fn a_table_lines_up_in_any_language_and_any_width() {
    let table = "| 名称 | n |\n|---|--:|\n| 苹果 | 5 |\n| pear | 10 |\n\nend\n";
    assert_eq!(
        show(40, table),
        "<1>名称</><2> │ </> <1>n</>\n<2>─────┼───</>\n苹果<2> │ </> 5\npear<2> │ </>10\n\nend\n"
    );
    let wide = "| a | b |\n|---|---|\n| short | one two three four five |\n";
    assert_eq!(
        show(20, wide),
        "<1>a</>    <2> │ </><1>b</>\n<2>──────┼─────────────</>\nshort<2> │ </>one two\n     <2> │ </>three four\n     <2> │ </>five\n"
    );
    // Bars alone make no table, and a table may be the end.
    assert_eq!(show(40, "| just a bar\nnext\n"), "| just a bar\nnext\n");
    assert_eq!(show(40, "|a|\n|-|\n|b|"), "<1>a</>\n<2>─</>\nb\n");
}

#[test]
fn code_is_coloured_by_whole_lines_and_never_broken() {
    let shown = show(20, "```rust\nfn main() { let x = \"a long line of text\"; } // end\n```\nafter\n");
    assert!(shown.starts_with("<2>```rust</>\n<35>fn</> <34>main</>"), "{shown}");
    assert!(shown.contains("<2>// end</>\n<2>```</>\nafter\n"), "{shown}");
    assert_eq!(show(20, "```\n**not bold**\n\n```\n"), "<2>```</>\n**not bold**\n\n<2>```</>\n");
    assert_eq!(show(20, "```nonsense\n|x|\n# y"), "<2>```nonsense</>\n|x|\n# y\n");
    assert_eq!(show(20, "~~~~\n```\n~~~~\nx\n"), "<2>~~~~</>\n```\n<2>~~~~</>\nx\n");
}

#[test]
fn without_colour_the_marks_stay_and_nothing_escapes() {
    let text = "# T\n- a **b** `c`\n\n```rust\nfn x() {}\n```\n> q\n---\n";
    assert_eq!(show_in(40, false, &[text]), text);
    let wrapped = show_in(20, false, &["- one two three four five\n"]);
    assert_eq!(wrapped, "- one two three four\n  five\n");
}

#[test]
fn words_are_shown_before_their_line_is_whole() {
    let mut markdown = Markdown::new(Paper { color: true, width: Box::new(|| 80) });
    assert_eq!(markdown.push("Because of Ray"), "Because of");
    assert_eq!(markdown.push("leigh scat"), " Rayleigh");
    assert_eq!(markdown.push("tering, **b"), " scattering,");
    assert_eq!(markdown.push("old** and"), " \x1b[1mbold\x1b[0m");
    assert_eq!(markdown.finish(), " and\n");
}

#[test]
fn any_text_in_any_pieces_loses_no_letter_and_does_not_panic() {
    let seeds = [
        "**", "*", "_", "`", "```", "[a](b)", "|", "---", "\n", "- ", "> ", "1. ", "词", "é", " ", "\\", "#", "~~", "x",
    ];
    let mut state = 7_u64;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += seeds[(state >> 33) as usize % seeds.len()];
        }
        let letters = |text: &str| text.matches(['x', '词', 'é']).count();
        let chars: Vec<String> = text.chars().map(String::from).collect();
        let one_by_one = show_in(24, true, &chars.iter().map(String::as_str).collect::<Vec<_>>());
        let whole = show_in(24, true, &[&text]);
        assert_eq!(named(&one_by_one), named(&whole), "{text:?}");
        // A language's name is part of a fence that is shown as it is.
        assert_eq!(letters(&whole), letters(&text), "{text:?}");
        let plain = show_in(24, false, &[&text]);
        assert!(!plain.contains('\x1b'));
        assert_eq!(letters(&plain), letters(&text), "{text:?}");
    }
}
