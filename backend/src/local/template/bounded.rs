//! What keeps a template from a hostile file within bounds that its own budget cannot see.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::TemplateError;

/// Address space for compiling and rendering; memory only where it is used. Long chains of
/// operators and values nested by a loop are walked by recursion, about 200 bytes a level.
const STACK_BYTES: usize = 256 << 20;

/// Longest that compiling or rendering may take; real templates take a thousandth of a second.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Most digits of a number in a format; more is a width that fills the memory.
const FORMAT_DIGITS_MAX: usize = 4;

/// Text written between charges to the budget.
const CHARGE_BYTES: usize = 4096;

/// Does `work` on a stack of its own and gives up on it when it takes too long. The budget counts
/// steps and text; comparing values that hold each other many times is one step, and only time can
/// tell. Such work is left behind to end by itself.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    run_within(TIME_MAX, work)
}

fn run_within<T: Send + 'static>(
    time_max: Duration,
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let (done, wait) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("chat-template".to_owned()).stack_size(STACK_BYTES);
    // Nobody waits any more when the time was up.
    let spawned = thread.spawn(move || drop(done.send(work())));
    if let Err(error) = spawned {
        return Err(TemplateError::Failed { line: 0, message: format!("no thread to render in: {error}") });
    }
    wait.recv_timeout(time_max).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => TemplateError::Exhausted { line: 0 },
            RecvTimeoutError::Disconnected => {
                TemplateError::Failed { line: 0, message: "the template engine panicked".to_owned() }
            }
        })
    })
}

/// Methods that values have in Python.
pub(super) fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if name == "format"
        && let Some(format) = value.as_str()
        && format.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > FORMAT_DIGITS_MAX)
    {
        return Err(Error::new(ErrorKind::InvalidOperation, "a width in the format has too many digits"));
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

/// Text that is charged to the budget while it grows.
pub(super) struct Charged<'a> {
    pub(super) text: String,
    state: &'a State<'a, 'a>,
    charged_bytes: usize,
}

impl<'a> Charged<'a> {
    pub(super) fn new(state: &'a State<'a, 'a>) -> Self {
        Self { text: String::new(), state, charged_bytes: 0 }
    }

    /// To be called once per value written. The same value may stand in many places, so the text
    /// can be far larger than the memory that values take.
    pub(super) fn charge(&mut self) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        let more = self.text.len() - self.charged_bytes;
        if more >= CHARGE_BYTES {
            self.charged_bytes = self.text.len();
            self.state.consume_fuel(more as u64 / 64)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_is_left_behind() {
        let (_open, never) = mpsc::channel::<()>();
        let outcome = run_within(Duration::from_millis(1), move || {
            let _ = never.recv();
            Ok(())
        });
        assert_eq!(outcome, Err(TemplateError::Exhausted { line: 0 }));
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let outcome = run(|| -> Result<(), _> { std::panic::resume_unwind(Box::new(())) });
        assert!(matches!(outcome, Err(TemplateError::Failed { line: 0, .. })), "{outcome:?}");
    }
}
