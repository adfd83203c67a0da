//! Where words go. stdout carries answers and nothing else; everything about them (notices, progress,
//! usage, errors) goes to stderr, and all of it but errors vanishes with `--quiet`.
//!
//! The only place in the project that prints.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use crate::{
    exit::CliError,
    lang::{Lang, messages},
    markdown::Paper,
    table,
};

/// How one run of the program speaks.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    pub lang: Lang,
    pub quiet: bool,
    /// Whether stderr may be coloured: it is a terminal, `NO_COLOR` is not set and `TERM` is not `dumb`.
    pub color: bool,
    pub stdout_terminal: bool,
    /// As `color`, of stdout.
    pub paints: bool,
    /// The terminal knows no escape sequences at all.
    pub dumb: bool,
    pub stderr_terminal: bool,
}

impl Ui {
    pub fn new(lang: Lang, quiet: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let stderr_terminal = io::stderr().is_terminal();
        let no_color = env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let stdout_terminal = io::stdout().is_terminal();
        Self {
            paints: stdout_terminal && !no_color && !dumb,
            dumb,
            lang,
            quiet,
            color: stderr_terminal && !no_color && !dumb,
            stdout_terminal,
            stderr_terminal,
        }
    }

    /// Whether to draw spinners and bars.
    pub fn draws(&self) -> bool {
        self.stderr_terminal && !self.quiet
    }

    /// Writes part of an answer and hands it on at once. On a terminal, control characters that a
    /// model made up cannot move the cursor or recolour the screen.
    pub fn answer(&self, text: &str) -> Result<(), CliError> {
        let text = if self.stdout_terminal { harmless(text) } else { Cow::Borrowed(text) };
        self.raw(text.as_bytes())
    }

    /// How answers are set on a terminal; `None` where their bytes go out as they are.
    pub fn paper(&self) -> Option<Paper> {
        (self.stdout_terminal && !self.dumb).then(|| Paper { color: self.paints, width: Box::new(width) })
    }

    /// Writes a whole answer, and the end of its last line where that is missing.
    pub fn answer_whole(&self, text: &str) -> Result<(), CliError> {
        self.answer(text)?;
        if text.ends_with('\n') { Ok(()) } else { self.raw(b"\n") }
    }

    /// Writes one line of an answer.
    pub fn answer_line(&self, line: impl Display) -> Result<(), CliError> {
        self.raw(format!("{line}\n").as_bytes())
    }

    /// Writes bytes to stdout as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| CliError::of_stdout(&error))
    }

    /// Says something about the work; not with `--quiet`.
    pub fn notice(&self, text: impl Display) {
        if !self.quiet {
            self.say(&self.dim(&self.folded(&text.to_string(), 0)));
        }
    }

    /// The text as it goes on the screen, where stderr is one: broken between words.
    pub fn folded(&self, text: &str, hang: usize) -> String {
        if !self.stderr_terminal {
            return text.to_owned();
        }
        table::fold(text, width_of(io::stderr()), hang)
    }

    /// Writes to the screen as it is.
    pub fn draw(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // As in `say`.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Says what went wrong, also with `--quiet`; nothing when the error has no words.
    pub fn error(&self, error: &CliError) {
        if error.message.is_empty() {
            return;
        }
        let label = messages::error_label(self.lang);
        let label = if self.color { format!("\x1b[1;31m{label}\x1b[0m") } else { label };
        self.say(&format!("{label}{}", error.message));
        if let Some(hint) = &error.hint {
            self.say(hint);
        }
    }

    /// Writes one line to stderr whatever the settings, for lines that others read: `listening on …`.
    pub fn say(&self, line: &str) {
        // When stderr is gone there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Writes something beside the answer to stderr, as it comes; not with `--quiet`.
    pub fn aside(&self, text: &str) {
        if !self.quiet {
            let text = if self.stderr_terminal { harmless(text) } else { Cow::Borrowed(text) };
            // As in `say`.
            let _ = write!(io::stderr().lock(), "{}", self.dim(&text));
        }
    }

    /// Writes a question to stderr, whatever the settings; what is typed follows on its line.
    pub fn prompt(&self, text: &str) {
        let _ = write!(io::stderr().lock(), "{}", visible(text));
    }

    pub fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Columns of the terminal, now: it may be made wider or narrower while an answer comes.
fn width() -> usize {
    width_of(io::stdout())
}

#[cfg(unix)]
fn width_of(terminal: impl std::os::fd::AsFd) -> usize {
    width_or(|| terminal_size::terminal_size_of(terminal))
}

#[cfg(windows)]
fn width_of(terminal: impl std::os::windows::io::AsHandle) -> usize {
    width_or(|| terminal_size::terminal_size_of(terminal))
}

fn width_or(real: impl FnOnce() -> Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let real = || real().map(|(width, _)| width.0.into());
    set.or_else(real).filter(|width| *width > 0).unwrap_or(80)
}

/// The text with every control character but newline and tab replaced by its picture.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let picture = |c: char| match u32::from(c) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        _ if harmful(c) => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    Cow::Owned(text.chars().map(|c| if harmful(c) { picture(c) } else { c }).collect())
}

/// As [`harmless`], also without characters that change in which order others are shown, and without line breaks that
/// hide what is behind them: for what somebody is to agree to.
pub fn visible(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let text = harmless(text);
    if text.contains(turns) { text.replace(turns, "\u{fffd}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_cannot_drive_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\tc\nd\r\u{7f}\u{9b}"), "a␛[2Jb\tc\nd␍␡\u{fffd}");
        assert_eq!(visible("rm \u{202e}x\u{200b}\x1b"), "rm \u{fffd}x\u{fffd}␛");
        assert!(matches!(harmless("你好\n"), Cow::Borrowed(_)));
    }
}
