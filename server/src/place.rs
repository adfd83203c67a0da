//! Where keys and accounts are kept.

use std::path::{Path, PathBuf};

use crate::{ServeConfig, config::DatabaseUrl};

/// A data folder, and the database in it or on a server.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where the secret is that keys are hashed with, and by default the database.
    pub data_dir: PathBuf,
    /// A database on a server in place of the one in the folder.
    pub database_url: Option<DatabaseUrl>,
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

/// A folder with its own database.
impl From<&Path> for Place {
    fn from(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), database_url: None }
    }
}

/// A folder with its own database.
impl From<&PathBuf> for Place {
    fn from(data_dir: &PathBuf) -> Self {
        data_dir.as_path().into()
    }
}

/// Where a server looks.
impl From<&ServeConfig> for Place {
    fn from(config: &ServeConfig) -> Self {
        Self { data_dir: config.data_dir.clone(), database_url: config.database_url.clone() }
    }
}
