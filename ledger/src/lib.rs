//! Rules about callers as pure functions: no clock, no IO, no randomness of its own.
//!
//! Today this is [`key`]: what an API key looks like and how it is recognised.
#![warn(missing_docs)]

pub mod key;
