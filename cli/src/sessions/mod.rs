//! Conversations that outlive the program: one file each, a line for every turn.
//!
//! A turn is written in one piece under a lock, and is on the disk before anybody is told that it is kept. So several
//! programs can hold one conversation, and one that is killed leaves at most a torn last line, which is left out.

mod entry;
mod file;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use self::{
    entry::{Entry, Price, Told, Turn, Used},
    file::Session,
};

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
const EXTENSION: &str = "jsonl";

/// A name that is one: letters, digits, `-`, `_` and `.`, the first a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn of(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (begins && text.chars().all(plain) && text.chars().count() <= NAME_CHARS_MAX).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where sessions are.
#[derive(Debug, Clone)]
pub struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    pub fn of(home: &Path) -> Self {
        Self { folder: home.join("sessions") }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The session of that name, which need not be there yet.
    pub fn get(&self, name: Name) -> Session {
        let path = self.path(&name);
        Session::new(name, path)
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{name}.{EXTENSION}"))
    }

    pub fn has(&self, name: &Name) -> bool {
        self.path(name).is_file()
    }

    /// All of them, the one used last first.
    pub fn list(&self) -> io::Result<Vec<(Name, SystemTime)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().and_then(|stem| Name::of(stem.to_str()?));
            if let Some(name) = name.filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION)) {
                found.push((name, fs::metadata(&path)?.modified()?));
            }
        }
        found.sort_by(|(a, at_a), (b, at_b)| at_b.cmp(at_a).then_with(|| a.0.cmp(&b.0)));
        Ok(found)
    }

    /// The one used last.
    pub fn last(&self) -> io::Result<Option<Name>> {
        Ok(self.list()?.into_iter().next().map(|(name, _)| name))
    }

    pub fn delete(&self, name: &Name) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        for name in ["work", "项目-2", "_a.b", "2026"] {
            assert!(Name::of(name).is_some(), "{name}");
        }
        let long = "a".repeat(NAME_CHARS_MAX + 1);
        for name in ["", ".", "..", "../a", "a/b", "a\\b", "-a", ".hidden", "a b", "a\n", "a:b", long.as_str()] {
            assert!(Name::of(name).is_none(), "{name}");
        }
    }
}
