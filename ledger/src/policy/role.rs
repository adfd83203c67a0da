//! Roles, and what each may do.

use std::{fmt, str::FromStr};

/// What may be done in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Open, change and close accounts.
    ManageAccounts,
    /// Open, change and close projects.
    ManageProjects,
    /// Make, change, rotate and disable keys.
    ManageKeys,
    /// Change prices.
    ManagePrices,
    /// Grant free quota and top up balances.
    GrantMoney,
    /// Read who used what.
    ReadUsage,
    /// Read statements and balances.
    ReadBills,
    /// Call models.
    CallModels,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ManageAccounts,
        Self::ManageProjects,
        Self::ManageKeys,
        Self::ManagePrices,
        Self::GrantMoney,
        Self::ReadUsage,
        Self::ReadBills,
        Self::CallModels,
    ];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManageAccounts => "manage accounts",
            Self::ManageProjects => "manage projects",
            Self::ManageKeys => "manage keys",
            Self::ManagePrices => "manage prices",
            Self::GrantMoney => "grant quota or top up",
            Self::ReadUsage => "read usage",
            Self::ReadBills => "read bills",
            Self::CallModels => "call models",
        })
    }
}

/// Who somebody is in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// May do everything.
    Owner,
    /// Runs it, but for money.
    Admin,
    /// Sees to the money, and to nothing else.
    Billing,
    /// Calls models, and makes keys to do so.
    #[default]
    Developer,
    /// Looks.
    Viewer,
}

/// Whether somebody of this role may do this.
///
/// | | accounts | projects | keys | prices | grants, top-ups | usage | bills | models |
/// | --- | --- | --- | --- | --- | --- | --- | --- | --- |
/// | owner | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |
/// | admin | ✓ | ✓ | ✓ | | | ✓ | ✓ | ✓ |
/// | billing | | | | ✓ | ✓ | ✓ | ✓ | |
/// | developer | | | ✓ | | | ✓ | ✓ | ✓ |
/// | viewer | | | | | | ✓ | ✓ | |
///
/// # Example
/// ```
/// use qwenda_ledger::policy::{Action, Role, may};
/// assert!(may(Role::Billing, Action::GrantMoney));
/// assert!(!may(Role::Admin, Action::GrantMoney));
/// ```
pub const fn may(role: Role, action: Action) -> bool {
    match action {
        Action::ReadUsage | Action::ReadBills => true,
        Action::CallModels | Action::ManageKeys => matches!(role, Role::Owner | Role::Admin | Role::Developer),
        Action::ManageAccounts | Action::ManageProjects => matches!(role, Role::Owner | Role::Admin),
        Action::ManagePrices | Action::GrantMoney => matches!(role, Role::Owner | Role::Billing),
    }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Billing, Self::Developer, Self::Viewer];

    /// Whether this role may do all that `other` may. Nobody may give away a role that theirs does not
    /// cover, neither to a key nor to a person.
    ///
    /// # Example
    /// ```
    /// use qwenda_ledger::policy::Role;
    /// assert!(Role::Admin.covers(Role::Developer));
    /// assert!(!Role::Developer.covers(Role::Admin));
    /// assert!(!Role::Admin.covers(Role::Billing));
    /// ```
    pub fn covers(self, other: Self) -> bool {
        Action::ALL.into_iter().all(|action| may(self, action) || !may(other, action))
    }

    /// The role that may do what both may.
    pub fn both(self, other: Self) -> Self {
        match (self.covers(other), other.covers(self)) {
            (true, _) => other,
            (_, true) => self,
            // What billing has in common with any but the owner is to look.
            _ => Self::Viewer,
        }
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, admin, billing, developer or viewer, not `{text}`")]
pub struct BadRole {
    /// The text.
    pub text: String,
}

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        let role = Self::ALL.into_iter().find(|role| role.to_string() == text);
        role.ok_or_else(|| BadRole { text: text.to_owned() })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Billing => "billing",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        })
    }
}
