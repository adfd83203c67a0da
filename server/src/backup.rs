//! A copy of the database of a data folder, whether or not a server runs on it.
//!
//! The secret that keys are hashed with is not in it: who finds the copy can try no keys against it. It is a file
//! of its own, made once, and has to be kept elsewhere.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use qwenda_store::FILE_NAME;

use crate::{
    Place,
    keys::{self, KeysError, SECRET_FILE_NAME},
};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Folder(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] qwenda_store::Error),
    #[error("the database is on a server, which is copied by its own `pg_dump`")]
    OnServer,
    #[error("there is no database {path}", path = path.display())]
    Nothing { path: PathBuf },
    #[error("`{path}` is no name of a file", path = path.display())]
    Name { path: PathBuf },
    #[error("`{path}` is there already", path = path.display())]
    There { path: PathBuf },
    #[error("cannot write {path}: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// What has to be kept beside it.
    pub secret: PathBuf,
}

/// Copies the database into a new file. It gets its name when all of it is on the disk: where this ends early,
/// nothing has the name.
pub async fn backup(place: impl Into<Place>, to: &Path) -> Result<Copied, BackupError> {
    let place = place.into();
    if place.database_url.is_some() {
        return Err(BackupError::OnServer);
    }
    let database = place.data_dir.join(FILE_NAME);
    if !database.is_file() {
        return Err(BackupError::Nothing { path: database });
    }
    let Some(name) = to.file_name().and_then(|name| name.to_str()) else {
        return Err(BackupError::Name { path: to.to_owned() });
    };
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::There { path: to.to_owned() });
    }
    let (store, _) = keys::open(&place).await?;
    let draft = to.with_file_name(format!(".{name}-{}", uuid::Uuid::new_v4().simple()));
    let failed = |source| BackupError::Write { path: to.to_owned(), source };
    create(&draft).map_err(failed)?;
    let copied = match draft.to_str() {
        Some(path) => store.copy_to(path).await.map_err(BackupError::from),
        None => Err(BackupError::Name { path: to.to_owned() }),
    };
    store.close().await;
    let named = copied.and_then(|()| {
        give_name(&draft, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::There { path: to.to_owned() },
            _ => failed(error),
        })
    });
    let _ = fs::remove_file(&draft);
    Ok(Copied { bytes: named?, secret: place.data_dir.join(SECRET_FILE_NAME) })
}

/// A new file that only its owner reads.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Puts a draft onto the disk and under its name, unless that is taken, and returns its length.
fn give_name(draft: &Path, to: &Path) -> io::Result<u64> {
    let file = OpenOptions::new().read(true).write(true).open(draft)?;
    file.sync_all()?;
    match fs::hard_link(draft, to) {
        // Some file systems have no links; there two who write the same name at the same moment are not told.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !to.exists() => fs::rename(draft, to)?,
        linked => linked?,
    }
    #[cfg(unix)]
    {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(file.metadata()?.len())
}
