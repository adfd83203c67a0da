//! `cargo xtask test`: every test there is, with what it needs.

use std::env;

use crate::{clients, run, suites};

/// What the SDK has besides what it has for the command: with it there is one build of everything, and no second one
/// for the SDK alone.
const FEATURES: &str =
    "--features=qwenda/blocking,qwenda/embedded,qwenda/mcp,qwenda/memory,qwenda/otlp,qwenda/pgvector";

/// All crates, then the real clients. The model that the tests run is fetched once, with a progress bar, before they start.
pub(crate) fn all() -> Result<(), String> {
    // One build for the tests and for the binary that the end-to-end tests start.
    run::cargo(&["build", "--workspace", "--all-targets", FEATURES])?;
    // Not by `cargo run`, which would build the command once more, with the features that it alone needs.
    let built = run::root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let qwenda = built.join("debug/qwenda");
    run::program(
        qwenda.to_str().ok_or("the path of the build is not UTF-8")?,
        &["pull", "qwen2.5-coder-0.5b-instruct"],
    )?;
    let suite = suites::json_schema()?;
    let suite = suite.to_str().ok_or("the path of the JSON Schema suite is not UTF-8")?;
    suites::browser()?;
    let mut path = env::var_os("PATH").unwrap_or_default();
    if let Some(postgres) = suites::postgres()? {
        let folders = std::iter::once(postgres).chain(env::split_paths(&path).collect::<Vec<_>>());
        path = env::join_paths(folders).map_err(|error| error.to_string())?;
    }
    let path = path.to_str().ok_or("PATH is not UTF-8")?;
    let vectors = if suites::has_postgres(path.as_ref()) { "required" } else { "" };
    run::cargo_with(
        &["test", "--workspace", "--no-fail-fast", FEATURES],
        &[("QWENDA_SCHEMA_SUITE", suite), ("PATH", path), ("QWENDA_TEST_PGVECTOR", vectors)],
    )?;
    // Last: the slowest, and it only says something when the rest holds.
    clients::suite(&[])?;
    // Python was found for the clients, or installed.
    run::program("python3", &["benches/bfcl_rules.py"])
}

/// One crate, by folder: the quick loop.
pub(crate) fn one(folder: &str) -> Result<(), String> {
    if folder == "examples" {
        suites::browser()?;
    }
    // The SDK is called what its users call it.
    let package = if folder == "client" { "qwenda".to_owned() } else { format!("qwenda-{folder}") };
    run::cargo(&["test", "--package", &package])
}
