//! What goes along with a prompt: files, folders, addresses; and prompts and roles with a name.

use std::fs;

use qwenda_testkit::Reply;
use serde_json::{Value, json};

use crate::{
    asks::{Asks, answer},
    common::{Ran, feed},
};

/// What was asked last, as it was sent.
fn asked(asks: &Asks) -> Value {
    let asked = asks.asked();
    let messages = asked.last().unwrap().body["messages"].as_array().unwrap().clone();
    messages.last().unwrap()["content"].clone()
}

fn asks() -> Asks {
    let asks = Asks::new();
    let home = asks.home.path();
    fs::create_dir(home.join("src")).unwrap();
    fs::write(home.join("src/a.rs"), "fn a() {}\n").unwrap();
    fs::write(home.join("src/b.rs"), "fn b() {}").unwrap();
    fs::write(home.join("图.png"), b"\x89PNG\r\n\x1a\n\0").unwrap();
    fs::write(home.join("a.bin"), b"a\0b").unwrap();
    asks
}

#[test]
fn files_and_folders_go_along_with_the_prompt() {
    let asks = asks();
    for _ in 0..4 {
        asks.reply(answer("", &["yes"]));
    }
    asks.run(&["what?", "-f", "src/a.rs"]).ok();
    assert_eq!(asked(&asks), "<file name=\"src/a.rs\">\nfn a() {}\n</file>\n\nwhat?");
    asks.run(&["what does @src/b.rs do?"]).ok();
    assert_eq!(asked(&asks), "<file name=\"src/b.rs\">\nfn b() {}\n</file>\n\nwhat does @src/b.rs do?");
    asks.run(&["-f", "src", "review"]).ok();
    let text = asked(&asks).as_str().unwrap().to_owned();
    assert!(text.find("src/a.rs").unwrap() < text.find("src/b.rs").unwrap() && text.ends_with("review"), "{text}");
    let ran = asks.run(&["what is on it?", "-f", "图.png", "@no/such.rs"]);
    ran.ok();
    assert!(ran.stderr.contains("there is no file no/such.rs"), "{ran:#?}");
    let parts = asked(&asks);
    assert_eq!(parts[0]["type"], "image_url");
    assert_eq!(parts[1]["text"], "what is on it? @no/such.rs");
}

#[test]
fn what_cannot_go_along_is_refused_before_anything_is_asked() {
    let asks = asks();
    asks.run(&["x", "-f", "a.bin"]).fails(2, &["a.bin is neither UTF-8 text nor an image"]);
    asks.run(&["x", "-f", "gone"]).fails(2, &["cannot read gone"]);
    asks.run(&["x", "-f", "a.bin", "--lang", "zh"]).fails(2, &["既不是 UTF-8 文本"]);
    fs::write(asks.home.path().join("large.txt"), "a".repeat(5 << 20)).unwrap();
    asks.run(&["x", "-f", "large.txt"]).fails(4, &["large.txt is larger than 4 MiB"]);
    // What stdin says is text: it names no files.
    asks.reply(answer("", &["yes"]));
    let mut command = asks.home.command(&["chat"]);
    command.envs(asks.env());
    feed(command, b"look at @src/a.rs").ok();
    assert_eq!(asked(&asks), "look at @src/a.rs");
    assert_eq!(asks.asked().len(), 1);
}

#[test]
fn a_page_goes_along_as_its_text() {
    let (asks, web) = (asks(), Asks::new());
    web.reply(Reply::new(200, "text/html; charset=utf-8", "<html><head><title>T</title></head><p>One &amp; two</p>"));
    web.reply(Reply::new(404, "text/html", "no"));
    asks.reply(answer("", &["yes"]));
    let url = web.url();
    asks.run(&["what?", "-f", &url]).ok();
    assert_eq!(asked(&asks), format!("<file name=\"{url}\">\n# T\n\nOne & two\n</file>\n\nwhat?"));
    asks.run(&["what?", "-f", &url]).fails(9, &["cannot fetch", "HTTP 404"]);
}

#[test]
fn a_template_asks_with_the_text_in_it_and_names_what_is_missing() {
    let asks = asks();
    for _ in 0..5 {
        asks.reply(answer("", &["yes"]));
    }
    asks.run(&["-T", "translate", "-v", "to=French", "Good morning"]).ok();
    let text = asked(&asks).as_str().unwrap().to_owned();
    assert!(text.contains("into French") && text.ends_with("\n\nGood morning"), "{text}");
    asks.run(&["-T", "translate", "--lang", "zh", "-f", "src/a.rs"]).ok();
    let text = asked(&asks).as_str().unwrap().to_owned();
    assert!(text.contains("翻译成中文") && text.contains("fn a() {}"), "{text}");
    asks.run(&["-T", "review"]).fails(2, &["template `review` wants a text"]);
    asks.run(&["-T", "nothing", "x"]).fails(2, &["no template or role `nothing`", "there are "]);
    asks.run(&["-T", "teacher", "x"]).fails(2, &["`teacher` asks nothing"]);
    asks.run(&["-r", "review", "x"]).fails(2, &["`review` has no instructions"]);
    asks.run(&["-T", "review", "-v", "x", "y"]).fails(2, &["`x` is no NAME=VALUE"]);
    let own = asks.home.path().join("templates");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("letter.toml"), "system = \"be {{ tone }}\"\nprompt = \"To {{ who }}: {{ input }}\"\n").unwrap();
    asks.run(&["-T", "letter", "hi", "-v", "tone=kind"])
        .fails(2, &["template `letter` wants a value for `who`: -v who="]);
    asks.run(&["-T", "letter", "hi", "-v", "tone=kind", "-v", "who=Ada"]).ok();
    let said = json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "To Ada: hi"}]);
    assert_eq!(asks.asked().last().unwrap().body["messages"], said);
    asks.run(&["-r", "teacher", "why?"]).ok();
    assert!(asks.asked().last().unwrap().body["messages"][0]["content"].as_str().unwrap().contains("patient teacher"));
    asks.run(&["-r", "teacher", "-s", "be brief", "why?"]).ok();
    assert_eq!(asks.asked().last().unwrap().body["messages"][0]["content"], "be brief");
    fs::write(own.join("broken.toml"), "promt = 1\n").unwrap();
    asks.run(&["-T", "letter", "hi"]).fails(2, &["broken.toml", "promt"]);
}

#[test]
fn templates_are_listed_and_shown_in_the_persons_language() {
    let asks = Asks::new();
    let list = asks.home.run(&["templates", "list"]);
    for name in ["summarize", "translate", "polish", "explain", "review", "extract", "sentiment"] {
        assert!(list.ok().contains(name), "{list:#?}");
    }
    assert!(asks.home.run(&["templates", "list", "--lang", "zh"]).ok().contains("润色文本"));
    let json = asks.home.run(&["templates", "list", "--json"]).json();
    let translate =
        json["templates"].as_array().unwrap().iter().find(|one| one["name"] == "translate").unwrap().clone();
    assert_eq!(
        translate["variables"],
        json!([{"name": "input", "default": null}, {"name": "to", "default": "English"}])
    );
    // What is shown is a file of one's own.
    let shown = asks.home.run(&["templates", "show", "translate"]);
    let own = asks.home.path().join("templates");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("mine.toml"), shown.ok()).unwrap();
    assert_eq!(asks.home.run(&["templates", "show", "mine"]).ok(), shown.stdout);
    let _: Ran = asks.home.run(&["templates", "show", "nothing"]);
}
