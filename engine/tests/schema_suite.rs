//! The official JSON Schema test suite against our grammars: what a schema refuses must be
//! impossible to generate, and what it allows should be possible.
//!
//! `cargo xtask test` fetches the suite and names its folder in `QWENDA_SCHEMA_SUITE`; without
//! that, these tests say so and pass.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that reports its figures")]

mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use common::ModelFile;
use qwenda_engine::{Engine, EngineOptions};
use qwenda_testkit::TinyModel;
use serde_json::Value;

/// What became of the suite's cases.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// Schemas that are refused, by the first words of the reason.
    refused: BTreeMap<String, u32>,
    schemas: u32,
    /// Cases whose instance is not valid and cannot be generated.
    sound: u32,
    /// The others.
    unsound: Vec<String>,
    /// Cases whose instance is valid and can be generated.
    complete: u32,
    incomplete: Vec<String>,
}

impl Tally {
    fn file(&mut self, engine: &Engine, name: &str, groups: &Value) {
        for group in groups.as_array().unwrap() {
            let title = format!("{name}: {}", group["description"].as_str().unwrap());
            self.schemas += 1;
            let grammar = match engine.json_schema(&group["schema"]) {
                Ok(grammar) => grammar,
                Err(error) => {
                    let reason: Vec<_> = error.to_string().split_whitespace().take(4).map(str::to_owned).collect();
                    *self.refused.entry(reason.join(" ")).or_default() += 1;
                    continue;
                }
            };
            for case in group["tests"].as_array().unwrap() {
                let title = format!("{title}: {}", case["description"].as_str().unwrap());
                let accepted = engine.accepts(&grammar, &case["data"].to_string());
                match (case["valid"].as_bool().unwrap(), accepted) {
                    (true, true) => self.complete += 1,
                    (true, false) => self.incomplete.push(title),
                    (false, false) => self.sound += 1,
                    (false, true) => self.unsound.push(title),
                }
            }
        }
    }
}

/// The required cases of one draft.
fn tally(draft: &str) -> Option<Tally> {
    let Some(suite) = std::env::var_os("QWENDA_SCHEMA_SUITE") else {
        eprintln!("not run: QWENDA_SCHEMA_SUITE names no folder; `cargo xtask test` sets it");
        return None;
    };
    let engine = ModelFile::tiny(&TinyModel::qwen2()).engine(1, EngineOptions::default());
    let folder = PathBuf::from(suite).join("tests").join(draft);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut tally = Tally::default();
    for path in files {
        let groups = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        tally.file(&engine, path.file_stem().unwrap().to_str().unwrap(), &groups);
    }
    let refused: u32 = tally.refused.values().sum();
    eprintln!(
        "{draft}: {} of {} schemas taken; invalid instances refused {}/{}, valid ones possible {}/{}",
        tally.schemas - refused,
        tally.schemas,
        tally.sound,
        tally.sound as usize + tally.unsound.len(),
        tally.complete,
        tally.complete as usize + tally.incomplete.len(),
    );
    eprintln!("refused: {:#?}\nvalid but impossible: {:#?}", tally.refused, tally.incomplete);
    Some(tally)
}

#[test]
fn what_draft_2020_12_refuses_cannot_be_generated() {
    if let Some(tally) = tally("draft2020-12") {
        assert_eq!(tally.unsound, Vec::<String>::new());
    }
}

#[test]
fn what_draft_7_refuses_cannot_be_generated() {
    if let Some(tally) = tally("draft7") {
        assert_eq!(tally.unsound, Vec::<String>::new());
    }
}
