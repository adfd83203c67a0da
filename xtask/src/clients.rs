//! `cargo xtask clients`: real client programs, unmodified, against a service of our own (`clients/`).

use std::process::{Command, Stdio};

use crate::run;

/// Programs that the suite starts, and the Debian packages that bring them.
const NEEDED: &[(&str, &[&str])] =
    &[("python3", &["python3", "python3-venv", "python3-pip"]), ("node", &["nodejs"]), ("npm", &["npm"])];

/// Builds the service, fetches its model, and runs the named groups or all.
pub(crate) fn run(groups: &[&str]) -> Result<(), String> {
    run::cargo(&["build", "--package", "qwenda-cli"])?;
    run::cargo(&["run", "--quiet", "--package", "qwenda-cli", "--", "pull", "qwen2.5-coder-0.5b-instruct"])?;
    suite(groups)
}

/// Runs the suite with the binary that is already built.
pub(crate) fn suite(groups: &[&str]) -> Result<(), String> {
    programs()?;
    run::program("python3", &[&["clients/run.py"], groups].concat())
}

fn programs() -> Result<(), String> {
    installed("the suite of real clients", NEEDED)
}

/// What is missing of these programs comes from apt where we may use it; otherwise it is named, with who needs it.
pub(crate) fn installed(who: &str, needed: &[(&str, &[&str])]) -> Result<(), String> {
    let missing: Vec<_> = needed.iter().filter(|(program, _)| !starts(program, &["--version"])).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let said = format!(
        "{who} needs {}; on Debian: apt-get install {}",
        missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", "),
        packages.join(" ")
    );
    let root = run::output("id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    if !root || !starts("apt-get", &["--version"]) {
        return Err(said);
    }
    run::program("apt-get", &["update", "-q"])?;
    run::program("apt-get", &[&["install", "-q", "-y", "--no-install-recommends"], packages.as_slice()].concat())?;
    match missing.iter().find(|(program, _)| !starts(program, &["--version"])) {
        Some((program, _)) => Err(format!("`{program}` is still missing after apt-get; {said}")),
        None => Ok(()),
    }
}

fn starts(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
