//! The embedded engine and upstreams behind the `Backend` trait, from outside.

mod answers;
mod asking;
mod calls;
mod completions;
mod distilled;
mod embedders;
mod embeddings;
mod forms;
mod inspect;
mod leaving;
mod ranking;
mod reasoning;
mod refusals;
mod routing;
mod tokens;
mod upstream;
