//! The embedded engine as a [`Backend`](crate::Backend).

pub mod template;

use std::path::PathBuf;

/// A model file and the name that requests use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// Name in requests.
    pub name: String,
    /// The GGUF file.
    pub path: PathBuf,
}
