//! The matrix of the dialects: every case of the corpus as it is read, checked, and written in either
//! dialect, beside the case in a file `.snap`. `UPDATE=1` writes these files.

mod chat;
mod others;
mod written;

use std::{fs, path::PathBuf};

use qwenda_types::{Dialect, error::ApiError};
use serde_json::Value;

use crate::cases::{self, Case};

/// The id of every request of the corpus.
const REQUEST_ID: &str = "11111111-2222-9333-8444-555555555555";

#[test]
fn every_case_of_the_corpus_converts_as_its_snapshot_says() {
    let cases = cases::all();
    let mut wrong = Vec::new();
    for case in &cases {
        let found = snapshot(case);
        let path = path(&case.name);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, found).expect("snapshots can be written");
            continue;
        }
        let known = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        if known != found {
            let at = known.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
            let line = |text: &str| text.lines().nth(at).unwrap_or("the end").to_owned();
            wrong.push(format!("{} line {}:\n- {}\n+ {}", case.name, at + 1, line(&known), line(&found)));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} snapshots differ; UPDATE=1 accepts them", wrong.join("\n"), wrong.len());
    assert!(cases.len() >= 60, "{} cases are few", cases.len());
}

#[test]
fn every_snapshot_is_of_a_case() {
    let cases = cases::all();
    let snapshots = cases::files_ending("snap");
    for path in &snapshots {
        assert!(cases.iter().any(|case| self::path(&case.name) == *path), "{} has no case", path.display());
    }
}

fn path(name: &str) -> PathBuf {
    cases::root().join(format!("{name}.snap"))
}

fn snapshot(case: &Case) -> String {
    let folder = case.name.split('/').next().unwrap_or_default();
    match folder {
        "completions" => others::completions(case),
        "embeddings" => others::embeddings(case),
        "rerank" => others::rerank(case),
        "tokenizer" => others::tokenizer(case),
        "errors" => others::errors(case),
        _ => chat::chat(case),
    }
}

/// What a caller of this dialect reads who is refused.
fn refusal(error: impl Into<ApiError>, dialect: Dialect) -> String {
    let error = error.into();
    format!("{} {}: {}", error.status_in(dialect), error.name_in(dialect), error.message_in(dialect))
}

fn object(text: &str, case: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{case}: {error}: {text}"))
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Compat => "compat",
        Dialect::Native => "native",
    }
}
