//! The built binary, run as people run it: real processes, pipes, terminals, signals, HTTP.
//!
//! Most tests use a tiny model made from a seed: what it says is nonsense, but it says it the same way
//! every time. `real.rs` holds the ones that need a model that makes sense.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test has no outside: `pub` means that other modules here use it")]

mod common;

mod accounts;
mod admin;
mod asks;
mod backup;
mod bench;
#[cfg(unix)]
mod bills;
mod chat;
mod cli;
mod contexts;
mod keys;
mod limits;
#[cfg(unix)]
mod markdown;
mod prices;
mod real;
#[cfg(unix)]
mod repl;
mod score;
#[cfg(unix)]
mod serve;
mod sessions;
mod shapes;
mod summaries;
#[cfg(unix)]
mod terminal;
mod tokens;
#[cfg(unix)]
mod upstreams;
