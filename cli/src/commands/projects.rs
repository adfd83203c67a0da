//! `qwenda projects`: keys of an account that are held to something together. What that is, `qwenda limits` says.

use qwenda_server::{
    accounts::AccountRow,
    keys::Terms,
    projects::{Changes, ProjectRow, Projects, ProjectsError},
};
use serde_json::{Value, json};

use super::keys::{explain as explain_keys, summary};
use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, messages, projects as texts},
    output::Ui,
    settings::Settings,
    table::Table,
};

/// Projects that are read at once.
const PAGE: i64 = 1_000;

pub async fn run(ui: Ui, settings: &Settings, command: args::Projects) -> Result<(), CliError> {
    let lang = ui.lang;
    match command {
        args::Projects::Create { name, account, place } => {
            let projects = open(lang, settings, &place).await?;
            let made = projects.create(&account, &name, Terms::default()).await;
            let project = made.map_err(|error| explain(lang, error))?;
            projects.close().await;
            if place.json {
                return ui.answer_line(record(&project));
            }
            ui.notice(texts::project_made(lang, &project.name));
            ui.answer_line(&project.id)
        }
        args::Projects::List { account, place } => list(ui, settings, account.as_deref(), &place).await,
        args::Projects::Disable { which, account, place } => {
            switch(ui, settings, &which, account.as_deref(), &place, true).await
        }
        args::Projects::Enable { which, account, place } => {
            switch(ui, settings, &which, account.as_deref(), &place, false).await
        }
    }
}

/// The projects of a data folder.
pub async fn open(lang: Lang, settings: &Settings, place: &args::Place) -> Result<Projects, CliError> {
    let folder = settings.place(place.data_dir.as_deref())?;
    Projects::open(folder).await.map_err(|error| explain(lang, error))
}

async fn switch(
    ui: Ui,
    settings: &Settings,
    which: &str,
    account: Option<&str>,
    place: &args::Place,
    disabled: bool,
) -> Result<(), CliError> {
    let projects = open(ui.lang, settings, place).await?;
    let project = projects.find(which, account).await.map_err(|error| explain(ui.lang, error))?;
    let changes = Changes { disabled: Some(disabled), ..Changes::default() };
    let project = projects.change(project, changes).await.map_err(|error| explain(ui.lang, error))?;
    projects.close().await;
    if place.json {
        return ui.answer_line(record(&project));
    }
    ui.notice(match disabled {
        true => texts::project_disabled(ui.lang, &project.name),
        false => texts::project_enabled(ui.lang, &project.name),
    });
    Ok(())
}

async fn list(ui: Ui, settings: &Settings, account: Option<&str>, place: &args::Place) -> Result<(), CliError> {
    let lang = ui.lang;
    let projects = open(lang, settings, place).await?;
    let mut rows: Vec<ProjectRow> = Vec::new();
    loop {
        let after = rows.last().map(|project| project.id.clone());
        let page = projects.page(account, after.as_deref(), PAGE).await.map_err(|error| explain(lang, error))?;
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    projects.close().await;
    if place.json {
        return ui.answer_line(json!({ "projects": rows.iter().map(record).collect::<Vec<_>>() }));
    }
    if rows.is_empty() {
        ui.notice(texts::no_projects(lang));
        return Ok(());
    }
    let accounts = books::open(lang, settings, place).await?;
    let named = accounts.list().await.map_err(|error| books::explain(lang, &error))?;
    accounts.close().await;
    let mut table = Table::new(&texts::project_headings(lang));
    for project in rows {
        let of = named.iter().find(|account: &&AccountRow| account.id == project.account_id);
        let state = match project.disabled_at {
            None => messages::works(lang).trim_end().to_owned(),
            Some(_) => texts::is_disabled(lang),
        };
        let account = of.map_or_else(|| project.account_id.clone(), |account| account.name.clone());
        table.row([project.name, account, state, summary(&project.terms), project.id]);
    }
    ui.answer_line(table)
}

pub fn record(project: &ProjectRow) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "account": project.account_id,
        "terms": project.terms,
        "disabled_at": project.disabled_at,
        "version": project.version,
        "created_at": project.created_at,
    })
}

/// What went wrong, in the reader's language.
pub fn explain(lang: Lang, error: ProjectsError) -> CliError {
    match error {
        ProjectsError::Accounts(error) => books::explain(lang, &error),
        ProjectsError::Keys(error) => explain_keys(lang, &error),
        ProjectsError::Changed => CliError::failure(texts::bad_projects(lang, &error)),
        error => CliError::usage(texts::bad_projects(lang, &error)),
    }
}
