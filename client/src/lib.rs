//! Qwen's API from Rust: [`Client`] asks Alibaba's cloud, any service that speaks the OpenAI-compatible dialect, or
//! a Qwenda of one's own.
//!
//! A request is built and awaited ([`ChatBuilder`] gives a [`Reply`]) or streamed ([`ChatStream`] of [`Event`]s).
//! What goes wrong is an [`Error`] that says what, whose fault, whether to try again, whether it is billed, and
//! which request. Requests are sent again only where that is safe ([`Retry`]). [`Mock`] plays a service in tests.
//!
//! It runs on any tokio runtime with time and IO, starts no threads and sends nothing but the calls themselves and, to a
//! Qwenda, that nobody waits for an answer any more, unless it is told to export.
//!
//! Features: `tools` for functions that the model calls ([`tools`]) and `extract` for answers as values ([`extract`]), both
//! on unless switched off; `mcp` for the tools of MCP servers; `embedded` for models in this process; `memory` for conversations
//! in an SQLite file, `pgvector` for what they remember in PostgreSQL; `otlp` for spans and metrics sent to a collector;
//! `blocking` for programs that do not await.
//!
//! # Example
//! ```no_run
//! # async fn run() -> qwenda::Result<()> {
//! use qwenda::{Client, Event};
//!
//! let client = Client::from_env()?;
//! let mut stream = client.chat("qwen-plus").user("Write a haiku about Rust.").stream().await?;
//! while let Some(event) = stream.next().await {
//!     if let Event::Text(text) = event? {
//!         print!("{text}");
//!     }
//! }
//! let reply = stream.finish()?;
//! # Ok(()) }
//! ```
#![warn(missing_docs)]

mod batches;
#[cfg(feature = "blocking")]
pub mod blocking;
mod budget;
mod builder;
mod call;
mod cassette;
mod chat;
mod client;
mod complete;
mod conversation;
mod cost;
mod embed;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod estimate;
#[cfg(feature = "extract")]
pub mod extract;
mod files;
mod giving_up;
pub mod history;
pub mod memory;
mod mock;
mod observe;
#[cfg(feature = "otlp")]
pub mod otlp;
mod pace;
mod plain;
mod reply;
mod rerank;
mod retry;
mod secret;
mod service;
#[cfg(feature = "memory")]
mod sqlite;
mod stream;
mod temporary;
mod timeouts;
mod tokenize;
#[cfg(feature = "tools")]
pub mod tools;
pub mod transport;

#[cfg(feature = "embedded")]
pub use qwenda_backend as backend;
pub use qwenda_ledger::{
    money::{Currency, Nanos},
    price::PriceList,
};
#[cfg(feature = "tools")]
pub use qwenda_macros::tool;
pub use qwenda_types as types;

pub use batches::{Batch, Batches, LINE_BYTES_MAX, LINES_MAX, RequestCounts, batch_lines};
pub use budget::Budget;
pub use builder::Builder;
pub use chat::{ChatBuilder, IDEMPOTENCY_KEY_CHARS_MAX};
pub use client::Client;
pub use complete::{CompleteBuilder, Completion};
pub use conversation::{Conversation, Plan, Policy, Summary};
pub use cost::Cost;
pub use embed::{EmbedBuilder, Embeddings, Near};
pub use error::{Attempt, Billed, Error, Fault, Kind, Lang, Limit, Result, Throttle};
pub use estimate::Estimate;
pub use files::{FileInfo, Files, Page};
pub use mock::Mock;
pub use observe::{Observation, What};
pub use pace::Pace;
pub use plain::{Meta, ModelsBuilder};
pub use qwenda_types::chat::{Message, Role};
pub use reply::{Choice, Finish, Reply, ToolCall, Usage};
pub use rerank::{Hit, Ranking, RerankBuilder};
pub use retry::{ATTEMPTS_MAX, Retry, Unknown};
pub use secret::Secret;
pub use service::{Protocol, Region, ThinkingSwitch};
pub use stream::{ChatStream, Event, Piece, Retrying};
pub use temporary::{TemporaryKey, TemporaryKeyBuilder};
pub use timeouts::Timeouts;
pub use tokenize::{TokenizeBuilder, TokenizeInput, Tokens};

/// For the code that [`macro@tool`] writes.
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod __private {
    pub use schemars;
    pub use serde;
    pub use serde_json::Value;

    pub use crate::tools::Outcome;
}
