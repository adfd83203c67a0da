//! What was said, what of it is sent, and how it is kept in a file.

mod room;

use std::{fs, io::Write, path::Path};

use qwenda::{Message, Role};
use serde_json::json;

use crate::{
    exit::CliError,
    lang::{Lang, messages},
};

/// A system prompt and the messages after it, which begin with the person's.
#[derive(Debug)]
pub struct Conversation {
    system: Option<String>,
    said: Vec<Message>,
}

impl Conversation {
    pub fn new(system: Option<String>) -> Self {
        Self { system, said: Vec::new() }
    }

    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    pub fn set_system(&mut self, system: Option<String>) {
        self.system = system;
    }

    pub fn clear(&mut self) {
        self.said.clear();
    }

    /// Keeps a question with all that came of it.
    pub fn keep(&mut self, question: Message, answers: impl IntoIterator<Item = Message>) {
        self.said.push(question);
        self.said.extend(answers);
    }

    /// How many questions were asked.
    fn turns(&self) -> usize {
        self.said.iter().filter(|message| message.role == Role::User).count()
    }

    /// Drops the oldest questions and all that came of them.
    fn forget(&mut self, turns: usize) {
        let mut questions = (0..self.said.len()).filter(|place| self.said[*place].role == Role::User);
        let first = questions.nth(turns).unwrap_or(self.said.len());
        self.said.drain(..first);
    }

    /// All messages.
    pub fn messages(&self) -> Vec<Message> {
        self.system.iter().map(Message::system).chain(self.said.iter().cloned()).collect()
    }

    /// Writes it all: as JSON that `tokens --chat` and any OpenAI client read when the name ends in
    /// `.json`, else as Markdown.
    pub fn save(&self, path: &Path, model: &str, overwrite: bool, lang: Lang) -> Result<(), CliError> {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => format!("{:#}\n", json!({ "model": model, "messages": self.messages() })),
            _ => self.markdown(model, lang),
        };
        let open = fs::OpenOptions::new().write(true).create(true).truncate(true).create_new(!overwrite).open(path);
        let written = open.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => CliError::failure(messages::exists(lang, &path.display().to_string())),
            _ => CliError::failure(messages::cannot_write(lang, &path.display().to_string(), &error)),
        })
    }

    fn markdown(&self, model: &str, lang: Lang) -> String {
        let mut text = format!("# {model}\n");
        for message in self.messages().iter().filter(|message| !message.plain_text().is_empty()) {
            let who = messages::speaker(lang, message.role);
            text += &format!("\n## {who}\n\n{}\n", message.plain_text().trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Conversation {
        let mut conversation = Conversation::new(Some("be brief".to_owned()));
        conversation.keep(Message::user("one"), [Message::assistant("1")]);
        conversation.keep(Message::user("two"), []);
        conversation
    }

    fn texts(conversation: &Conversation) -> Vec<String> {
        conversation.messages().iter().map(|message| message.plain_text().into_owned()).collect()
    }

    #[test]
    fn forgetting_keeps_the_system_prompt_and_the_newest_question() {
        let mut conversation = sample();
        assert_eq!(conversation.turns(), 2);
        conversation.forget(1);
        assert_eq!(texts(&conversation), ["be brief", "two"]);
        conversation.forget(1);
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
            "# m\n\n## 系统提示\n\nbe brief\n\n## 我\n\none\n\n## 模型\n\n1\n\n## 我\n\ntwo\n"
        );
    }
}
