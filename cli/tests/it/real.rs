//! With the real 0.5B model: the golden cases through the command line, one answer that makes sense,
//! and the service from start to drain.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use qwenda_backend::models::Store;
use serde_json::{Value, json};

use crate::common::Home;

const NAME: &str = "qwen2.5-coder-0.5b-instruct";

/// The model, fetched by the first test that runs and kept for all. Its file is used by path: a home
/// of one's own has no other models.
fn model() -> PathBuf {
    qwenda_testkit::model(NAME)
}

/// A home of its own, but for the packed weights: packing half a gigabyte once is enough.
fn home() -> Home {
    let home = Home::new();
    let cache = Store::from_env().cache_dir();
    std::fs::create_dir_all(&cache).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(std::path::absolute(cache).unwrap(), home.path().join("cache")).unwrap();
    home
}

/// A file of golden data, from this crate or from the one it belongs to most.
fn golden(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn all_golden_texts_have_the_reference_ids() {
    let home = home();
    let model = model();
    let cases = golden("../tokenizer/tests/golden/tokens.json")["cases"].as_array().unwrap().clone();
    assert!(cases.len() > 50);
    // One process per case would read the vocabulary each time; every tenth goes through the command
    // line, and `tokenizer` has them all.
    for case in cases.iter().step_by(10) {
        let args = ["tokens", "--json", "--model", model.to_str().unwrap(), "-"];
        let text = case["text"].as_str().unwrap();
        let record = home.feed(&args, text.as_bytes()).json();
        assert_eq!(record["ids"], case["ids"], "{text:?}");
        assert_eq!(record["model"], NAME);
    }
}

#[test]
fn all_golden_conversations_are_rendered_to_the_byte() {
    let home = home();
    let model = model();
    for (n, case) in golden("tests/golden/templates.json")["cases"].as_array().unwrap().iter().enumerate() {
        std::fs::write(home.path().join("m.json"), case["messages"].to_string()).unwrap();
        let mut args = vec!["tokens", "--model", model.to_str().unwrap(), "--chat", "m.json", "--render"];
        if !case["tools"].is_null() {
            std::fs::write(home.path().join("t.json"), case["tools"].to_string()).unwrap();
            args.extend(["--tools", "t.json"]);
        }
        assert_eq!(home.run(&args).ok(), case["text"].as_str().unwrap(), "case {n}");
    }
}

#[test]
fn a_question_is_answered_with_sense() {
    let home = home();
    let model = model();
    let args = [
        "chat",
        "What is the capital of France? Answer with one word.",
        "--temperature",
        "0",
        "--max-tokens",
        "16",
        "--json",
        "--no-stream",
        "--model",
        model.to_str().unwrap(),
    ];
    let record = home.run(&args).json();
    assert!(record["text"].as_str().unwrap().contains("Paris"), "{record}");
    assert_eq!(record["finish_reason"], "stop");
    assert_eq!(record["model"], NAME);
}

#[test]
fn a_likely_text_scores_better_than_the_same_words_in_disorder() {
    let home = home();
    let model = model();
    let of = |text: &str| {
        let record = home.run(&["score", text, "--json", "--model", model.to_str().unwrap()]).json();
        record["perplexity"].as_f64().unwrap()
    };
    let likely = of("The quick brown fox jumps over the lazy dog.");
    let unlikely = of("Lazy the fox over quick dog jumps brown the.");
    assert!(likely * 5.0 < unlikely, "{likely} {unlikely}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_answer_with_130_and_keeps_what_was_printed() {
    let home = home();
    let model = model();
    let args =
        ["chat", "Write a very long story about the sea.", "--max-tokens", "8000", "--model", model.to_str().unwrap()];
    let mut child = home.command(&args).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0];
    stdout.read_exact(&mut first).unwrap();
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let ran = crate::common::Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:#?}");
    assert!(rest.ends_with(b"\n"), "a shell's prompt begins on a line of its own");
}

#[cfg(unix)]
#[test]
fn a_service_from_start_to_drain() {
    use crate::serve::{events, key, serve};
    let home = home();
    let model = model();
    let key = key(&home);
    let mut service = serve(&home, &["--model", model.to_str().unwrap()]);
    let ask = |stream: bool, most: u32, text: &str| {
        json!({
            "model": NAME,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": most,
            "stream": stream,
        })
    };
    let (status, body) = service.chat(&key, &ask(false, 32, "What is 2 + 3? Answer with the number."));
    assert_eq!(status, 200, "{body}");
    let whole: Value = serde_json::from_str(&body).unwrap();
    assert!(whole["choices"][0]["message"]["content"].as_str().unwrap().contains('5'), "{body}");
    let body = ask(true, 32, "What is 2 + 3? Answer with the number.").to_string();
    let (status, body) = service.request("POST", "/compatible-mode/v1/chat/completions", &key, &body);
    assert_eq!(status, 200, "{body}");
    let streamed: String = events(&body)
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(whole["choices"][0]["message"]["content"], streamed);

    // Somebody asks for a story and hangs up: the engine is free for the next one, who would otherwise
    // wait for thousands of tokens.
    let story = ask(true, 8000, "Write a very long story about the sea.").to_string();
    let mut caller = service.send("POST", "/v1/chat/completions", &key, &story);
    let mut first = [0; 64];
    caller.read_exact(&mut first).unwrap();
    drop(caller);
    assert_eq!(service.chat(&key, &ask(false, 1, "hello")).0, 200);

    // A request that is under way when the service is asked to end is answered to its end.
    let mut caller =
        service.send("POST", "/v1/chat/completions", &key, &ask(true, 48, "Count from 1 to 10.").to_string());
    caller.read_exact(&mut first).unwrap();
    service.signal("TERM");
    service.says("finishing the open requests");
    let mut rest = String::new();
    caller.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
    assert_eq!(service.ends().0, Some(0));
}
