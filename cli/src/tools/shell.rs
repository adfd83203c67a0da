//! Commands in the person's shell.

use std::{env, path::Path, process::Stdio};

use qwenda::tools::ToolError;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::{OUTPUT_BYTES_MAX, bounded};

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
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = tokio::try_join!(read(child.stdout.take()), read(child.stderr.take()))?;
    let code = child.wait().await?.code().map_or("none".to_owned(), |code| code.to_string());
    Ok(bounded(format!("exit code: {code}\n{stdout}{stderr}")))
}

/// What a command writes, as far as it is wanted: one that writes without end finds nobody who reads on.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_writes_without_end_is_read_up_to_the_bound_and_ends() {
        let said = output("yes; echo never".to_owned()).await.expect("there is a shell");
        assert!(said.ends_with(" bytes]") && said.len() < OUTPUT_BYTES_MAX + 100, "{}", said.len());
        let said = output("echo out; echo err >&2; exit 3".to_owned()).await.expect("there is a shell");
        assert_eq!(said, "exit code: 3\nout\nerr\n");
    }
}
