//! Money, on every database: one suite, run on SQLite and on PostgreSQL.
//!
//! A PostgreSQL server is started for it where there is one on the machine (see [`postgres`]);
//! `QWENDA_TEST_POSTGRES_URL` names another. Without either the suite says so and runs on SQLite only, unless
//! `QWENDA_TEST_POSTGRES=required`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "what is left out is said")]

#[macro_use]
mod database;
mod books;
mod postgres;

mod admin;
mod audit;
mod backup;
mod budgets;
mod deposits;
mod holds;
mod model;
mod opening;
mod plug;
mod posts;
mod prices;
mod replicas;
mod simulation;
mod tls;
