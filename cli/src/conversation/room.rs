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

/// Of the context, what is used again once turns are summarised: not every question is to have a summary of its own.
const ROOM_PERCENT: u32 = 75;

/// What is sent of a conversation.
struct Fitted {
    plan: Plan,
    /// The oldest turns, which are not in it.
    left_out: usize,
    /// It and a fair answer are within the context.
    fits: bool,
}

impl Conversation {
    /// The request that puts this question; the oldest turns are left out until it and a fair answer fit, summarised
    /// where that is wanted, and that is said. A question that does not fit even alone costs nothing that was said
    /// before: it will be refused.
    pub async fn request(
        &mut self,
        ui: Ui,
        chat: &ChatSettings,
        who: &Who,
        question: &Message,
    ) -> Result<ChatRequest, CliError> {
        let mut fitted = self.fit(ui, chat, who, question)?;
        if fitted.left_out > 0
            && let Some(model) = self.teller(&chat.summaries, who)
            && let Some(told) = self.told(ui, who, &model, fitted.left_out).await?
        {
            // It takes room too.
            let before = self.summary.replace(told.clone());
            let with_summary = self.fit(ui, chat, who, question)?;
            self.summary = before;
            if with_summary.fits {
                self.keep_summary(ui, told)?;
                fitted = self.fit(ui, chat, who, question)?;
            } else {
                self.untold(ui, &words::summary_too_long(ui.lang));
            }
        }
        if fitted.left_out > 0 {
            self.forget(fitted.left_out);
            ui.notice(match who.is_here() {
                true => messages::left_out(ui.lang, fitted.left_out, most(chat, who) as usize),
                false => words::left_out_of(ui.lang, fitted.left_out, most(chat, who).into()),
            });
        }
        let mut messages = fitted.plan.messages;
        // The plan is of its text; it may have images besides.
        if let Some(last) = messages.last_mut() {
            last.clone_from(question);
        }
        chat::request(ui.lang, chat, messages)
    }

    fn fit(&self, ui: Ui, chat: &ChatSettings, who: &Who, question: &Message) -> Result<Fitted, CliError> {
        if who.is_here() { self.by_count(ui, chat, who, question) } else { Ok(self.by_estimate(chat, who, question)) }
    }

    fn plan(&self, chat: &ChatSettings, who: &Who, question: &Message, policy: Policy) -> Plan {
        let mut request = ChatRequest::new("", self.messages());
        request.max_tokens = chat.max_tokens;
        chat::chat_of(who, request).conversation(policy).plan(&question.plain_text())
    }

    fn by_estimate(&self, chat: &ChatSettings, who: &Who, question: &Message) -> Fitted {
        let most = most(chat, who);
        let policy = Policy::tokens((most - room(chat, most)).into()).keep_tool_results(TOOL_RESULTS_KEPT);
        let plan = self.plan(chat, who, question, policy);
        Fitted { left_out: plan.turns_left_out.min(self.turns()), fits: plan.fits, plan }
    }

    /// As the model counts.
    fn by_count(&self, ui: Ui, chat: &ChatSettings, who: &Who, question: &Message) -> Result<Fitted, CliError> {
        let (turns, most) = (self.turns() + 1, most(chat, who));
        let whole = self.plan(chat, who, question, Policy::everything());
        let bytes: usize = whole.messages.iter().map(|message| message.plain_text().len()).sum();
        // A token is at least a byte, so a short conversation need not be counted. Twice, because
        // normalising a text can make it longer.
        if 2 * bytes + 1024 <= most as usize {
            return Ok(Fitted { plan: whole, left_out: 0, fits: true });
        }
        let room = room(chat, most) as usize;
        let mut goal = most as usize;
        for kept in (1..=turns).rev() {
            let plan = self.plan(chat, who, question, Policy::last_turns(kept));
            let needed = who.prompt_tokens(ui.lang, &plan.messages)?.unwrap_or(0) + room;
            if needed <= goal || kept == 1 && needed <= most as usize {
                return Ok(Fitted { plan, left_out: turns - kept, fits: true });
            }
            if self.teller(&chat.summaries, who).is_some() {
                goal = most as usize * ROOM_PERCENT as usize / 100;
            }
        }
        Ok(Fitted { plan: whole, left_out: 0, fits: false })
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
