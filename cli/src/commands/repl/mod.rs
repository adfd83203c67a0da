//! The conversation on a terminal: read a line, act or answer, again. `editor.rs` reads, `slash.rs`
//! knows the commands, `forms.rs` what stands behind those of roles and templates; `offers.rs` knows what can be
//! completed, `menu.rs` shows it.

mod editor;
mod forms;
mod menu;
mod offers;
mod slash;

use std::path::PathBuf;

use qwenda::Message;

use self::{
    editor::{Editor, Typed},
    forms::{Filled, Waiting},
    slash::Slash,
};
use super::{chat, sessions};
use crate::{
    answer::End,
    context::Attached,
    conversation::Conversation,
    exit::CliError,
    lang::{chat as words, messages, repl as commands},
    output::{Ui, harmless},
    screen::Show,
    sessions::Sessions,
    settings::{ChatSettings, Settings, Summaries},
    table,
    templates::Templates,
    tools::Tools,
    who::{self, Who},
};

/// Everything a conversation has at hand.
struct Repl<'a> {
    ui: Ui,
    settings: &'a Settings,
    chat: ChatSettings,
    who: Who,
    conversation: Conversation,
    /// What the model reasoned before its last answer.
    reasoned: String,
    /// The file `/save` wrote last; it may be written again, other existing files may not.
    saved: Option<PathBuf>,
    /// What goes along with the next question.
    attached: Attached,
    /// What the next prompt is put into.
    waiting: Option<Waiting>,
    tools: Tools,
}

/// What the command line gives to a conversation.
pub struct With {
    pub attached: Attached,
    pub tools: Tools,
}

enum Next {
    Prompt,
    Leave,
}

