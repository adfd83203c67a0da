//! What the commands on accounts have in common: opening the books, and reading amounts, times and numbers
//! so that what is wrong is said with its field, in the reader's language.

use qwenda_server::{
    Place,
    accounts::{AccountRow, Accounts, AccountsError},
    keys::{self, Currency, KeyInfo, Nanos, now},
};

use crate::{
    args,
    exit::CliError,
    lang::{Lang, messages, money},
    settings::Settings,
    when::{self, Way},
};

/// Longest id or note of a top-up.
const NOTE_CHARS_MAX: usize = 200;

/// The accounts of a data folder.
pub async fn open(lang: Lang, settings: &Settings, place: &args::Place) -> Result<Accounts, CliError> {
    let folder = settings.place(place.data_dir.as_deref())?;
    open_at(lang, &folder).await
}

pub async fn open_at(lang: Lang, folder: &Place) -> Result<Accounts, CliError> {
    Accounts::open(folder).await.map_err(|error| explain(lang, &error))
}

/// What went wrong, in the reader's language.
pub fn explain(lang: Lang, error: &AccountsError) -> CliError {
    let message = money::bad_accounts(lang, error);
    match error {
        AccountsError::NoSuchAccount { .. } => CliError::usage(message).hint(money::list_accounts(lang)),
        AccountsError::Name
        | AccountsError::Taken { .. }
        | AccountsError::OtherDeposit { .. }
        | AccountsError::Amount { .. }
        | AccountsError::Models { .. }
        | AccountsError::Grain { .. } => CliError::usage(message),
        _ => CliError::failure(message),
    }
}

/// The account of this id or name.
pub async fn find(lang: Lang, accounts: &Accounts, which: &str) -> Result<AccountRow, CliError> {
    accounts.find(which).await.map_err(|error| explain(lang, &error))
}

/// All keys, revoked ones too.
pub async fn keys(lang: Lang, settings: &Settings, place: &args::Place) -> Result<Vec<KeyInfo>, CliError> {
    let folder = settings.place(place.data_dir.as_deref())?;
    keys::list(&folder).await.map_err(|error| CliError::failure(messages::bad_keys(lang, &error)))
}

/// The id of the key of this id or name.
pub fn key_id(lang: Lang, keys: &[KeyInfo], which: &str) -> Result<String, CliError> {
    if let Some(key) = keys.iter().find(|key| key.id == which) {
        return Ok(key.id.clone());
    }
    let named: Vec<&str> = keys.iter().filter(|key| key.name == which).map(|key| key.id.as_str()).collect();
    match named.as_slice() {
        [] => Err(CliError::usage(messages::no_such_key(lang, which))),
        [id] => Ok((*id).to_owned()),
        several => Err(CliError::usage(messages::several_keys(lang, which, &several.join(", ")))),
    }
}

/// An amount, which may be negative.
pub fn amount(lang: Lang, field: &str, text: &str) -> Result<Nanos, CliError> {
    text.parse().map_err(|error| CliError::usage(money::bad_money(lang, field, text, &error)))
}

/// An amount that must not be negative.
pub fn amount_unsigned(lang: Lang, field: &str, text: &str) -> Result<Nanos, CliError> {
    Nanos::parse_unsigned(text).map_err(|error| CliError::usage(money::bad_money(lang, field, text, &error)))
}

pub fn currency(lang: Lang, text: &str) -> Result<Currency, CliError> {
    let code = text.to_ascii_uppercase();
    code.parse().map_err(|error| CliError::usage(money::bad_money(lang, "--currency", text, &error)))
}

/// A whole number above zero.
pub fn count(lang: Lang, field: &str, text: &str, max: u64) -> Result<u64, CliError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=max).contains(number));
    number.ok_or_else(|| CliError::usage(messages::out_of_range(lang, field, &format!("[1, {max}]"), text)))
}

/// A time. `30d` is ahead of now or back from it.
pub fn time(lang: Lang, field: &str, text: &str, way: Way) -> Result<i64, CliError> {
    let wrong = || CliError::usage(money::bad_time(lang, field, text)).hint(money::times_are(lang));
    when::read(text, now(), way).ok_or_else(wrong)
}

/// A time that is not over.
pub fn time_ahead(lang: Lang, field: &str, text: &str) -> Result<i64, CliError> {
    let at = time(lang, field, text, Way::Ahead)?;
    if at <= now() {
        return Err(CliError::usage(money::time_over(lang, field, text, &when::second(at))));
    }
    Ok(at)
}

/// A text that is kept and shown again.
pub fn note<'a>(lang: Lang, field: &str, text: &'a str) -> Result<&'a str, CliError> {
    let fits = text.chars().count() <= NOTE_CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(CliError::usage(money::bad_note(lang, field, NOTE_CHARS_MAX))) }
}
