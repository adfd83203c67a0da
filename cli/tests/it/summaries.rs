//! What outgrows the context is summarised: what is sent then, what is kept, and what is said of it.

use serde_json::{Value, json};

use crate::{
    asks::{Asks, answer},
    common::Ran,
};

/// About 630 tokens, of the 1500 that a prompt may have below.
fn question(number: u32) -> String {
    format!("{number} {}", "word ".repeat(500))
}

fn ask(asks: &Asks, number: u32, more: &[&str]) -> Ran {
    let question = question(number);
    let args = [&[question.trim_end(), "--session", "long", "--context", "2000"], more].concat();
    asks.run(&args)
}

fn sent(asks: &Asks, request: usize) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().chars().take(60).collect::<String>();
    let messages = asks.asked()[request].body["messages"].as_array().unwrap().clone();
    messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

/// Two questions that fit, and what comes of the third.
fn third(asks: &Asks, summary: &str, more: &[&str]) -> Ran {
    for text in ["one", "two", summary, "three"] {
        asks.reply(answer("", &[text]));
    }
    ask(asks, 1, more).ok();
    ask(asks, 2, more).ok();
    ask(asks, 3, more)
}

#[test]
fn what_outgrows_the_context_is_summarised_once_and_kept() {
    let asks = Asks::new();
    let ran = third(&asks, "Facts: it is one and two.", &["--summarize=qwen-turbo"]);
    assert_eq!(ran.ok(), "three\n");
    assert!(ran.stderr.contains("the 2 oldest turn(s) are a summary by qwen-turbo from now on"), "{ran:#?}");
    // The summary is counted among the rest: four calls of 1000 and 500 each.
    assert!(ran.stderr.contains("[so far 4000 in, 2000 out, "), "{ran:#?}");
    assert_eq!(asks.asked()[2].body["model"], "qwen-turbo");
    assert!(asks.asked()[2].body["messages"][1]["content"].as_str().unwrap().contains("user: 2 word"));
    let now = sent(&asks, 3);
    assert_eq!(now.len(), 2);
    assert_eq!(now[0].0, "system");
    assert!(now[0].1.ends_with("\nFacts: it is one and two"), "{now:?}");
    assert!(now[1].1.starts_with("3 word"), "{now:?}");
    // Another process goes on from there, and asks for no other summary while there is room.
    asks.reply(answer("", &["four"]));
    let ran = ask(&asks, 4, &["--summarize"]);
    assert_eq!(ran.ok(), "four\n");
    assert_eq!(sent(&asks, 4).len(), 4);
    assert!(ran.stderr.contains("[so far 5000 in, 2500 out, "), "{ran:#?}");
    // All that was said is still there.
    let shown = asks.home.run(&["sessions", "show", "long", "--json"]).json();
    assert_eq!(shown["turns"].as_array().unwrap().len(), 4);
    assert_eq!(shown["messages"].as_array().unwrap().len(), 8);
}

#[test]
fn a_summary_that_is_none_is_not_used_and_the_answer_comes_all_the_same() {
    let asks = Asks::new();
    let ran = third(&asks, " ", &["--summarize"]);
    assert_eq!(ran.ok(), "three\n");
    assert!(ran.stderr.contains("there is no summary of what is left out"), "{ran:#?}");
    assert!(ran.stderr.contains("its 2 oldest turn(s) are left out from now on"), "{ran:#?}");
    assert_eq!(asks.asked()[2].body["model"], "qwen-plus");
    assert_eq!(sent(&asks, 3).len(), 1);
}

#[test]
fn nothing_is_summarised_unless_it_is_wanted() {
    let asks = Asks::new();
    let ran = third(&asks, "not a summary", &[]);
    assert_eq!(ran.ok(), "not a summary\n");
    assert!(ran.stderr.contains("are left out from now on"), "{ran:#?}");
    let config = asks.home.path().join("qwenda.toml");
    std::fs::write(&config, "[chat]\nsummarize = \"qwen-flash\"\n").unwrap();
    asks.reply(answer("", &["In short."]));
    asks.reply(answer("", &["four"]));
    ask(&asks, 4, &[]).ok();
    assert_eq!(asks.asked()[3].body["model"], "qwen-flash");
    assert_eq!(asks.asked()[3].body["enable_thinking"], json!(false));
}
