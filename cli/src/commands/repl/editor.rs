//! Reading what the person types: history, completion of commands, more than one line.
//!
//! A line goes on while it ends in `\` or while a `"""` is open; Alt-Enter breaks a line anywhere; a
//! paste of several lines stays one text.

use std::{borrow::Cow, fs, io, path::PathBuf};

use rustyline::{
    Cmd, CompletionType, Config, Context, EventHandler, KeyCode, KeyEvent, Modifiers,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::slash;
use crate::{exit::CliError, output::Ui, settings::Settings};

const PROMPT: &str = "> ";
const QUOTES: &str = "\"\"\"";
/// Older lines are forgotten.
const HISTORY_LINES_MAX: usize = 1000;

pub enum Typed {
    /// Something to act on; trimmed, never empty.
    Text(String),
    /// An empty line.
    Nothing,
    /// Ctrl-C on an empty line or after a text, which is thrown away.
    CtrlC,
    /// Bytes that are not UTF-8; the line is thrown away.
    NotText,
    /// Ctrl-D, or the terminal is gone.
    End,
}

pub struct Editor {
    line: rustyline::Editor<Help, FileHistory>,
    history: PathBuf,
}

impl Editor {
    pub fn new(ui: Ui, settings: &Settings) -> Result<Self, CliError> {
        let config = Config::builder()
            .max_history_size(HISTORY_LINES_MAX)
            .map_err(of)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .bracketed_paste(true)
            .build();
        let mut line = rustyline::Editor::with_config(config).map_err(of)?;
        line.set_helper(Some(Help { color: ui.color, names: settings.model_names() }));
        line.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), EventHandler::Simple(Cmd::Newline));
        let history = settings.home().join("chat_history");
        // A first conversation has no history; one that cannot be read is not worth a word.
        let _ = line.load_history(&history);
        Ok(Self { line, history })
    }

    pub fn read(&mut self) -> Result<Typed, CliError> {
        match self.line.readline(PROMPT) {
            Ok(raw) => {
                let text = unquoted(&raw);
                if text.is_empty() {
                    return Ok(Typed::Nothing);
                }
                self.remember(&raw);
                Ok(Typed::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::CtrlC),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            // A stray byte, as of a paste in another encoding, is no reason to leave.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => Ok(Typed::NotText),
            Err(error) => Err(of(error)),
        }
    }

    /// Written at once, so that nothing is lost when the terminal is closed; a folder that cannot be
    /// written costs the history and nothing else.
    fn remember(&mut self, raw: &str) {
        if self.line.add_history_entry(raw).unwrap_or(false) {
            if let Some(folder) = self.history.parent() {
                let _ = fs::create_dir_all(folder);
            }
            let _ = self.line.append_history(&self.history);
        }
    }
}

fn of(error: ReadlineError) -> CliError {
    CliError::failure(error.to_string())
}

/// What was meant by what was typed: quotes around a text of several lines taken off, lines that were
/// continued with `\` joined by their line break.
fn unquoted(raw: &str) -> String {
    let text = raw.trim();
    if let Some(inner) = text.strip_prefix(QUOTES) {
        return inner.strip_suffix(QUOTES).unwrap_or(inner).trim_matches('\n').to_owned();
    }
    text.replace("\\\n", "\n")
}

/// Whether more has to come before the text is whole.
fn goes_on(typed: &str) -> bool {
    match typed.trim_start().strip_prefix(QUOTES) {
        Some(inner) => !inner.trim_end().ends_with(QUOTES),
        // Two backslashes are a text that ends in one.
        None => typed.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1,
    }
}

struct Help {
    color: bool,
    names: Vec<String>,
}

impl rustyline::Helper for Help {}

impl Validator for Help {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if goes_on(ctx.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Help {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..pos];
        let starting_with = |names: &mut dyn Iterator<Item = &str>, prefix: &str| {
            names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
        };
        Ok(match typed.strip_prefix("/model ") {
            Some(name) => (pos - name.len(), starting_with(&mut self.names.iter().map(String::as_str), name)),
            None if typed.starts_with('/') => (0, starting_with(&mut slash::NAMES.into_iter(), typed)),
            None => (pos, Vec::new()),
        })
    }
}

impl Highlighter for Help {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.color { Cow::Owned(format!("\x1b[1;32m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Hinter for Help {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_while_quotes_are_open_or_a_backslash_ends_it() {
        for (typed, more) in [
            ("hello", false),
            ("hello \\", true),
            ("a path C:\\\\", false),
            ("\"\"\"", true),
            ("\"\"\"one\ntwo", true),
            ("\"\"\"one\ntwo\"\"\"", false),
            ("say \"\"\"", false),
            ("", false),
        ] {
            assert_eq!(goes_on(typed), more, "{typed:?}");
        }
    }

    #[test]
    fn quotes_and_continuations_are_not_part_of_the_text() {
        for (raw, text) in [
            ("  hello \n", "hello"),
            ("one\\\ntwo", "one\ntwo"),
            ("\"\"\"\none\n two\n\"\"\"", "one\n two"),
            ("\"\"\"one\"\"\"", "one"),
            ("\"\"\"", ""),
        ] {
            assert_eq!(unquoted(raw), text, "{raw:?}");
        }
    }
}
