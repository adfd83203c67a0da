//! The server over real sockets, with a backend that plays scripts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod chat_stream;
mod chat_whole;
mod connections;
mod drain;
mod keys;
mod logs;
mod mutated;
mod service;
