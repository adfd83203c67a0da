//! What can be completed: commands, names behind them, and files behind `@`.

use std::{fs, time::UNIX_EPOCH};

use crate::{
    lang::{Lang, messages, repl::COMMANDS},
    progress,
    sessions::Sessions,
    settings::Settings,
    templates::{self, INPUT, Templates},
    when,
};

/// Entries of a folder that are looked at.
const FILES_MAX: usize = 1000;

/// Something that may stand where the cursor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What is put there.
    pub text: String,
    /// What the list shows of it.
    pub name: String,
    /// What it is.
    pub about: String,
}

/// Where they come from.
pub struct Offers<'a> {
    lang: Lang,
    settings: &'a Settings,
    models: Vec<Offer>,
    sessions: Sessions,
}

impl Offer {
    fn new(text: &str, about: &str) -> Self {
        Self { text: text.to_owned(), name: text.to_owned(), about: about.to_owned() }
    }
}

impl<'a> Offers<'a> {
    pub fn new(lang: Lang, settings: &'a Settings) -> Self {
        let here: Vec<String> = settings
            .store
            .installed(&settings.catalogue)
            .unwrap_or_default()
            .into_iter()
            .map(|model| model.name)
            .collect();
        let about = |name: &String| if here.contains(name) { messages::is_here(lang) } else { String::new() };
        let models = settings.model_names().iter().map(|name| Offer::new(name, &about(name))).collect();
        Self { lang, settings, models, sessions: Sessions::of(settings.home()) }
    }

    /// What may stand in front of the cursor, and from where on it takes the place of what was typed.
    pub fn at(&self, line: &str, pos: usize) -> (usize, Vec<Offer>) {
        let typed = &line[..pos];
        let Some((command, rest)) = typed.split_once(char::is_whitespace).filter(|_| typed.starts_with('/')) else {
            if typed.starts_with('/') {
                let commands = COMMANDS.iter().map(|command| Offer::new(command.name, command.does(self.lang)));
                return (0, matching(commands.collect(), typed));
            }
            return mention(typed).map_or((pos, Vec::new()), |(start, path)| (start, paths(path, true)));
        };
        let rest = rest.trim_start();
        let start = pos - rest.len();
        match command {
            "/model" => (start, matching(self.models.clone(), rest)),
            "/session" => (start, matching(self.sessions(), rest)),
            "/reasoning" => (start, matching(vec![Offer::new("on", ""), Offer::new("off", "")], rest)),
            "/summarize" => (start, matching(vec![Offer::new("on", ""), Offer::new("off", "")], rest)),
            "/role" => (start, matching(self.forms(true), rest)),
            "/template" => match rest.split_once(char::is_whitespace) {
                None => (start, matching(self.forms(false), rest)),
                Some((name, rest)) => {
                    let word = rest.rsplit(char::is_whitespace).next().unwrap_or_default();
                    match mention(typed) {
                        Some((start, path)) => (start, paths(path, true)),
                        None if word.is_empty() => (pos, Vec::new()),
                        None => (pos - word.len(), begins(self.variables(name), word)),
                    }
                }
            },
            "/file" | "/save" => (start, paths(rest, false)),
            _ => mention(typed).map_or((pos, Vec::new()), |(start, path)| (start, paths(path, true))),
        }
    }

    /// A folder that cannot be read has no names to offer.
    fn sessions(&self) -> Vec<Offer> {
        let sessions = self.sessions.list().unwrap_or_default();
        let used = |at: &std::time::SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        sessions.iter().map(|(name, at)| Offer::new(name.as_str(), &when::second(used(at)))).collect()
    }

    fn forms(&self, roles: bool) -> Vec<Offer> {
        // What is wrong with one is said when it is used.
        let Ok(templates) = Templates::read(self.lang, self.settings) else { return Vec::new() };
        match roles {
            true => templates.roles().map(|(name, about)| Offer::new(name, about)).collect(),
            false => templates.prompts().map(|(name, about)| Offer::new(name, about)).collect(),
        }
    }

    fn variables(&self, name: &str) -> Vec<Offer> {
        let Ok(templates) = Templates::read(self.lang, self.settings) else { return Vec::new() };
        let Ok(template) = templates.get(self.lang, name) else { return Vec::new() };
        let variables = templates::variables(template).into_iter().filter(|(name, _)| name != INPUT);
        variables.map(|(name, usual)| Offer::new(&format!("{name}="), usual.unwrap_or_default())).collect()
    }
}

