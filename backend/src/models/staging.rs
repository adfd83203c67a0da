//! The unfinished file of one model: `models/.partial/NAME/`, and the lock that one process holds on it.
//!
//! `data` has the final length from the start, with holes where nothing was written yet; `journal`
//! has one line `start end` per range that is in `data`. A line is written after its bytes, so a
//! process killed at any moment leaves a folder that the next pull goes on with.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use sha2::{Digest, Sha256};

use super::error::PullError;

/// Bytes read or written at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// The lock on one model's staging folder; dropping it lets the next process in.
pub(super) struct Lock {
    _held: File,
}

/// The unfinished file.
pub(super) struct Staging {
    folder: PathBuf,
    bytes_total: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    data: File,
    journal: File,
    have: Ranges,
}

/// Which bytes are here: sorted, disjoint, not touching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Lock {
    /// Takes the lock on `folder`, or says at once that another process has it.
    pub(super) fn take(folder: &Path) -> Result<Option<Self>, PullError> {
        // Beside the folder, which goes away when the pull is done; a lock file must stay.
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path = folder.with_file_name(name);
        let file = fs::create_dir_all(folder.parent().unwrap_or(folder))
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path))
            .map_err(|cause| PullError::io(&path, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _held: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems know no locks. Two pulls at once are then slower, not wrong:
            // nothing gets its final name unverified.
            Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system has no locks; pulling without one");
                Ok(Some(Self { _held: file }))
            }
            Err(TryLockError::Error(cause)) => Err(PullError::io(&path, cause)),
        }
    }
}

impl Staging {
    /// Opens the folder, keeping what an earlier pull of the same file left there.
    pub(super) fn open(folder: &Path, bytes_total: u64, sha256: &str) -> Result<Self, PullError> {
        let at = |cause| PullError::io(folder, cause);
        fs::create_dir_all(folder).map_err(at)?;
        // Whatever pip was doing when it was cut off is of no use.
        for entry in fs::read_dir(folder).map_err(at)? {
            let path = entry.map_err(at)?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(at)?;
            }
        }
        // What is here may be of another release of the model with the same name.
        let marker = folder.join("sha256");
        if fs::read_to_string(&marker).is_ok_and(|old| old != sha256) {
            let _ = fs::remove_file(folder.join("journal"));
            let _ = fs::remove_file(folder.join("data"));
        }
        fs::write(&marker, sha256).map_err(at)?;

        let open =
            |name: &str| OpenOptions::new().create(true).truncate(false).read(true).write(true).open(folder.join(name));
        let mut data = open("data").map_err(at)?;
        let mut journal = open("journal").map_err(at)?;
        let mut have = Ranges::default();
        if data.metadata().map_err(at)?.len() == bytes_total {
            have = Ranges::read(&mut journal, bytes_total).map_err(at)?;
        } else {
            data.set_len(0).and_then(|()| data.set_len(bytes_total)).map_err(at)?;
        }
        // The journal is written anew: a line cut short must not swallow the next one.
        journal.set_len(0).and_then(|()| journal.seek(SeekFrom::Start(0)).map(drop)).map_err(at)?;
        for (start, end) in &have.0 {
            journal.write_all(format!("{start} {end}\n").as_bytes()).map_err(at)?;
        }
        data.rewind().map_err(at)?;
        Ok(Self { folder: folder.to_owned(), bytes_total, inner: Mutex::new(Inner { data, journal, have }) })
    }

    /// How many bytes another process has fetched so far, as far as that can be seen from outside.
    pub(super) fn peek(folder: &Path, bytes_total: u64) -> u64 {
        let read = File::open(folder.join("journal")).and_then(|mut journal| Ranges::read(&mut journal, bytes_total));
        read.map_or(0, |have| have.bytes())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn data_path(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        self.locked().have.bytes()
    }

    /// Whether all of `start..end` is here.
    pub(super) fn has(&self, start: u64, end: u64) -> bool {
        self.locked().have.gaps(start, end).is_empty()
    }

    /// The ranges that are not here.
    pub(super) fn gaps(&self) -> Vec<(u64, u64)> {
        self.locked().have.gaps(0, self.bytes_total)
    }

    /// Writes bytes without recording them yet.
    pub(super) fn write(&self, start: u64, bytes: &[u8]) -> Result<(), PullError> {
        let end = start.saturating_add(bytes.len() as u64);
        assert!(end <= self.bytes_total, "write to {start}..{end} of a file of {} bytes", self.bytes_total);
        let mut inner = self.locked();
        let written = inner.data.seek(SeekFrom::Start(start)).and_then(|_| inner.data.write_all(bytes));
        written.map_err(|cause| PullError::io(&self.data_path(), cause))
    }

    /// Records that `start..end` is here.
    pub(super) fn record(&self, start: u64, end: u64) -> Result<(), PullError> {
        if start == end {
            return Ok(());
        }
        let mut inner = self.locked();
        inner.have.add(start, end);
        let written = inner.journal.write_all(format!("{start} {end}\n").as_bytes());
        written.map_err(|cause| PullError::io(&self.folder.join("journal"), cause))
    }

    /// Forgets everything fetched.
    pub(super) fn clear(&self) -> Result<(), PullError> {
        let mut inner = self.locked();
        inner.have = Ranges::default();
        let cleared = inner
            .journal
            .set_len(0)
            .and_then(|()| inner.journal.rewind())
            .and_then(|()| inner.data.set_len(0))
            .and_then(|()| inner.data.set_len(self.bytes_total));
        cleared.map_err(|cause| PullError::io(&self.folder, cause))
    }

    /// Makes the data durable, moves it to `path` and removes the folder.
    pub(super) fn finish(self, path: &Path) -> Result<(), PullError> {
        let inner = self.inner.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let data = self.folder.join("data");
        inner.data.sync_all().map_err(|cause| PullError::io(&data, cause))?;
        drop(inner);
        fs::rename(&data, path).map_err(|cause| PullError::io(path, cause))?;
        // The model is in place; a folder that cannot be removed is only untidy.
        if let Err(cause) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %cause, "cannot remove a finished staging folder");
        }
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        // The state behind the lock is whole between statements, so a panicked holder does no harm.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// SHA-256 of a file in hex. `each` is told how far it is; it ends the work with an error.
pub(super) fn sha256_of(path: &Path, mut each: impl FnMut(u64) -> Result<(), PullError>) -> Result<String, PullError> {
    let at = |cause| PullError::io(path, cause);
    let mut file = File::open(path).map_err(at)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done = 0;
    loop {
        let n = file.read(&mut buffer).map_err(at)?;
        if n == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..n]);
        done += n as u64;
        each(done)?;
    }
}

