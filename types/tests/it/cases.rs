//! The cases of the corpus. A case is a file: lines of `#` that say what it is about, then sections,
//! each under a line `=== request compat`, `=== answer native` and the like.

use std::{
    fs,
    path::{Path, PathBuf},
};

use qwenda_types::Dialect;

/// One case.
pub(crate) struct Case {
    /// Folder and name, as in `streams/plain`.
    pub(crate) name: String,
    pub(crate) sections: Vec<Section>,
}

/// One of its requests or answers.
pub(crate) struct Section {
    /// Whether it is a request, or an answer.
    pub(crate) is_request: bool,
    pub(crate) dialect: Dialect,
    /// What else its line says, such as `multimodal` or a status.
    pub(crate) more: Vec<String>,
    pub(crate) text: String,
}

/// All cases, by their names.
pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = files_ending("txt").iter().map(|path| read(path)).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    pub(crate) fn answers(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| !section.is_request)
    }
}

impl Section {
    /// Whether it is a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        !self.is_request && ["data:", "id:", ":", "event:"].iter().any(|begin| self.text.starts_with(begin))
    }

    /// A stream as it is sent: the last event ends in a blank line too.
    pub(crate) fn stream(&self) -> String {
        format!("{}\n\n", self.text.trim_end_matches('\n'))
    }
}

/// Where the cases are.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The files of all folders whose names end so.
pub(crate) fn files_ending(extension: &str) -> Vec<PathBuf> {
    let folders = entries(&root()).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    files.filter(|path| path.extension().is_some_and(|ends| ends == extension)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).expect("the corpus is there");
    list.map(|entry| entry.expect("a folder can be listed").path()).collect()
}

fn read(path: &Path) -> Case {
    let name = path.strip_prefix(root()).expect("it is below").with_extension("");
    let name = name.to_str().expect("names are ASCII").replace('\\', "/");
    let text = fs::read_to_string(path).expect("a case is text").replace("\r\n", "\n");
    let mut sections = text.split("\n=== ");
    let about = sections.next().unwrap_or_default();
    assert!(about.lines().all(|line| line.starts_with('#')), "{name}: a case begins with what it is about");
    Case { sections: sections.map(|section| self::section(&name, section)).collect(), name }
}

fn section(case: &str, text: &str) -> Section {
    let (title, text) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = title.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let is_request = match word().as_str() {
        "request" => true,
        "answer" => false,
        other => panic!("{case}: no section is called {other:?}"),
    };
    let dialect = match word().as_str() {
        "compat" => Dialect::Compat,
        "native" => Dialect::Native,
        other => panic!("{case}: no dialect is called {other:?}"),
    };
    Section { is_request, dialect, more: words.collect(), text: text.to_owned() }
}
