//! Public test suites that packages carry: fetched once into the build folder, never committed.

use std::{fs, path::PathBuf};

use crate::run;

/// The package that has the official JSON Schema test suite in its source archive.
const JSON_SCHEMA: (&str, &str) = ("jsonschema", "4.26.0");

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