impl Ranges {
    /// Reads a journal; what is not a whole line of a sensible range counts for nothing.
    fn read(journal: &mut File, bytes_total: u64) -> io::Result<Self> {
        // Longer than any journal: one line per MiB of a file of 1 TiB is 40 MB.
        const JOURNAL_BYTES_MAX: u64 = 64 << 20;
        let mut text = Vec::new();
        journal.take(JOURNAL_BYTES_MAX).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let mut have = Self::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let range = line.split_once(' ').and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
            if let Some((start, end)) = range.filter(|&(start, end): &(u64, u64)| start < end && end <= bytes_total) {
                have.add(start, end);
            }
        }
        Ok(have)
    }

    fn add(&mut self, mut start: u64, mut end: u64) {
        self.0.retain(|&(from, to)| {
            let apart = to < start || end < from;
            if !apart {
                start = start.min(from);
                end = end.max(to);
            }
            apart
        });
        let place = self.0.partition_point(|&(from, _)| from < start);
        self.0.insert(place, (start, end));
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = start;
        for &(from, to) in &self.0 {
            if from >= end {
                break;
            }
            if from > at {
                gaps.push((at, from));
            }
            at = at.max(to);
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_leave_the_right_gaps() {
        for (added, have, gaps) in [
            (vec![], vec![], vec![(0, 100)]),
            (vec![(0, 100)], vec![(0, 100)], vec![]),
            (vec![(10, 20), (20, 30)], vec![(10, 30)], vec![(0, 10), (30, 100)]),
            (vec![(50, 60), (10, 20)], vec![(10, 20), (50, 60)], vec![(0, 10), (20, 50), (60, 100)]),
            (vec![(10, 20), (30, 40), (15, 35)], vec![(10, 40)], vec![(0, 10), (40, 100)]),
            (vec![(0, 10), (0, 10)], vec![(0, 10)], vec![(10, 100)]),
        ] {
            let mut ranges = Ranges::default();
            for (start, end) in &added {
                ranges.add(*start, *end);
            }
            assert_eq!(ranges.0, have, "{added:?}");
            assert_eq!(ranges.gaps(0, 100), gaps, "{added:?}");
        }
    }

    #[test]
    fn a_journal_cut_or_spoilt_anywhere_loses_only_what_it_does_not_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let whole = "0 10\n20 30\n";
        for cut in 0..=whole.len() {
            let staging = Staging::open(&path, 100, "a").unwrap();
            staging.clear().unwrap();
            drop(staging);
            fs::write(path.join("journal"), &whole[..cut]).unwrap();
            let mut staging = Staging::open(&path, 100, "a").unwrap();
            let want = if cut < 5 {
                0
            } else if cut < 11 {
                10
            } else {
                20
            };
            assert_eq!(staging.bytes(), want, "cut at {cut}");
            staging.record(90, 100).unwrap();
            drop(staging);
            staging = Staging::open(&path, 100, "a").unwrap();
            assert_eq!(staging.bytes(), want + 10, "a line after a cut one is whole, cut at {cut}");
        }
        fs::write(path.join("journal"), "5 3\n0 101\nx y\n-1 4\n\n7 9\n\u{fffd}\n").unwrap();
        assert_eq!(Staging::open(&path, 100, "a").unwrap().gaps(), [(0, 7), (9, 100)]);
        assert_eq!(Staging::open(&path, 100, "b").unwrap().bytes(), 0, "another release begins anew");
        Staging::open(&path, 100, "b").unwrap().record(0, 5).unwrap();
        assert_eq!(Staging::open(&path, 90, "b").unwrap().bytes(), 0, "another length begins anew");
    }
}
