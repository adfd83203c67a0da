//! The rules, apart from HTTP. `chat` is the story of a request.

pub(crate) mod admit;
pub(crate) mod chat;
pub(crate) mod models;
mod support;

pub(crate) use support::ignored_fields;
