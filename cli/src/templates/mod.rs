//! Prompts and roles with a name: those that come along, in the person's language, and files of their own.

mod builtin;

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Deserialize;

use crate::{
    exit::CliError,
    lang::{Lang, chat as words, messages, repl},
    settings::Settings,
};

/// Steps that a template may take: none needs many, and one that loops for ever ends.
const FUEL: u64 = 1_000_000;
/// What the words of the command line, stdin and the files are to a template.
pub const INPUT: &str = "input";

/// A prompt, or a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    #[serde(default)]
    pub description: String,
    /// Instructions that come first. A role is nothing else.
    pub system: Option<String>,
    /// What is asked; `{{ input }}` stands for what the person gives.
    pub prompt: Option<String>,
    /// Values of variables that nobody gives.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
}

/// Where a template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Builtin,
    File(PathBuf),
}

/// All templates there are.
pub struct Templates {
    found: BTreeMap<String, (Template, From)>,
}

impl Templates {
    /// Those that come along, in this language, and the files of `QWENDA_HOME/templates`, which go before them.
    pub fn read(lang: Lang, settings: &Settings) -> Result<Self, CliError> {
        let mut found = BTreeMap::new();
        for (name, template) in builtin::all(lang) {
            found.insert(name, (template, From::Builtin));
        }
        let folder = settings.home().join("templates");
        let cannot = |path: &std::path::Path, error: &io::Error| {
            CliError::usage(messages::cannot_read(lang, &path.display().to_string(), error))
        };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { found }),
            entries => entries.map_err(|error| cannot(&folder, &error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| cannot(&folder, &error))?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            if name.is_empty() || path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
            let template = toml::from_str(&text).map_err(|error| {
                CliError::usage(messages::bad_config(lang, &path.display().to_string(), &error.to_string()))
            })?;
            found.insert(name, (template, From::File(path)));
        }
        Ok(Self { found })
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &Template, &From)> {
        self.found.iter().map(|(name, (template, from))| (name.as_str(), template, from))
    }

    pub fn get(&self, lang: Lang, name: &str) -> Result<&Template, CliError> {
        self.one_of(lang, name, |_| true)
    }

    /// What can be a role, with its description.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.such(|template| template.system.is_some())
    }

    /// What has a prompt, with its description.
    pub fn prompts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.such(|template| template.prompt.is_some())
    }

    fn such(&self, wanted: impl Fn(&Template) -> bool) -> impl Iterator<Item = (&str, &str)> {
        let found = self.found.iter().filter(move |(_, (template, _))| wanted(template));
        found.map(|(name, (template, _))| (name.as_str(), template.description.as_str()))
    }

    /// The instructions of a role.
    pub fn role(&self, lang: Lang, name: &str) -> Result<(&Template, &str), CliError> {
        let wanted = |template: &Template| template.system.is_some();
        let template = self.one_of(lang, name, wanted)?;
        let text = template.system.as_deref();
        let text = text.ok_or_else(|| self.hinted(lang, words::no_role(lang, name), wanted))?;
        Ok((template, text))
    }

    /// The prompt of a template.
    pub fn prompt(&self, lang: Lang, name: &str) -> Result<(&Template, &str), CliError> {
        let wanted = |template: &Template| template.prompt.is_some();
        let template = self.one_of(lang, name, wanted)?;
        let text = template.prompt.as_deref();
        let text = text.ok_or_else(|| self.hinted(lang, words::no_prompt_in(lang, name), wanted))?;
        Ok((template, text))
    }

    /// The template of this name; where there is none, an error with the names of all that would do.
    fn one_of(&self, lang: Lang, name: &str, wanted: impl Fn(&Template) -> bool) -> Result<&Template, CliError> {
        let found = self.found.get(name).map(|(template, _)| template);
        found.ok_or_else(|| self.hinted(lang, words::no_template(lang, name), wanted))
    }

    fn hinted(&self, lang: Lang, what: String, wanted: impl Fn(&Template) -> bool) -> CliError {
        let names: Vec<&str> = self.such(wanted).map(|(name, _)| name).collect();
        CliError::usage(what).hint(repl::there_are(lang, &names.join(", ")))
    }
}

/// Why a text of a template cannot be filled in.
#[derive(Debug)]
pub enum Unfilled {
    /// Nobody gives this variable.
    Missing(String),
    Wrong(CliError),
}

