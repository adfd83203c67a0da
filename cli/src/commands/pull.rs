//! `qwenda pull`: a model of the catalogue, fetched ahead of its use.

use qwenda_backend::models::{PullOptions, Resolved};

use crate::{args, exit::CliError, lang::messages, model, output::Ui, settings::Settings};

pub async fn run(ui: Ui, settings: &Settings, args: args::Pull) -> Result<(), CliError> {
    let name = settings.model(args.name.as_deref(), None)?.name;
    match model::resolve(ui.lang, settings, &name)? {
        Resolved::Here { name, path } => {
            ui.notice(messages::here_already(ui.lang, &name, &path.display().to_string()));
        }
        Resolved::Missing(entry) => {
            let options = PullOptions { from: args.from, ..PullOptions::default() };
            model::pull(ui, settings, &entry, options).await?;
        }
    }
    Ok(())
}
