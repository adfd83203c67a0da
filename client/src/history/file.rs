//! Histories as files of JSON lines, one file for each conversation.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use futures_util::future::BoxFuture;
use qwenda_types::chat::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{History, Kept, KeptInfo, check_id, conflict};
use crate::{Error, Result, error::Kind, memory::blocking};

const ENDS: &str = ".jsonl";

/// Histories in a folder: a file of JSON lines for each conversation. A line is what was added at once; one that
/// was not written to its end, because the process or the machine went down, is as if it had never been begun.
/// Several processes may use a folder at once.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("chats");
/// # let client = qwenda::Mock::new().reply("Noted.").client();
/// use qwenda::{Policy, history::FileHistory};
///
/// let chats = FileHistory::open(path)?;
/// let talk = client.chat("qwen-plus").conversation(Policy::tokens(8_000));
/// let mut talk = talk.open("session-42").store(chats).await?;
/// talk.send("My order is 8123.").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct FileHistory {
    folder: PathBuf,
}

/// What was added at once.
#[derive(Serialize, Deserialize)]
struct Line {
    after: usize,
    messages: Vec<Message>,
    notes: Map<String, Value>,
}

impl FileHistory {
    /// Uses this folder, and makes it if it is not there.
    ///
    /// # Errors
    /// [`Kind::Storage`] if it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| storage(&folder, error))?;
        Ok(Self { folder })
    }

    fn path(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        Ok(self.folder.join(format!("{}{ENDS}", encoded(id))))
    }
}

impl History for FileHistory {
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>> {
        let path = self.path(id);
        Box::pin(async move {
            let path = path?;
            blocking(move || load(&path)).await
        })
    }

    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: Map<String, Value>,
    ) -> BoxFuture<'a, Result<()>> {
        let (path, folder, id) = (self.path(id), self.folder.clone(), id.to_owned());
        Box::pin(async move {
            let path = path?;
            blocking(move || append(&path, &folder, &id, &Line { after, messages, notes })).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>> {
        let folder = self.folder.clone();
        Box::pin(blocking(move || list(&folder)))
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        let path = self.path(id);
        Box::pin(async move {
            let path = path?;
            blocking(move || delete(&path)).await
        })
    }
}

fn load(path: &Path) -> Result<Kept> {
    let Some(mut file) = opened(path, OpenOptions::new().read(true))? else { return Ok(Kept::default()) };
    file.lock_shared().map_err(|error| storage(path, error))?;
    let text = whole(&mut file, path)?;
    let mut kept = Kept::default();
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::of(Kind::Storage).say(format!("{}, line {number}: {why}", path.display()))
        };
        let line: Line = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
        if line.after != kept.messages.len() {
            return Err(wrong(&format!("it follows {} messages, not {}", kept.messages.len(), line.after)));
        }
        kept.messages.extend(line.messages);
        kept.notes = line.notes;
    }
    Ok(kept)
}

fn append(path: &Path, folder: &Path, id: &str, line: &Line) -> Result<()> {
    let failed = |error| storage(path, error);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    file.lock().map_err(failed)?;
    let text = whole(&mut file, path)?;
    let there = messages(&text, path)?;
    if there != line.after {
        return Err(conflict(id, line.after, there));
    }
    let mut new = serde_json::to_vec(line).map_err(|error| storage(path, error.into()))?;
    new.push(b'\n');
    // What stands behind the last whole line was never said.
    file.set_len(text.len() as u64).map_err(failed)?;
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(failed)?;
    file.write_all(&new).and_then(|()| file.sync_data()).map_err(failed)?;
    if is_new && cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| storage(folder, error))?;
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<KeptInfo>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| storage(folder, error))? {
        let path = entry.map_err(|error| storage(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDS));
        let Some(id) = name.and_then(decoded) else { continue };
        let Some(mut file) = opened(&path, OpenOptions::new().read(true))? else { continue };
        file.lock_shared().map_err(|error| storage(&path, error))?;
        let text = whole(&mut file, &path)?;
        // One whose first line was never written to its end is none.
        if !text.is_empty() {
            all.push(KeptInfo { id, messages: messages(&text, &path)? as u64 });
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

fn delete(path: &Path) -> Result<bool> {
    let Some(mut file) = opened(path, OpenOptions::new().read(true).write(true))? else { return Ok(false) };
    let failed = |error| storage(path, error);
    file.lock().map_err(failed)?;
    let there = !whole(&mut file, path)?.is_empty();
    // Who waits for the lock finds that there is nothing to go on from.
    file.set_len(0).map_err(failed)?;
    fs::remove_file(path).map_err(failed)?;
    Ok(there)
}

fn opened(path: &Path, how: &OpenOptions) -> Result<Option<File>> {
    match how.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage(path, error)),
    }
}

/// The lines that were written to their end.
fn whole(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|error| storage(path, error))?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    text.truncate(end);
    Ok(text)
}

/// How many messages there are: the last line knows.
fn messages(text: &[u8], path: &Path) -> Result<usize> {
    let Some(last) = text.split_inclusive(|byte| *byte == b'\n').next_back() else { return Ok(0) };
    let line: Line = serde_json::from_slice(last)
        .map_err(|error| Error::of(Kind::Storage).say(format!("{}, last line: {error}", path.display())))?;
    Ok(line.after + line.messages.len())
}

fn storage(path: &Path, error: io::Error) -> Error {
    Error::of(Kind::Storage).say(format!("{}: {error}", path.display()))
}

/// A name as every file system takes it, told apart even where upper and lower case are one.
fn encoded(id: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    id.bytes().map(byte).collect()
}

fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    let id = String::from_utf8(bytes).ok()?;
    (encoded(&id) == name).then_some(id)
}
