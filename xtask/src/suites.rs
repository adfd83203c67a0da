//! What tests need and packages carry: fetched once into the build folder, never committed.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use crate::{clients, run};

/// The package that has the official JSON Schema test suite in its source archive.
const JSON_SCHEMA: (&str, &str) = ("jsonschema", "4.26.0");

/// The package whose wheels carry a PostgreSQL server with pgvector, and the Python that they are of.
const POSTGRES: (&str, &str, &str) = ("pgserver", "0.1.4", "3.12");

/// A browser, in which the pages of the examples are tested, with letters for what they show.
const BROWSER: &[(&str, &[&str])] = &[("chromium", &["chromium", "fonts-noto-cjk"])];

/// Sees to it that there is a browser: that of `QWENDA_TEST_BROWSER`, or Debian's.
pub(crate) fn browser() -> Result<(), String> {
    if env::var_os("QWENDA_TEST_BROWSER").is_some() {
        return Ok(());
    }
    clients::installed("the test of the examples' pages", BROWSER)
}

/// The folder of the programs of a PostgreSQL server with pgvector, where this machine has none and there is one for
/// it.
pub(crate) fn postgres() -> Result<Option<PathBuf>, String> {
    if has_postgres(&env::var_os("PATH").unwrap_or_default()) {
        return Ok(None);
    }
    let (name, version, python) = POSTGRES;
    let home = run::root().join(format!("target/suites/{name}-{version}"));
    let folder = home.join("pgserver/pginstall/bin");
    if !folder.is_dir() {
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let to = home.to_str().ok_or("the path of the build folder is not UTF-8")?;
        let wanted = format!("{name}=={version}");
        let fetch =
            ["-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--no-deps", "--python-version", python];
        if let Err(why) = run::program("python3", &[&fetch[..], &["--dest", to, &wanted]].concat()) {
            eprintln!("there is no PostgreSQL with pgvector here, and no package of one for this machine: {why}");
            return Ok(None);
        }
        let wheels = fs::read_dir(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let wheel =
            wheels.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "whl"));
        let wheel = wheel.ok_or_else(|| format!("{name} {version} came without a wheel"))?;
        let wheel = wheel.to_str().ok_or("the path of the build folder is not UTF-8")?;
        run::program("python3", &["-m", "zipfile", "--extract", wheel, to])?;
    }
    make_executable(&folder)?;
    if !others_may_enter(&folder) {
        eprintln!("PostgreSQL does not run as root, and no other user may enter {}", folder.display());
        return Ok(None);
    }
    Ok(Some(folder))
}

/// Whether a PostgreSQL server with pgvector is on this path, or where distributions of Linux put them.
pub(crate) fn has_postgres(path: &OsStr) -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = versions.map(|version| version.path().join("bin")).chain(env::split_paths(path));
    folders.any(|folder| folder.join("initdb").is_file() && has_vectors(&folder))
}

/// Whether the server of these programs has pgvector: beside them, or where Debian puts it.
fn has_vectors(programs: &Path) -> bool {
    let version = programs.parent().and_then(Path::file_name).unwrap_or_default();
    let shares = [programs.join("../share/postgresql"), Path::new("/usr/share/postgresql").join(version)];
    shares.iter().any(|share| share.join("extension/vector.control").is_file())
}

/// Archives of Python lose that programs are programs.
#[cfg(unix)]
fn make_executable(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(())
}

/// Whether who is not root, should we be, gets there.
#[cfg(unix)]
fn others_may_enter(folder: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let open = |folder: &Path| fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0);
    !is_root || folder.ancestors().all(open)
}

#[cfg(not(unix))]
fn others_may_enter(_: &Path) -> bool {
    true
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<(), String> {
    Ok(())
}

/// The folder `json` of the JSON Schema test suite.
pub(crate) fn json_schema() -> Result<PathBuf, String> {
    let (name, version) = JSON_SCHEMA;
    let home = run::root().join("target/suites");
    let folder = home.join(format!("{name}-{version}/json"));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let to = home.to_str().ok_or("the path of the build folder is not UTF-8")?;
    let wanted = format!("{name}=={version}");
    run::program(
        "python3",
        &["-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", to, &wanted],
    )?;
    let archive = home.join(format!("{name}-{version}.tar.gz"));
    let archive = archive.to_str().ok_or("the path of the build folder is not UTF-8")?;
    run::program("tar", &["--extract", "--gzip", "--file", archive, "--directory", to])?;
    if folder.is_dir() { Ok(folder) } else { Err(format!("{name} {version} has no folder `json`")) }
}
