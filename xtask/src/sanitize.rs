//! `cargo xtask sanitize`: LLVM's sanitizers on all kernels, and Miri on what it can run.
//!
//! AddressSanitizer sees every read and write outside of what was allocated, ThreadSanitizer every race,
//! both in all variants that this CPU has. Miri interprets: it sees more, such as misaligned
//! accesses, but knows neither AVX-512 nor inline assembly and takes a thousand times as long. So it
//! gets the plain variant at small sizes, with the pool that all variants share.

use std::process::{Command, Stdio};

use crate::run;

/// The tests of `kernels` that Miri runs.
const MIRI_TESTS: &[&str] = &["--test", "small", "--test", "threads", "--test", "blocks"];

/// The tests of `kernels` in which threads share something.
const THREAD_TESTS: &[&str] = &["--test", "threads", "--test", "products", "--test", "attention", "--test", "delta"];

/// Runs all three, or says what is missing.
pub(crate) fn all() -> Result<(), String> {
    let host = host()?;
    sanitizer("address", &["--target", &host, "--tests"])?;
    // Its own standard library must be built with it too.
    sanitizer("thread", &[&["-Zbuild-std", "--target", &host], THREAD_TESTS].concat())?;
    if !has_miri() {
        return Err("skipped, there is no Miri: rustup component add --toolchain nightly miri rust-src".to_owned());
    }
    let args = [&["+nightly", "miri", "test", "--package", "qwenda-kernels"], MIRI_TESTS].concat();
    // The pool asks the clock how long it has been spinning.
    run_nightly("cargo miri", &args, ("MIRIFLAGS", "-Zmiri-disable-isolation"))?;
    println!("skipped by Miri: the variants for AVX2 and AVX-512, whose instructions it does not know");
    Ok(())
}

fn sanitizer(name: &str, args: &[&str]) -> Result<(), String> {
    // Another folder: nothing that was built without it is of use.
    let folder = run::root().join("target").join(format!("sanitize-{name}"));
    let folder = folder.to_string_lossy();
    let args = [&["+nightly", "test", "--package", "qwenda-kernels", "--target-dir", &folder], args].concat();
    run_nightly("cargo test", &args, ("RUSTFLAGS", &format!("-Zsanitizer={name}")))
}

fn run_nightly(name: &str, args: &[&str], (key, value): (&str, &str)) -> Result<(), String> {
    println!("$ {key}={value} cargo {}", args.join(" "));
    let mut command = rustup_cargo(args);
    run::finish(name, command.env(key, value).current_dir(run::root()))
}

/// The name of this machine's target, which has to be said where build scripts are not to be sanitized.
fn host() -> Result<String, String> {
    let mut rustc = Command::new("rustc");
    let rustc = rustc.args(["+nightly", "-vV"]).env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
    let output = rustc.output().map_err(|error| format!("cannot start `rustc`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("skipped, there is no nightly toolchain: rustup toolchain add nightly".to_owned())
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
