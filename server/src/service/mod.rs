//! The rules, apart from HTTP. `chat` is the story of a request.

pub(crate) mod admin;
pub(crate) mod admit;
pub(crate) mod answer;
pub(crate) mod catalogue;
pub(crate) mod chat;
pub(crate) mod complete;
mod draft;
pub(crate) mod embed;
mod estimate;
pub(crate) mod generate;
pub(crate) mod models;
pub(crate) mod rerank;
mod stand_in;
mod support;
pub(crate) mod temporary;
pub(crate) mod tokenize;
