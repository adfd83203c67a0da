//! Who holds which part of the KV store.

pub(crate) mod pages;
