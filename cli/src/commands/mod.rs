//! One file per command.

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod bill;
pub mod chat;
pub mod completions;
pub mod keys;
pub mod limits;
pub mod man;
pub mod models;
pub mod prices;
pub mod projects;
pub mod pull;
mod repl;
pub mod score;
pub mod serve;
pub mod sessions;
pub mod templates;
pub mod tokens;
pub mod usage;
