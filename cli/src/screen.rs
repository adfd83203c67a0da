//! An answer on its way to the reader: text to stdout, everything about it to stderr.

use std::time::Instant;

use qwenda::{Event, Retrying, tools::RunEvent};

use crate::{
    events,
    exit::CliError,
    lang::{chat as words, messages},
    markdown::Markdown,
    output::{Ui, harmless, visible},
    progress::{self, Spinner},
};

/// How an answer is shown.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// Text appears as it comes; otherwise not at all.
    pub text: bool,
    /// As it was written, whatever the terminal can do.
    pub plain: bool,
    /// Reasoning appears as it comes; otherwise one line says that there was some.
    pub reasoning: bool,
    /// Everything goes to stdout, as lines of JSON.
    pub events: bool,
}

/// Shows one answer.
pub struct Screen<'a> {
    ui: Ui,
    show: Show,
    spinner: Spinner,
    /// About how many tokens a text has.
    count: &'a dyn Fn(&str) -> u64,
    thought: Option<Thought>,
    /// Sets the text, where it is to be set.
    markdown: Option<Markdown>,
    /// Text was written that did not end its line.
    open: bool,
}

struct Thought {
    since: Instant,
    text: String,
}

impl<'a> Screen<'a> {
    pub fn new(ui: Ui, show: Show, count: &'a dyn Fn(&str) -> u64) -> Self {
        let spinner = progress::spinner(ui, messages::reading_prompt(ui.lang));
        let markdown = ui.paper().filter(|_| !show.plain).map(Markdown::new);
        Self { ui, show, spinner, count, thought: None, markdown, open: false }
    }

    /// Shows what happens.
    pub fn event(&mut self, event: &RunEvent) -> Result<(), CliError> {
        if self.show.events {
            self.spinner.clear();
            return events::of(event).map_or(Ok(()), |line| self.ui.answer_line(line));
        }
        match event {
            RunEvent::Answer(Event::Reasoning(piece)) => self.reason(piece),
            RunEvent::Answer(Event::Text(piece)) => return self.text(piece),
            RunEvent::Answer(Event::ToolCall(_) | Event::Finished { .. }) => return self.between(),
            RunEvent::Calling(call) => {
                self.ui.notice(words::calling(self.ui.lang, &call.name, &visible(&call.arguments)));
            }
            RunEvent::Called(result) => {
                if let Err(error) = &result.output {
                    self.ui.notice(words::called_badly(self.ui.lang, &result.call.name, &visible(error.message())));
                }
            }
            RunEvent::Answer(Event::Retry(retry)) => self.retry(retry),
            _ => {}
        }
        Ok(())
    }

    /// The answer is over, whole or not.
    pub fn end(&mut self) -> Result<(), CliError> {
        self.spinner.clear();
        self.between()
    }

    /// What was said is over; calls of tools may follow, and another text.
    fn between(&mut self) -> Result<(), CliError> {
        self.fold();
        if let Some(markdown) = &mut self.markdown {
            return self.ui.raw(markdown.finish().as_bytes());
        }
        if std::mem::take(&mut self.open) { self.ui.raw(b"\n") } else { Ok(()) }
    }

    fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.fold();
        self.spinner.clear();
        if !self.show.text {
            return Ok(());
        }
        if let Some(markdown) = &mut self.markdown {
            return self.ui.raw(markdown.push(&harmless(text)).as_bytes());
        }
        self.open = !text.ends_with('\n');
        self.ui.answer(text)
    }

    fn reason(&mut self, text: &str) {
        let thought = self.thought.get_or_insert_with(|| Thought { since: Instant::now(), text: String::new() });
        thought.text.push_str(text);
        if self.show.reasoning {
            self.spinner.clear();
            self.ui.aside(text);
        } else {
            self.spinner.say(words::thinking(self.ui.lang));
        }
    }

    /// Reasoning ends: it is one line now, or the end of its text.
    fn fold(&mut self) {
        let Some(thought) = self.thought.take() else { return };
        self.spinner.clear();
        if self.show.reasoning && !thought.text.ends_with('\n') {
            self.ui.aside("\n");
        }
        let (seconds, tokens) = (thought.since.elapsed().as_secs_f64(), (self.count)(&thought.text));
        self.ui.notice(words::thought(self.ui.lang, seconds, tokens));
    }

    fn retry(&mut self, retry: &Retrying) {
        self.spinner.clear();
        self.ui.notice(words::trying_again(self.ui.lang, retry.attempt, retry.pause.as_secs_f64()));
    }
}
