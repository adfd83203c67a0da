//! `qwenda models`: what can be pulled and what is here.

use serde_json::{Value, json};

use crate::{args, exit::CliError, lang::messages, output::Ui, progress, settings::Settings};

/// One model, of the catalogue, here, or both.
struct Row {
    name: String,
    bytes: u64,
    /// Architecture, licence, context; unknown for a file that is not of the catalogue.
    known: Option<(String, String, u32)>,
    path: Option<String>,
    default: bool,
}

pub fn run(ui: Ui, settings: &Settings, args: args::Models) -> Result<(), CliError> {
    let rows = rows(settings)?;
    if args.json {
        return ui.answer_line(json!({ "models": rows.iter().map(Row::record).collect::<Vec<_>>() }));
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    for row in &rows {
        let state = if row.path.is_some() { messages::is_here(ui.lang) } else { messages::is_not_here(ui.lang) };
        let mut line = format!("{:width$}  {:>9}  {state}", row.name, progress::bytes(row.bytes));
        if let Some((architecture, licence, _)) = &row.known {
            line += &format!("  {architecture}  {licence}");
        }
        if row.default {
            line += &format!("  {}", messages::is_default(ui.lang));
        }
        ui.answer_line(line)?;
    }
    ui.notice(messages::models_folder(ui.lang, &settings.store.models_dir().display().to_string()));
    Ok(())
}

fn rows(settings: &Settings) -> Result<Vec<Row>, CliError> {
    let installed =
        settings.store.installed(&settings.catalogue).map_err(|error| CliError::failure(error.to_string()))?;
    let default = &settings.model(None, None)?.name;
    let mut rows: Vec<Row> = settings
        .catalogue
        .entries()
        .iter()
        .map(|entry| {
            let here = installed.iter().find(|file| file.entry.as_ref().is_some_and(|of| of.name == entry.name));
            Row {
                name: entry.name.clone(),
                bytes: entry.bytes,
                known: Some((entry.architecture.clone(), entry.licence.clone(), entry.context_tokens_max)),
                path: here.map(|file| file.path.display().to_string()),
                default: entry.name == *default,
            }
        })
        .collect();
    rows.extend(installed.into_iter().filter(|file| file.entry.is_none()).map(|file| Row {
        default: file.name == *default,
        name: file.name,
        bytes: file.bytes,
        known: None,
        path: Some(file.path.display().to_string()),
    }));
    Ok(rows)
}

impl Row {
    fn record(&self) -> Value {
        let (architecture, licence, context) = match &self.known {
            Some((architecture, licence, context)) => (Some(architecture), Some(licence), Some(context)),
            None => (None, None, None),
        };
        json!({
            "name": self.name,
            "installed": self.path.is_some(),
            "default": self.default,
            "bytes": self.bytes,
            "architecture": architecture,
            "context_tokens_max": context,
            "licence": licence,
            "path": self.path,
        })
    }
}
