//! Model files: which exist (the catalogue), where they lie (the store), how they get there (pull).
//!
//! Nothing here opens a GGUF or answers anything; that is `local`. The calls block and report through
//! a callback, so that a command line, a test and a server thread use them alike. A file under its
//! final name has always been verified: everything unfinished lives in the staging folder.
//!
//! Read next: `pull.rs`, the story of one pull.

mod catalogue;
mod error;
mod http;
mod near;
mod pip;
mod pull;
mod source;
mod staging;
mod store;

pub use catalogue::{Catalogue, Entry};
pub use error::{CatalogueError, PullError, ResolveError, SourceError, Tried};
pub use near::near;
pub use pull::{Phase, Progress, PullOptions, pull};
pub use source::{Packages, Source};
pub use store::{Installed, Resolved, Store};

/// A model of that name or path, pulled first when the catalogue knows it and it is not here yet.
pub fn obtain(
    name_or_path: &str,
    store: &Store,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<crate::local::LocalModel, ObtainError> {
    let catalogue = store.catalogue()?;
    match store.resolve(&catalogue, name_or_path)? {
        Resolved::Here { name, path } => Ok(crate::local::LocalModel { name, path }),
        Resolved::Missing(entry) => {
            let path = pull(&entry, store, options, progress)?;
            Ok(crate::local::LocalModel { name: entry.name, path })
        }
    }
}

/// Why [`obtain`] has no model.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// The catalogue cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Nothing is called that.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It could not be fetched.
    #[error(transparent)]
    Pull(#[from] PullError),
}
