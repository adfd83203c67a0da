//! Money through the whole: the built binary in front of an upstream that counts what it sends, asked by callers
//! that stream, hang up and try again, on SQLite and on PostgreSQL.
//!
//! `QWENDA_SIM_SEED` repeats a run, `QWENDA_PLUG_ROUNDS` makes it longer.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "what is left out is said")]
#![expect(unreachable_pub, reason = "a test has no outside: `pub` means that other modules here use it")]

mod caller;
mod check;
mod home;
#[path = "../../../store/tests/ledger/postgres.rs"]
mod postgres;
mod upstream;
mod wire;

mod disk;
mod left;
mod nonsense;
mod overspend;
mod plug;
mod secrets;
mod shared;
