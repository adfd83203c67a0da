//! Making, listing and revoking keys of a data folder, whether or not a server runs on it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use qwenda_ledger::key::{KEY_RANDOM_BYTES, Key, SECRET_BYTES, Secret};
pub use qwenda_ledger::{
    account::Kind,
    money::{Currency, MoneyError, Nanos},
    terms::{BadTerm, Terms, date},
};
use qwenda_store::{
    Store,
    accounts::AccountRow,
    keys::{KeyAccount, KeyRow},
};

use crate::{Clock, Place};

/// Name of the file with the secret that keys are hashed with.
pub const SECRET_FILE_NAME: &str = "key-secret";
/// Longest name of a key.
pub const NAME_CHARS_MAX: usize = 100;

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] qwenda_store::Error),
    #[error("cannot read or make the secret {path}: {source}", path = path.display())]
    Secret { path: PathBuf, source: io::Error },
    #[error(
        "the secret {path} is not the one that the keys of this folder were made with; \
         bring the old file back, or begin a new data folder",
        path = path.display()
    )]
    OtherSecret { path: PathBuf },
    #[error("a key's name has 1 to {NAME_CHARS_MAX} characters and none that control a terminal")]
    Name,
    #[error(transparent)]
    Terms(#[from] BadTerm),
    #[error("no account has the name or id `{wanted}`; make it with `qwenda accounts create`")]
    NoSuchAccount { wanted: String },
    #[error("no working key has the name or id `{wanted}`")]
    NoSuchKey { wanted: String },
    #[error("{count} working keys are named `{wanted}`; use one of their ids: {ids}", ids = ids.join(", "), count = ids.len())]
    Ambiguous { wanted: String, ids: Vec<String> },
    #[error("the budget {budget} for the {period} is below the {spent} that was spent of it already")]
    BelowSpent { period: String, budget: Nanos, spent: Nanos },
    #[error("somebody else changed or revoked the key meanwhile; look at it and try again")]
    Changed,
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// A key as its owner may see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    pub id: String,
    pub name: String,
    pub last_four: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; `None` while the key works.
    pub revoked_at: Option<i64>,
    /// The account its requests are charged to.
    pub account_id: Option<String>,
    pub terms: Terms,
    /// Counts the changes of its terms.
    pub version: i64,
}

impl From<KeyRow> for KeyInfo {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, name, last_four, created_at, revoked_at, account, terms, version, .. } = row;
        let account_id = account.map(|account| account.id);
        Self { id, name, last_four, created_at, revoked_at, account_id, terms, version }
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    pub name: String,
    /// Name or id of the account that its requests are charged to; without one they cost nothing.
    pub account: Option<String>,
    pub terms: Terms,
}

/// Makes a key that belongs to no account and may do everything. The key itself is in the answer and nowhere else.
pub async fn create(place: impl Into<Place>, name: &str) -> Result<(Key, KeyInfo), KeysError> {
    create_with(place, NewKey { name: name.to_owned(), ..NewKey::default() }).await
}

/// Makes a key on terms.
pub async fn create_with(place: impl Into<Place>, new: NewKey) -> Result<(Key, KeyInfo), KeysError> {
    let NewKey { name, account, terms } = new;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(KeysError::Name);
    }
    terms.rules()?;
    let (store, secret) = open(&place.into()).await?;
    let account = match account {
        None => None,
        Some(wanted) => match store.account(&wanted).await? {
            None => return Err(KeysError::NoSuchAccount { wanted }),
            Some(AccountRow { id, currency, quota_stops, suspended_at, .. }) => {
                Some(KeyAccount { id, currency, quota_stops, suspended: suspended_at.is_some() })
            }
        },
    };
    let key = Key::from_random(random::<KEY_RANDOM_BYTES>()?);
    let row = KeyRow {
        id: format!("key_{}", uuid::Uuid::new_v4().simple()),
        name,
        hash: key.hash(&secret),
        last_four: key.last_four().to_owned(),
        created_at: now(),
        revoked_at: None,
        account,
        terms,
        version: 1,
    };
    store.key_create(&row).await?;
    store.close().await;
    Ok((key, row.into()))
}

