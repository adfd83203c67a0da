//! `qwenda templates`: prompts and roles with a name.

use serde_json::json;

use crate::{
    args,
    exit::CliError,
    lang::chat as words,
    output::Ui,
    settings::Settings,
    table::Table,
    templates::{From, Templates, variables},
};

pub fn run(ui: Ui, settings: &Settings, command: args::Templates) -> Result<(), CliError> {
    let templates = Templates::read(ui.lang, settings)?;
    match command {
        args::Templates::List { json } => list(ui, &templates, json),
        args::Templates::Show { name } => show(ui, &templates, &name),
    }
}

fn list(ui: Ui, templates: &Templates, json: bool) -> Result<(), CliError> {
    if json {
        let record = |(name, template, from): (&str, &crate::templates::Template, &From)| {
            let variables: Vec<_> = variables(template)
                .into_iter()
                .map(|(name, default)| json!({"name": name, "default": default}))
                .collect();
            let path = match from {
                From::Builtin => None,
                From::File(path) => Some(path.display().to_string()),
            };
            json!({"name": name, "description": template.description, "variables": variables,
                "role": template.prompt.is_none(), "path": path})
        };
        return ui.answer_line(json!({"templates": templates.all().map(record).collect::<Vec<_>>()}));
    }
    let mut table = Table::new(&words::templates_columns(ui.lang));
    for (name, template, _) in templates.all() {
        let names: Vec<String> = variables(template).into_iter().map(|(name, _)| name).collect();
        table.row([name.to_owned(), names.join(" "), template.description.clone()]);
    }
    ui.answer_line(table)
}

fn show(ui: Ui, templates: &Templates, name: &str) -> Result<(), CliError> {
    let template = templates.get(ui.lang, name)?;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| text += &format!("{name} = {}\n", toml::Value::from(value));
    field("description", &template.description);
    for (name, value) in [("system", &template.system), ("prompt", &template.prompt)] {
        if let Some(value) = value {
            field(name, value);
        }
    }
    if !template.defaults.is_empty() {
        text += "\n[defaults]\n";
        for (name, value) in &template.defaults {
            text += &format!("{name} = {}\n", toml::Value::from(value.as_str()));
        }
    }
    ui.answer(&text)
}
