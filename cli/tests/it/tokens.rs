//! Counting, with a tiny model's vocabulary; the golden cases are in `real.rs`.

use serde_json::json;

use crate::common::{Home, Ran};

fn tokens(home: &Home, args: &[&str]) -> Ran {
    home.run(&[&["tokens", "--model", "tiny.gguf"], args].concat())
}

fn ids(ran: &Ran) -> Vec<u32> {
    ran.ok().split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn the_count_is_alone_on_stdout_and_equals_the_ids() {
    let home = Home::new();
    let count: usize = tokens(&home, &["the engine reads 你好"]).ok().trim_end().parse().unwrap();
    assert!(count > 1);
    assert_eq!(ids(&tokens(&home, &["the engine reads 你好", "--ids"])).len(), count);
    let record = tokens(&home, &["the engine reads 你好", "--json"]).json();
    assert_eq!(record["model"], "tiny");
    assert_eq!(record["count"], count);
    assert_eq!(record["ids"].as_array().unwrap().len(), count);
    assert_eq!(tokens(&home, &["x"]).stderr, "");
    assert_eq!(tokens(&home, &[""]).ok(), "0\n");
}

#[test]
fn a_text_comes_from_the_command_line_a_file_or_stdin() {
    let home = Home::new();
    std::fs::write(home.path().join("a.txt"), "the engine\n").unwrap();
    let want = ids(&tokens(&home, &["the engine\n", "--ids"]));
    assert_eq!(ids(&tokens(&home, &["@a.txt", "--ids"])), want);
    for args in [&["-", "--ids"][..], &["--ids"]] {
        let ran = home.feed(&[&["tokens", "--model", "tiny.gguf"], args].concat(), b"the engine\n");
        assert_eq!(ids(&ran), want);
    }
    assert_eq!(ids(&tokens(&home, &["@@home", "--ids"])), ids(&tokens(&home, &["--ids", "--", "@@home"])));
    assert_ne!(ids(&tokens(&home, &["@@home", "--ids"])), ids(&tokens(&home, &["home", "--ids"])));
    tokens(&home, &["@no.txt"]).fails(2, &["cannot read no.txt"]);
    home.feed(&["tokens", "--model", "tiny.gguf", "-"], &[b'a', 0xff]).fails(2, &["byte 1 (0xff)"]);
}

#[test]
fn a_conversation_is_counted_and_rendered_as_the_model_gets_it() {
    let home = Home::new();
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "你好"}]);
    std::fs::write(home.path().join("m.json"), messages.to_string()).unwrap();
    let rendered = tokens(&home, &["--chat", "m.json", "--render"]);
    assert_eq!(
        rendered.ok(),
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    );
    let count = tokens(&home, &["--chat", "m.json"]);
    assert_eq!(count.ok(), tokens(&home, &[rendered.ok()]).ok());
    let record = tokens(&home, &["--chat", "m.json", "--json"]).json();
    assert_eq!(record["prompt"], rendered.stdout);
    assert_eq!(record["count"].to_string(), count.stdout.trim_end());
    // What `/save` writes and what an API takes is an object with the messages in it.
    std::fs::write(home.path().join("o.json"), json!({"model": "x", "messages": messages}).to_string()).unwrap();
    assert_eq!(tokens(&home, &["--chat", "o.json"]).ok(), count.ok());
    let piped = home.feed(&["tokens", "--model", "tiny.gguf", "--chat", "-"], messages.to_string().as_bytes());
    assert_eq!(piped.ok(), count.ok());
    // The prompt that is counted is the prompt that is answered.
    let chat =
        ["chat", "你好", "--system", "be brief", "--model", "tiny.gguf", "--max-tokens", "1", "--json", "--no-stream"];
    assert_eq!(home.run(&chat).json()["usage"]["prompt_tokens"], record["count"]);
}

#[test]
fn tools_are_part_of_the_prompt() {
    let home = Home::new();
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
    std::fs::write(home.path().join("m.json"), json!([{"role": "user", "content": "?"}]).to_string()).unwrap();
    std::fs::write(home.path().join("t.json"), json!([tool]).to_string()).unwrap();
    let ran = tokens(&home, &["--chat", "m.json", "--tools", "t.json", "--render"]);
    assert!(ran.ok().contains(r#"{"type": "function", "function": {"name": "weather""#), "{ran:#?}");
}

#[test]
fn a_file_of_messages_that_is_not_one_is_refused_by_name() {
    let home = Home::new();
    for (text, said) in [
        ("[", "m.json"),
        ("[]", "at least one"),
        ("3", "m.json"),
        (r#"[{"role": "user"}]"#, "content"),
        (r#"[{"role": "wizard", "content": ""}]"#, "wizard"),
    ] {
        std::fs::write(home.path().join("m.json"), text).unwrap();
        tokens(&home, &["--chat", "m.json"]).fails(2, &[said]);
    }
    tokens(&home, &["--chat", "no.json"]).fails(2, &["cannot read no.json"]);
}
