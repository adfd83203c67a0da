//! Losses add up, and say where they cannot be had. How right they are is asked in `engine`.

use crate::common::Home;

#[test]
fn every_token_but_the_first_has_a_loss_and_they_add_up() {
    let home = Home::new();
    let text = "the engine reads 你好";
    let record = home.run(&["score", text, "--model", "tiny.gguf", "--json"]).json();
    let tokens = record["tokens"].as_array().unwrap();
    let counted = home.run(&["tokens", text, "--model", "tiny.gguf", "--ids"]);
    let ids: Vec<String> = tokens.iter().map(|token| token["id"].to_string()).collect();
    assert_eq!(ids.join(" "), counted.ok().trim_end());
    assert!(tokens[0]["nll"].is_null());
    let losses: Vec<f64> = tokens[1..].iter().map(|token| token["nll"].as_f64().unwrap()).collect();
    let sum: f64 = losses.iter().sum();
    let mean = sum / losses.len() as f64;
    let close = |value: &serde_json::Value, want: f64| (value.as_f64().unwrap() - want).abs() < 1e-4 * want.abs();
    assert!(close(&record["nll_sum"], sum) && close(&record["nll_mean"], mean), "{record}");
    assert!(close(&record["perplexity"], mean.exp()), "{record}");
    assert_eq!(record["model"], "tiny");
}

#[test]
fn without_json_it_is_one_line_that_can_be_read() {
    let home = Home::new();
    let ran = home.run(&["score", "the engine", "--model", "tiny.gguf"]);
    assert_eq!(ran.ok().lines().count(), 1);
    assert!(ran.ok().contains("perplexity"));
    assert!(home.run(&["score", "the engine", "--model", "tiny.gguf", "--lang", "zh"]).ok().contains("困惑度"));
}

#[test]
fn a_text_of_one_token_has_no_loss_and_an_empty_one_cannot_be_scored() {
    let home = Home::new();
    let record = home.run(&["score", "<|im_start|>", "--model", "tiny.gguf", "--json"]).json();
    assert_eq!(record["tokens"].as_array().unwrap().len(), 1);
    assert!(record["perplexity"].is_null() && record["nll_mean"].is_null());
    home.run(&["score", "", "--model", "tiny.gguf"]).fails(2, &["the text is empty"]);
}

#[test]
fn a_text_longer_than_the_context_is_exit_4_with_both_numbers() {
    let home = Home::new();
    let ran = home.feed(&["score", "--model", "tiny.gguf"], "<|im_start|>".repeat(513).as_bytes());
    ran.fails(4, &["the text has 513 tokens, more than the 512 that the model takes"]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let home = Home::new();
    let of = |threads| {
        home.run(&["score", "the engine reads", "--model", "tiny.gguf", "--json", "--threads", threads]).json()
    };
    assert_eq!(of("1"), of("2"));
}
