//! `qwenda keys`: the API keys of a data folder, whether or not a service runs on it.

use std::path::Path;

use qwenda_server::keys::{self, KeyInfo, KeysError};
use serde_json::json;

use crate::{
    args,
    exit::CliError,
    lang::{Lang, messages},
    output::Ui,
    settings::Settings,
};

pub async fn run(ui: Ui, settings: &Settings, command: args::Keys) -> Result<(), CliError> {
    match command {
        args::Keys::Create { data_dir, name } => create(ui, &settings.data_dir(data_dir.as_deref())?, name).await,
        args::Keys::List { data_dir, json } => list(ui, &settings.data_dir(data_dir.as_deref())?, json).await,
        args::Keys::Revoke { which, data_dir } => revoke(ui, &settings.data_dir(data_dir.as_deref())?, &which).await,
    }
}

/// Whether a folder has a key that works.
pub async fn any(lang: Lang, folder: &Path) -> Result<bool, CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(lang, &error))?;
    Ok(keys.iter().any(|key| key.revoked_at.is_none()))
}

async fn create(ui: Ui, folder: &Path, name: Option<String>) -> Result<(), CliError> {
    let name = name.unwrap_or_else(|| "default".to_owned());
    let (key, info) = keys::create(folder, &name).await.map_err(|error| explain(ui.lang, &error))?;
    ui.notice(messages::key_shown_once(ui.lang, &info.name));
    ui.answer_line(key.reveal())
}

async fn list(ui: Ui, folder: &Path, as_json: bool) -> Result<(), CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(ui.lang, &error))?;
    if as_json {
        let record = |key: &KeyInfo| {
            json!({
                "id": key.id,
                "name": key.name,
                "last4": key.last_four,
                "created_at": key.created_at,
                "revoked_at": key.revoked_at,
            })
        };
        return ui.answer_line(json!({ "keys": keys.iter().map(record).collect::<Vec<_>>() }));
    }
    if keys.is_empty() {
        ui.notice(messages::no_keys(ui.lang));
    }
    for key in keys {
        let state = if key.revoked_at.is_some() { messages::is_revoked(ui.lang) } else { messages::works(ui.lang) };
        ui.answer_line(format!("{}  …{}  {state}  {}", key.id, key.last_four, key.name))?;
    }
    Ok(())
}

/// Ends the one working key that is meant. An id is tried first, then a name, then the last four
/// characters; what fits several is refused.
async fn revoke(ui: Ui, folder: &Path, which: &str) -> Result<(), CliError> {
    let keys = keys::list(folder).await.map_err(|error| explain(ui.lang, &error))?;
    let working: Vec<&KeyInfo> = keys.iter().filter(|key| key.revoked_at.is_none()).collect();
    let by = |same: fn(&KeyInfo, &str) -> bool| working.iter().filter(|key| same(key, which)).collect::<Vec<_>>();
    let found = [
        by(|key, which| key.id == which),
        by(|key, which| key.name == which),
        by(|key, which| key.last_four == which.trim_start_matches('…')),
    ];
    match found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().as_slice() {
        [] => Err(CliError::usage(messages::no_such_key(ui.lang, which))),
        [key] => {
            keys::revoke(folder, &key.id).await.map_err(|error| explain(ui.lang, &error))?;
            ui.notice(messages::key_revoked(ui.lang, &key.name, &key.last_four));
            Ok(())
        }
        several => {
            let ids = several.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ");
            Err(CliError::usage(messages::several_keys(ui.lang, which, &ids)))
        }
    }
}

fn explain(lang: Lang, error: &KeysError) -> CliError {
    let message = messages::bad_keys(lang, error);
    match error {
        KeysError::Name => CliError::usage(message),
        _ => CliError::failure(message),
    }
}
