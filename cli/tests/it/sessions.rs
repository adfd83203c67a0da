//! Conversations that are kept: gone on with, looked at, branched, and safe when something is killed.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    asks::{Asks, answer},
    common::Ran,
};

fn sent(asks: &Asks, request: usize) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = asks.asked()[request].body["messages"].as_array().unwrap().clone();
    messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn pairs(said: &[(&str, &str)]) -> Vec<(String, String)> {
    said.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

fn talk() -> Asks {
    let asks = Asks::new();
    for text in ["Hello, Ada.", "You are Ada.", "In London."] {
        asks.reply(answer("", &[text]));
    }
    asks.run(&["I am Ada.", "--session", "work", "--system", "be brief"]).ok();
    asks.run(&["Who am I?", "--session", "work"]).ok();
    asks
}

#[test]
fn a_session_goes_on_by_its_name_or_as_the_last_one() {
    let asks = talk();
    let before = [("system", "be brief"), ("user", "I am Ada."), ("assistant", "Hello, Ada."), ("user", "Who am I?")];
    assert_eq!(sent(&asks, 1), pairs(&before));
    asks.run(&["-c", "Where was I born?"]).ok();
    assert_eq!(sent(&asks, 2).len(), 6);
    let shown = asks.home.run(&["sessions", "show", "work"]);
    assert!(shown.ok().ends_with("## Me\n\nWhere was I born?\n\n## Model\n\nIn London.\n"), "{shown:#?}");
    let list = asks.home.run(&["sessions", "list", "--json"]).json();
    let one = &list["sessions"][0];
    assert_eq!((&one["name"], &one["turns"], &one["first"]), (&json!("work"), &json!(3), &json!("I am Ada.")));
    let list = asks.home.run(&["sessions", "list"]);
    assert!(list.ok().contains("I am Ada."), "{list:#?}");
}

#[test]
fn sessions_are_searched_branched_exported_and_deleted() {
    let asks = talk();
    let home = &asks.home;
    let hit = home.run(&["sessions", "search", "ADA", "you"]);
    assert_eq!(hit.ok(), "work:2: You are Ada.\n");
    assert_eq!(home.run(&["sessions", "search", "nowhere", "--json"]).json(), json!({"hits": []}));
    home.run(&["sessions", "branch", "work", "other", "--turns", "1"]).ok();
    home.run(&["sessions", "branch", "work", "other"]).fails(1, &["there is a session `other` already"]);
    asks.run(&["Who now?", "--session", "other"]).ok();
    let said = [("system", "be brief"), ("user", "I am Ada."), ("assistant", "Hello, Ada."), ("user", "Who now?")];
    assert_eq!(sent(&asks, 2), pairs(&said));
    let json = home.run(&["sessions", "export", "work", "--format", "json"]).json();
    assert_eq!(json["messages"][0], json!({"role": "system", "content": "be brief"}));
    assert_eq!(json["turns"].as_array().unwrap().len(), 2);
    home.run(&["sessions", "export", "work", "-o", "work.md"]).ok();
    home.run(&["sessions", "export", "work", "-o", "work.md"]).fails(1, &["work.md exists"]);
    // What is exported is what `tokens --chat` reads.
    home.run(&["sessions", "export", "work", "-f", "json", "-o", "work.json"]).ok();
    let count = home.run(&["tokens", "--model", "tiny.gguf", "--chat", "work.json"]);
    assert!(count.ok().trim().parse::<u32>().unwrap() > 10);
    home.run(&["sessions", "delete", "work", "nobody"]).fails(2, &["there is no session `nobody`"]);
    home.run(&["sessions", "delete", "work", "other"]).ok();
    assert_eq!(home.run(&["sessions", "list", "--json"]).json(), json!({"sessions": []}));
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_asked() {
    let asks = Asks::new();
    for name in ["../etc", "", "a/b", "-"] {
        let arg = format!("--session={name}");
        asks.run(&["hi", &arg]).fails(2, &["is no name for a session"]);
    }
    asks.run(&["-c", "hi"]).fails(2, &["there is no session yet"]);
    asks.home.run(&["sessions", "show", "gone"]).fails(2, &["there is no session `gone`"]);
    assert!(asks.asked().is_empty());
}

#[test]
fn a_question_without_an_answer_is_not_kept() {
    let asks = talk();
    let ran = asks.run(&["And now?", "--session", "work"]);
    ran.ok();
    let ran = asks.run(&["Too much", "--session", "work", "--quiet"]);
    assert_ne!(ran.code, Some(0));
    assert_eq!(asks.home.run(&["sessions", "list", "--json"]).json()["sessions"][0]["turns"], 3);
}

#[test]
fn two_programs_hold_one_conversation() {
    let asks = Asks::new();
    for _ in 0..8 {
        asks.reply(answer("", &["yes"]));
    }
    let ask = |n: usize| {
        let mut command = asks.home.command(&["chat", &format!("question {n}"), "--session", "both"]);
        command.envs(asks.env()).stdin(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = (0..8).map(ask).collect();
    for child in running {
        Ran::of(child.wait_with_output().unwrap()).ok();
    }
    let shown = asks.home.run(&["sessions", "show", "both", "--json"]).json();
    let mut asked: Vec<&str> = shown["turns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["messages"][0]["content"].as_str().unwrap())
        .collect();
    asked.sort_unstable();
    assert_eq!(asked, (0..8).map(|n| format!("question {n}")).collect::<Vec<_>>());
}
