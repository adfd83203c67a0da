//! The embedded engine behind the `Backend` trait, from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod asking;
mod inspect;
mod leaving;
mod refusals;
