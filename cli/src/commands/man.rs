//! `qwenda man`: manual pages, one for each command.

use std::{fs, io, path::Path};

use crate::{
    exit::CliError,
    lang::{help, messages},
    output::Ui,
};

/// Writes the pages into this folder.
pub fn run(ui: Ui, folder: &Path) -> Result<(), CliError> {
    let place = folder.display().to_string();
    let cannot = |error: io::Error| CliError::failure(messages::cannot_write(ui.lang, &place, &error));
    fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(help::command(ui.lang), folder).map_err(cannot)?;
    ui.notice(messages::saved(ui.lang, &place));
    Ok(())
}
