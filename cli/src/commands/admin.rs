//! `qwenda admin keys`: who may administer a service, whether or not one runs on the folder.

use qwenda_server::{
    Place,
    admin::{self, AdminKeyInfo, Made},
};
use serde_json::{Value, json};

use super::keys::explain;
use crate::{
    args,
    exit::CliError,
    lang::{Lang, admin as texts, messages},
    output::Ui,
    settings::Settings,
    table::Table,
};

pub async fn run(ui: Ui, settings: &Settings, command: args::Admin) -> Result<(), CliError> {
    let args::Admin::Keys { command } = command;
    let folder = |place: &args::Place| settings.place(place.data_dir.as_deref());
    match command {
        args::AdminKeys::Create { role, name, signing, place } => {
            let name = name.as_deref().unwrap_or("default");
            create(ui, &folder(&place)?, &role, name, signing, place.json).await
        }
        args::AdminKeys::List { place } => list(ui, &folder(&place)?, place.json).await,
        args::AdminKeys::Revoke { which, place } => revoke(ui, &folder(&place)?, &which, place.json).await,
    }
}

async fn create(ui: Ui, folder: &Place, role: &str, name: &str, signing: bool, as_json: bool) -> Result<(), CliError> {
    let lang = ui.lang;
    let role = role.parse().map_err(|_| CliError::usage(texts::bad_role(lang, role)))?;
    let (made, info) = admin::create(folder, name, role, signing).await.map_err(|error| explain(lang, &error))?;
    let mut record = record(&info);
    let role = info.role.to_string();
    let shown = match made {
        Made::Bearer(key) => {
            record["key"] = key.reveal().into();
            ui.notice(texts::admin_key_shown_once(lang, &info.name, &role));
            key.reveal().to_owned()
        }
        Made::Signing(secret) => {
            record["secret"] = secret.reveal().into();
            ui.notice(texts::access_key_shown_once(lang, &info.name, &role));
            format!("{} {}", info.id, secret.reveal())
        }
    };
    if as_json { ui.answer_line(record) } else { ui.answer_line(shown) }
}

fn record(key: &AdminKeyInfo) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "role": key.role.to_string(),
        "signing": key.signs,
        "last4": key.last_four,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

async fn list(ui: Ui, folder: &Place, as_json: bool) -> Result<(), CliError> {
    let lang = ui.lang;
    let keys = admin::list(folder).await.map_err(|error| explain(lang, &error))?;
    if as_json {
        return ui.answer_line(json!({ "keys": keys.iter().map(record).collect::<Vec<_>>() }));
    }
    if keys.is_empty() {
        ui.notice(texts::no_admin_keys(lang));
        return Ok(());
    }
    let mut table = Table::new(&texts::admin_key_headings(lang));
    for key in keys {
        let state = if key.revoked_at.is_some() { messages::is_revoked(lang) } else { messages::works(lang) };
        let kind = if key.signs { texts::signs(lang) } else { texts::sends(lang) };
        let last_four = format!("…{}", key.last_four);
        table.row([key.id, last_four, state.trim_end().to_owned(), key.role.to_string(), kind, key.name]);
    }
    ui.answer_line(table)
}

async fn revoke(ui: Ui, folder: &Place, which: &str, as_json: bool) -> Result<(), CliError> {
    let lang = ui.lang;
    let keys = admin::list(folder).await.map_err(|error| explain(lang, &error))?;
    let key = find(lang, &keys, which)?;
    admin::revoke(folder, &key.id).await.map_err(|error| explain(lang, &error))?;
    ui.notice(texts::admin_key_revoked(lang, &key.name, &key.last_four));
    if as_json { ui.answer_line(json!({ "id": key.id, "revoked": true })) } else { Ok(()) }
}

/// The one working admin key that is meant: an id is tried first, then a name, then the last four characters.
fn find<'a>(lang: Lang, keys: &'a [AdminKeyInfo], which: &str) -> Result<&'a AdminKeyInfo, CliError> {
    let by = |same: fn(&AdminKeyInfo, &str) -> bool| -> Vec<&AdminKeyInfo> {
        keys.iter().filter(|key| key.revoked_at.is_none() && same(key, which)).collect()
    };
    let found = [
        by(|key, which| key.id == which),
        by(|key, which| key.name == which),
        by(|key, which| key.last_four == which.trim_start_matches('…')),
    ];
    match found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().as_slice() {
        [] => Err(CliError::usage(texts::no_such_admin_key(lang, which))),
        [key] => Ok(key),
        several => {
            let ids = several.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ");
            Err(CliError::usage(texts::several_admin_keys(lang, which, &ids)))
        }
    }
}
