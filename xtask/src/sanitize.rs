//! `cargo xtask sanitize`: Miri on what it can run.
//!
//! Miri interprets: it sees every invalid access, every misaligned one and every race of two
//! threads, but knows neither AVX-512 nor inline assembly and takes a thousand times as long. So it
//! gets the plain variant of the kernels at small sizes, with the pool that all variants share.

use std::process::{Command, Stdio};

use crate::run;

/// The tests of `kernels` that Miri runs.
const TESTS: &[&str] = &["--test", "small", "--test", "threads", "--test", "blocks"];

/// Runs Miri, or says what is missing.
pub(crate) fn all() -> Result<(), String> {
    if !has_miri() {
        return Err("skipped, there is no Miri: rustup component add --toolchain nightly miri rust-src".to_owned());
    }
    let args = [&["+nightly", "miri", "test", "--package", "qwenda-kernels"], TESTS].concat();
    println!("$ cargo {}", args.join(" "));
    // The pool asks the clock how long it has been spinning.
    let mut command = rustup_cargo(&args);
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    run::finish("cargo miri", command.current_dir(run::root()))?;
    println!("skipped: the variants for AVX2 and AVX-512, whose instructions Miri does not know");
    Ok(())
}

/// Rustup's `cargo`, which takes a toolchain: under `cargo xtask` the environment names another.
fn rustup_cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn has_miri() -> bool {
    let found = rustup_cargo(&["+nightly", "miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}
