//! Why a model could not be loaded, or tokens not be computed.

use std::path::PathBuf;

/// Everything that can go wrong before a sequence runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read as GGUF, or lacks something every model has.
    #[error("model file `{}`: {source}", path.display())]
    File {
        /// The model file.
        path: PathBuf,
        /// What the reader found.
        source: qwenda_gguf::Error,
    },
    /// The vocabulary in the file is not one the tokenizer can use.
    #[error("model file `{}`: {source}", path.display())]
    Vocab {
        /// The model file.
        path: PathBuf,
        /// What the tokenizer found.
        source: qwenda_tokenizer::Error,
    },
    /// The model is of a kind that this engine does not run.
    #[error("architecture `{found}` is not supported; supported are {supported}")]
    Architecture {
        /// What the file says.
        found: String,
        /// What this engine runs.
        supported: String,
    },
    /// A value in the file's metadata is outside what a model can have.
    #[error("`{key}` is {found}, but must be {expected}")]
    Config {
        /// The metadata key.
        key: String,
        /// The value in the file.
        found: String,
        /// The range or set it must be in.
        expected: String,
    },
    /// A tensor has other dimensions than the metadata promise.
    #[error("tensor `{name}` has dimensions {found:?}, but the metadata ask for {expected:?}")]
    TensorShape {
        /// Its name.
        name: String,
        /// Dimensions in the file, innermost first.
        found: Vec<u64>,
        /// Dimensions that follow from the metadata.
        expected: Vec<u64>,
    },
    /// A tensor is stored in a format that no kernel reads.
    #[error("tensor `{name}` is stored as {found}; supported are {supported}")]
    TensorType {
        /// Its name.
        name: String,
        /// The format in the file.
        found: String,
        /// Formats that the kernels read.
        supported: String,
    },
    /// The model's parts do not fit this machine's memory or address space.
    #[error("{what} would take {bytes} bytes, which this machine cannot address")]
    TooLarge {
        /// What was to be made.
        what: String,
        /// Its size.
        bytes: u128,
    },
    /// The instruction set asked for is not one this CPU has.
    #[error("this CPU cannot run `{wanted}`; it can run {available}")]
    Isa {
        /// The variant asked for.
        wanted: String,
        /// Variants this CPU runs.
        available: String,
    },
    /// A draft model has other tokens than the model that it would guess for.
    #[error(
        "`{draft}` cannot guess for `{model}`: token {token} is another in each; choose a draft model of the same family"
    )]
    Draft {
        /// The draft model.
        draft: String,
        /// The model it was to guess for.
        model: String,
        /// The first token that differs.
        token: u32,
    },
    /// A draft model whose architecture keeps a state.
    #[error(
        "`{draft}` cannot guess for others: models of its architecture keep a state that a wrong guess would spoil"
    )]
    DraftState {
        /// The draft model.
        draft: String,
    },
    /// The tokens were not taken.
    #[error(transparent)]
    Submit(#[from] crate::SubmitError),
    /// A step failed; the text says why.
    #[error("{0}")]
    Failed(String),
}
