//! What a request costs: [`Usage`] × [`ModelPrice`] = [`Charge`].
//!
//! Prices are in nanos per million tokens. The tier is chosen by **all** input tokens of the request, and
//! then all its tokens have that tier's prices. [`PriceList`] reads a catalogue file, [`PriceBook`] says
//! which price holds for whom and when. Nothing here moves money: a charge is a list of lines and their sum.

mod book;
mod charge;
mod list;
mod most;
mod text;
mod tier;
mod usage;

pub use book::{BookError, Cost, Origin, PriceBook, PriceEntry, Terms};
pub use charge::{BATCH_PERCENT, Charge, ChargeError, Line, LineKind};
pub use list::{ListError, PriceList};
pub use most::Bounds;
pub use tier::{CachePercents, ModelPrice, PERCENT_MAX, PriceError, Tier};
pub use usage::{Mode, Usage};

/// Tokens that a price is for.
pub const TOKENS_PER_PRICE: u64 = 1_000_000;