pub async fn run(
    ui: Ui,
    settings: &Settings,
    chat: ChatSettings,
    conversation: Conversation,
    with: With,
) -> Result<(), CliError> {
    let With { attached, tools } = with;
    let who = who::find(ui, settings, &chat).await?;
    let mut repl = Repl {
        ui,
        settings,
        chat,
        who,
        conversation,
        reasoned: String::new(),
        saved: None,
        attached,
        waiting: None,
        tools,
    };
    let mut editor = Editor::new(ui, settings)?;
    ui.notice(repl.who.introduce(ui.lang));
    if repl.conversation.session().is_some() {
        repl.show_session();
    }
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
    /// Answers a text that was typed, with the files it names and in the template that waits for it.
    async fn answer(&mut self, text: String) -> Result<Next, CliError> {
        let mut attached = std::mem::take(&mut self.attached);
        for name in chat::mentioned(self.ui, &text) {
            if let Err(error) = attached.add(self.ui, &name).await {
                self.ui.error(&error);
                return Ok(Next::Prompt);
            }
        }
        let prompt = match self.put_in(attached.before(&text)) {
            Ok(prompt) => prompt,
            Err(error) => {
                self.ui.error(&error);
                return Ok(Next::Prompt);
            }
        };
        self.ask(attached.message(prompt)).await
    }

    /// Puts the question, prints the answer, keeps both. A question that could not be answered is not
    /// kept; an answer that was stopped is, as far as it went.
    async fn ask(&mut self, question: Message) -> Result<Next, CliError> {
        let request = match self.conversation.catch_up(self.ui) {
            Ok(()) => self.conversation.request(self.ui, &self.chat, &self.who, &question).await,
            Err(error) => Err(error),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) if error.message.is_empty() => {
                self.ui.notice(messages::stopped(self.ui.lang));
                return Ok(Next::Prompt);
            }
            Err(error) => {
                self.ui.error(&error);
                return Ok(Next::Prompt);
            }
        };
        let sent = request.messages.len();
        let show = Show { text: true, plain: self.chat.plain, reasoning: self.chat.reasoning, events: false };
        let run = chat::run_with(chat::chat_of(&self.who, request), self.tools.clone());
        let answer = chat::answer(self.ui, &self.who, show, run, sent).await?;
        match &answer.end {
            End::Whole(..) => chat::after(self.ui, &self.chat, &self.who, &answer),
            End::Stopped => self.ui.notice(messages::stopped(self.ui.lang)),
            End::Failed(error) => self.ui.error(&self.who.explain(self.ui.lang, error)),
        }
        if !answer.reasoning.is_empty() {
            self.reasoned.clone_from(&answer.reasoning);
        }
        if let Err(error) = self.conversation.keep(self.ui, question, &answer, &self.who.model) {
            self.ui.error(&error);
        }
        if let End::Whole(..) = answer.end {
            self.show_totals();
        }
        Ok(Next::Prompt)
    }

    /// The text, in the template that waits for it.
    fn put_in(&mut self, text: String) -> Result<String, CliError> {
        let Some(waiting) = self.waiting.clone() else { return Ok(text) };
        let templates = Templates::read(self.ui.lang, self.settings)?;
        match waiting.fill(&templates, self.ui.lang, Some(text))? {
            Filled::Prompt(prompt) => {
                self.waiting = None;
                Ok(prompt)
            }
            Filled::Waits(_) => unreachable!("it has what it waited for"),
        }
    }

    /// Gives the model a role.
    fn play(&mut self, typed: &str) -> Result<(), CliError> {
        let lang = self.ui.lang;
        let templates = Templates::read(lang, self.settings)?;
        let typed = forms::Typed::role(&templates, lang, typed)?;
        self.conversation.set_system(typed.system(&templates, lang)?);
        self.ui.notice(commands::role_is(lang, &typed.name));
        Ok(())
    }

    /// Asks with a template, or has it wait for the next prompt.
    async fn form(&mut self, typed: &str) -> Result<Next, CliError> {
        let lang = self.ui.lang;
        match self.filled(typed) {
            Ok((Filled::Prompt(prompt), _)) => {
                let attached = std::mem::take(&mut self.attached);
                let prompt = attached.before(&prompt);
                return self.ask(attached.message(prompt)).await;
            }
            Ok((Filled::Waits(waiting), text)) if text.is_empty() => {
                self.ui.notice(commands::template_waits(lang, &waiting.name));
                self.waiting = Some(waiting);
            }
            Ok((Filled::Waits(waiting), text)) => {
                self.waiting = Some(waiting);
                return self.answer(text).await;
            }
            Err(error) => self.ui.error(&error),
        }
        Ok(Next::Prompt)
    }

    /// The template with its variables, and the text that is left.
    fn filled(&mut self, typed: &str) -> Result<(Filled, String), CliError> {
        let lang = self.ui.lang;
        let templates = Templates::read(lang, self.settings)?;
        let typed = forms::Typed::template(&templates, lang, typed)?;
        let system = typed.system(&templates, lang)?;
        let text = typed.text.clone();
        let filled = typed.prompt(&templates, lang)?;
        if let Some(system) = system {
            self.conversation.set_system(Some(system));
            self.ui.notice(messages::system_set(lang));
        }
        Ok((filled, text))
    }

    /// Names with what they are, a line each.
    fn list<'a>(&self, names: impl Iterator<Item = (&'a str, &'a str)>) {
        let names: Vec<_> = names.collect();
        let width = names.iter().map(|(name, _)| table::columns(name)).max().unwrap_or(0);
        for (name, what) in names {
            self.ui.say(format!("  {}  {}", table::pad(name, width), table::plain(what)).trim_end());
        }
    }

    fn help(&self) {
        let (ui, lang) = (self.ui, self.ui.lang);
        ui.say(&ui.folded(&commands::help(lang), commands::HANG_COLUMNS));
        ui.say(&ui.folded(&commands::help_keys(lang), 0));
    }

    fn list_forms(&self, roles: bool) {
        match Templates::read(self.ui.lang, self.settings) {
            Ok(templates) if roles => self.list(templates.roles()),
            Ok(templates) => self.list(templates.prompts()),
            Err(error) => self.ui.error(&error),
        }
    }

    fn show_session(&self) {
        let lang = self.ui.lang;
        self.ui.notice(match self.conversation.session() {
            Some(session) => words::session_is(lang, session.name().as_str(), self.conversation.turns()),
            None => words::not_kept(lang),
        });
        self.show_totals();
    }

    /// What the conversation took so far.
    fn show_totals(&self) {
        if let Some(line) = self.conversation.totals(self.ui.lang, &self.chat, &self.who) {
            self.ui.notice(line);
        }
    }

    /// Goes on with a session, or keeps the conversation in a new one.
    fn join(&mut self, name: &str) -> Result<(), CliError> {
        let name = sessions::name(self.ui.lang, name)?;
        let sessions = Sessions::of(self.settings.home());
        if sessions.has(&name) {
            self.conversation.join(self.ui, sessions.get(name), None)
        } else {
            self.conversation.keep_in(self.ui, sessions.get(name))
        }
    }

    async fn act(&mut self, command: Slash) -> Result<Next, CliError> {
        let Self { ui, .. } = *self;
        match command {
            Slash::Help => self.help(),
            Slash::Leave => return Ok(Next::Leave),
            Slash::Clear => match self.conversation.clear(ui) {
                Ok(()) => ui.notice(messages::cleared(ui.lang)),
                Err(error) => ui.error(&error),
            },
            Slash::File(None) => ui.say(&words::file_which(ui.lang)),
            Slash::File(Some(name)) => match self.attached.add(ui, &name).await {
                Ok(()) => ui.notice(words::file_goes_along(ui.lang, &name)),
                Err(error) => ui.error(&error),
            },
            Slash::Session(None) => self.show_session(),
            Slash::Session(Some(name)) => match self.join(&name) {
                Ok(()) => self.show_session(),
                Err(error) => ui.error(&error),
            },
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
            Slash::Role(None) => self.list_forms(true),
            Slash::Role(Some(name)) if name == "-" => {
                self.conversation.set_system(None);
                ui.notice(commands::role_gone(ui.lang));
            }
            Slash::Role(Some(typed)) => {
                if let Err(error) = self.play(&typed) {
                    ui.error(&error);
                }
            }
            Slash::Template(None) => self.list_forms(false),
            Slash::Template(Some(name)) if name == "-" => {
                self.waiting = None;
                ui.notice(commands::template_gone(ui.lang));
            }
            Slash::Template(Some(typed)) => return self.form(&typed).await,
            Slash::Reasoning(None) if self.reasoned.is_empty() => ui.say(&words::no_reasoning(ui.lang)),
            Slash::Reasoning(None) => ui.say(&ui.dim(&harmless(&self.reasoned))),
            Slash::Reasoning(Some(shown)) => {
                self.chat.reasoning = shown;
                ui.notice(if shown { words::reasoning_shown(ui.lang) } else { words::reasoning_folded(ui.lang) });
            }
            Slash::Model(None) => self.list_models(),
            Slash::Model(Some(name)) => self.change_model(&name).await,
            Slash::Summarize(wanted) => {
                if let Some(text) = wanted {
                    self.chat.summaries = Summaries::of(&text);
                }
                ui.notice(match &self.chat.summaries {
                    Summaries::Off => words::summaries_are_off(ui.lang),
                    Summaries::SameModel => words::summaries_are(ui.lang, &self.who.model),
                    Summaries::Model(name) => words::summaries_are(ui.lang, &harmless(name)),
                });
            }
            Slash::Save(None) => ui.say(&messages::save_where(ui.lang)),
            Slash::Save(Some(file)) => self.save(&PathBuf::from(file)),
            Slash::Unknown(name) => {
                ui.say(&messages::unknown_slash(ui.lang, &name));
                self.help();
            }
        }
        Ok(Next::Prompt)
    }

    fn list_models(&self) {
        self.ui.say(&self.who.answers(self.ui.lang));
        if self.who.is_here() {
            for name in self.settings.model_names() {
                self.ui.say(&format!("  {name}"));
            }
        } else {
            self.ui.say(&words::service_needs_name(self.ui.lang));
        }
    }

    /// The conversation goes on with another model; when that cannot be had, with the one it has.
    async fn change_model(&mut self, name: &str) {
        let threads = self.chat.model.threads;
        let mut chat = self.chat.clone();
        let found = match self.settings.answerer(Some(name), threads, self.chat.local) {
            Ok((model, service)) => {
                (chat.model, chat.service) = (model, service);
                who::find(self.ui, self.settings, &chat).await
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(who) => {
                (self.who, self.chat) = (who, chat);
                self.ui.notice(self.who.answers(self.ui.lang));
            }
            Err(error) if error.message.is_empty() => self.ui.notice(messages::stopped(self.ui.lang)),
            Err(error) => self.ui.error(&error),
        }
    }

    fn save(&mut self, path: &PathBuf) {
        let overwrite = self.saved.as_ref() == Some(path);
        match self.conversation.save(path, &self.who.model, overwrite, self.ui.lang) {
            Ok(()) => {
                self.ui.notice(messages::saved(self.ui.lang, &path.display().to_string()));
                self.saved = Some(path.clone());
            }
            Err(error) => self.ui.error(&error),
        }
    }
}
