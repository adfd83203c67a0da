//! Reading files and folders for a model.

use std::path::{Component, Path, PathBuf};

use qwenda::tools::ToolError;
use tokio::{fs, io::AsyncReadExt};

use super::{OUTPUT_BYTES_MAX, bounded};

/// More are not listed.
const NAMES_MAX: usize = 1000;

/// Whether a path leads to something below the current folder, whatever links there are on the way.
pub(super) fn is_below_here(path: &str) -> bool {
    let path = Path::new(path);
    if path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return false;
    }
    let (Ok(here), Ok(there)) = (Path::new(".").canonicalize(), path.canonicalize()) else {
        // What is not there is told so.
        return true;
    };
    there.starts_with(here)
}

pub(super) async fn read(path: PathBuf) -> Result<String, ToolError> {
    let file = fs::File::open(&path).await?;
    if file.metadata().await?.is_dir() {
        return Err(ToolError::new("it is a folder: list_dir lists it"));
    }
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.contains(&0) {
        return Err(ToolError::new("it is no text"));
    }
    Ok(bounded(String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) async fn list(path: PathBuf) -> Result<String, ToolError> {
    let mut entries = fs::read_dir(&path).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let folder = entry.file_type().await?.is_dir();
        names.push(format!("{}{}", entry.file_name().to_string_lossy(), if folder { "/" } else { "" }));
        if names.len() > NAMES_MAX {
            return Err(ToolError::new(format!("it has more than {NAMES_MAX} entries")));
        }
    }
    names.sort();
    Ok(bounded(names.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_is_read_without_asking() {
        for (path, below) in [
            (".", true),
            ("src", true),
            ("src/main.rs", true),
            ("not/there", true),
            ("..", false),
            ("src/../..", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(is_below_here(path), below, "{path}");
        }
    }
}
