//! The list of models that can be pulled, as data: `backend/catalogue.toml` and the user's own file.

use std::{fs, io, path::Path};

use serde::Deserialize;

use super::{
    error::CatalogueError,
    source::{Source, Written as WrittenSource, is_sha256},
};

/// The models that can be pulled, the user's own first.
#[derive(Debug, Clone)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// One model file, known to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub aliases: Vec<String>,
    /// Whether `chat` and `serve` take it when none is named.
    pub default: bool,
    /// Name of the file in the model folder.
    pub file: String,
    pub bytes: u64,
    /// SHA-256 of the file in lower-case hex.
    pub sha256: String,
    pub licence: String,
    /// As the GGUF names it, such as `qwen2`.
    pub architecture: String,
    /// As people say it, such as `1.5B`.
    pub parameters: String,
    pub quantization: String,
    pub context_tokens_max: u32,
    /// In order of preference.
    pub sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    model: Vec<WrittenEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    default: bool,
    file: String,
    bytes: u64,
    sha256: String,
    licence: String,
    architecture: String,
    #[serde(default)]
    parameters: String,
    #[serde(default)]
    quantization: String,
    context_tokens_max: u32,
    sources: Vec<WrittenSource>,
}

impl Catalogue {
    /// The catalogue that this program was built with.
    pub fn built_in() -> Self {
        Self::parse("catalogue.toml", include_str!("../../catalogue.toml"))
            .expect("a test reads the built-in catalogue")
    }

    /// The built-in catalogue below the user's own `catalogue.toml` in `home`, if there is one.
    pub fn load(home: &Path) -> Result<Self, CatalogueError> {
        let path = home.join("catalogue.toml");
        let own = match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::built_in()),
            Err(cause) => return Err(CatalogueError::Unreadable { path, cause }),
        };
        Ok(own.over(Self::built_in()))
    }

    /// Reads a catalogue; `place` is what errors call it.
    pub(super) fn parse(place: &str, text: &str) -> Result<Self, CatalogueError> {
        let written: Written = toml::from_str(text)
            .map_err(|cause| CatalogueError::Malformed { place: place.to_owned(), cause: cause.to_string() })?;
        let entries: Vec<Entry> = written.model.into_iter().map(WrittenEntry::check).collect::<Result<_, _>>()?;
        let mut seen = std::collections::HashSet::new();
        for entry in &entries {
            for name in entry.names() {
                if !seen.insert(name.to_lowercase()) {
                    return Err(CatalogueError::Entry {
                        model: entry.name.clone(),
                        what: format!("the name `{name}` is given twice"),
                    });
                }
            }
        }
        Ok(Self { entries })
    }

    /// All entries, the user's own first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with that name or alias; case does not matter.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        let same = |known: &str| known.to_lowercase() == name.to_lowercase();
        self.entries
            .iter()
            .find(|entry| same(&entry.name))
            .or_else(|| self.entries.iter().find(|entry| entry.names().any(same)))
    }

    /// The entry whose file is called that.
    pub fn by_file(&self, file: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.file.eq_ignore_ascii_case(file))
    }

    /// What `chat` and `serve` take when no model is named.
    pub fn default_entry(&self) -> &Entry {
        // A user's entry may replace the default one without saying `default` again.
        self.entries
            .iter()
            .find(|entry| entry.default)
            .or(self.entries.first())
            .expect("the built-in catalogue is not empty")
    }

    fn over(mut self, below: Self) -> Self {
        let rest: Vec<Entry> =
            below.entries.into_iter().filter(|entry| self.entries.iter().all(|own| own.name != entry.name)).collect();
        self.entries.extend(rest);
        self
    }
}

impl Entry {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

impl WrittenEntry {
    fn check(self) -> Result<Entry, CatalogueError> {
        let model = self.name.clone();
        let wrong = |what: String| CatalogueError::Entry { model: model.clone(), what };
        // The file name is joined to a folder, the model name to a staging folder: neither may lead out.
        for (field, text) in [("name", &self.name), ("file", &self.file)] {
            let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !plain || text.is_empty() || text.starts_with('.') {
                return Err(wrong(format!("`{field}` may have letters, digits, `-`, `_` and `.`, and is `{text}`")));
            }
        }
        if !self.file.ends_with(".gguf") {
            return Err(wrong(format!("`file` must end in .gguf, and is `{}`", self.file)));
        }
        if self.bytes == 0 {
            return Err(wrong("`bytes` is 0".into()));
        }
        if !is_sha256(&self.sha256) {
            return Err(wrong(format!("`sha256` must be 64 digits of lower-case hex, and is `{}`", self.sha256)));
        }
        if self.context_tokens_max == 0 {
            return Err(wrong("`context_tokens_max` is 0".into()));
        }
        let sources = self
            .sources
            .into_iter()
            .map(|source| source.check(&self.name, self.bytes))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Entry {
            name: self.name,
            aliases: self.aliases,
            default: self.default,
            file: self.file,
            bytes: self.bytes,
            sha256: self.sha256,
            licence: self.licence,
            architecture: self.architecture,
            parameters: self.parameters,
            quantization: self.quantization,
            context_tokens_max: self.context_tokens_max,
            sources,
        })
    }
}

#[cfg(test)]
mod tests;
