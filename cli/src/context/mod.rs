//! Files, folders and addresses that go along with a prompt.
//!
//! Everything has a bound, and nothing is cut in silence: what does not fit is refused, what is left out is said.

mod folder;
mod html;
mod mention;
mod web;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use qwenda::{
    Message,
    types::chat::{Content, Part},
};
use serde_json::{Map, json};

pub use self::mention::mentions;
use crate::{
    exit::{CliError, Exit},
    lang::{Lang, chat as words, messages},
    output::Ui,
};

/// Largest text of one file or page.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// Largest image.
const IMAGE_BYTES_MAX: u64 = 10 << 20;
/// Largest sum of all texts: no context holds more.
const ALL_BYTES_MAX: usize = 16 << 20;
/// What a file is told by.
const SNIFFED_BYTES: usize = 8192;

/// What goes along with a prompt.
#[derive(Debug, Default)]
pub struct Attached {
    texts: Vec<(String, String)>,
    images: Vec<String>,
}

/// What a file turns out to be.
enum Kind {
    Text(String),
    Image(String),
    Binary,
}

impl Attached {
    /// Reads everything that these name: paths of files and folders, and addresses.
    pub async fn read(ui: Ui, names: &[String]) -> Result<Self, CliError> {
        let mut attached = Self::default();
        for name in names {
            attached.add(ui, name).await?;
        }
        Ok(attached)
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.images.is_empty()
    }

    /// Reads one more.
    pub async fn add(&mut self, ui: Ui, name: &str) -> Result<(), CliError> {
        let lang = ui.lang;
        if is_url(name) {
            let page = web::fetch(lang, name).await?;
            return self.take(lang, name, page);
        }
        let path = Path::new(name);
        if !path.is_dir() {
            let kind = read_file(lang, path)?;
            return self.take(lang, name, kind);
        }
        let (found, left_out) = folder::files(lang, path)?;
        let mut binary = 0;
        for (name, path) in found {
            match read_file(lang, &path)? {
                Kind::Text(text) => self.take(lang, &name, Kind::Text(text))?,
                // Who names a folder means its texts.
                Kind::Image(_) | Kind::Binary => binary += 1,
            }
        }
        if binary + left_out > 0 {
            ui.notice(words::files_left_out(lang, name, binary + left_out));
        }
        Ok(())
    }

    fn take(&mut self, lang: Lang, name: &str, kind: Kind) -> Result<(), CliError> {
        match kind {
            Kind::Text(text) => self.texts.push((name.to_owned(), text)),
            Kind::Image(data) => self.images.push(data),
            Kind::Binary => return Err(CliError::usage(words::binary(lang, name))),
        }
        let all: usize = self.texts.iter().map(|(_, text)| text.len()).sum();
        if all > ALL_BYTES_MAX {
            let mib = (ALL_BYTES_MAX >> 20) as u64;
            return Err(CliError::new(Exit::TooLong, words::files_too_large(lang, mib)));
        }
        Ok(())
    }

    /// The texts, each under its name, and the prompt behind them.
    pub fn before(&self, prompt: &str) -> String {
        let mut text = String::new();
        for (name, content) in &self.texts {
            let end = if content.ends_with('\n') { "" } else { "\n" };
            text += &format!("<file name=\"{name}\">\n{content}{end}</file>\n\n");
        }
        text + prompt
    }

    /// The message that asks this, with the images in it.
    pub fn message(self, text: String) -> Message {
        if self.images.is_empty() {
            return Message::user(text);
        }
        let image = |url: String| Part {
            kind: "image_url".to_owned(),
            text: None,
            rest: Map::from_iter([("image_url".to_owned(), json!({ "url": url }))]),
        };
        let parts = self.images.into_iter().map(image).chain([Part::text(text)]).collect();
        Message { content: Some(Content::Parts(parts)), ..Message::user("") }
    }
}

/// Whether a name is an address.
pub fn is_url(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

fn read_file(lang: Lang, path: &Path) -> Result<Kind, CliError> {
    let name = path.display().to_string();
    let cannot = |error: io::Error| CliError::usage(messages::cannot_read(lang, &name, &error));
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(IMAGE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    kind_of(lang, &name, bytes)
}

/// What these bytes are, within the bounds.
fn kind_of(lang: Lang, name: &str, bytes: Vec<u8>) -> Result<Kind, CliError> {
    let too_large = |most: u64| Err(CliError::new(Exit::TooLong, messages::input_too_large(lang, name, most >> 20)));
    if let Some(mime) = image_type(&bytes) {
        if bytes.len() as u64 > IMAGE_BYTES_MAX {
            return too_large(IMAGE_BYTES_MAX);
        }
        return Ok(Kind::Image(format!("data:{mime};base64,{}", STANDARD.encode(&bytes))));
    }
    if bytes[..bytes.len().min(SNIFFED_BYTES)].contains(&0) {
        return Ok(Kind::Binary);
    }
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return too_large(TEXT_BYTES_MAX);
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Kind::Text(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned)),
        Err(_) => Kind::Binary,
    })
}

/// The type of an image that models take, by its first bytes.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Attached, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        runtime.block_on(Attached::read(Ui::new(Lang::En, true, |_| None), &names))
    }

    #[test]
    fn texts_stand_before_the_prompt_and_images_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let (text, image) = (dir.path().join("a.txt"), dir.path().join("b"));
        std::fs::write(&text, "\u{feff}one").unwrap();
        std::fs::write(&image, b"\x89PNG\r\n\x1a\n\0").unwrap();
        let attached = read(&[text.to_str().unwrap(), image.to_str().unwrap()]).unwrap();
        let prompt = attached.before("what?");
        assert_eq!(prompt, format!("<file name=\"{}\">\none\n</file>\n\nwhat?", text.display()));
        let message = serde_json::to_value(attached.message(prompt.clone())).unwrap();
        assert_eq!(message["content"][0]["image_url"]["url"], "data:image/png;base64,iVBORw0KGgoA");
        assert_eq!(message["content"][1]["text"], prompt);
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        for bytes in [&b"a\0b"[..], &[0xc4, 0xe3], &[b'a'; 100].repeat(50_000)] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&[path.to_str().unwrap()]).unwrap_err();
            assert!(error.message.contains("a.bin"), "{error:?}");
        }
        assert_eq!(read(&["/no/such"]).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn of_a_folder_only_the_texts_that_git_would_keep_go_along() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("b.rs", &b"bbb"[..]),
            ("a.rs", b"aaa"),
            ("sub/c.rs", b"ccc"),
            ("sub/skipped.log", b"log"),
            (".gitignore", b"*.log\n"),
            (".hidden", b"h"),
            ("image.png", b"\x89PNG"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let attached = read(&[dir.path().to_str().unwrap()]).unwrap();
        let texts: Vec<&str> = attached.texts.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["aaa", "bbb", "ccc"]);
        assert!(attached.images.is_empty());
    }
}
