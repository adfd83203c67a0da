//! The templates that come along.

use std::collections::BTreeMap;

use super::Template;
use crate::lang::Lang;

/// All of them, by name.
pub fn all(lang: Lang) -> BTreeMap<String, Template> {
    let text = match lang {
        Lang::En => include_str!("en.toml"),
        Lang::Zh => include_str!("zh.toml"),
    };
    toml::from_str(text).expect("a test reads both files")
}
