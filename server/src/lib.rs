//! The HTTP service: OpenAI-compatible chat in front of any [`Backend`](qwenda_backend::Backend).
//!
//! Read `http/mod.rs` (every route on one screen), then `service/chat.rs` (the story of a request),
//! then `app.rs` (how the parts are wired). Prints nothing; logs go to `tracing`.

pub mod accounts;
pub mod admin;
mod app;
pub mod backup;
mod books;
mod clock;
pub mod config;
mod connection;
mod content;
mod http;
pub mod keys;
mod limits;
mod meter;
mod place;
pub mod prices;
pub mod projects;
mod service;
pub mod statement;
mod tasks;
mod telemetry;

pub use app::{BindError, Server};
pub use clock::Clock;
pub use config::{Auth, ServeConfig};
pub use meter::Totals;
pub use place::Place;
pub use qwenda_ledger::time as when;
