//! `qwenda chat -e`: a command for what was said, and nothing is run that was not allowed.

use qwenda::Message;

use super::{Show, answer, run_of};
use crate::{
    answer::End,
    exit::CliError,
    lang::chat as words,
    output::{Ui, visible},
    settings::ChatSettings,
    tools::{self, Answered, Question, Shell},
    who::Who,
};

/// Asks for a command, shows it, and does with it what the person says. Without a terminal it is only printed.
pub async fn run(ui: Ui, chat: &ChatSettings, who: &Who, question: Message) -> Result<(), CliError> {
    let shell = Shell::of_person();
    let system = words::exec_system(ui.lang, &shell.name, std::env::consts::OS);
    let mut command = command_of(&said(ui, chat, who, &system, question, false).await?).to_owned();
    if command.is_empty() {
        return Err(CliError::failure(words::no_command(ui.lang)));
    }
    loop {
        if visible(&command) != command {
            // What cannot be shown as it is cannot be agreed to either.
            ui.answer_line(visible(&command))?;
            return Err(CliError::failure(words::command_hides(ui.lang)));
        }
        ui.answer_line(&command)?;
        if !ui.stdout_terminal {
            return Ok(());
        }
        let question = Question { text: words::run_it(ui.lang), keys: "ye?n" };
        match tools::ask(ui, question).await {
            Answered::Key('y') => return execute(ui, &shell, &command).await,
            Answered::Key('e') => match edited(&command)? {
                Some(edited) => command = edited,
                None => return Ok(()),
            },
            Answered::Key('?') => {
                let system = words::explain_system(ui.lang, &shell.name);
                said(ui, chat, who, &system, Message::user(command.as_str()), true).await?;
            }
            Answered::Key(_) | Answered::Nobody => return Ok(()),
        }
    }
}

async fn said(
    ui: Ui,
    chat: &ChatSettings,
    who: &Who,
    system: &str,
    question: Message,
    shown: bool,
) -> Result<String, CliError> {
    let request = super::request(ui.lang, chat, vec![Message::system(system), question])?;
    let show = Show { text: shown, plain: chat.plain, reasoning: chat.reasoning, events: false };
    let answer = answer(ui, who, show, run_of(who, request), 0).await?;
    match &answer.end {
        End::Whole(..) => Ok(answer.text),
        End::Stopped => Err(CliError::interrupted()),
        End::Failed(error) => Err(who.explain(ui.lang, error)),
    }
}

/// The command in an answer, without the fence that some models put around it.
fn command_of(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.split_once('\n')).map(|(_, body)| body);
    let inner = inner.and_then(|body| body.split_once("```")).map(|(command, _)| command);
    let text = inner.unwrap_or(text).trim();
    text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or(text)
}

/// The command as the person changes it; `None` if they give it up.
fn edited(command: &str) -> Result<Option<String>, CliError> {
    let failed = |error: rustyline::error::ReadlineError| CliError::failure(error.to_string());
    let mut editor = rustyline::DefaultEditor::new().map_err(failed)?;
    let typed = tokio::task::block_in_place(|| editor.readline_with_initial("$ ", (command, "")));
    match typed {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(rustyline::error::ReadlineError::Interrupted | rustyline::error::ReadlineError::Eof) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn execute(ui: Ui, shell: &Shell, command: &str) -> Result<(), CliError> {
    match tools::run_command(shell, command).await {
        Ok(Some(0)) => Ok(()),
        Ok(code) => {
            let code = code.map_or("-".to_owned(), |code| code.to_string());
            Err(CliError::failure(words::command_ended(ui.lang, &code)))
        }
        Err(error) => Err(CliError::failure(format!("{}: {error}", shell.program))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_in_what_models_write() {
        for text in ["ls -l", " ls -l\n", "`ls -l`", "```sh\nls -l\n```", "```\nls -l\n```\nIt lists files."] {
            assert_eq!(command_of(text), "ls -l", "{text:?}");
        }
        assert_eq!(command_of("echo `date`"), "echo `date`");
    }
}
