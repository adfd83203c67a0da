//! Roles and templates in mid conversation: what stands behind `/role` and `/template`.

use std::collections::BTreeMap;

use crate::{
    exit::CliError,
    lang::{Lang, repl as words},
    templates::{self, INPUT, Template, Templates, Unfilled},
};

/// A template that waits for the next prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub name: String,
    variables: BTreeMap<String, String>,
}

/// What was typed behind the command.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    pub name: String,
    variables: BTreeMap<String, String>,
    /// What is left.
    pub text: String,
}

/// What a template comes to.
pub enum Filled {
    Prompt(String),
    /// All it wants besides is what is asked next.
    Waits(Waiting),
}

impl Typed {
    /// The name of a role, then variables as far as it knows them, then a text: what looks like a variable and is none
    /// is part of the text.
    pub fn role(templates: &Templates, lang: Lang, typed: &str) -> Result<Self, CliError> {
        let (name, rest) = split(typed);
        Ok(Self::of(name, templates.role(lang, name)?.0, rest))
    }

    /// As [`role`](Self::role), of a template with a prompt.
    pub fn template(templates: &Templates, lang: Lang, typed: &str) -> Result<Self, CliError> {
        let (name, rest) = split(typed);
        Ok(Self::of(name, templates.prompt(lang, name)?.0, rest))
    }

    fn of(name: &str, template: &Template, mut rest: &str) -> Self {
        let known: Vec<String> = templates::variables(template).into_iter().map(|(name, _)| name).collect();
        let mut variables = BTreeMap::new();
        while let Some((variable, value, after)) = variable(rest)
            && known.contains(&variable)
        {
            variables.insert(variable, value);
            rest = after;
        }
        Self { name: name.to_owned(), variables, text: rest.to_owned() }
    }

    /// The instructions: all that a role is, and what some templates have beside their prompt.
    pub fn system(&self, templates: &Templates, lang: Lang) -> Result<Option<String>, CliError> {
        let template = templates.get(lang, &self.name)?;
        let fill = |text: &str| templates::fill(lang, &self.name, text, template, &self.variables);
        template.system.as_deref().map(fill).transpose()
    }

    /// The prompt as far as it is known without the text.
    pub fn prompt(self, templates: &Templates, lang: Lang) -> Result<Filled, CliError> {
        Waiting { name: self.name, variables: self.variables }.fill(templates, lang, None)
    }
}

impl Waiting {
    pub fn fill(self, templates: &Templates, lang: Lang, text: Option<String>) -> Result<Filled, CliError> {
        let (template, prompt) = templates.prompt(lang, &self.name)?;
        let mut variables = self.variables.clone();
        variables.extend(text.map(|text| (INPUT.to_owned(), text)));
        match templates::try_fill(lang, &self.name, prompt, template, &variables) {
            Ok(text) => Ok(Filled::Prompt(text)),
            Err(Unfilled::Missing(variable)) if variable == INPUT => Ok(Filled::Waits(self)),
            Err(Unfilled::Missing(variable)) => {
                Err(CliError::usage(words::template_wants(lang, &self.name, &variable)))
            }
            Err(Unfilled::Wrong(error)) => Err(error),
        }
    }
}

fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// `name=value` or `name="a value"` at the beginning, and what is behind it.
fn variable(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    let (value, after) = match rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((value, after)) => (value, after.trim_start()),
        None => split(rest),
    };
    Some((name.to_owned(), value.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_end_where_the_text_begins() {
        let some = |name: &str, value: &str, rest: &'static str| Some((name.to_owned(), value.to_owned(), rest));
        for (text, want) in [
            ("to=French hello", some("to", "French", "hello")),
            ("to=\"plain French\" hello", some("to", "plain French", "hello")),
            ("to=\"open", some("to", "\"open", "")),
            ("to= hello", some("to", "", "hello")),
            ("语气=正式\n你好", some("语气", "正式", "你好")),
            ("hello to=French", None),
            ("=x", None),
            ("", None),
        ] {
            assert_eq!(variable(text), want, "{text:?}");
        }
    }
}