/// Fills a text of a template in. A variable that nobody gives is an error that names it.
pub fn fill(
    lang: Lang,
    name: &str,
    text: &str,
    template: &Template,
    given: &BTreeMap<String, String>,
) -> Result<String, CliError> {
    try_fill(lang, name, text, template, given).map_err(|error| match error {
        Unfilled::Missing(variable) if variable == INPUT => CliError::usage(words::template_wants_input(lang, name)),
        Unfilled::Missing(variable) => CliError::usage(words::template_wants(lang, name, &variable)),
        Unfilled::Wrong(error) => error,
    })
}

/// As [`fill`], where whoever asks can still be given what is missing.
pub fn try_fill(
    lang: Lang,
    name: &str,
    text: &str,
    template: &Template,
    given: &BTreeMap<String, String>,
) -> Result<String, Unfilled> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let wrong = |error: &minijinja::Error| {
        Unfilled::Wrong(CliError::usage(words::bad_template(lang, name, &error.to_string())))
    };
    let parsed = environment.template_from_str(text).map_err(|error| wrong(&error))?;
    let mut values = template.defaults.clone();
    values.extend(given.clone());
    let error = match parsed.render(&values) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == ErrorKind::UndefinedError => error,
        Err(error) => return Err(wrong(&error)),
    };
    let mut missing: Vec<String> = names(&environment, text);
    missing.retain(|variable| !values.contains_key(variable));
    missing.sort_by_key(|variable| variable == INPUT);
    let missing = missing.into_iter().next();
    // What is asked for at a prompt comes last: with it alone missing, the next prompt can be it.
    Err(missing.map_or_else(|| wrong(&error), Unfilled::Missing))
}

/// The variables of a text, without those that every template has.
fn names(environment: &Environment<'_>, text: &str) -> Vec<String> {
    let Ok(parsed) = environment.template_from_str(text) else { return Vec::new() };
    let functions: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut names: Vec<String> = parsed.undeclared_variables(false).into_iter().collect();
    names.retain(|name| !functions.contains(&name.as_str()));
    names.sort();
    names
}

/// The variables that a template knows, with their values where it has one.
pub fn variables(template: &Template) -> Vec<(String, Option<&str>)> {
    let environment = Environment::new();
    let mut names: Vec<String> =
        [&template.system, &template.prompt].into_iter().flatten().flat_map(|text| names(&environment, text)).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (name.clone(), template.defaults.get(&name).map(String::as_str))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_template_exists_in_both_languages_and_can_be_filled_in() {
        let (en, zh) = (builtin::all(Lang::En), builtin::all(Lang::Zh));
        let names = |all: &BTreeMap<String, Template>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&en), names(&zh));
        for name in ["summarize", "translate", "polish", "explain", "review", "extract", "sentiment"] {
            for (lang, all) in [(Lang::En, &en), (Lang::Zh, &zh)] {
                let template = &all[name];
                let prompt = template.prompt.as_ref().unwrap();
                let filled = fill(lang, name, prompt, template, &given(&[(INPUT, "{{ raw }} <b>")])).unwrap();
                // What the person gives is never a template, and nothing is escaped.
                assert!(filled.contains("{{ raw }} <b>"), "{filled}");
                assert!(!template.description.is_empty());
            }
        }
        assert!(zh.values().all(|template| template.description.chars().any(|c| c > '\u{2e80}')));
        assert!(en.values().filter(|template| template.prompt.is_none()).all(|role| role.system.is_some()));
    }

    #[test]
    fn a_variable_that_nobody_gives_is_named() {
        let template = Template { defaults: given(&[("b", "2")]), ..Template::default() };
        let fill = |text: &str, values: &[(&str, &str)]| fill(Lang::En, "t", text, &template, &given(values));
        assert_eq!(fill("{{ a }}{{ b }}", &[("a", "1")]).unwrap(), "12");
        assert_eq!(fill("{{ a }}{{ b }}", &[("a", "1"), ("b", "3")]).unwrap(), "13");
        assert_eq!(fill("{% if c is defined %}{{ c }}{% endif %}.", &[]).unwrap(), ".");
        assert!(fill("{{ a }}", &[]).unwrap_err().message.contains("`a`"));
        assert!(fill("{{ input }}", &[]).unwrap_err().message.contains("text"));
        assert!(fill("{% if %}", &[]).unwrap_err().message.contains("`t`"));
        assert!(
            fill("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", &[]).is_err()
        );
    }
}
