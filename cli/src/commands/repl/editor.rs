//! Reading what the person types: history, completion of commands, more than one line.
//!
//! A line goes on while it ends in `\` or while a `"""` is open; Alt-Enter breaks a line anywhere; a
//! paste of several lines stays one text.

use std::{
    borrow::Cow,
    env, fs, io,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Event, EventContext, EventHandler, KeyCode,
    KeyEvent, Modifiers, RepeatCount,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::{
    menu::{Look, Menu, Shown},
    offers::Offers,
};
use crate::{exit::CliError, lang::chat as words, output::Ui, settings::Settings};

const PROMPT: &str = "> ";
const QUOTES: &str = "\"\"\"";
/// Older lines are forgotten.
const HISTORY_LINES_MAX: usize = 1000;
/// How long Esc may be the beginning of another key.
const ESCAPE_MS: u16 = 100;

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

pub struct Editor<'a> {
    ui: Ui,
    line: rustyline::Editor<Help<'a>, FileHistory>,
    menu: Menu,
    history: PathBuf,
    /// The text that was being typed when the editor key was pressed.
    to_edit: Stash,
}

impl<'a> Editor<'a> {
    pub fn new(ui: Ui, settings: &'a Settings) -> Result<Self, CliError> {
        let config = Config::builder()
            .max_history_size(HISTORY_LINES_MAX)
            .map_err(of)?
            .history_ignore_space(true)
            // Of what the menu has chosen there is always one.
            .completion_type(CompletionType::List)
            .keyseq_timeout(Some(ESCAPE_MS))
            .bracketed_paste(true)
            .build();
        let mut line = rustyline::Editor::with_config(config).map_err(of)?;
        let menu = Menu::default();
        menu.bind(&mut line);
        line.set_helper(Some(Help { ui, offers: Offers::new(ui.lang, settings), menu: menu.clone() }));
        let to_edit = Stash::default();
        line.bind_sequence(KeyEvent::ctrl('O'), EventHandler::Conditional(Box::new(EditKey(Arc::clone(&to_edit)))));
        line.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), EventHandler::Simple(Cmd::Newline));
        let history = settings.home().join("chat_history");
        // A first conversation has no history; one that cannot be read is not worth a word.
        let _ = line.load_history(&history);
        Ok(Self { ui, line, menu, history, to_edit })
    }

    pub fn read(&mut self) -> Result<Typed, CliError> {
        let mut begun = String::new();
        loop {
            self.menu.close();
            match self.line.readline_with_initial(PROMPT, (&begun, "")) {
                Ok(raw) => {
                    let text = unquoted(&raw);
                    if text.is_empty() {
                        return Ok(Typed::Nothing);
                    }
                    self.remember(&raw);
                    return Ok(Typed::Text(text));
                }
                Err(ReadlineError::Interrupted) => match self.stashed() {
                    Some(text) => begun = self.edited(text),
                    None => return Ok(Typed::CtrlC),
                },
                Err(ReadlineError::Eof) => return Ok(Typed::End),
                // A stray byte, as of a paste in another encoding, is no reason to leave.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return Ok(Typed::NotText);
                }
                Err(error) => return Err(of(error)),
            }
        }
    }

    fn stashed(&self) -> Option<String> {
        self.to_edit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The text as it is after the person's editor; as it was, where that cannot be run.
    fn edited(&self, text: String) -> String {
        match edit(&text) {
            // Lines that were written stay one text.
            Ok(text) if text.contains('\n') => format!("{QUOTES}{text}{QUOTES}"),
            Ok(text) => text,
            Err((editor, error)) => {
                self.ui.notice(words::no_editor(self.ui.lang, &editor, &error.to_string()));
                text
            }
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

/// The text on its way to the editor.
type Stash = Arc<Mutex<Option<String>>>;

/// Keeps the text for the editor, and ends the line.
struct EditKey(Stash);

impl ConditionalEventHandler for EditKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.line().to_owned());
        Some(Cmd::Interrupt)
    }
}

/// Has the person's editor change a text; the editor's name with the error, where it cannot be run.
fn edit(text: &str) -> Result<String, (String, io::Error)> {
    let set = |name| env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR"));
    let editor = editor.unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.to_owned());
    let failed = |error| (editor.clone(), error);
    let folder = tempfile::Builder::new().prefix("qwenda-").tempdir().map_err(failed)?;
    let file = folder.path().join("prompt.md");
    fs::write(&file, unquoted(text)).map_err(failed)?;
    // A setting such as `code --wait` has words of its own.
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    let status = command.args(words).arg(&file).status().map_err(failed)?;
    if !status.success() {
        return Err(failed(io::Error::other(status.to_string())));
    }
    Ok(fs::read_to_string(&file).map_err(failed)?.trim_end().to_owned())
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

struct Help<'a> {
    ui: Ui,
    offers: Offers<'a>,
    menu: Menu,
}

impl rustyline::Helper for Help<'_> {}

impl Validator for Help<'_> {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if goes_on(ctx.input()) { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Help<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let found = self.menu.complete(line, pos, || self.offers.at(line, pos));
        Ok(found.map_or((pos, Vec::new()), |(start, text)| (start, vec![text])))
    }
}

impl Highlighter for Help<'_> {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.ui.color { Cow::Owned(format!("\x1b[1;32m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Hinter for Help<'_> {
    type Hint = Shown;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Shown> {
        let size = terminal_size::terminal_size_of(io::stdout());
        let (columns, rows) = size.map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
        // The line itself stays in sight.
        let look = Look { columns, rows: usize::saturating_sub(rows, 4), color: self.ui.paints };
        self.menu.show(line, pos, look, || self.offers.at(line, pos))
    }
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
