//! Files that a prompt names with `@`.

use std::path::Path;

use super::is_url;

const STOPS: [char; 7] = ['.', ',', ';', ':', '?', '!', ')'];

/// The paths and addresses behind an `@` at the beginning of a word, as far as there is such a file; and what looks
/// like one and is not there. `@"a path"` may have spaces in it.
pub fn mentions(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut rest = text;
    let mut begins = true;
    while let Some(at) = rest.find('@') {
        // Chinese has no spaces between words.
        let ends = |c: char| c.is_whitespace() || !c.is_ascii();
        begins = if at == 0 { begins } else { rest[..at].ends_with(ends) };
        rest = &rest[at + 1..];
        if !begins {
            continue;
        }
        begins = false;
        let name = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default(),
            None => rest.split(char::is_whitespace).next().unwrap_or_default(),
        };
        // The stop behind a name belongs to the sentence, and so may Chinese characters; of a name that was cut there
        // must be a file: a folder would be a part of a path that is not there.
        let shorter = name.trim_end_matches(STOPS);
        let there = |name: &str| is_url(name) || (!name.is_empty() && Path::new(name).exists());
        let whole = [name, shorter].into_iter().find(|name| there(name));
        let cuts = name.char_indices().rev().filter(|(_, c)| !c.is_ascii()).map(|(at, _)| &name[..at]);
        let mut cuts = cuts.map(|name| name.trim_end_matches(STOPS));
        let shorter = shorter.split(|c: char| !c.is_ascii()).next().unwrap_or_default();
        if let Some(name) = whole.or_else(|| cuts.find(|name| Path::new(name).is_file())) {
            if !found.iter().any(|other| other == name) {
                found.push(name.to_owned());
            }
        } else if shorter.contains(['/', '\\']) || shorter.contains('.') && !shorter.contains('@') {
            missing.push(shorter.to_owned());
        }
    }
    (found, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_begins_with_at_names_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("a.rs"), "").unwrap();
        std::fs::write(path("b c"), "").unwrap();
        let (a, b) = (path("a.rs"), path("b c"));
        for (text, found, missing) in [
            (format!("what is @{a}?"), vec![a.clone()], vec![]),
            (format!("@{a} @{a} and @\"{b}\"."), vec![a.clone(), b.clone()], vec![]),
            (format!("解释@{a}的内容"), vec![a.clone()], vec![]),
            (format!("解释 @{a}，谢谢"), vec![a.clone()], vec![]),
            (format!("看 @{}/没有.rs", dir.path().display()), vec![], vec![format!("{}/", dir.path().display())]),
            (format!("me@{a}"), vec![], vec![]),
            ("mail me@example.com, @somebody".to_owned(), vec![], vec![]),
            ("see @http://h/x".to_owned(), vec!["http://h/x".to_owned()], vec![]),
            ("see @no/such.rs!".to_owned(), vec![], vec!["no/such.rs".to_owned()]),
            ("@ @@ @\"".to_owned(), vec![], vec![]),
        ] {
            assert_eq!(mentions(&text), (found, missing), "{text}");
        }
    }
}
