//! Which language the person reads: English or 简体中文.
//!
//! The texts themselves are in `messages.rs` (what happens at run time) and `help.rs` (what `--help`
//! prints); those of accounts and of administrators, of both kinds, in `money.rs` and `admin.rs`, those of chats in
//! `chat.rs` and `repl.rs`. Order of preference: `--lang`, `QWENDA_LANG`, the configuration file, then the locale of the terminal
//! (`LC_ALL`, `LC_MESSAGES`, `LANG`), then English.

use std::ffi::OsString;

/// Makes one function per text: `name(lang, arguments…) -> String`.
macro_rules! texts {
    ($($name:ident($($arg:ident: $kind:ty),*) { $en:literal, $zh:literal })+) => {$(
        pub fn $name(lang: Lang $(, $arg: $kind)*) -> String {
            match lang {
                Lang::En => format!($en),
                Lang::Zh => format!($zh),
            }
        }
    )+};
}

pub mod admin;
pub mod chat;
pub mod help;
pub mod messages;
pub mod money;
pub mod projects;
pub mod repl;

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    En,
    Zh,
}

impl Lang {
    /// As keys have it.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// As the SDK has it.
    pub fn sdk(self) -> qwenda::Lang {
        match self {
            Self::En => qwenda::Lang::En,
            Self::Zh => qwenda::Lang::Zh,
        }
    }

    /// The language a locale name such as `zh_CN.UTF-8` stands for.
    fn of_locale(name: &str) -> Self {
        let language = name.split(['_', '-', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Zh } else { Self::En }
    }

    /// What `--lang` on the command line says, before the line is parsed: `--help` and the errors of
    /// parsing are texts too. A value that is neither is left for the parser to complain about.
    pub fn of_args(args: &[OsString]) -> Option<Self> {
        let mut said = None;
        let mut args = args.iter().skip(1).map(|arg| arg.to_string_lossy());
        while let Some(arg) = args.next() {
            let value = match arg.split_once('=') {
                _ if arg == "--" => break,
                Some(("--lang", value)) => value.to_owned(),
                None if arg == "--lang" => args.next().unwrap_or_default().into_owned(),
                _ => continue,
            };
            said = match value.as_str() {
                "zh" => Some(Self::Zh),
                "en" => Some(Self::En),
                _ => said,
            };
        }
        said
    }

    /// What `QWENDA_LANG` says; like a locale name, so `zh` and `zh_CN` both do.
    pub fn of_env(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        get("QWENDA_LANG").filter(|name| !name.is_empty()).map(|name| Self::of_locale(&name))
    }

    /// What the terminal's locale says: the first of the three that is set and not empty decides.
    pub fn of_terminal(get: impl Fn(&str) -> Option<String>) -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .filter_map(|name| get(name))
            .find(|name| !name.is_empty())
            .map_or(Self::En, |name| Self::of_locale(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_first_locale_that_is_set_decides() {
        let cases: [(&[(&str, &str)], Lang); 7] = [
            (&[], Lang::En),
            (&[("LANG", "zh_CN.UTF-8")], Lang::Zh),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Lang::En),
            (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_CN")], Lang::Zh),
            (&[("LANG", "zh-Hans"), ("LC_ALL", "")], Lang::Zh),
            (&[("LANG", "ZH_TW")], Lang::Zh),
            (&[("LANG", "zhuang")], Lang::En),
        ];
        for (set, lang) in cases {
            assert_eq!(Lang::of_terminal(env(set)), lang, "{set:?}");
        }
    }

    #[test]
    fn qwenda_lang_takes_a_language_or_a_locale() {
        assert_eq!(Lang::of_env(env(&[("QWENDA_LANG", "zh")])), Some(Lang::Zh));
        assert_eq!(Lang::of_env(env(&[("QWENDA_LANG", "zh_CN.UTF-8")])), Some(Lang::Zh));
        assert_eq!(Lang::of_env(env(&[("QWENDA_LANG", "en")])), Some(Lang::En));
        assert_eq!(Lang::of_env(env(&[("QWENDA_LANG", "")])), None);
    }

    #[test]
    fn the_flag_is_found_before_parsing_but_not_behind_two_dashes() {
        let of = |line: &str| Lang::of_args(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("qwenda --lang zh chat"), Some(Lang::Zh));
        assert_eq!(of("qwenda chat hi --lang=en"), Some(Lang::En));
        assert_eq!(of("qwenda chat -- --lang zh"), None);
        assert_eq!(of("qwenda chat --lang fr"), None);
        assert_eq!(of("qwenda chat"), None);
    }
}
