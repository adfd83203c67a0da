//! The client against services that fail in every way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "extract")]
mod extract;
mod extras;
mod faults;
mod leaving;
mod pace;
mod plain;
#[cfg(feature = "extract")]
mod planted;
mod retries;
mod secrets;
mod streams;
#[cfg(feature = "tools")]
mod tools;
