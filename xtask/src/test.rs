//! `cargo xtask test`: every test there is, with what it needs.

use crate::run;

/// All crates. The model that the tests run is fetched once, with a progress bar, before they start.
pub(crate) fn all() -> Result<(), String> {
    // One build for the tests and for the binary that the end-to-end tests start.
    run::cargo(&["build", "--workspace", "--all-targets"])?;
    run::cargo(&["run", "--quiet", "--package", "qwenda-cli", "--", "pull", "qwen2.5-coder-0.5b-instruct"])?;
    run::cargo(&["test", "--workspace", "--no-fail-fast"])
}

/// One crate, by folder: the quick loop.
pub(crate) fn one(folder: &str) -> Result<(), String> {
    let package = format!("qwenda-{folder}");
    run::cargo(&["test", "--package", &package])
}
