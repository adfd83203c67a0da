//! Signs of life on stderr: a spinner while the model loads, a bar while one is fetched. Where nobody
//! watches (not a terminal) a pull says a plain line now and then; with `--quiet` nothing at all.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use qwenda_backend::models::{Phase, Progress};

use crate::{lang::messages, output::Ui};

const TICK: Duration = Duration::from_millis(100);
/// How often a pull speaks where there is no terminal: ten lines in all.
const PLAIN_STEP_PERCENT: u64 = 10;

/// A spinner, until it is cleared or dropped; then it is gone without a trace.
pub struct Spinner(ProgressBar);

/// Begins to spin.
pub fn spinner(ui: Ui, text: String) -> Spinner {
    if !ui.draws() {
        return Spinner(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is a constant");
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(text);
    spinner.enable_steady_tick(TICK);
    Spinner(spinner)
}

impl Spinner {
    /// Says something else from now on.
    pub fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Takes it off the screen, once: afterwards the line belongs to the answer.
    pub fn clear(&self) {
        if !self.0.is_finished() {
            self.0.finish_and_clear();
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Shows how far a pull is.
pub struct PullBar {
    ui: Ui,
    model: String,
    bar: Option<ProgressBar>,
    /// What was said last where lines are said: the phase and tenths of the way.
    said: Option<(Phase, u64)>,
    /// The phase the bar shows.
    shown: Option<Phase>,
}

impl PullBar {
    pub fn new(ui: Ui, model: &str) -> Self {
        Self { ui, model: model.to_owned(), bar: None, said: None, shown: None }
    }

    pub fn show(&mut self, progress: Progress<'_>) {
        if self.ui.draws() {
            self.draw(progress);
        } else if !self.ui.quiet {
            self.say(progress);
        }
    }

    /// Takes the bar off the screen.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, progress: Progress<'_>) {
        let left = messages::time_left(self.ui.lang);
        let bar = self.bar.get_or_insert_with(|| {
            // What is there from before is no progress of this run: the rate begins here.
            let bar = ProgressBar::new(progress.bytes_total).with_position(progress.bytes);
            let template = format!(
                "{{msg}}\n{{wide_bar}} {{percent:>3}}% {{decimal_bytes}}/{{decimal_total_bytes}} {{decimal_bytes_per_sec}} {left} {{eta_precise}}"
            );
            bar.set_style(ProgressStyle::with_template(&template).expect("the template is a constant").progress_chars("=> "));
            bar
        });
        if self.shown != Some(progress.phase) {
            bar.reset_eta();
            self.shown = Some(progress.phase);
        }
        bar.set_position(progress.bytes);
        bar.set_message(messages::pull_phase(self.ui.lang, &self.model, progress.phase, progress.source));
    }

    fn say(&mut self, progress: Progress<'_>) {
        let percent = (progress.bytes * 100).checked_div(progress.bytes_total).unwrap_or(100);
        let step = percent / PLAIN_STEP_PERCENT;
        // Verifying takes a second or two: that it began is enough.
        let new = match self.said {
            Some((phase, said)) => phase != progress.phase || (phase == Phase::Fetching && said != step),
            None => true,
        };
        if new {
            self.said = Some((progress.phase, step));
            let phase = messages::pull_phase(self.ui.lang, &self.model, progress.phase, progress.source);
            self.ui.notice(if progress.phase == Phase::Fetching { format!("{phase} {percent}%") } else { phase });
        }
    }
}

/// A count of bytes as people say it: `1.1 GB`.
pub fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}
