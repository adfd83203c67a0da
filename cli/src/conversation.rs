//! What was said, what of it is sent, and how it is kept: in a session, or in a file. `room.rs` leaves out what does
//! not fit, `summary.rs` has it told in short, `totals.rs` counts.

mod room;
mod summary;
mod totals;

use std::{fs, io, io::Write, path::Path};

use qwenda::{Message, Summary};
use serde_json::json;

use self::totals::Totals;
use crate::{
    answer::{Answer, End},
    exit::CliError,
    lang::{Lang, chat as words, messages},
    output::Ui,
    sessions::{Entry, Session, Told, Turn},
    settings::ChatSettings,
    who::Who,
};

/// A system prompt and the turns after it.
#[derive(Debug)]
pub struct Conversation {
    system: Option<String>,
    /// The turns that are sent.
    said: Vec<Turn>,
    /// How many came before them.
    gone: usize,
    /// What is told of those.
    summary: Option<Told>,
    /// Summaries in a row that could not be had.
    failures: u32,
    session: Option<Session>,
    totals: Totals,
    /// The session does not have the system prompt yet.
    new_system: bool,
}

impl Conversation {
    pub fn new(system: Option<String>) -> Self {
        Self {
            new_system: system.is_some(),
            system,
            said: Vec::new(),
            gone: 0,
            summary: None,
            failures: 0,
            session: None,
            totals: Totals::default(),
        }
    }

    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    pub fn set_system(&mut self, system: Option<String>) {
        self.new_system = self.system != system;
        self.system = system;
    }

    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Goes on with a session: what was said there before is part of the conversation. `system` is what the person
    /// says it is now, where they say so.
    pub fn join(&mut self, ui: Ui, mut session: Session, system: Option<&str>) -> Result<(), CliError> {
        let entries = session.read().map_err(|error| unreadable(ui.lang, &session, &error))?;
        if session.damaged() > 0 {
            ui.notice(words::damaged(ui.lang, session.name().as_str(), session.damaged()));
        }
        if !entries.is_empty() {
            (self.system, self.new_system) = (None, false);
            self.begin_again();
            entries.into_iter().for_each(|entry| self.take(entry));
            if let Some(system) = system {
                self.set_system(Some(system.to_owned()));
            }
        }
        self.session = Some(session);
        Ok(())
    }

    /// Keeps the conversation in a session that is not there yet.
    pub fn keep_in(&mut self, ui: Ui, mut session: Session) -> Result<(), CliError> {
        let system = self.system.clone().map(|text| Entry::System { text: Some(text) });
        let summary = self.summary.clone().map(|told| Entry::Summary(Told { turns: 0, ..told }));
        let said = self.said.iter().cloned().map(Entry::Turn);
        let entries: Vec<Entry> = system.into_iter().chain(summary).chain(said).collect();
        session.create(&entries).map_err(|error| unwritable(ui.lang, &session, &error))?;
        // To the session, its first turn is the first that is sent now.
        self.gone = 0;
        if let Some(told) = &mut self.summary {
            told.turns = 0;
        }
        (self.session, self.new_system) = (Some(session), false);
        Ok(())
    }

