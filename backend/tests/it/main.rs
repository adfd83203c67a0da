//! The embedded engine behind the `Backend` trait, from outside.

mod answers;
mod asking;
mod inspect;
mod leaving;
mod refusals;
