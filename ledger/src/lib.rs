//! Rules about callers and money as pure functions: no clock, no IO, no randomness of its own.
//!
//! [`key`]: what an API key looks like and how it is recognised. [`money`]: amounts, exact.
//! [`price`]: what a request costs, at most and in the end. [`account`]: who pays for it. [`terms`]: what a key is given.
//!
//! [`signing`]: requests that are signed rather than carrying a key. [`time`]: how times are read and written.
//!
//! [`policy`]: who may do what. [`limit`]: how much of it per minute.
#![warn(missing_docs)]

pub mod account;
pub mod key;
pub mod limit;
pub mod money;
pub mod policy;
pub mod price;
pub mod signing;
pub mod terms;
pub mod time;
