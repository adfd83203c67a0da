//! One question, one answer: what goes to stdout, what to stderr, and what is refused.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use crate::common::{Home, Ran, feed};

/// Enough for a nonsense answer.
const SHORT: [&str; 4] = ["--model", "tiny.gguf", "--max-tokens", "8"];

fn chat(home: &Home, args: &[&str]) -> Ran {
    home.run(&[&["chat"], args, &SHORT[..]].concat())
}

fn chat_command(home: &Home, args: &[&str]) -> Command {
    home.command(&[&["chat"], args, &SHORT[..]].concat())
}

fn prompt_tokens(ran: &Ran) -> u64 {
    ran.json()["usage"]["prompt_tokens"].as_u64().unwrap()
}

#[test]
fn the_answer_is_on_stdout_and_what_is_about_it_on_stderr() {
    let home = Home::new();
    let ran = chat(&home, &["hello", "there"]);
    assert!(ran.ok().ends_with('\n'));
    assert!(ran.stderr.contains("8 out"), "{ran:#?}");
    assert!(ran.stderr.contains("cut off after 8 tokens (--max-tokens)"), "{ran:#?}");
    assert!(!ran.stderr.contains('\x1b'), "{ran:#?}");
    let quiet = chat(&home, &["hello", "there", "--quiet"]);
    assert_eq!((quiet.ok(), quiet.stderr.as_str()), (ran.stdout.as_str(), ""));
    let whole = chat(&home, &["hello", "there", "--no-stream"]);
    assert_eq!(whole.ok(), ran.stdout);
    let zh = chat(&home, &["hello", "there", "--lang", "zh"]);
    assert_eq!(zh.ok(), ran.stdout);
    assert!(zh.stderr.contains("输出 8 token"), "{zh:#?}");
}

#[test]
fn json_is_one_record_with_the_same_text() {
    let home = Home::new();
    let text = chat(&home, &["hello", "--quiet"]).stdout;
    let ran = chat(&home, &["hello", "--json", "--no-stream", "--seed", "1234"]);
    assert_eq!(ran.stdout.lines().count(), 1);
    let record = ran.json();
    assert_eq!(record["text"].as_str().unwrap().trim_end_matches('\n'), text.trim_end_matches('\n'));
    assert_eq!(record["model"], "tiny");
    assert_eq!(record["finish_reason"], "length");
    assert_eq!(record["seed"], 1234);
    assert_eq!(record["usage"]["completion_tokens"], 8);
    let total = record["usage"]["prompt_tokens"].as_u64().unwrap() + 8;
    assert_eq!(record["usage"]["total_tokens"], total);
    for name in ["load_ms", "queued_ms", "prefill_ms", "decode_ms", "ttft_ms", "total_ms", "tokens_per_second"] {
        assert!(record["timings"][name].is_number(), "{name}: {record}");
    }
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let home = Home::new();
    let of = |seed: &str| chat(&home, &["hello", "--temperature", "1.9", "--seed", seed, "--quiet"]).ok().to_owned();
    assert_eq!(of("7"), of("7"));
    assert_ne!(of("7"), of("8"));
}

#[test]
fn text_on_stdin_is_added_to_the_prompt() {
    let home = Home::new();
    let both = feed(chat_command(&home, &["summarise", "--json", "--no-stream"]), "one\ntwo\n".as_bytes());
    let typed = chat(&home, &["summarise\n\none\ntwo", "--json", "--no-stream"]);
    assert_eq!(both.json()["text"], typed.json()["text"]);
    assert_eq!(prompt_tokens(&both), prompt_tokens(&typed));
    let piped = feed(chat_command(&home, &["--json", "--no-stream"]), "\u{feff}你好\r\n".as_bytes());
    let dash = feed(chat_command(&home, &["-", "--json", "--no-stream"]), "你好".as_bytes());
    assert_eq!(prompt_tokens(&piped), prompt_tokens(&dash));
    assert_eq!(prompt_tokens(&piped), prompt_tokens(&chat(&home, &["你好", "--json", "--no-stream"])));
}

#[test]
fn a_pipe_that_stays_open_is_said_to_be_waited_for() {
    let home = Home::new();
    let mut child = chat_command(&home, &["summarise"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("waiting for text on stdin"), "{said}");
    child.stdin.take().unwrap().write_all(b"late").unwrap();
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, Some(0));
}

#[test]
fn what_cannot_be_asked_is_refused_before_the_model_is_looked_for() {
    let home = Home::new();
    let of = |args: &[&str], input: &[u8]| feed(home.command(&[&["chat", "--model", "gpt-9"], args].concat()), input);
    of(&[], b"").fails(2, &["the prompt is empty"]);
    of(&[" \t"], b"\n").fails(2, &["the prompt is empty"]);
    of(&["x"], &[b'a', b'b', 0xc4, 0xe3]).fails(2, &["stdin is not UTF-8 text: byte 2 (0xc4)", "iconv -f GB18030"]);
    of(&["x"], &[0xff, 0xfe, b'a', 0]).fails(2, &["byte 0 (0xff)", "iconv -f UTF-16"]);
}

#[test]
fn a_prompt_longer_than_the_context_is_exit_4_with_both_numbers() {
    let home = Home::new();
    let long = "word ".repeat(2000);
    let ran = feed(chat_command(&home, &[]), long.as_bytes());
    ran.fails(4, &["the prompt has ", " tokens, more than the 511 that the model takes"]);
    let ran = feed(chat_command(&home, &["--lang", "zh"]), long.as_bytes());
    ran.fails(4, &["超过模型上限 511 个"]);
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_part_of_it() {
    let home = Home::new();
    let whole = chat(&home, &["hello", "--json", "--no-stream"]).json()["text"].as_str().unwrap().to_owned();
    let stop: String = whole.chars().skip(2).take(3).collect();
    let record = chat(&home, &["hello", "--json", "--no-stream", "--stop", "never said", "--stop", &stop]).json();
    assert_eq!(record["finish_reason"], "stop");
    let text = record["text"].as_str().unwrap();
    assert_eq!(text, &whole[..whole.find(&stop).unwrap()]);
}

#[test]
fn a_reader_who_left_ends_the_answer_quietly() {
    let home = Home::new();
    for args in [&["hello"][..], &["hello", "--json"], &["hello", "--no-stream"]] {
        let mut command = chat_command(&home, args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = feed(
            {
                command.stdout(writer);
                command
            },
            b"",
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(141), ""), "{args:?}");
    }
}

#[test]
fn without_a_prompt_and_a_terminal_it_says_how_to_ask() {
    let home = Home::new();
    // `--json` is one record for one question, so there is no conversation even on a terminal.
    chat(&home, &["--json"]).fails(2, &["the prompt is empty"]);
}
