//! From what was said to what is sent: leave out, summarise, remember, recall, count.

use qwenda_types::chat::{ChatRequest, Message, Role};

use super::{
    Conversation, Plan,
    fit::{self, Cut, Fitted, Tokens},
    summary,
};
use crate::{Result, error::Kind, estimate, memory};

/// Tokens for what is recalled under a policy that does not count any.
const RECALLED_TOKENS: u64 = 1_000;
/// How often a request is made smaller because the service counts more than was estimated.
const COUNTS_MAX: usize = 4;
/// An answer may have a quarter of the window where nobody says how much.
const ANSWER_PART: u64 = 4;
/// What a service counts for a thousand tokens of an estimate, at least and at most: what it counts otherwise is
/// something else.
const RATIO: (u64, u64) = (900, 8_000);

/// A request, and up to where it leaves the history out.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) cut: Cut,
    /// What was estimated, before it was corrected by what the service counts.
    pub(super) estimated: u64,
}

impl Conversation {
    /// What is sent, as far as it is known without asking anybody.
    pub(super) fn planned(&self, history: &[Message], request: &ChatRequest) -> Prepared {
        let (head, fitted) = self.fitted(history, request);
        self.prepared(request, head, fitted, None)
    }

    /// What is sent. Asks for a summary where `summarise`, and the memory and whoever counts where there is one.
    pub(super) async fn prepare_of(
        &mut self,
        history: &[Message],
        request: &ChatRequest,
        summarise: bool,
    ) -> Result<Prepared> {
        let mut counts_left = if self.policy.counted { COUNTS_MAX } else { 0 };
        loop {
            let (mut head, mut fitted) = self.fitted(history, request);
            if summarise && fitted.cut.turns > self.notes.summarised {
                self.summarise(history, fitted.cut.turns).await;
                (head, fitted) = self.fitted(history, request);
            }
            let recalled = self.recall(history, fitted.cut, request).await?;
            let mut prepared = self.prepared(request, head, fitted, recalled);
            if counts_left == 0 {
                return Ok(prepared);
            }
            let Some(exact) = self.count(&prepared.plan.messages, request).await? else { return Ok(prepared) };
            counts_left -= 1;
            let over = self.most(request).is_some_and(|most| exact > most);
            let again = over && prepared.plan.fits && counts_left > 0;
            if again {
                self.ratio = (exact * 1000).div_ceil(prepared.estimated.max(1)).max(self.ratio + 1).min(RATIO.1);
                continue;
            }
            self.learn(prepared.estimated, exact);
            (prepared.plan.input_tokens, prepared.plan.counted) = (exact, true);
            prepared.plan.fits &= !over;
            return Ok(prepared);
        }
    }

    /// What comes before the history, and what of it is sent.
    fn fitted(&self, history: &[Message], request: &ChatRequest) -> (Vec<Message>, Fitted) {
        let mut head = self.system.clone();
        head.extend(self.notes.summary.as_deref().map(summary::Summary::message));
        // In the units of the estimate.
        let most = self.most(request).map(|most| most.saturating_mul(1000) / self.ratio);
        let tokens = Tokens {
            head: estimate::frame(request) + head.iter().map(estimate::message).sum::<u64>(),
            message: &estimate::message,
            most,
            reserved: self
                .policy
                .memory
                .as_ref()
                .zip(most)
                .map_or(0, |(memory, most)| most * memory.share_percent() / 100),
        };
        let begins = Cut { turns: self.notes.turns.max(self.notes.summarised), results: self.notes.results };
        (head, fit::fit(&self.policy, history, begins, tokens))
    }

