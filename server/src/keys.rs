//! Making, listing and revoking keys of a data folder, whether or not a server runs on it.

mod folder;

use std::{io, ops::RangeInclusive, path::PathBuf};

use qwenda_ledger::key::{KEY_RANDOM_BYTES, Key, Secret};
pub use qwenda_ledger::{
    account::Kind,
    money::{Currency, MoneyError, Nanos},
    terms::{BadTerm, ModelLimits, Terms, date},
};
use qwenda_store::{
    Store,
    accounts::AccountRow,
    keys::{KeyAccount, KeyProject, KeyRow},
    projects::ProjectRow,
};

pub(crate) use self::folder::{open, random};
use crate::{Clock, Place};

/// Name of the file with the secret that keys are hashed with.
pub const SECRET_FILE_NAME: &str = "key-secret";
/// Longest name of a key.
pub const NAME_CHARS_MAX: usize = 100;

/// For how long the old secret of a key may go on working after it was rotated, in seconds.
pub const OVERLAP_SECONDS: RangeInclusive<i64> = 0..=30 * 86_400;

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
    #[error("no project has the name or id `{wanted}`; make it with `qwenda projects create`")]
    NoSuchProject { wanted: String },
    #[error("{count} projects are named `{wanted}`; use one of their ids: {ids}", ids = ids.join(", "), count = ids.len())]
    AmbiguousProject { wanted: String, ids: Vec<String> },
    #[error("the project `{project}` is not of the account `{account}`")]
    OtherAccount { project: String, account: String },
    #[error("no working key has the name or id `{wanted}`")]
    NoSuchKey { wanted: String },
    #[error("{count} working keys are named `{wanted}`; use one of their ids: {ids}", ids = ids.join(", "), count = ids.len())]
    Ambiguous { wanted: String, ids: Vec<String> },
    #[error("`{field}` is of accounts only; a key has its own limits")]
    OfAccounts { field: &'static str },
    #[error("the budget {budget} for the {period} is below the {spent} that was spent of it already")]
    BelowSpent { period: String, budget: Nanos, spent: Nanos },
    #[error("somebody else changed or revoked the key meanwhile; look at it and try again")]
    Changed,
    #[error("the overlap of {seconds} seconds is not in [{}, {}]", OVERLAP_SECONDS.start(), OVERLAP_SECONDS.end())]
    Overlap { seconds: i64 },
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
    /// The project of the account that it belongs to.
    pub project_id: Option<String>,
    pub terms: Terms,
    /// Counts the changes of its terms.
    pub version: i64,
}

impl From<KeyRow> for KeyInfo {
    fn from(row: KeyRow) -> Self {
        let KeyRow { id, name, last_four, created_at, revoked_at, account, project, terms, version, .. } = row;
        let account_id = account.map(|account| account.id);
        let project_id = project.map(|project| project.id);
        Self { id, name, last_four, created_at, revoked_at, account_id, project_id, terms, version }
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    pub name: String,
    /// Name or id of the account that its requests are charged to; without one they cost nothing.
    pub account: Option<String>,
    /// Name or id of the project of that account that it belongs to; its account need not be named then.
    pub project: Option<String>,
    pub terms: Terms,
}

/// What a key has spent of a budget, since it was given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// `day`, `month` or `total`.
    pub period: String,
    pub budget: Nanos,
    pub spent: Nanos,
}

/// The keys of one data folder.
#[derive(Debug)]
pub struct Keys {
    store: Store,
    secret: Secret,
    clock: Clock,
}

impl Keys {
    /// Opens a data folder.
    pub async fn open(place: impl Into<Place>) -> Result<Self, KeysError> {
        let (store, secret) = open(&place.into()).await?;
        Ok(Self::over(store, secret, Clock::system()))
    }

    /// Over a folder that is open.
    pub(crate) fn over(store: Store, secret: Secret, clock: Clock) -> Self {
        Self { store, secret, clock }
    }

    /// Closes it; what was written is there afterwards.
    pub async fn close(self) {
        self.store.close().await;
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }

