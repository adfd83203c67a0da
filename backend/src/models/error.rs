//! What can go wrong with model files. Callers branch on the variant and word it in their language.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A catalogue that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The user's catalogue file cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    /// It is not the TOML that a catalogue is.
    #[error("{place}: {cause}")]
    Malformed { place: String, cause: String },
    /// An entry contradicts itself.
    #[error("catalogue entry `{model}`: {what}")]
    Entry { model: String, what: String },
}

/// A name or path that leads to no model.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No entry, alias or installed file is called that; `near` are the names most like it.
    #[error("no model `{name}`")]
    Unknown { name: String, near: Vec<String> },
    /// It looks like a path, and there is no such file.
    #[error("no file {}", path.display())]
    NoFile { path: PathBuf },
    /// The path is a folder or another thing that is not a file.
    #[error("{} is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// A folder could not be read.
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// Why a pull did not end with a model file.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not one source could be reached: most likely there is no network.
    #[error("no source of `{model}` could be reached: {}", list(tried))]
    NoNetwork { model: String, tried: Vec<Tried> },
    /// Sources were reached, and none had the file.
    #[error("no source has `{model}`: {}", list(tried))]
    NoSource { model: String, tried: Vec<Tried> },
    /// Bytes came, but not those of this model, and no other source had them.
    #[error("{what} from {source_name} has SHA-256 {got}, the catalogue says {want}")]
    WrongHash { model: String, source_name: String, what: Box<str>, want: Box<str>, got: Box<str>, tried: Vec<Tried> },
    /// The file or folder the user named does not hold the model.
    #[error("{}: {what}", path.display())]
    NotThere { path: PathBuf, what: String },
    /// Not enough room, found beforehand or while writing.
    #[error("{} has {free} bytes free, {needed} are needed", path.display())]
    DiskFull { path: PathBuf, needed: u64, free: u64 },
    /// The caller asked to stop; what was fetched is kept.
    #[error("stopped; what was fetched is kept")]
    Cancelled,
    /// The model folder cannot be written or read.
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// One source that was tried in vain.
#[derive(Debug)]
pub struct Tried {
    /// Its name in the catalogue.
    pub source: String,
    /// Why it did not do.
    pub error: SourceError,
}

/// Why one source did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No connection could be made, or it broke and did not come back.
    #[error("cannot be reached ({0})")]
    Unreachable(String),
    /// It answered that it has no such file or package.
    #[error("does not have it ({0})")]
    NotFound(String),
    /// It sent something of another length.
    #[error("sent {got} bytes, the catalogue says {want}")]
    WrongLength { want: u64, got: u64 },
    /// It sent something else.
    #[error("{what} has SHA-256 {got}, the catalogue says {want}")]
    WrongHash { what: String, want: String, got: String },
    /// The machine lacks what this source needs.
    #[error("needs Python 3 with pip, which this machine lacks")]
    NoPip,
    /// Anything else it said.
    #[error("failed ({0})")]
    Failed(String),
}

impl Tried {
    fn reached(&self) -> bool {
        !matches!(self.error, SourceError::Unreachable(_) | SourceError::NoPip)
    }
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(|one| format!("{} {}", one.source, one.error)).collect::<Vec<_>>().join("; ")
}

impl PullError {
    /// What to say when every source was tried in vain.
    pub(super) fn of_tried(model: &str, tried: Vec<Tried>) -> Self {
        let model = model.to_owned();
        let hash = tried.iter().find_map(|one| match &one.error {
            SourceError::WrongHash { what, want, got } => {
                Some((one.source.clone(), what.as_str().into(), want.as_str().into(), got.as_str().into()))
            }
            _ => None,
        });
        match hash {
            Some((source_name, what, want, got)) => PullError::WrongHash { model, source_name, what, want, got, tried },
            None if tried.iter().any(Tried::reached) => PullError::NoSource { model, tried },
            None => PullError::NoNetwork { model, tried },
        }
    }

    /// An IO error at `path`; a full disk is told apart.
    pub(super) fn io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let free = fs4::available_space(path.parent().unwrap_or(&path)).unwrap_or(0);
            return PullError::DiskFull { path, needed: free.saturating_add(1), free };
        }
        PullError::Io { path, cause }
    }
}

/// Ends a try: either this source is done with (go on to the next), or the whole pull is.
#[derive(Debug)]
pub(super) enum Stop {
    Source(SourceError),
    Pull(PullError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Source(error)
    }
}

impl From<PullError> for Stop {
    fn from(error: PullError) -> Self {
        Stop::Pull(error)
    }
}
