//! `qwenda completions`: what a shell needs to complete our command line.

use clap_complete::Shell;

use crate::{exit::CliError, lang::help, output::Ui};

pub fn run(ui: Ui, shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(ui.lang), "qwenda", &mut script);
    ui.raw(&script)
}