/// All keys, oldest first, revoked ones too.
pub async fn list(place: impl Into<Place>) -> Result<Vec<KeyInfo>, KeysError> {
    let (store, _) = open(&place.into()).await?;
    let rows = store.key_list().await?;
    store.close().await;
    Ok(rows.into_iter().map(KeyInfo::from).collect())
}

/// What a key has spent of a budget, since it was given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// `day`, `month` or `total`.
    pub period: String,
    pub budget: Nanos,
    pub spent: Nanos,
}

/// What a key has spent of each of its budgets.
pub async fn spent(place: impl Into<Place>, key: &KeyInfo) -> Result<Vec<Spent>, KeysError> {
    let (store, _) = open(&place.into()).await?;
    let spent = spent_of(&store, &key.id, &key.terms).await?;
    store.close().await;
    Ok(spent)
}

async fn spent_of(store: &Store, id: &str, terms: &Terms) -> Result<Vec<Spent>, KeysError> {
    let mut all = Vec::new();
    for (name, budget) in terms.budgets(now()) {
        let spent = Nanos::new(store.key_spent(id, &name).await?);
        let period = name.split(':').next().unwrap_or_default().to_owned();
        all.push(Spent { period, budget, spent });
    }
    Ok(all)
}

/// Puts a key that was just read on other terms; servers hold to them from their next request on.
pub async fn set_terms(place: impl Into<Place>, key: &KeyInfo, terms: Terms) -> Result<KeyInfo, KeysError> {
    terms.rules()?;
    let (store, _) = open(&place.into()).await?;
    let before = spent_of(&store, &key.id, &key.terms).await?;
    for of in spent_of(&store, &key.id, &terms).await? {
        let kept = before.iter().any(|old| (&old.period, old.budget) == (&of.period, of.budget));
        if !kept && of.budget < of.spent {
            return Err(KeysError::BelowSpent { period: of.period, budget: of.budget, spent: of.spent });
        }
    }
    let done = store.key_set_terms(&key.id, &terms, key.version).await?;
    store.close().await;
    match done {
        true => Ok(KeyInfo { terms, version: key.version + 1, ..key.clone() }),
        false => Err(KeysError::Changed),
    }
}

/// Revokes the working key of this id or name; servers refuse it from their next request on.
pub async fn revoke(place: impl Into<Place>, id_or_name: &str) -> Result<KeyInfo, KeysError> {
    let (store, _) = open(&place.into()).await?;
    let working: Vec<KeyRow> = store.key_list().await?.into_iter().filter(|key| key.revoked_at.is_none()).collect();
    let mut found: Vec<KeyRow> = match working.iter().find(|key| key.id == id_or_name) {
        Some(key) => vec![key.clone()],
        None => working.into_iter().filter(|key| key.name == id_or_name).collect(),
    };
    let wanted = id_or_name.to_owned();
    if found.len() > 1 {
        let ids = found.into_iter().map(|key| key.id).collect();
        return Err(KeysError::Ambiguous { wanted, ids });
    }
    let mut key = found.pop().ok_or_else(|| KeysError::NoSuchKey { wanted: wanted.clone() })?;
    let now = now();
    if !store.key_revoke(&key.id, now).await? {
        return Err(KeysError::NoSuchKey { wanted });
    }
    store.close().await;
    key.revoked_at = Some(now);
    Ok(key.into())
}

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

/// What time it is, in Unix seconds.
pub fn now() -> i64 {
    i64::try_from(Clock::system().now_seconds()).unwrap_or(i64::MAX)
}

fn random<const N: usize>() -> Result<[u8; N], KeysError> {
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
