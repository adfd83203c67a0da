//! The database of a data folder, and the secret its keys are hashed with.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use qwenda_ledger::key::{SECRET_BYTES, Secret};
use qwenda_store::Store;

use super::{KeysError, SECRET_FILE_NAME};
use crate::Place;

/// Opens a database, by default the folder's, and the secret its keys are hashed with, which is always in
/// the folder.
pub(crate) async fn open(place: &Place) -> Result<(Store, Secret), KeysError> {
    let data_dir = place.data_dir.as_path();
    let store = match &place.database_url {
        None => Store::open(data_dir).await?,
        Some(url) => {
            let made = fs::create_dir_all(data_dir);
            made.map_err(|source| KeysError::Secret { path: data_dir.to_owned(), source })?;
            Store::open_url(url.reveal()).await?
        }
    };
    let path = data_dir.join(SECRET_FILE_NAME);
    let secret = read_or_make(&path, data_dir)?;
    let known = store.meta_set_once("key_secret_fingerprint", &secret.fingerprint()).await?;
    if known != secret.fingerprint() {
        return Err(KeysError::OtherSecret { path });
    }
    Ok((store, secret))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeysError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeysError::Random)?;
    Ok(bytes)
}

fn read_or_make(path: &Path, data_dir: &Path) -> Result<Secret, KeysError> {
    let failed = |source| KeysError::Secret { path: path.to_owned(), source };
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map_err(failed),
    }
    // Whole under a name of its own first, then linked: a process that begins at the same moment
    // reads either nothing or all of it, and the first link wins.
    let fresh = random::<SECRET_BYTES>()?;
    let draft = data_dir.join(format!(".{SECRET_FILE_NAME}-{}", uuid::Uuid::new_v4().simple()));
    let made = write(&draft, &fresh).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&draft);
    made.and_then(|()| read(path)).map_err(failed)
}

fn read(path: &Path) -> io::Result<Secret> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let bytes: [u8; SECRET_BYTES] = bytes
        .try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("it should have {SECRET_BYTES} bytes")))?;
    Ok(Secret::new(bytes))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