    /// What others said in the session since.
    pub fn catch_up(&mut self, ui: Ui) -> Result<(), CliError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let entries = session.read().map_err(|error| unreadable(ui.lang, session, &error))?;
        entries.into_iter().for_each(|entry| self.take(entry));
        Ok(())
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Turn(turn) => self.push(turn),
            Entry::System { text } => self.system = text,
            Entry::Cleared => self.begin_again(),
            Entry::Summary(told) => self.tell(told),
        }
    }

    pub fn clear(&mut self, ui: Ui) -> Result<(), CliError> {
        self.write(ui, Entry::Cleared)?;
        self.begin_again();
        Ok(())
    }

    fn begin_again(&mut self) {
        (self.said, self.gone, self.summary, self.failures) = (Vec::new(), 0, None, 0);
        self.totals = Totals::default();
    }

    fn push(&mut self, turn: Turn) {
        self.totals.add(&turn);
        self.said.push(turn);
    }

    /// What all of it took, on one line; `None` where nobody counted.
    pub fn totals(&self, lang: Lang, chat: &ChatSettings, who: &Who) -> Option<String> {
        self.totals.line(lang, room::most(chat, who).into())
    }

    /// Keeps a question with all that came of it; on the disk, where it is a session. A question that got no answer
    /// because of an error is not kept; one whose answer was stopped is, as far as it went.
    pub fn keep(&mut self, ui: Ui, question: Message, answer: &Answer, model: &str) -> Result<(), CliError> {
        if answer.messages.is_empty() && matches!(answer.end, End::Failed(_)) {
            return Ok(());
        }
        let mut messages = vec![question];
        messages.extend(answer.messages.iter().cloned());
        if answer.messages.is_empty() {
            // Stopped before it began is an answer too: the question is not put again.
            messages.push(Message::assistant(""));
        }
        let cut = !matches!(answer.end, End::Whole(..));
        let turn = Turn {
            at: qwenda_server::keys::now(),
            model: model.to_owned(),
            messages,
            cut,
            usage: totals::used(answer),
        };
        if std::mem::take(&mut self.new_system) {
            self.write(ui, Entry::System { text: self.system.clone() })?;
        }
        self.write(ui, Entry::Turn(turn.clone()))?;
        self.push(turn);
        Ok(())
    }

    fn write(&mut self, ui: Ui, entry: Entry) -> Result<(), CliError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let others = session.append(&entry).map_err(|error| unwritable(ui.lang, session, &error))?;
        others.into_iter().for_each(|entry| self.take(entry));
        Ok(())
    }

    /// How many questions were asked.
    pub fn turns(&self) -> usize {
        self.said.len()
    }

    /// Drops the oldest questions and all that came of them. A session keeps them.
    fn forget(&mut self, turns: usize) {
        let turns = turns.min(self.said.len());
        self.said.drain(..turns);
        self.gone += turns;
    }

    /// All messages.
    pub fn messages(&self) -> Vec<Message> {
        let said = self.said.iter().flat_map(|turn| turn.messages.iter().cloned());
        let summary = self.summary.iter().map(|told| Summary::message(&told.text));
        self.system.iter().map(Message::system).chain(summary).chain(said).collect()
    }

    /// Writes it all: as JSON that `tokens --chat` and any OpenAI client read when the name ends in
    /// `.json`, else as Markdown.
    pub fn save(&self, path: &Path, model: &str, overwrite: bool, lang: Lang) -> Result<(), CliError> {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => format!("{:#}\n", json!({ "model": model, "messages": self.messages() })),
            _ => markdown(model, &self.messages(), lang),
        };
        let open = fs::OpenOptions::new().write(true).create(true).truncate(true).create_new(!overwrite).open(path);
        let written = open.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::failure(messages::exists(lang, &path.display().to_string())),
            _ => CliError::failure(messages::cannot_write(lang, &path.display().to_string(), &error)),
        })
    }
}

/// A conversation to read.
pub fn markdown(title: &str, messages: &[Message], lang: Lang) -> String {
    let mut text = format!("# {title}\n");
    for message in messages.iter().filter(|message| !message.plain_text().is_empty()) {
        let who = messages::speaker(lang, message.role);
        text += &format!("\n## {who}\n\n{}\n", message.plain_text().trim_end());
    }
    text
}

pub fn unreadable(lang: Lang, session: &Session, error: &io::Error) -> CliError {
    CliError::failure(messages::cannot_read(lang, &session.path().display().to_string(), error))
}

fn unwritable(lang: Lang, session: &Session, error: &io::Error) -> CliError {
    CliError::failure(match error.kind() {
        io::ErrorKind::AlreadyExists => words::session_exists(lang, session.name().as_str()),
        _ => messages::cannot_write(lang, &session.path().display().to_string(), error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(question: &str, answer: &str) -> Turn {
        let messages = vec![Message::user(question), Message::assistant(answer)];
        Turn { at: 1, model: "m".to_owned(), messages, cut: false, usage: None }
    }

    fn sample() -> Conversation {
        let mut conversation = Conversation::new(Some("be brief".to_owned()));
        conversation.said = vec![turn("one", "1"), turn("two", "2")];
        conversation
    }

    fn texts(conversation: &Conversation) -> Vec<String> {
        conversation.messages().iter().map(|message| message.plain_text().into_owned()).collect()
    }

    #[test]
    fn forgetting_keeps_the_system_prompt_and_the_newest_question() {
        let mut conversation = sample();
        conversation.forget(1);
        assert_eq!(texts(&conversation), ["be brief", "two", "2"]);
        conversation.forget(5);
        assert_eq!(texts(&conversation), ["be brief"]);
    }

    #[test]
    fn a_saved_conversation_is_json_or_markdown_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let json = dir.path().join("a.json");
        sample().save(&json, "m", false, Lang::En).unwrap();
        let saved: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        assert_eq!(saved["messages"][2], json!({"role": "assistant", "content": "1"}));
        assert!(sample().save(&json, "m", false, Lang::En).is_err());
        sample().save(&json, "m", true, Lang::En).unwrap();
        let markdown = dir.path().join("a.md");
        sample().save(&markdown, "m", false, Lang::Zh).unwrap();
        assert_eq!(
            fs::read_to_string(&markdown).unwrap(),
            "# m\n\n## 系统提示\n\nbe brief\n\n## 我\n\none\n\n## 模型\n\n1\n\n## 我\n\ntwo\n\n## 模型\n\n2\n"
        );
    }
}
