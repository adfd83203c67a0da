//! What the books refuse, in the protocol's shape.

use qwenda_types::error::{ApiError, Code};

use super::form::wrong;
use crate::{accounts::AccountsError, keys::KeysError, projects::ProjectsError};

pub(super) fn of_accounts(error: AccountsError) -> ApiError {
    match error {
        AccountsError::Folder(error) => of_keys(error),
        AccountsError::Store(qwenda_store::Error::Overflow) => {
            ApiError::of(Code::Conflict).say("with this amount there would be more than the books can hold")
        }
        AccountsError::Store(error) => internal(error),
        AccountsError::Name => wrong("name", "it must have 1 to 100 characters and none that control a terminal"),
        AccountsError::Taken { .. } | AccountsError::OtherDeposit { .. } => ApiError::of(Code::Conflict).say(error),
        AccountsError::NoSuchAccount { .. } => {
            ApiError::of(Code::NotFound).say(format!("{error}; `GET /admin/v1/accounts` lists those there are"))
        }
        AccountsError::Amount { why, .. } => wrong("amount", &why),
        AccountsError::Models { why, .. } => wrong("models", &why),
        AccountsError::TooLittle => ApiError::of(Code::Conflict).say(error),
        AccountsError::Changed => ApiError::of(Code::PreconditionFailed).say(error),
        AccountsError::OfKeys { field } => wrong(field, &error.to_string()),
        AccountsError::Grain { .. } => wrong("grain", "it must be minute, hour or day"),
    }
}

pub(super) fn of_keys(error: KeysError) -> ApiError {
    match error {
        KeysError::Name => wrong("name", "it must have 1 to 100 characters and none that control a terminal"),
        KeysError::Terms(bad) => wrong(bad.field, &format!("`{}` is none: {}", bad.value, bad.why)),
        KeysError::NoSuchAccount { .. } => wrong("account", &error.to_string()),
        KeysError::NoSuchProject { .. } | KeysError::AmbiguousProject { .. } | KeysError::OtherAccount { .. } => {
            wrong("project", &error.to_string())
        }
        KeysError::OfAccounts { field } => wrong(field, &error.to_string()),
        KeysError::NoSuchKey { .. } => {
            ApiError::of(Code::NotFound).say(format!("{error}; `GET /admin/v1/keys` lists those there are"))
        }
        KeysError::Ambiguous { .. } => ApiError::of(Code::Conflict).say(error),
        KeysError::BelowSpent { ref period, .. } => wrong(&format!("budget_{period}"), &error.to_string()),
        KeysError::Overlap { .. } => wrong("overlap_seconds", &error.to_string()),
        KeysError::Changed => ApiError::of(Code::PreconditionFailed).say(error),
        KeysError::Store(_) | KeysError::Secret { .. } | KeysError::OtherSecret { .. } | KeysError::Random(_) => {
            internal(error)
        }
    }
}

pub(super) fn of_projects(error: ProjectsError) -> ApiError {
    match error {
        ProjectsError::Accounts(error) => of_accounts(error),
        ProjectsError::Keys(KeysError::NoSuchProject { .. }) => {
            ApiError::of(Code::NotFound).say(format!("{error}; `GET /admin/v1/projects` lists those there are"))
        }
        ProjectsError::Keys(KeysError::AmbiguousProject { .. }) => ApiError::of(Code::Conflict).say(error),
        ProjectsError::Keys(error) => of_keys(error),
        ProjectsError::Name => wrong("name", "it must have 1 to 100 characters and none that control a terminal"),
        ProjectsError::Taken { .. } => ApiError::of(Code::Conflict).say(error),
        ProjectsError::OfAccounts { field } => wrong(field, &error.to_string()),
        ProjectsError::Changed => ApiError::of(Code::PreconditionFailed).say(error),
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::of(Code::Internal).log(error)
}