fn begins(mut offers: Vec<Offer>, typed: &str) -> Vec<Offer> {
    offers.retain(|offer| offer.text.starts_with(typed));
    offers
}

/// Those that begin with what was typed; where none does, those that have it in them.
fn matching(offers: Vec<Offer>, typed: &str) -> Vec<Offer> {
    let begin = begins(offers.clone(), typed);
    if !begin.is_empty() {
        return begin;
    }
    let word = typed.trim_start_matches('/').to_lowercase();
    offers.into_iter().filter(|offer| !word.is_empty() && offer.text.to_lowercase().contains(&word)).collect()
}

/// The path behind an `@` that is being typed, and where it begins.
fn mention(typed: &str) -> Option<(usize, &str)> {
    let at = typed.rfind('@')?;
    let before = typed[..at].chars().next_back();
    let path = &typed[at + 1..];
    let ended = match path.strip_prefix('"') {
        Some(quoted) => quoted.contains('"'),
        None => path.contains(char::is_whitespace),
    };
    // As in a prompt that is sent: Chinese has no spaces between words.
    let begins = before.is_none_or(|c| c.is_whitespace() || !c.is_ascii());
    (begins && !ended).then_some((at + 1, path))
}

/// The files and folders that a path may become.
fn paths(typed: &str, quotes: bool) -> Vec<Offer> {
    let path = typed.strip_prefix('"').filter(|_| quotes).unwrap_or(typed);
    let (folder, begin) = path.rfind('/').map_or(("", path), |slash| path.split_at(slash + 1));
    let Ok(entries) = fs::read_dir(if folder.is_empty() { "." } else { folder }) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.take(FILES_MAX).flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let wanted = name.starts_with(begin) && (begin.starts_with('.') || !name.starts_with('.'));
        if !wanted || name.contains(char::is_control) {
            continue;
        }
        // Of a link, what it leads to.
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        let (end, about) = if meta.is_dir() { ("/", String::new()) } else { ("", progress::bytes(meta.len())) };
        let whole = format!("{folder}{name}{end}");
        let quoted = quotes && (typed.starts_with('"') || whole.contains(char::is_whitespace));
        let closed = if meta.is_dir() { "" } else { "\"" };
        let text = if quoted { format!("\"{whole}{closed}") } else { whole };
        found.push(Offer { text, name: format!("{name}{end}"), about });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(offers: &[Offer]) -> Vec<&str> {
        offers.iter().map(|offer| offer.text.as_str()).collect()
    }

    #[test]
    fn what_begins_so_goes_before_what_has_it_in_it() {
        let offers = || vec![Offer::new("/session", ""), Offer::new("/system", ""), Offer::new("/Save", "")];
        assert_eq!(names(&matching(offers(), "/s")), ["/session", "/system"]);
        assert_eq!(names(&matching(offers(), "/sess")), ["/session"]);
        assert_eq!(names(&matching(offers(), "/ave")), ["/Save"]);
        assert!(matching(offers(), "/x").is_empty());
        assert_eq!(matching(offers(), "/").len(), 3);
    }

    #[test]
    fn a_path_is_what_stands_behind_an_at_that_begins_a_word() {
        for (typed, want) in [
            ("@", Some((1, ""))),
            ("see @src/a", Some((5, "src/a"))),
            ("看@a", Some((4, "a"))),
            ("see @\"a b", Some((5, "\"a b"))),
            ("see @\"a b\" and", None),
            ("see @a and", None),
            ("me@example", None),
            ("nothing", None),
        ] {
            assert_eq!(mention(typed), want, "{typed}");
        }
    }

    #[test]
    fn a_path_with_spaces_is_quoted_and_a_folder_can_be_gone_into() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("my notes")).unwrap();
        fs::write(dir.path().join("my notes/a b.txt"), "x").unwrap();
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        let at = |path: &str| format!("{}/{path}", dir.path().display());
        assert_eq!(names(&paths(&at("my"), true)), [format!("\"{}", at("my notes/"))]);
        assert_eq!(names(&paths(&format!("\"{}", at("my notes/")), true)), [format!("\"{}\"", at("my notes/a b.txt"))]);
        assert_eq!(names(&paths(&at("my notes/a"), false)), [at("my notes/a b.txt")]);
        assert_eq!(paths(&at(""), true).len(), 1);
        assert_eq!(names(&paths(&at(".h"), true)), [at(".hidden")]);
        assert!(paths("/no/such/", true).is_empty());
    }
}
