//! Starting other programs in the repository's root.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The repository's root, whatever folder the task was started in.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the repository").to_path_buf()
}

/// Runs cargo and fails with its exit status.
pub(crate) fn cargo(args: &[&str]) -> Result<(), String> {
    program(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), args)
}

/// Runs cargo with more in its environment.
pub(crate) fn cargo_with(args: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let name = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    println!("$ cargo {}", args.join(" "));
    finish("cargo", Command::new(name).args(args).envs(environment.iter().copied()).current_dir(root()))
}

/// Runs `name` with our own output and fails with its exit status.
pub(crate) fn program(name: &str, args: &[&str]) -> Result<(), String> {
    println!("$ {} {}", name.rsplit('/').next().unwrap_or(name), args.join(" "));
    finish(name, Command::new(name).args(args).current_dir(root()))
}

/// Runs a prepared command to its end.
pub(crate) fn finish(name: &str, command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("cannot start `{name}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` ended with {status}")) }
}

/// What a program prints on stdout.
pub(crate) fn output(name: &str, args: &[&str]) -> Result<String, String> {
    let done = Command::new(name)
        .args(args)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start `{name}`: {e}"))?;
    if !done.status.success() {
        return Err(format!("`{name} {}` ended with {}", args.join(" "), done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| format!("`{name}` printed bytes that are not UTF-8"))
}

/// Files that git tracks, relative to the root.
pub(crate) fn tracked() -> Result<Vec<String>, String> {
    Ok(output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?.lines().map(str::to_owned).collect())
}
