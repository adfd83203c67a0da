//! The file of a session: appending to it, and reading what others appended.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{Entry, Name};

/// More than any conversation is; a larger file is a mistake.
const BYTES_MAX: u64 = 256 << 20;

/// A session that is open.
#[derive(Debug)]
pub struct Session {
    name: Name,
    path: PathBuf,
    /// How far the file was read.
    seen: u64,
    /// Lines that could not be read.
    damaged: usize,
}

impl Session {
    pub(super) fn new(name: Name, path: PathBuf) -> Self {
        Self { name, path, seen: 0, damaged: 0 }
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many lines could not be read so far.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// What was appended since this was called last; at first, everything.
    pub fn read(&mut self) -> io::Result<Vec<Entry>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        file.lock_shared()?;
        self.rest(&mut file)
    }

    /// Appends a line, and has it on the disk when it returns. Returns what others appended before it.
    pub fn append(&mut self, entry: &Entry) -> io::Result<Vec<Entry>> {
        let mut file = self.open()?;
        file.lock()?;
        let others = self.rest(&mut file)?;
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        let end = file.seek(SeekFrom::End(0))?;
        if self.seen < end {
            // Somebody was killed in the middle of a line: it ends here.
            line.insert(0, '\n');
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.seen = end + line.len() as u64;
        Ok(others)
    }

    /// Writes all lines of a session that must not be there yet.
    pub fn create(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.make_folder()?;
        let mut text = String::new();
        for entry in entries {
            text += &serde_json::to_string(entry)?;
            text.push('\n');
        }
        let mut file = private().create_new(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        self.seen = text.len() as u64;
        self.keep_name()
    }

    fn open(&self) -> io::Result<File> {
        if let Ok(file) = private().open(&self.path) {
            return Ok(file);
        }
        self.make_folder()?;
        let file = private().create(true).open(&self.path)?;
        self.keep_name()?;
        Ok(file)
    }

    fn make_folder(&self) -> io::Result<()> {
        let Some(folder) = self.path.parent() else { return Ok(()) };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)
    }

    /// A new file's name is part of its folder, which has to be on the disk too.
    fn keep_name(&self) -> io::Result<()> {
        match self.path.parent() {
            #[cfg(unix)]
            Some(folder) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// Whole lines from where it was read to.
    fn rest(&mut self, file: &mut File) -> io::Result<Vec<Entry>> {
        let length = file.metadata()?.len();
        if length < self.seen {
            // It is another file of the same name.
            self.seen = 0;
        }
        if length - self.seen > BYTES_MAX {
            let message = format!("more than {} MiB", BYTES_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        file.seek(SeekFrom::Start(self.seen))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        self.seen += whole as u64;
        let mut entries = Vec::new();
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => self.damaged += 1,
            }
        }
        Ok(entries)
    }
}

/// Readable by nobody else: it is what somebody said.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::thread;

    use qwenda::Message;

    use super::{super::Turn, *};

    fn turn(text: &str) -> Entry {
        let messages = vec![Message::user(text), Message::assistant("yes")];
        Entry::Turn(Turn { at: 1, model: "m".to_owned(), messages, cut: false, usage: None })
    }

    fn session(folder: &Path) -> Session {
        Session::new(Name::of("a").unwrap(), folder.join("sessions").join("a.jsonl"))
    }

    #[test]
    fn what_is_appended_is_read_again_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut mine, mut yours) = (session(dir.path()), session(dir.path()));
        assert!(mine.read().unwrap().is_empty());
        assert!(mine.append(&turn("one")).unwrap().is_empty());
        assert_eq!(yours.append(&turn("two\nlines")).unwrap(), [turn("one")]);
        assert_eq!(mine.read().unwrap(), [turn("two\nlines")]);
        assert!(mine.read().unwrap().is_empty());
        assert_eq!(session(dir.path()).read().unwrap(), [turn("one"), turn("two\nlines")]);
    }

    #[test]
    fn a_line_torn_at_any_byte_costs_that_line_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = session(dir.path());
        first.append(&turn("一")).unwrap();
        let whole = fs::read(&first.path).unwrap();
        for cut in 0..whole.len() - 1 {
            fs::write(&first.path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let mut torn = session(dir.path());
            assert_eq!(torn.read().unwrap(), [turn("一")], "{cut}");
            torn.append(&turn("next")).unwrap();
            let mut again = session(dir.path());
            assert_eq!(again.read().unwrap(), [turn("一"), turn("next")], "{cut}");
            assert_eq!(again.damaged(), usize::from(cut > 0), "{cut}");
        }
    }

    #[test]
    fn many_at_once_lose_nothing_and_mix_nothing() {
        let dir = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for who in 0..8 {
                let mut session = session(dir.path());
                scope.spawn(move || {
                    for n in 0..20 {
                        session.append(&turn(&format!("{who} {n} {}", "x".repeat(9000)))).unwrap();
                    }
                });
            }
        });
        let mut all = session(dir.path());
        assert_eq!(all.read().unwrap().len(), 160);
        assert_eq!(all.damaged(), 0);
    }

    #[test]
    fn a_new_session_takes_nobodys_place() {
        let dir = tempfile::tempdir().unwrap();
        session(dir.path()).create(&[turn("one")]).unwrap();
        let error = session(dir.path()).create(&[turn("two")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(session(dir.path()).read().unwrap(), [turn("one")]);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        session.append(&turn("secret")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&session.path), mode(session.path.parent().unwrap())), (0o600, 0o700));
    }
}
