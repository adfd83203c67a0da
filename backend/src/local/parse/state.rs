//! Where the parser is in an answer.

use super::{Reader, object::CallObject};

/// What the parser is in the middle of.
pub(super) enum State {
    Text,
    /// `held` ends in what may become a mark that begins at `from`, behind a call or not.
    Mark {
        from: usize,
        behind: bool,
    },
    /// Behind the backticks of a fence, on their line.
    Label {
        len: usize,
    },
    /// Behind a mark that opens; a call or another such mark must follow.
    Body,
    Call(Reader),
    /// Behind a call, or a mark behind one.
    Between,
}

impl State {
    /// Reads an object whose brace has come.
    pub(super) fn object() -> Self {
        Self::Call(Reader::Json(CallObject::new()))
    }
}
