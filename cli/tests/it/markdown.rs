//! How an answer looks: on a terminal, in a narrow one, without colour, and in a pipe.

use crate::{
    asks::{Asks, answer},
    terminal::{CTRL_D, Terminal},
};

const TEXT: &str =
    "# Title\n\nSome **bold** and `code`.\n\n| 名称 | n |\n|---|--:|\n| 苹果 | 5 |\n\n```rust\nfn main() {}\n```\n";

fn one_shot(asks: &Asks, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut all = asks.env().to_vec();
    all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Terminal::start_with(&asks.home, &[&["chat", "why?", "--quiet"], args].concat(), &all).wrote()
}

#[test]
fn an_answer_is_set_on_a_terminal_and_goes_through_a_pipe_as_it_is() {
    let asks = Asks::new();
    for _ in 0..6 {
        asks.reply(answer("", &[&TEXT[..20], &TEXT[20..]]));
    }
    let set = one_shot(&asks, &[], &[]);
    assert!(set.contains("\x1b[1;4;36mTitle\x1b[0m"), "{set}");
    assert!(set.contains("Some \x1b[1mbold\x1b[0m and \x1b[36mcode\x1b[0m."), "{set}");
    assert!(set.contains("苹果\x1b[2m │ \x1b[0m5"), "{set}");
    assert!(set.contains("\x1b[35mfn\x1b[0m"), "{set}");
    assert_eq!(one_shot(&asks, &["--no-stream"], &[]), set);
    let lines = |text: &str| text.replace("\r\n", "\n");
    let bare = lines(&one_shot(&asks, &[], &[("NO_COLOR", "1")]));
    assert!(
        !bare.contains('\x1b') && bare.contains("Some **bold** and `code`.") && bare.contains("苹果 │ 5"),
        "{bare}"
    );
    assert_eq!(lines(&one_shot(&asks, &["--plain"], &[])), TEXT);
    assert_eq!(lines(&one_shot(&asks, &[], &[("TERM", "dumb")])), TEXT);
    assert_eq!(asks.run(&["why?"]).ok(), TEXT);
}

#[test]
fn words_are_broken_at_the_width_that_the_window_has_now() {
    let asks = Asks::new();
    let long = "一二三四五六七八九十".repeat(4);
    for _ in 0..3 {
        asks.reply(answer("", &[&long]));
    }
    let narrow = one_shot(&asks, &[], &[("COLUMNS", "30")]);
    assert!(narrow.starts_with("一二三四五六七八九十一二三四五\r\n六"), "{narrow}");
    let mut terminal = Terminal::start_with(&asks.home, &["chat"], &asks.env());
    terminal.sees("> ");
    terminal.enters("why?");
    terminal.sees(&format!("{long}\r\n"));
    terminal.sees("> ");
    terminal.resize(40);
    terminal.enters("why?");
    terminal.sees("一二三四五六七八九十一二三四五六七八九十\r\n一二三");
    terminal.sees("> ");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn an_answer_cannot_drive_the_terminal() {
    let asks = Asks::new();
    for _ in 0..3 {
        asks.reply(answer("th\x1b[2Jink", &["a\x1b[2J`b\x1b]0;x\x07`\u{9b}31m"]));
    }
    for args in [&[][..], &["--plain"]] {
        let shown = one_shot(&asks, args, &[]);
        assert!(shown.contains("a␛[2J") && shown.contains("b␛]0;x␇"), "{shown}");
        assert!(!shown.contains("\x1b[2J") && !shown.contains("\x1b]0") && !shown.contains('\u{9b}'), "{shown}");
    }
    let shown = Terminal::start_with(&asks.home, &["chat", "why?", "--reasoning"], &asks.env()).wrote();
    assert!(shown.contains("th␛[2Jink") && !shown.contains("\x1b[2J"), "{shown}");
}
