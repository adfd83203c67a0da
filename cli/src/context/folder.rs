//! The files of a folder, without what its `.gitignore` leaves out.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::{
    exit::{CliError, Exit},
    lang::{Lang, chat as words},
};

/// More are a mistake, such as a home folder.
const FILES_MAX: usize = 2000;

/// The files, each with its name, in the order of their names; and how many could not be looked at.
pub fn files(lang: Lang, folder: &Path) -> Result<(Vec<(String, PathBuf)>, usize), CliError> {
    let mut found = Vec::new();
    let mut left_out = 0;
    // A folder need not be a repository for what it leaves out to be left out.
    for entry in WalkBuilder::new(folder).require_git(false).build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                found.push((entry.path().display().to_string(), entry.into_path()));
            }
            Ok(_) => {}
            Err(_) => left_out += 1,
        }
        if found.len() > FILES_MAX {
            let name = folder.display().to_string();
            return Err(CliError::new(Exit::TooLong, words::too_many_files(lang, &name, FILES_MAX)));
        }
    }
    found.sort();
    Ok((found, left_out))
}
