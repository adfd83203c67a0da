//! What was said, and how it is kept in a file.

use std::{fs, io::Write, path::Path};

use qwenda_types::chat::{Message, Role};
use serde_json::json;

use crate::{
    exit::CliError,
    lang::{Lang, messages},
};

/// A question and its answer.
const MESSAGES_OF_EXCHANGE: usize = 2;

/// A system prompt and the messages after it, which begin with the person's.
#[derive(Debug)]
pub struct Conversation {
    system: Option<String>,
    said: Vec<(Role, String)>,
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

    pub fn ask(&mut self, text: String) {
        self.said.push((Role::User, text));
    }

    pub fn answered(&mut self, text: String) {
        self.said.push((Role::Assistant, text));
    }

    /// The last question is not part of the conversation after all.
    pub fn take_back(&mut self) {
        self.said.pop();
    }

    /// How many questions have been answered.
    pub fn exchanges(&self) -> usize {
        self.said.len().saturating_sub(1) / MESSAGES_OF_EXCHANGE
    }

    /// Drops the oldest questions and their answers.
    pub fn forget(&mut self, exchanges: usize) {
        self.said.drain(..exchanges * MESSAGES_OF_EXCHANGE);
    }

    /// How long all that is said is.
    pub fn bytes(&self) -> usize {
        self.system.as_ref().map_or(0, String::len) + self.said.iter().map(|(_, text)| text.len()).sum::<usize>()
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages_without(0)
    }

    /// The messages as they would be without the oldest exchanges.
    pub fn messages_without(&self, exchanges: usize) -> Vec<Message> {
        let said = &self.said[exchanges * MESSAGES_OF_EXCHANGE..];
        let system = self.system.iter().map(Message::system);
        system.chain(said.iter().map(|(role, text)| Message::text(*role, text))).collect()
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
        for message in self.messages() {
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
        conversation.ask("one".to_owned());
        conversation.answered("1".to_owned());
        conversation.ask("two".to_owned());
        conversation
    }

    fn texts(conversation: &Conversation) -> Vec<String> {
        conversation.messages().iter().map(|message| message.plain_text().into_owned()).collect()
    }

    #[test]
    fn forgetting_keeps_the_system_prompt_and_the_newest_question() {
        let mut conversation = sample();
        assert_eq!(conversation.exchanges(), 1);
        conversation.forget(1);
        assert_eq!(texts(&conversation), ["be brief", "two"]);
        assert_eq!(conversation.exchanges(), 0);
        conversation.take_back();
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
