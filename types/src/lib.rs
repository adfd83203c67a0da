//! What is on the wire, and nothing else: serde types, checks, the table of error codes, SSE.
//!
//! No IO, no async, no clock. Start with [`chat`], then [`error`].
#![warn(missing_docs)]

pub mod chat;
pub mod error;
pub mod models;
pub mod sse;
