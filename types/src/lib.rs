//! What is on the wire, and nothing else: serde types, checks, the table of error codes, SSE.
//!
//! No IO, no async, no clock. Start with [`chat`], then [`error`].
#![warn(missing_docs)]

mod base64;
pub mod chat;
pub mod completions;
pub mod dashscope;
pub mod embeddings;
pub mod error;
mod fields;
#[doc(hidden)]
pub mod fuzz;
pub mod models;
pub mod rerank;
pub mod sse;

/// A way to say the same on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's, as the contract has it: `/v1`, `/compatible-mode/v1`.
    Compat,
    /// DashScope's own: `/api/v1`.
    Native,
}
