//! The `qwenda` command: reads the command line, does it, exits with a documented code.
//!
//! Read next: `args.rs` (what can be typed), `settings.rs` (what it means), `commands/` (one file per
//! command), `lang/` (every text, in English and 简体中文), `output.rs` (where words go).

#![expect(unreachable_pub, reason = "a binary has no outside: `pub` means that other modules here use it")]

mod answer;
mod args;
mod books;
mod commands;
mod context;
mod conversation;
mod events;
mod exit;
mod input;
mod interrupt;
mod lang;
mod logs;
mod markdown;
mod model;
mod output;
mod progress;
mod screen;
mod sessions;
mod settings;
mod table;
mod templates;
mod tools;
mod when;
mod who;

use std::{env, ffi::OsString, process::ExitCode};

use clap::FromArgMatches;

use crate::{
    args::{Cli, Command},
    exit::{CliError, Exit},
    lang::{Lang, help},
    output::Ui,
    settings::{Env, Settings},
};

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let get = |name: &str| Env.get(name);
    let lang = Lang::of_args(&args).or_else(|| Lang::of_env(get)).unwrap_or_else(|| Lang::of_terminal(get));
    let ui = Ui::new(lang, false, get);
    let matches = help::command(lang).try_get_matches_from(&args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return end(ui, help::explain(ui, &error)),
    };
    let settings = match Settings::read(&cli.global, lang) {
        Ok(settings) => settings,
        Err(error) => return end(ui, Err(error)),
    };
    let ui = Ui::new(settings.lang, cli.global.quiet, get);
    let logs = logs::start(ui, matches!(cli.command, Command::Serve(_)));
    end(ui, logs.and_then(|()| run(ui, &settings, cli.command)))
}

fn run(ui: Ui, settings: &Settings, command: Command) -> Result<(), CliError> {
    match command {
        Command::Models(args) => commands::models::run(ui, settings, args),
        Command::Sessions { command } => commands::sessions::run(ui, settings, command),
        Command::Templates { command } => commands::templates::run(ui, settings, command),
        Command::Man { dir } => commands::man::run(ui, &dir),
        Command::Completions { shell } => commands::completions::run(ui, shell),
        command => {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| CliError::failure(error.to_string()))?;
            let done = runtime.block_on(run_async(ui, settings, command));
            // What still computes has nobody left to hear of it.
            runtime.shutdown_background();
            done
        }
    }
}

async fn run_async(ui: Ui, settings: &Settings, command: Command) -> Result<(), CliError> {
    match command {
        Command::Chat(args) => commands::chat::run(ui, settings, *args).await,
        Command::Serve(args) => commands::serve::run(ui, settings, args).await,
        Command::Pull(args) => commands::pull::run(ui, settings, args).await,
        Command::Tokens(args) => commands::tokens::run(ui, settings, args).await,
        Command::Score(args) => commands::score::run(ui, settings, args).await,
        Command::Bench(args) => commands::bench::run(ui, settings, args).await,
        Command::Keys { command } => commands::keys::run(ui, settings, command).await,
        Command::Limits(args) => commands::limits::run(ui, settings, *args).await,
        Command::Admin { command } => commands::admin::run(ui, settings, command).await,
        Command::Accounts { command } => commands::accounts::run(ui, settings, command).await,
        Command::Projects { command } => commands::projects::run(ui, settings, command).await,
        Command::Topup(args) => commands::accounts::top_up(ui, settings, args).await,
        Command::Grant(args) => commands::accounts::grant(ui, settings, args).await,
        Command::Usage(args) => commands::usage::run(ui, settings, args).await,
        Command::Bill(args) => commands::bill::run(ui, settings, args).await,
        Command::Prices { command } => commands::prices::run(ui, settings, command).await,
        Command::Audit(place) => commands::audit::run(ui, settings, place).await,
        Command::Backup(args) => commands::backup::run(ui, settings, args).await,
        Command::Models(_)
        | Command::Sessions { .. }
        | Command::Templates { .. }
        | Command::Man { .. }
        | Command::Completions { .. } => {
            unreachable!("they need no runtime")
        }
    }
}

fn end(ui: Ui, done: Result<(), CliError>) -> ExitCode {
    let exit = match done {
        Ok(()) => Exit::Ok,
        Err(error) => {
            ui.error(&error);
            error.exit
        }
    };
    ExitCode::from(exit as u8)
}