    /// Makes a key on terms. The key itself is in the answer and nowhere else.
    pub async fn create(&self, new: NewKey) -> Result<(Key, KeyInfo), KeysError> {
        let NewKey { name, account, project, terms } = new;
        check_name(&name)?;
        key_terms(&terms)?;
        let account = match account {
            None => None,
            Some(wanted) => Some(self.store.account(&wanted).await?.ok_or(KeysError::NoSuchAccount { wanted })?),
        };
        let (account, project) = match project {
            None => (account, None),
            Some(wanted) => {
                let project = project_of(&self.store, &wanted, account.as_ref()).await?;
                let of = self.store.account(&project.account_id).await?;
                (Some(of.ok_or(KeysError::NoSuchAccount { wanted: project.account_id.clone() })?), Some(project))
            }
        };
        let key = Key::from_random(random::<KEY_RANDOM_BYTES>()?);
        let row = KeyRow {
            id: format!("key_{}", uuid::Uuid::new_v4().simple()),
            name,
            hash: key.hash(&self.secret),
            last_four: key.last_four().to_owned(),
            created_at: self.now(),
            revoked_at: None,
            account: account.map(KeyAccount::from),
            project: project.map(KeyProject::from),
            terms,
            version: 1,
        };
        self.store.key_create(&row).await?;
        Ok((key, row.into()))
    }

    /// All keys, oldest first, revoked ones too.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeysError> {
        Ok(self.store.key_list().await?.into_iter().map(KeyInfo::from).collect())
    }

    /// Keys of an account, or with `None` of all, oldest first: `limit` at most, those behind the one of the id
    /// `after`.
    pub(crate) async fn page(
        &self,
        account_id: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<KeyInfo>, KeysError> {
        let after = match after {
            None => None,
            Some(wanted) => match self.store.key_by_id(wanted).await? {
                None => return Err(KeysError::NoSuchKey { wanted: wanted.to_owned() }),
                found => found,
            },
        };
        let rows = self.store.key_page(account_id, after.as_ref(), limit).await?;
        Ok(rows.into_iter().map(KeyInfo::from).collect())
    }

    /// The key of this id, working or revoked, or the working key of this name.
    pub async fn find(&self, id_or_name: &str) -> Result<KeyInfo, KeysError> {
        Ok(self.row(id_or_name).await?.into())
    }

    async fn row(&self, id_or_name: &str) -> Result<KeyRow, KeysError> {
        if let Some(key) = self.store.key_by_id(id_or_name).await? {
            return Ok(key);
        }
        let mut found = self.store.keys_named(id_or_name).await?;
        let wanted = id_or_name.to_owned();
        if found.len() > 1 {
            let ids = found.into_iter().map(|key| key.id).collect();
            return Err(KeysError::Ambiguous { wanted, ids });
        }
        found.pop().ok_or(KeysError::NoSuchKey { wanted })
    }

    /// What a key has spent of each of its budgets.
    pub async fn spent(&self, key: &KeyInfo) -> Result<Vec<Spent>, KeysError> {
        Ok(spent_of(&self.store, &key.id, &key.terms, self.now()).await?)
    }

    /// Puts a key that was just read on other terms; servers hold to them from their next request on.
    pub async fn set_terms(&self, key: &KeyInfo, terms: Terms) -> Result<KeyInfo, KeysError> {
        key_terms(&terms)?;
        not_below_spent(&self.store, &key.id, (&key.terms, &terms), self.now()).await?;
        match self.store.key_set_terms(&key.id, &terms, key.version).await? {
            true => Ok(KeyInfo { terms, version: key.version + 1, ..key.clone() }),
            false => Err(KeysError::Changed),
        }
    }

    /// Gives a working key that was just read another secret, which is in the answer and nowhere else. The old
    /// one goes on working for so many seconds.
    pub async fn rotate(&self, key: &KeyInfo, overlap_seconds: i64) -> Result<(Key, KeyInfo), KeysError> {
        if !OVERLAP_SECONDS.contains(&overlap_seconds) {
            return Err(KeysError::Overlap { seconds: overlap_seconds });
        }
        let found = self.store.key_by_id(&key.id).await?;
        let Some(row) = found.filter(|row| row.revoked_at.is_none() && row.version == key.version) else {
            return Err(KeysError::Changed);
        };
        let (fresh, now) = (Key::from_random(random::<KEY_RANDOM_BYTES>()?), self.now());
        let (hash, last_four) = (fresh.hash(&self.secret), fresh.last_four().to_owned());
        let old_until = now.saturating_add(overlap_seconds);
        match self.store.key_rotate(&row, hash, &last_four, old_until, now).await? {
            true => Ok((fresh, KeyInfo { last_four, version: key.version + 1, ..key.clone() })),
            false => Err(KeysError::Changed),
        }
    }

    /// Revokes the working key of this id or name; servers refuse it from their next request on.
    pub async fn revoke(&self, id_or_name: &str) -> Result<KeyInfo, KeysError> {
        let wanted = || id_or_name.to_owned();
        let mut key = self.row(id_or_name).await?;
        let now = self.now();
        if !self.store.key_revoke(&key.id, now).await? {
            return Err(KeysError::NoSuchKey { wanted: wanted() });
        }
        key.revoked_at = Some(now);
        Ok(key.into())
    }
}

