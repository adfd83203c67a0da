//! What of a conversation is sent when it grows.

use qwenda::types::chat::ChatRequest;
use qwenda::{Message, Plan, Policy};

use super::Conversation;
use crate::{
    commands::chat,
    exit::CliError,
    lang::{chat as words, messages},
    output::Ui,
    settings::ChatSettings,
    who::Who,
};

/// Room kept for an answer when no `--max-tokens` says how long one may be.
const ANSWER_TOKENS: u32 = 1024;
/// Tokens of a conversation that a service is sent, unless set otherwise: less than any current model takes.
const SERVICE_CONTEXT_TOKENS: u32 = 100_000;
/// Results of tools that are sent even when there is little room.
const TOOL_RESULTS_KEPT: usize = 3;

impl Conversation {
    /// The request that puts this question; the oldest turns are left out until it and a fair answer fit, and that is
    /// said. A question that does not fit even alone costs nothing that was said before: it will be refused.
    pub fn request(
        &mut self,
        ui: Ui,
        chat: &ChatSettings,
        who: &Who,
        question: &Message,
    ) -> Result<ChatRequest, CliError> {
        let turns = self.turns() + 1;
        let plan = match who.context_tokens_max() {
            None => self.by_estimate(ui, chat, who, question, turns)?,
            Some(_) => self.by_count(ui, chat, who, question, turns, most(chat, who))?,
        };
        let mut messages = plan.messages;
        // The plan is of its text; it may have images besides.
        if let Some(last) = messages.last_mut() {
            last.clone_from(question);
        }
        chat::request(ui.lang, chat, messages)
    }

    fn plan(&self, chat: &ChatSettings, who: &Who, question: &Message, policy: Policy) -> Plan {
        let mut request = ChatRequest::new("", self.messages());
        request.max_tokens = chat.max_tokens;
        chat::chat_of(who, request).conversation(policy).plan(&question.plain_text())
    }

    fn by_estimate(
        &mut self,
        ui: Ui,
        chat: &ChatSettings,
        who: &Who,
        question: &Message,
        turns: usize,
    ) -> Result<Plan, CliError> {
        let most = most(chat, who);
        let policy = Policy::tokens((most - room(chat, most)).into()).keep_tool_results(TOOL_RESULTS_KEPT);
        let plan = self.plan(chat, who, question, policy);
        let left_out = plan.turns_left_out.min(turns - 1);
        if left_out > 0 {
            self.forget(left_out);
            ui.notice(words::left_out_of(ui.lang, left_out, most.into()));
        }
        Ok(plan)
    }

    /// As the model counts.
    fn by_count(
        &mut self,
        ui: Ui,
        chat: &ChatSettings,
        who: &Who,
        question: &Message,
        turns: usize,
        most: u32,
    ) -> Result<Plan, CliError> {
        let whole = self.plan(chat, who, question, Policy::everything());
        let bytes: usize = whole.messages.iter().map(|message| message.plain_text().len()).sum();
        // A token is at least a byte, so a short conversation need not be counted. Twice, because
        // normalising a text can make it longer.
        if 2 * bytes + 1024 <= most as usize {
            return Ok(whole);
        }
        let room = room(chat, most) as usize;
        for kept in (1..=turns).rev() {
            let plan = self.plan(chat, who, question, Policy::last_turns(kept));
            let needed = who.prompt_tokens(ui.lang, &plan.messages)?.unwrap_or(0);
            if needed + room <= most as usize {
                if kept < turns {
                    self.forget(turns - kept);
                    ui.notice(messages::left_out(ui.lang, turns - kept, most as usize));
                }
                return Ok(plan);
            }
        }
        Ok(whole)
    }
}

/// Most tokens of a conversation.
pub fn most(chat: &ChatSettings, who: &Who) -> u32 {
    let wanted = chat.context_tokens_max;
    match who.context_tokens_max() {
        Some(most) => wanted.map_or(most, |wanted| wanted.min(most)),
        None => wanted.unwrap_or(SERVICE_CONTEXT_TOKENS),
    }
}

fn room(chat: &ChatSettings, most: u32) -> u32 {
    chat.max_tokens.unwrap_or(ANSWER_TOKENS).min(most / 4)
}
