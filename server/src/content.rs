//! What is kept of a request whose account wishes it: what was asked, and what was made.

use std::collections::BTreeMap;

use qwenda_backend::ChatEvent;
use serde::Serialize;
use serde_json::{Value, json};

/// Longest text of a request, or of one choice's answer, that is kept; what is beyond is cut off.
const BYTES_MAX: usize = 1 << 20;

/// A request and what has been made so far.
#[derive(Debug)]
pub(crate) struct Kept {
    request: String,
    answer: Vec<Said>,
}

#[derive(Debug, Default)]
struct Said {
    text: String,
    reasoning: String,
    calls: BTreeMap<u32, (String, String)>,
}

impl Kept {
    /// Begins with what is asked.
    pub(crate) fn asked(request: &impl Serialize) -> Self {
        let text =
            serde_json::to_string(request).unwrap_or_else(|error| json!({"error": error.to_string()}).to_string());
        let request = match text.len() {
            0..=BYTES_MAX => text,
            // It has to stay JSON.
            bytes => json!({"cut": true, "bytes": bytes, "begins": start(&text, BYTES_MAX)}).to_string(),
        };
        Self { request, answer: Vec::new() }
    }

    /// Adds what was made.
    pub(crate) fn made(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Text { choice, text, .. } => add(&mut self.of(*choice).text, text),
            ChatEvent::Reasoning { choice, text, .. } => add(&mut self.of(*choice).reasoning, text),
            ChatEvent::ToolCall { choice, index, name, .. } => {
                self.of(*choice).calls.entry(*index).or_default().0.clone_from(name);
            }
            ChatEvent::ToolArguments { choice, index, text, .. } => {
                add(&mut self.of(*choice).calls.entry(*index).or_default().1, text);
            }
            ChatEvent::Started { .. } | ChatEvent::Finished { .. } | ChatEvent::Done { .. } => {}
        }
    }

    fn of(&mut self, choice: u32) -> &mut Said {
        let at = choice as usize;
        if self.answer.len() <= at {
            self.answer.resize_with(at + 1, Said::default);
        }
        &mut self.answer[at]
    }

    /// The request and the answer, both as JSON.
    pub(crate) fn written(self) -> (String, String) {
        let choices: Vec<Value> = self.answer.into_iter().map(Said::written).collect();
        (self.request, Value::from(choices).to_string())
    }
}

impl Said {
    fn written(self) -> Value {
        let mut said = json!({"text": self.text});
        if !self.reasoning.is_empty() {
            said["reasoning"] = self.reasoning.into();
        }
        if !self.calls.is_empty() {
            let calls = self.calls.into_values().map(|(name, arguments)| json!({"name": name, "arguments": arguments}));
            said["tool_calls"] = calls.collect();
        }
        said
    }
}

fn add(text: &mut String, more: &str) {
    text.push_str(start(more, BYTES_MAX.saturating_sub(text.len())));
}

/// The beginning of a text that has no more bytes, in whole characters.
fn start(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_kept_by_choice_and_cut_between_characters() {
        let mut kept = Kept::asked(&json!({"model": "m"}));
        let text = |choice, text: &str| ChatEvent::Text {
            choice,
            text: text.to_owned(),
            completion_tokens: 1,
            logprobs: Vec::new(),
        };
        kept.made(&ChatEvent::Reasoning { choice: 1, text: "想".to_owned(), completion_tokens: 1 });
        kept.made(&text(1, "a"));
        kept.made(&text(0, &"字".repeat(BYTES_MAX / 2)));
        kept.made(&text(0, "b"));
        let call = |index, name: &str| ChatEvent::ToolCall {
            choice: 1,
            index,
            id: String::new(),
            name: name.to_owned(),
            completion_tokens: 2,
        };
        kept.made(&call(0, "f"));
        kept.made(&ChatEvent::ToolArguments { choice: 1, index: 0, text: "{}".to_owned(), completion_tokens: 3 });
        let (request, answer) = kept.written();
        assert_eq!(request, r#"{"model":"m"}"#);
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        assert_eq!(
            answer[1],
            json!({"text": "a", "reasoning": "想", "tool_calls": [{"name": "f", "arguments": "{}"}]})
        );
        let long = answer[0]["text"].as_str().expect("a text");
        assert!(long.len() <= BYTES_MAX && long.starts_with('字') && long.chars().all(|c| c == '字' || c == 'b'));
        let (long, _) = Kept::asked(&"x".repeat(BYTES_MAX)).written();
        assert_eq!(serde_json::from_str::<Value>(&long).expect("it is JSON")["cut"], true);
    }
}
