//! Rules about callers and money as pure functions: no clock, no IO, no randomness of its own.
//!
//! [`key`]: what an API key looks like and how it is recognised. [`money`]: amounts, exact.
#![warn(missing_docs)]

pub mod key;
pub mod money;
