//! The server over real sockets, with a backend that plays scripts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod admin;
mod agreement;
mod bad_input;
mod bodies;
mod chat_stream;
mod chat_whole;
mod connections;
mod cors;
mod documentation;
mod drain;
mod endpoints;
mod exactly_once;
mod http2;
mod keys;
mod leaving;
mod logs;
mod mutated;
mod names;
mod native;
mod replay;
mod sdk;
mod service;
mod strictness;
mod temporary;
mod tools;
mod upstream;
