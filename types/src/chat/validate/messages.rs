//! Which messages may stand where.

use super::super::{ChatRequest, Content, Message, Role, calls::OpenCalls};
use super::Strictness;
use crate::error::Invalid;

impl ChatRequest {
    pub(super) fn validate_order(&self, strictness: Strictness) -> Result<(), Invalid> {
        let Some((last, before)) = self.messages.split_last() else {
            return Err(Invalid::parameter("messages", "[] is too short - 'messages'"));
        };
        calls_are_answered(&self.messages)?;
        if let Some(i) = before.iter().position(|m| m.partial) {
            let message = format!("partial can only be set in the last message - 'messages[{i}].partial'");
            return Err(Invalid::parameter(format!("messages[{i}].partial"), message));
        }
        if strictness == Strictness::OpenAi {
            return Ok(());
        }
        if !self.messages.iter().any(|m| m.role == Role::User) {
            let message = "The input messages do not contain elements with the role of user.";
            return Err(Invalid::parameter("messages", message));
        }
        match last.role {
            Role::User | Role::Tool => Ok(()),
            Role::Assistant if last.partial && last.tool_calls.is_empty() => Ok(()),
            role => Err(Invalid::parameter(
                format!("messages[{}].role", before.len()),
                format!(
                    "The last message must have the role user or tool, or be an assistant message with \
                     \"partial\": true; it has the role {role} - 'messages[{}]'",
                    before.len()
                ),
            )),
        }
    }
}

/// Every call is answered right after its turn, and nothing else is. A tool message without an id,
/// which the native dialect allows, answers the first call still open.
fn calls_are_answered(messages: &[Message]) -> Result<(), Invalid> {
    let mut open = OpenCalls::new([]);
    for (i, message) in messages.iter().enumerate() {
        if message.role == Role::Tool {
            if open.answer(message.tool_call_id.as_deref()).is_none() {
                return Err(Invalid::parameter(
                    format!("messages[{i}].role"),
                    format!(
                        "messages with role \"tool\" must be a response to a preceeding message with \
                         \"tool_calls\" - 'messages[{i}]'"
                    ),
                ));
            }
            continue;
        }
        unanswered(&mut open, i)?;
        open = OpenCalls::new(message.tool_calls.iter().map(|call| call.id.as_str()));
    }
    unanswered(&mut open, messages.len())
}

fn unanswered(open: &mut OpenCalls<&str>, before: usize) -> Result<(), Invalid> {
    match open.first() {
        None => Ok(()),
        Some(id) => Err(Invalid::parameter(
            "messages",
            format!(
                "An assistant message with \"tool_calls\" must be followed by tool messages responding to each \
                 \"tool_call_id\". \"{}\" has no answer before 'messages[{before}]'",
                id.chars().take(80).collect::<String>()
            ),
        )),
    }
}

impl ChatRequest {
    /// The first part of a message that is not text, as `(path, kind)`.
    ///
    /// Models that read text only refuse it by this name.
    pub fn first_media_part(&self) -> Option<(String, &str)> {
        self.messages.iter().enumerate().find_map(|(i, message)| match &message.content {
            Some(Content::Parts(parts)) => parts
                .iter()
                .enumerate()
                .find(|(_, part)| part.kind != "text")
                .map(|(k, part)| (format!("messages[{i}].content[{k}]"), part.kind.as_str())),
            _ => None,
        })
    }
}
