//! `qwenda completions`: what a shell needs to complete our command line.

use clap::ValueEnum;
use clap_complete::Shell;

use crate::{exit::CliError, lang::help, output::Ui};

pub fn run(ui: Ui, shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(ui.lang), "qwenda", &mut script);
    if shell == Shell::Fish {
        script.extend(fish().into_bytes());
    }
    ui.raw(&script)
}

/// What the generator leaves out for fish: the values of arguments without a name, and those of a global option whose
/// command is not typed yet.
fn fish() -> String {
    let shells: Vec<String> = Shell::value_variants().iter().map(ToString::to_string).collect();
    format!(
        "complete -c qwenda -l lang -x -a \"en zh\"\n\
         complete -c qwenda -n \"__fish_qwenda_using_subcommand completions\" -f -a \"{}\"\n",
        shells.join(" ")
    )
}
