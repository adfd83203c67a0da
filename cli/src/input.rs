//! Text that comes in: stdin, `@FILE`, or the command line itself. Always UTF-8, always bounded; what
//! is not UTF-8 is refused with the place and a way out, never repaired in silence.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    exit::{CliError, Exit},
    lang::{Lang, messages},
    output::Ui,
};

/// More than any context holds; a larger input is a mistake, such as a disk image on stdin.
const INPUT_BYTES_MAX: u64 = 32 << 20;
/// How long stdin may take before it is said that it is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of stdin when it is a pipe or a file; `None` when it is a terminal.
pub fn piped_stdin(ui: Ui) -> Result<Option<String>, CliError> {
    if io::stdin().is_terminal() { Ok(None) } else { stdin(ui).map(Some) }
}

/// All of stdin, up to its end. When that is long in coming it is said what is waited for: a pipe that
/// somebody left open would otherwise look as if the program hung.
pub fn stdin(ui: Ui) -> Result<String, CliError> {
    let name = messages::stdin_name(ui.lang);
    let (done, read) = mpsc::channel();
    let (lang, of) = (ui.lang, name.clone());
    thread::spawn(move || done.send(read_bounded(lang, &of, io::stdin().lock())));
    let bytes = read.recv_timeout(PATIENCE).or_else(|_| {
        ui.notice(messages::waiting_for_stdin(ui.lang));
        read.recv()
    });
    text_of(ui.lang, &name, bytes.expect("the thread sends what it read")?)
}

/// All of a file.
pub fn file(lang: Lang, path: &Path) -> Result<String, CliError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| cannot_read(lang, &name, &error))?;
    text_of(lang, &name, read_bounded(lang, &name, file)?)
}

/// What `TEXT|-|@FILE` stands for. Nothing at all means stdin, as long as that is not a terminal:
/// there it would look as if the program hung. `@@…` is a text that begins with `@`.
pub fn text_argument(ui: Ui, argument: Option<&str>) -> Result<String, CliError> {
    match argument {
        Some("-") => stdin(ui),
        None => piped_stdin(ui)?.ok_or_else(|| CliError::usage(messages::no_text(ui.lang))),
        Some(text) if text.starts_with("@@") => Ok(text[1..].to_owned()),
        Some(text) => match text.strip_prefix('@') {
            Some("") => Err(CliError::usage(messages::no_text(ui.lang))),
            Some(path) => file(ui.lang, Path::new(path)),
            None => Ok(text.to_owned()),
        },
    }
}

fn read_bounded(lang: Lang, name: &str, from: impl Read) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    from.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(lang, name, &error))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        let mib = INPUT_BYTES_MAX >> 20;
        return Err(CliError::new(Exit::TooLong, messages::input_too_large(lang, name, mib)));
    }
    Ok(bytes)
}

fn cannot_read(lang: Lang, name: &str, error: &io::Error) -> CliError {
    CliError::usage(messages::cannot_read(lang, name, error))
}

fn text_of(lang: Lang, name: &str, bytes: Vec<u8>) -> Result<String, CliError> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[offset];
        let hint = match error.as_bytes() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => messages::convert_from(lang, "UTF-16"),
            _ => messages::convert_from(lang, "GB18030"),
        };
        CliError::usage(messages::not_utf8(lang, name, offset, byte)).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_names_the_byte() {
        let error = text_of(Lang::En, "stdin", vec![b'a', b'b', 0xc4, 0xe3]).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.contains("byte 2 (0xc4)"), "{}", error.message);
        assert!(error.hint.unwrap().contains("GB18030"));
        let error = text_of(Lang::En, "stdin", vec![0xff, 0xfe, b'a', 0]).unwrap_err();
        assert!(error.hint.unwrap().contains("UTF-16"));
    }

    #[test]
    fn an_argument_is_text_or_names_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "from the file\n").unwrap();
        let ui = Ui::new(Lang::En, true, |_| None);
        let of = |argument: &str| text_argument(ui, Some(argument)).unwrap();
        assert_eq!(of("plain"), "plain");
        assert_eq!(of(""), "");
        assert_eq!(of("@@home"), "@home");
        assert_eq!(of(&format!("@{}", path.display())), "from the file\n");
        assert_eq!(text_argument(ui, Some("@/no/such")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn an_input_without_end_is_cut_off() {
        let error = read_bounded(Lang::En, "stdin", io::repeat(b'a')).unwrap_err();
        assert_eq!(error.exit, Exit::TooLong);
    }
}
