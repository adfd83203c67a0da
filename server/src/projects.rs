//! Projects of a data folder: keys of an account that are held to something together.

use qwenda_ledger::terms::Terms;
pub use qwenda_store::projects::ProjectRow;
use qwenda_store::{Store, accounts::AccountRow};

use crate::{
    Clock, Place,
    accounts::{AccountsError, shared_terms},
    keys::{self, KeysError, NAME_CHARS_MAX, Spent, not_below_spent, project_of, spent_of},
};

/// What can go wrong with projects.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("a project's name has 1 to {NAME_CHARS_MAX} characters and none that control a terminal")]
    Name,
    #[error("the account `{account}` has a project named `{name}` already; choose another name")]
    Taken { account: String, name: String },
    #[error("`{field}` is of accounts only; a project has limits of all models together")]
    OfAccounts { field: &'static str },
    #[error("somebody else changed the project meanwhile; look at it and try again")]
    Changed,
}

impl From<qwenda_store::Error> for ProjectsError {
    fn from(error: qwenda_store::Error) -> Self {
        Self::Accounts(error.into())
    }
}

/// Changes to a project. `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub terms: Option<Terms>,
    /// Whether its keys are refused.
    pub disabled: Option<bool>,
}

/// The projects of one data folder.
#[derive(Debug)]
pub struct Projects {
    store: Store,
    clock: Clock,
}

impl Projects {
    /// Opens a data folder.
    pub async fn open(place: impl Into<Place>) -> Result<Self, ProjectsError> {
        let (store, _) = keys::open(&place.into()).await?;
        Ok(Self { store, clock: Clock::system() })
    }

    /// Over a folder that is open.
    pub(crate) fn over(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Closes it; what was written is there afterwards.
    pub async fn close(self) {
        self.store.close().await;
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }

    /// Makes a project of the account of this id or name.
    pub async fn create(&self, account: &str, name: &str, terms: Terms) -> Result<ProjectRow, ProjectsError> {
        keys::check_name(name).map_err(|_| ProjectsError::Name)?;
        project_terms(&terms)?;
        let account = self.account(account).await?;
        let project = ProjectRow {
            id: format!("prj_{}", uuid::Uuid::new_v4().simple()),
            account_id: account.id,
            name: name.to_owned(),
            terms,
            disabled_at: None,
            version: 1,
            created_at: self.now(),
        };
        match self.store.project_create(&project).await? {
            true => Ok(project),
            false => Err(ProjectsError::Taken { account: account.name, name: name.to_owned() }),
        }
    }

    async fn account(&self, wanted: &str) -> Result<AccountRow, ProjectsError> {
        let found = self.store.account(wanted).await?;
        Ok(found.ok_or_else(|| AccountsError::NoSuchAccount { wanted: wanted.to_owned() })?)
    }

    /// The project of this id or name, of an account or, with `None`, of whichever has it.
    pub async fn find(&self, wanted: &str, account: Option<&str>) -> Result<ProjectRow, ProjectsError> {
        let account = match account {
            None => None,
            Some(wanted) => Some(self.account(wanted).await?),
        };
        Ok(project_of(&self.store, wanted, account.as_ref()).await?)
    }

    /// Projects of an account, or with `None` of all, oldest first: `limit` at most, those behind the one of the id
    /// `after`.
    pub async fn page(
        &self,
        account: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ProjectRow>, ProjectsError> {
        let account_id = match account {
            None => None,
            Some(wanted) => Some(self.account(wanted).await?.id),
        };
        let after = match after {
            None => None,
            Some(wanted) => Some(project_of(&self.store, wanted, None).await?),
        };
        Ok(self.store.project_page(account_id.as_deref(), after.as_ref(), limit).await?)
    }

    /// What a project has spent of each of its budgets.
    pub async fn spent(&self, project: &ProjectRow) -> Result<Vec<Spent>, ProjectsError> {
        Ok(spent_of(&self.store, &project.id, &project.terms, self.now()).await?)
    }

    /// Changes a project that was just read; servers hold to it from their next request on.
    pub async fn change(&self, mut project: ProjectRow, changes: Changes) -> Result<ProjectRow, ProjectsError> {
        if let Some(terms) = changes.terms {
            project_terms(&terms)?;
            not_below_spent(&self.store, &project.id, (&project.terms, &terms), self.now()).await?;
            project.terms = terms;
        }
        project.disabled_at = match changes.disabled {
            Some(true) => project.disabled_at.or(Some(self.now())),
            Some(false) => None,
            None => project.disabled_at,
        };
        match self.store.project_update(&project).await? {
            true => Ok(ProjectRow { version: project.version + 1, ..project }),
            false => Err(ProjectsError::Changed),
        }
    }
}

/// The terms of a project must be some that all its keys together can have.
fn project_terms(terms: &Terms) -> Result<(), ProjectsError> {
    shared_terms(terms)?;
    if terms.model_limits.is_some() { Err(ProjectsError::OfAccounts { field: "model_limits" }) } else { Ok(()) }
}
