//! Signs of life on stderr: a spinner while the model loads, a bar while one is fetched. Where nobody
//! watches (not a terminal) a pull says a plain line now and then; with `--quiet` nothing at all.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use qwenda_backend::models::{Phase, Progress};

use crate::{lang::messages, output::Ui, table::cut};

const TICK: Duration = Duration::from_millis(100);
/// How often a pull speaks where there is no terminal: ten lines in all.
const PLAIN_STEP_PERCENT: u64 = 10;

/// What it turns through.
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A spinner, until it is cleared or dropped; then it is gone without a trace, and so is a `^C` that the terminal put
/// behind it: its line is never filled, so that what is typed stays on it.
pub struct Spinner(Mutex<Option<Turning>>);

struct Turning {
    says: mpsc::Sender<String>,
    thread: JoinHandle<()>,
}

/// Begins to spin.
pub fn spinner(ui: Ui, text: String) -> Spinner {
    if !ui.draws() || ui.dumb {
        return Spinner(Mutex::new(None));
    }
    let (says, said) = mpsc::channel();
    let thread = thread::spawn(move || turn(ui, text, &said));
    Spinner(Mutex::new(Some(Turning { says, thread })))
}

fn turn(ui: Ui, mut text: String, said: &mpsc::Receiver<String>) {
    for frame in FRAMES.iter().cycle() {
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        ui.draw(&format!("\r\x1b[K{frame} {}", cut(&text, width.saturating_sub(4))));
        match said.recv_timeout(TICK) {
            Ok(next) => text = next,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    ui.draw("\r\x1b[K");
}

impl Spinner {
    fn turning(&self) -> MutexGuard<'_, Option<Turning>> {
        // It is there, or it is not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something else from now on.
    pub fn say(&self, text: String) {
        if let Some(turning) = &*self.turning() {
            // It ends only after its sender.
            let _ = turning.says.send(text);
        }
    }

    /// Takes it off the screen, once: afterwards the line belongs to the answer.
    pub fn clear(&self) {
        if let Some(Turning { says, thread }) = self.turning().take() {
            drop(says);
            // What it drew is gone when it ends.
            let _ = thread.join();
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
