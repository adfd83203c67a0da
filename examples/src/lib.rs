//! What all example programs share: which model they ask, and the language of their reader. Each program is a
//! file of its own in `src/bin`, made to be read from top to bottom and to begin from.

use std::{env, error::Error};

use qwenda::Lang;

/// What a program does with everything that ends it: it shows it.
pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The model that `QWENDA_MODEL` names; `qwen-plus` without it.
pub fn model() -> String {
    env::var("QWENDA_MODEL").unwrap_or_else(|_| "qwen-plus".to_owned())
}

/// The language of the terminal, by the variables that terminals go by.
pub fn lang() -> Lang {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG")).unwrap_or_default();
    if locale.starts_with("zh") { Lang::Zh } else { Lang::En }
}

/// The text of the two that the terminal's reader reads.
pub fn say(en: &'static str, zh: &'static str) -> &'static str {
    match lang() {
        Lang::Zh => zh,
        _ => en,
    }
}

/// What ended a program, for a person.
pub fn friendly(error: &(dyn Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<qwenda::Error>() {
        Some(error) => error.friendly(lang()),
        None => error.to_string(),
    }
}