    /// Keeps what is left out in the memory, and brings back what has to do with the person's last words.
    async fn recall(
        &mut self,
        history: &[Message],
        cut: Cut,
        request: &ChatRequest,
    ) -> Result<Option<(Message, usize)>> {
        let Some(memory) = self.policy.memory.clone() else { return Ok(None) };
        if cut == Cut::default() {
            return Ok(None);
        }
        // The last turn is what is asked with; all before it is known to the memory as soon as anything is left out.
        let turns = fit::turns(history);
        let asked = turns.len().saturating_sub(1);
        let numbers = turns.iter().enumerate().flat_map(|(number, turn)| std::iter::repeat_n(number, turn.len()));
        let said: Vec<(usize, usize)> = numbers.enumerate().filter(|(_, turn)| *turn < asked).collect();
        let new = said.iter().skip_while(|(place, _)| *place < self.remembered);
        let pieces = new.flat_map(|(place, turn)| {
            let before = place.checked_sub(1).map(|before| &history[before]);
            memory::pieces::pieces(*turn, *place, &history[*place], before)
        });
        memory.keep(&self.id, pieces.collect()).await?;
        self.remembered = said.len();
        let Some(question) = history.iter().rfind(|message| message.role == Role::User) else { return Ok(None) };
        let found = memory.find(&self.id, &question.plain_text()).await?;
        let most = self
            .most(request)
            .map_or(RECALLED_TOKENS, |most| most.saturating_mul(1000) / self.ratio * memory.share_percent() / 100);
        let gone = fit::left(history, cut);
        Ok(memory::recalled(found, &gone, asked, &estimate::message, most))
    }

    fn prepared(
        &self,
        request: &ChatRequest,
        head: Vec<Message>,
        fitted: Fitted,
        recalled: Option<(Message, usize)>,
    ) -> Prepared {
        let mut messages = head;
        messages.extend(fitted.messages);
        let mut estimated = fitted.tokens;
        let recalled = recalled.map_or(0, |(message, pieces)| {
            // Right before the person's last words: what is in front of them stays the same, for caches.
            let last = messages.iter().rposition(|message| message.role == Role::User).unwrap_or(messages.len());
            estimated += estimate::message(&message);
            messages.insert(last, message);
            pieces
        });
        let same = self.before.iter().zip(&messages).take_while(|(a, b)| a == b).count();
        let same_tokens = messages[..same].iter().map(estimate::message).sum::<u64>();
        let mut chat = self.chat.clone();
        chat.request = ChatRequest { messages, ..request.clone() };
        let most = chat.estimate().most;
        let plan = Plan {
            input_tokens: (estimated * self.ratio).div_ceil(1000),
            counted: false,
            most,
            turns_left_out: fitted.cut.turns,
            turns_summarised: self.notes.summarised,
            results_left_out: fitted.results_left_out,
            recalled,
            messages_as_before: same,
            tokens_as_before: if same == 0 { 0 } else { same_tokens + estimate::frame(request) },
            fits: fitted.fits,
            messages: chat.request.messages,
        };
        Prepared { plan, cut: fitted.cut, estimated }
    }

    /// Most tokens of a prompt.
    fn most(&self, request: &ChatRequest) -> Option<u64> {
        let window = self.policy.window.map(|window| {
            let answer = estimate::chat(&self.chat.client.0.prices, request, None).output_tokens_max;
            window.saturating_sub(answer.unwrap_or(window / ANSWER_PART))
        });
        [window, self.policy.tokens_max].into_iter().flatten().min()
    }

    /// How many tokens the service counts; `None` where it cannot count.
    async fn count(&self, messages: &[Message], request: &ChatRequest) -> Result<Option<u64>> {
        let chat = &self.chat;
        let tokens = chat.client.tokenize(request.model.clone(), messages.to_vec()).tools(request.tools.clone());
        match tokens.await {
            Ok(tokens) => Ok(Some(tokens.ids.len() as u64)),
            // It does not know the call, or the conversation has something that is no text.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Refused | Kind::Config | Kind::Invalid) => {
                tracing::debug!(kind = ?error.kind(), "the service does not count; the estimate stands");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Corrects estimates by what the service has counted: at once where it was more, slowly where it was less.
    pub(super) fn learn(&mut self, estimated: u64, counted: u64) {
        if estimated == 0 || counted == 0 {
            return;
        }
        let seen = counted.saturating_mul(1000).div_ceil(estimated).clamp(RATIO.0, RATIO.1);
        self.ratio = seen.max(self.ratio - (self.ratio.saturating_sub(seen)) / 4);
    }
}
