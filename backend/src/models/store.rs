//! The folder of models, and what a name means there.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use super::{
    catalogue::{Catalogue, Entry},
    error::{CatalogueError, ResolveError},
    near::near,
};

/// Where models and their caches lie: `QWENDA_HOME`.
#[derive(Debug, Clone)]
pub struct Store {
    home: PathBuf,
    /// Folders of the user with model files, looked into and never written to.
    extra: Vec<PathBuf>,
}

/// A model file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The catalogue's name, or the file's name without `.gguf`.
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// The catalogue's entry for this file, if it has one.
    pub entry: Option<Entry>,
}

/// What a name or path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A file that is here.
    Here { name: String, path: PathBuf },
    /// A catalogue entry that is not here yet.
    Missing(Box<Entry>),
}

impl Store {
    /// The store in that folder; nothing is created before something is pulled.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), extra: Vec::new() }
    }

    /// The store named by `QWENDA_HOME`, else the platform's data folder; `QWENDA_MODELS_DIR` names a
    /// folder that is looked into as well.
    pub fn from_env() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("QWENDA_HOME").unwrap_or_else(|| {
            let user = env::home_dir().unwrap_or_default();
            let data = if cfg!(target_os = "macos") {
                user.join("Library/Application Support")
            } else if cfg!(windows) {
                set("LOCALAPPDATA").unwrap_or_else(|| user.join("AppData").join("Local"))
            } else {
                // The specification says to ignore one that is not absolute.
                set("XDG_DATA_HOME").filter(|path| path.is_absolute()).unwrap_or_else(|| user.join(".local/share"))
            };
            data.join("qwenda")
        });
        Self { home, extra: set("QWENDA_MODELS_DIR").into_iter().collect() }
    }

    /// The same store that also looks into `folder`.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.extra.push(folder.into());
        self
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where pulled files lie.
    pub fn models_dir(&self) -> PathBuf {
        self.home.join("models")
    }

    /// Where what is made from models lies; it can be deleted at any time.
    pub fn cache_dir(&self) -> PathBuf {
        self.home.join("cache")
    }

    /// The built-in catalogue and the user's own.
    pub fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        Catalogue::load(&self.home)
    }

    /// The whole file of `entry`, if it is here. Its length is checked; its hash was when it came.
    pub fn file_of(&self, entry: &Entry) -> Option<PathBuf> {
        let whole = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == entry.bytes);
        Some(self.models_dir().join(&entry.file)).filter(whole)
    }

    /// A file of the user's own folders that has the name and length of `entry`'s.
    pub(super) fn offered(&self, entry: &Entry) -> Option<PathBuf> {
        let whole = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == entry.bytes);
        self.extra.iter().map(|folder| folder.join(&entry.file)).find(whole)
    }

    /// The model files that are here, by name.
    pub fn installed(&self, catalogue: &Catalogue) -> Result<Vec<Installed>, ResolveError> {
        let mut found: Vec<Installed> = Vec::new();
        for folder in std::iter::once(&self.models_dir()).chain(&self.extra) {
            let at = |cause| ResolveError::Io { path: folder.clone(), cause };
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(at(cause)),
            };
            for entry in entries {
                let path = entry.map_err(at)?.path();
                let Ok(meta) = fs::metadata(&path) else { continue };
                if !meta.is_file() || !is_gguf(&path) {
                    continue;
                }
                let known = path.file_name().and_then(|name| catalogue.by_file(&name.to_string_lossy()));
                // Half a file, or another one, under a catalogue's file name is not that model.
                if known.is_some_and(|entry| entry.bytes != meta.len()) {
                    continue;
                }
                let entry = known.cloned();
                let name = entry.as_ref().map_or_else(|| stem(&path), |entry| entry.name.clone());
                if found.iter().all(|other| other.name != name) {
                    found.push(Installed { name, path, bytes: meta.len(), entry });
                }
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// What `name` stands for: a path to a file, a name or alias of the catalogue, or a file of the store.
    pub fn resolve(&self, catalogue: &Catalogue, name: &str) -> Result<Resolved, ResolveError> {
        let name = name.trim();
        if let Some(entry) = catalogue.find(name).or_else(|| catalogue.by_file(name)) {
            return Ok(match self.file_of(entry).or_else(|| self.offered(entry)) {
                Some(path) => Resolved::Here { name: entry.name.clone(), path },
                None => Resolved::Missing(Box::new(entry.clone())),
            });
        }
        let installed = self.installed(catalogue)?;
        let lower = name.to_lowercase();
        let wanted = lower.strip_suffix(".gguf").unwrap_or(&lower);
        if let Some(file) = installed
            .iter()
            .find(|file| file.name.to_lowercase() == wanted || stem(&file.path).to_lowercase() == wanted)
        {
            return Ok(Resolved::Here { name: file.name.clone(), path: file.path.clone() });
        }
        let path = PathBuf::from(name);
        let looks_like_a_path = name.contains(std::path::is_separator) || is_gguf(&path);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() && !name.is_empty() => {
                let known = path.file_name().and_then(|file| catalogue.by_file(&file.to_string_lossy()));
                let known = known.filter(|entry| entry.bytes == meta.len());
                Ok(Resolved::Here { name: known.map_or_else(|| stem(&path), |entry| entry.name.clone()), path })
            }
            Ok(_) if looks_like_a_path => Err(ResolveError::NotAFile { path }),
            Err(_) if looks_like_a_path => Err(ResolveError::NoFile { path }),
            _ => {
                let names = catalogue.entries().iter().map(|entry| entry.name.as_str());
                let names = names.chain(installed.iter().map(|file| file.name.as_str()));
                Err(ResolveError::Unknown { name: name.to_owned(), near: near(name, names) })
            }
        }
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
