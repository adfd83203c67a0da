//! `qwenda backup`: a copy of keys, accounts and books, also beside a running service.

use qwenda_server::backup::{BackupError, backup};
use serde_json::json;

use crate::{
    args,
    exit::CliError,
    lang::{Lang, money},
    output::Ui,
    settings::Settings,
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Backup) -> Result<(), CliError> {
    let place = settings.place(args.place.data_dir.as_deref())?;
    let copied = backup(&place, &args.file).await.map_err(|error| explain(ui.lang, &error))?;
    ui.notice(money::backed_up(ui.lang, &copied.secret.display()));
    if args.place.json {
        let (file, secret) = (args.file.display().to_string(), copied.secret.display().to_string());
        return ui.answer_line(json!({ "file": file, "bytes": copied.bytes, "key_secret": secret }));
    }
    ui.answer_line(args.file.display())
}

fn explain(lang: Lang, error: &BackupError) -> CliError {
    let message = money::bad_backup(lang, error);
    match error {
        BackupError::Folder(_) | BackupError::Store(_) => CliError::failure(message),
        _ => CliError::usage(message),
    }
}
