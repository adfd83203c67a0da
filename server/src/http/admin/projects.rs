//! Projects of accounts.

use axum::{Json, extract::Path, response::Response};
use qwenda_ledger::{policy::Action, terms::Terms};
use serde_json::{Value, json};

use super::{
    super::error::Failure,
    Page,
    call::Call,
    failure::of_projects,
    form::missing,
    terms::{self, OF_PROJECTS},
    versioned,
};
use crate::projects::{Changes, ProjectRow, Projects};

pub(in crate::http) async fn create(call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageAccounts)?;
    let mut form = call.form()?;
    let account = form.text("account")?.ok_or_else(|| missing("account"))?;
    let name = form.text("name")?.ok_or_else(|| missing("name"))?;
    let terms = terms::changed(&mut form, &Terms::default(), &[OF_PROJECTS])?;
    form.end()?;
    let projects = call.admin.projects();
    let project = projects.create(&account, &name, terms).await.map_err(of_projects)?;
    call.admin.did("made a project", &project.id);
    shown(&projects, &project).await
}

pub(in crate::http) async fn list(call: Call) -> Result<Json<Value>, Failure> {
    call.must(Action::ReadUsage)?;
    let mut form = call.query()?;
    let (page, account) = (Page::of(&mut form)?, form.text("account")?);
    form.end()?;
    let rows = call.admin.projects().page(account.as_deref(), page.after.as_deref(), page.wanted()).await;
    Ok(page.show(rows.map_err(of_projects)?.iter().map(record).collect()))
}

pub(in crate::http) async fn show(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ReadUsage)?;
    call.query()?.end()?;
    let projects = call.admin.projects();
    let project = projects.find(&which, None).await.map_err(of_projects)?;
    shown(&projects, &project).await
}

pub(in crate::http) async fn change(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ManageAccounts)?;
    let mut form = call.form()?;
    let projects = call.admin.projects();
    let project = projects.find(&which, None).await.map_err(of_projects)?;
    let terms = terms::changed(&mut form, &project.terms, &[OF_PROJECTS])?;
    let disabled = form.flag("disabled")?;
    form.end()?;
    call.must_match(project.version, "project")?;
    let project = projects.change(project, Changes { terms: Some(terms), disabled }).await.map_err(of_projects)?;
    call.admin.did("changed a project", &project.id);
    shown(&projects, &project).await
}

async fn shown(projects: &Projects, project: &ProjectRow) -> Result<Response, Failure> {
    let mut record = record(project);
    record["spent"] = terms::spent(projects.spent(project).await.map_err(of_projects)?);
    Ok(versioned(record, project.version))
}

fn record(project: &ProjectRow) -> Value {
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