/// Makes a key that belongs to no account and may do everything. The key itself is in the answer and nowhere else.
pub async fn create(place: impl Into<Place>, name: &str) -> Result<(Key, KeyInfo), KeysError> {
    create_with(place, NewKey { name: name.to_owned(), ..NewKey::default() }).await
}

/// Makes a key on terms.
pub async fn create_with(place: impl Into<Place>, new: NewKey) -> Result<(Key, KeyInfo), KeysError> {
    let keys = Keys::open(place).await?;
    let made = keys.create(new).await;
    keys.close().await;
    made
}

/// All keys, oldest first, revoked ones too.
pub async fn list(place: impl Into<Place>) -> Result<Vec<KeyInfo>, KeysError> {
    let keys = Keys::open(place).await?;
    let all = keys.list().await;
    keys.close().await;
    all
}

/// What a key has spent of each of its budgets.
pub async fn spent(place: impl Into<Place>, key: &KeyInfo) -> Result<Vec<Spent>, KeysError> {
    let keys = Keys::open(place).await?;
    let spent = keys.spent(key).await;
    keys.close().await;
    spent
}

/// Puts a key that was just read on other terms; servers hold to them from their next request on.
pub async fn set_terms(place: impl Into<Place>, key: &KeyInfo, terms: Terms) -> Result<KeyInfo, KeysError> {
    let keys = Keys::open(place).await?;
    let done = keys.set_terms(key, terms).await;
    keys.close().await;
    done
}

/// Revokes the working key of this id or name; servers refuse it from their next request on.
pub async fn revoke(place: impl Into<Place>, id_or_name: &str) -> Result<KeyInfo, KeysError> {
    let keys = Keys::open(place).await?;
    let done = keys.revoke(id_or_name).await;
    keys.close().await;
    done
}

/// What was spent of each budget of these terms.
pub(crate) async fn spent_of(
    store: &Store,
    owner: &str,
    terms: &Terms,
    now: i64,
) -> Result<Vec<Spent>, qwenda_store::Error> {
    let mut all = Vec::new();
    for (name, budget) in terms.budgets(now) {
        let spent = Nanos::new(store.budget_spent(owner, &name).await?);
        let period = name.split(':').next().unwrap_or_default().to_owned();
        all.push(Spent { period, budget, spent });
    }
    Ok(all)
}

/// Refuses a new budget below what is spent of it already.
pub(crate) async fn not_below_spent(
    store: &Store,
    owner: &str,
    (old, new): (&Terms, &Terms),
    now: i64,
) -> Result<(), KeysError> {
    let before = spent_of(store, owner, old, now).await?;
    for of in spent_of(store, owner, new, now).await? {
        let kept = before.iter().any(|old| (&old.period, old.budget) == (&of.period, of.budget));
        if !kept && of.budget < of.spent {
            return Err(KeysError::BelowSpent { period: of.period, budget: of.budget, spent: of.spent });
        }
    }
    Ok(())
}

/// The terms of a key must be some that keys can have.
fn key_terms(terms: &Terms) -> Result<(), KeysError> {
    terms.rules()?;
    if terms.model_limits.is_some() { Err(KeysError::OfAccounts { field: "model_limits" }) } else { Ok(()) }
}

/// The project of this id or name.
pub(crate) async fn project_of(
    store: &Store,
    wanted: &str,
    account: Option<&AccountRow>,
) -> Result<ProjectRow, KeysError> {
    let named = || wanted.to_owned();
    if let Some(project) = store.project_by_id(wanted).await? {
        return match account.filter(|account| account.id != project.account_id) {
            None => Ok(project),
            Some(account) => Err(KeysError::OtherAccount { project: named(), account: account.name.clone() }),
        };
    }
    let mut found = store.projects_named(wanted, account.map(|account| account.id.as_str())).await?;
    if found.len() > 1 {
        let ids = found.into_iter().map(|project| project.id).collect();
        return Err(KeysError::AmbiguousProject { wanted: named(), ids });
    }
    found.pop().ok_or_else(|| KeysError::NoSuchProject { wanted: named() })
}

/// Names are shown on terminals.
pub(crate) fn check_name(name: &str) -> Result<(), KeysError> {
    let fits = !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(KeysError::Name) }
}

/// What time it is, in Unix seconds.
pub fn now() -> i64 {
    i64::try_from(Clock::system().now_seconds()).unwrap_or(i64::MAX)
}
