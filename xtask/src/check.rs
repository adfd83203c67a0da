//! `cargo xtask check`: what a reviewer should not have to look for.

use std::fs;

use crate::{layering, run};

/// The only files that may contain unsafe code, by prefix.
const UNSAFE_PLACES: &[&str] = &["kernels/src/", "gguf/src/map.rs"];

/// Everything, in the order of what fails fastest.
pub(crate) fn all() -> Result<(), String> {
    layering::check()?;
    unsafe_places()?;
    dependencies()?;
    run::cargo(&["fmt", "--all", "--check"])?;
    run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    docs()
}

fn docs() -> Result<(), String> {
    println!("$ cargo doc --workspace --no-deps");
    let mut command = std::process::Command::new("cargo");
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    run::finish("cargo doc", command.current_dir(run::root()))
}

fn unsafe_places() -> Result<(), String> {
    let mut wrong = Vec::new();
    for path in run::tracked()?.iter().filter(|p| p.ends_with(".rs")) {
        if UNSAFE_PLACES.iter().any(|place| path.starts_with(place)) || path == "xtask/src/check.rs" {
            continue;
        }
        let text = fs::read_to_string(run::root().join(path)).map_err(|e| format!("{path}: {e}"))?;
        let marks =
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code", "expect(unsafe_code"];
        if marks.iter().any(|mark| text.contains(mark)) {
            wrong.push(path.clone());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("unsafe code outside kernels and gguf/src/map.rs: {wrong:?}")) }
}

/// No git dependencies and one TLS stack.
fn dependencies() -> Result<(), String> {
    let lock = fs::read_to_string(run::root().join("Cargo.lock")).map_err(|e| format!("Cargo.lock: {e}"))?;
    if lock.contains("source = \"git+") {
        return Err("Cargo.lock names a git dependency".to_owned());
    }
    for stack in ["openssl-sys", "native-tls"] {
        if lock.contains(&format!("name = \"{stack}\"")) {
            return Err(format!("Cargo.lock brings a second TLS stack: {stack}"));
        }
    }
    Ok(())
}
