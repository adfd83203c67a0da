//! Developer tasks: `cargo xtask` lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer tool talks to a terminal")]

mod check;
mod clients;
mod layering;
mod run;
mod sanitize;
mod suites;
mod test;
mod tidy;

use std::{env, process::ExitCode};

const TASKS: &[(&str, &str)] = &[
    ("check", "format, lints, docs without warnings, layering, places of unsafe code"),
    ("test [CRATE]", "unit, doc and integration tests, of one crate or of all; UPDATE=1 accepts snapshots"),
    (
        "sanitize",
        "AddressSanitizer, ThreadSanitizer and Miri on the kernels; wants the nightly toolchain with miri and rust-src",
    ),
    (
        "clients [GROUP…]",
        "real client programs against a service of our own, of one group or of all (see clients/README.md)",
    ),
    ("ci", "exactly what CI runs: check, then test"),
    ("tiny-model PATH", "writes the minute GGUF that tests and demos use"),
    (
        "bench [http|perplexity] [ARGS…]",
        "the engine, the service or the perplexity beside llama.cpp on the same file (see benches/README.md)",
    ),
    ("tidy", "a gauge: largest files, suppressions, sizes"),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["check"] => check::all(),
        ["test"] => test::all(),
        ["test", name] => test::one(name),
        ["clients", rest @ ..] => clients::run(rest),
        ["sanitize"] => sanitize::all(),
        ["ci"] => check::all().and_then(|()| test::all()),
        ["tiny-model", path] => {
            run::cargo(&["run", "--quiet", "--package", "qwenda-testkit", "--example", "tiny_model", "--", path])
        }
        ["bench", "http", rest @ ..] => run::program("bash", &[&["benches/http.sh"], rest].concat()),
        ["bench", "perplexity", rest @ ..] => run::program("bash", &[&["benches/perplexity.sh"], rest].concat()),
        ["bench", rest @ ..] => run::program("bash", &[&["benches/llama.sh"], rest].concat()),
        ["tidy"] => tidy::print(),
        [] => {
            for (task, what) in TASKS {
                println!("cargo xtask {task:<16} {what}");
            }
            Ok(())
        }
        other => Err(format!("no task `{}`; `cargo xtask` lists them", other.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
