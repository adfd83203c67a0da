//! How a command ends: the documented exit codes and the one error type of this crate.

use std::io;

/// What the shell sees. The table is documented in `docs/cli.md`; a number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done.
    Ok = 0,
    /// It failed for a reason none of the others names.
    Failure = 1,
    /// The command line, a setting or the input text is not right.
    Usage = 2,
    /// The model is unknown, cannot be fetched, or its file cannot be used.
    Model = 3,
    /// The input does not fit the model's context.
    TooLong = 4,
    /// What the books of the accounts state is not what they add up to.
    Books = 5,
    /// The service wants another key.
    Key = 6,
    /// The account cannot pay, or a budget does not allow it.
    Money = 7,
    /// Too much at once; it passes.
    Throttled = 8,
    /// No connection, a broken one, or no answer in time.
    Network = 9,
    /// The service failed, or what it sent is no answer.
    Service = 10,
    /// Moderation refused the prompt or the answer.
    Moderation = 11,
    /// The answer does not fit the schema that it should.
    Unfit = 12,
    /// Ctrl-C.
    Interrupted = 130,
    /// Whoever read our output went away, as in `| head`: 128 + SIGPIPE, as other tools end then.
    BrokenPipe = 141,
}

/// Why a command did not succeed, in the reader's language.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    /// What went wrong; empty when there is nothing to say (the reader left, or pressed Ctrl-C).
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    pub fn model(message: impl Into<String>) -> Self {
        Self::new(Exit::Model, message)
    }

    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of writing to stdout: a reader who left is an end without words.
    pub fn of_stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::BrokenPipe, ""),
            _ => Self::failure(format!("stdout: {error}")),
        }
    }
}
