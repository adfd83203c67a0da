//! Commands in the person's shell.

use std::{env, path::Path, process::Stdio};

use qwenda::tools::ToolError;
use tokio::process::Command;

use super::bounded;

/// The shell that commands are written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    pub program: String,
    /// As people call it.
    pub name: String,
    /// What goes before the command.
    flag: &'static str,
}

impl Shell {
    /// The person's own: `SHELL`, and on Windows PowerShell.
    pub fn of_person() -> Self {
        let program = env::var("SHELL").ok().filter(|program| !program.is_empty());
        match program {
            Some(program) => Self::of(&program),
            None if cfg!(windows) => Self::of("powershell"),
            None => Self::of("/bin/sh"),
        }
    }

    fn of(program: &str) -> Self {
        let name = Path::new(program).file_stem().and_then(|stem| stem.to_str()).unwrap_or("sh").to_owned();
        let flag = if name == "powershell" || name == "pwsh" { "-Command" } else { "-c" };
        Self { program: program.to_owned(), name, flag }
    }

    fn command(&self, text: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.flag).arg(text).kill_on_drop(true);
        command
    }
}

/// Runs a command with the terminal as its own; its exit code, if it has one.
pub async fn run(shell: &Shell, text: &str) -> std::io::Result<Option<i32>> {
    Ok(shell.command(text).status().await?.code())
}

/// Runs a command for a model: what it wrote, and how it ended.
pub(super) async fn output(text: String) -> Result<String, ToolError> {
    let mut command = Shell::of_person().command(&text);
    let output = command.stdin(Stdio::null()).output().await?;
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
    Ok(bounded(format!("exit code: {code}\n{}{}", of(&output.stdout), of(&output.stderr))))
}
