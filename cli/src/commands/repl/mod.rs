//! The conversation on a terminal: read a line, act or answer, again. `editor.rs` reads, `slash.rs`
//! knows the commands, `conversation.rs` what was said.

mod conversation;
mod editor;
mod slash;

use std::path::PathBuf;

use self::{
    conversation::Conversation,
    editor::{Editor, Typed},
    slash::Slash,
};
use super::chat;
use crate::{
    answer::{self, Answer, AnswerError},
    exit::CliError,
    interrupt,
    lang::messages,
    model::{self, Loaded},
    output::Ui,
    progress,
    settings::{ChatSettings, ModelSettings, Settings},
};

/// Everything a conversation has at hand.
struct Repl<'a> {
    ui: Ui,
    settings: &'a Settings,
    chat: ChatSettings,
    loaded: Loaded,
    conversation: Conversation,
    /// The file `/save` wrote last; it may be written again, other existing files may not.
    saved: Option<PathBuf>,
}

enum Next {
    Prompt,
    Leave,
}

pub async fn run(ui: Ui, settings: &Settings, chat: ChatSettings) -> Result<(), CliError> {
    let loaded = model::load(ui, settings, &chat.model).await?;
    let conversation = Conversation::new(chat.system.clone());
    let mut repl = Repl { ui, settings, chat, loaded, conversation, saved: None };
    let mut editor = Editor::new(ui, settings)?;
    ui.notice(messages::welcome(ui.lang, &repl.loaded.name));
    loop {
        // The terminal is read where waiting for it holds up nothing: there is no other task then.
        let typed = tokio::task::block_in_place(|| editor.read())?;
        let next = match typed {
            Typed::Nothing => Next::Prompt,
            Typed::CtrlC => {
                ui.notice(messages::how_to_leave(ui.lang));
                Next::Prompt
            }
            Typed::NotText => {
                ui.notice(messages::typed_not_utf8(ui.lang));
                Next::Prompt
            }
            Typed::End => Next::Leave,
            Typed::Text(text) => match slash::read(&text) {
                Some(command) => repl.act(command).await?,
                None => repl.answer(text.strip_prefix("//").map_or(text.clone(), |rest| format!("/{rest}"))).await?,
            },
        };
        if let Next::Leave = next {
            return Ok(());
        }
    }
}

impl Repl<'_> {
    /// Puts the question, prints the answer, keeps both. A question that could not be answered is not
    /// kept; an answer that was stopped is, as far as it went.
    async fn answer(&mut self, text: String) -> Result<Next, CliError> {
        self.conversation.ask(text);
        match self.try_answer().await {
            Ok(answer) => {
                if !answer.text.is_empty() && !answer.text.ends_with('\n') {
                    self.ui.answer("\n")?;
                }
                if answer.finish.is_none() {
                    self.ui.notice(messages::stopped(self.ui.lang));
                } else {
                    chat::after(self.ui, &self.chat, &self.loaded, &answer);
                }
                self.conversation.answered(answer.text);
            }
            Err(AnswerError::Output(error)) => return Err(error),
            Err(error) => {
                self.conversation.take_back();
                self.ui.error(&chat::explain(self.ui.lang, error));
            }
        }
        Ok(Next::Prompt)
    }

    async fn try_answer(&mut self) -> Result<Answer, AnswerError> {
        self.make_room().map_err(AnswerError::Output)?;
        let request = chat::request(self.ui.lang, &self.chat, self.loaded.name.clone(), self.conversation.messages());
        let request = request.map_err(AnswerError::Output)?;
        let ui = self.ui;
        // Listening begins before there is anything on the screen that one might want to stop.
        let stop = interrupt::ctrl_c();
        let spinner = progress::spinner(ui, messages::reading_prompt(ui.lang));
        let on_text = |text: &str| {
            spinner.clear();
            ui.answer(text)
        };
        let answer = answer::ask(&*self.loaded.backend, request, on_text, stop).await;
        spinner.clear();
        answer
    }

    /// Leaves out the oldest exchanges until the question and a fair answer fit, and says so. A
    /// question that does not fit even alone costs nothing that was said before: it will be refused.
    fn make_room(&mut self) -> Result<(), CliError> {
        let context = self.loaded.context_tokens_max as usize;
        // A token is at least a byte, so a short conversation need not be counted. Twice, because
        // normalising a text can make it longer.
        if 2 * self.conversation.bytes() + 1024 <= context {
            return Ok(());
        }
        let room = (self.chat.max_tokens.unwrap_or(ANSWER_TOKENS) as usize).min(context / 4);
        for exchanges in 0..=self.conversation.exchanges() {
            let needed = self.loaded.prompt_tokens(self.ui.lang, &self.conversation.messages_without(exchanges))?;
            if needed + room <= context {
                if exchanges > 0 {
                    self.conversation.forget(exchanges);
                    self.ui.notice(messages::left_out(self.ui.lang, exchanges, context));
                }
                break;
            }
        }
        Ok(())
    }

    async fn act(&mut self, command: Slash) -> Result<Next, CliError> {
        let Self { ui, .. } = *self;
        match command {
            Slash::Help => ui.say(&messages::repl_help(ui.lang)),
            Slash::Leave => return Ok(Next::Leave),
            Slash::Clear => {
                self.conversation.clear();
                ui.notice(messages::cleared(ui.lang));
            }
            Slash::System(None) => ui.say(&match self.conversation.system() {
                Some(system) => messages::system_is(ui.lang, system),
                None => messages::no_system(ui.lang),
            }),
            Slash::System(Some(text)) => {
                let text = (text != "-").then_some(text);
                ui.notice(match &text {
                    Some(_) => messages::system_set(ui.lang),
                    None => messages::system_gone(ui.lang),
                });
                self.conversation.set_system(text);
            }
            Slash::Model(None) => self.list_models(),
            Slash::Model(Some(name)) => self.change_model(&name).await,
            Slash::Save(None) => ui.say(&messages::save_where(ui.lang)),
            Slash::Save(Some(file)) => self.save(&PathBuf::from(file)),
            Slash::Unknown(name) => {
                ui.say(&messages::unknown_slash(ui.lang, &name));
                ui.say(&messages::repl_help(ui.lang));
            }
        }
        Ok(Next::Prompt)
    }

    fn list_models(&self) {
        self.ui.say(&messages::model_is(self.ui.lang, &self.loaded.name));
        for name in self.settings.model_names() {
            self.ui.say(&format!("  {name}"));
        }
    }

    /// The conversation goes on with another model; when that cannot be had, with the one it has.
    async fn change_model(&mut self, name: &str) {
        match model::load(
            self.ui,
            self.settings,
            &ModelSettings { name: name.to_owned(), threads: self.chat.model.threads },
        )
        .await
        {
            Ok(loaded) => {
                self.loaded = loaded;
                self.ui.notice(messages::model_is(self.ui.lang, &self.loaded.name));
            }
            Err(error) if error.message.is_empty() => self.ui.notice(messages::stopped(self.ui.lang)),
            Err(error) => self.ui.error(&error),
        }
    }

    fn save(&mut self, path: &PathBuf) {
        let overwrite = self.saved.as_ref() == Some(path);
        match self.conversation.save(path, &self.loaded.name, overwrite, self.ui.lang) {
            Ok(()) => {
                self.ui.notice(messages::saved(self.ui.lang, &path.display().to_string()));
                self.saved = Some(path.clone());
            }
            Err(error) => self.ui.error(&error),
        }
    }
}

/// Room kept for an answer when no `--max-tokens` says how long one may be.
const ANSWER_TOKENS: u32 = 1024;
