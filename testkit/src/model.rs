//! Real models for tests.

use std::path::PathBuf;

use qwenda_backend::models::{Phase, PullOptions, Store, obtain};

/// The file of a catalogue model; fetched into `QWENDA_HOME` first when it is not there yet.
///
/// Tests that run at once, in one process or in many, end with one file.
///
/// # Panics
/// If it cannot be had. A test that needs a model fails without it; it is never skipped.
#[expect(clippy::print_stderr, reason = "who waits for half a gigabyte wants to know why")]
pub fn model(name: &str) -> PathBuf {
    let mut told = None;
    let mut tell = |phase: Phase, bytes: u64, total: u64| {
        let tenth = (phase, bytes * 10 / total.max(1));
        if told.replace(tenth) != Some(tenth) {
            eprintln!("{name}: {phase:?} {bytes} of {total} bytes");
        }
    };
    let options = PullOptions::default();
    let got = obtain(name, &Store::from_env(), &options, &mut |at| tell(at.phase, at.bytes, at.bytes_total));
    match got {
        Ok(model) => model.path,
        Err(error) => panic!("the tests need the model `{name}`: {error}"),
    }
}
