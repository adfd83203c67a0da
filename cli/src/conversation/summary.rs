//! What leaves a conversation is told in short, by a model.

use qwenda::{Message, Usage};

use super::Conversation;
use crate::{
    exit::CliError,
    interrupt,
    lang::chat as words,
    output::Ui,
    progress,
    sessions::{Entry, Price, Told, Used},
    settings::Summaries,
    who::Who,
};

/// After so many failures in a row no more summaries are asked for.
const FAILURES_MAX: u32 = 3;
/// A summary is made in so many steps at most: each reads some of what is left out.
const STEPS_MAX: usize = 16;

impl Conversation {
    /// The model that tells what leaves the conversation; `None` where nobody does.
    pub(super) fn teller(&self, summaries: &Summaries, who: &Who) -> Option<String> {
        match summaries {
            _ if self.failures >= FAILURES_MAX => None,
            Summaries::Off => None,
            Summaries::SameModel => Some(who.model.clone()),
            Summaries::Model(name) => Some(name.clone()),
        }
    }

    /// A summary of the oldest turns and of what was told before; `None`, and that it is so, where it cannot be had.
    pub(super) async fn told(
        &mut self,
        ui: Ui,
        who: &Who,
        model: &str,
        turns: usize,
    ) -> Result<Option<Told>, CliError> {
        let spinner = progress::spinner(ui, words::summarising(ui.lang));
        let stop = interrupt::ctrl_c();
        let told = tokio::select! {
            biased;
            told = self.ask_for_summary(who, model, turns) => told,
            () = stop => return Err(CliError::interrupted()),
        };
        drop(spinner);
        match told {
            Ok(told) => Ok(Some(told)),
            Err(error) => {
                self.untold(ui, &who.explain(ui.lang, &error).message);
                Ok(None)
            }
        }
    }

    /// A summary could not be had, or does no good.
    pub(super) fn untold(&mut self, ui: Ui, why: &str) {
        self.failures += 1;
        ui.notice(words::no_summary(ui.lang, why));
    }

    async fn ask_for_summary(&self, who: &Who, model: &str, turns: usize) -> Result<Told, qwenda::Error> {
        let turns = turns.min(self.said.len());
        let messages: Vec<Message> = self.said[..turns].iter().flat_map(|turn| turn.messages.iter().cloned()).collect();
        let mut text = self.summary.as_ref().map(|told| told.text.clone());
        let (mut usage, mut rest) = (None, messages.as_slice());
        for _ in 0..STEPS_MAX {
            if rest.is_empty() {
                break;
            }
            let summary = who.client.summarise(model, text.as_deref(), rest).await?;
            rest = &rest[summary.messages..];
            if let Some(counted) = &summary.usage {
                add(&mut usage, counted, summary.cost.as_ref());
            }
            text = Some(summary.text);
        }
        Ok(Told { turns: self.gone + turns, text: text.unwrap_or_default(), model: model.to_owned(), usage })
    }

    /// Takes a summary up, and keeps it.
    pub(super) fn keep_summary(&mut self, ui: Ui, told: Told) -> Result<(), CliError> {
        let left = told.turns.saturating_sub(self.gone);
        self.failures = 0;
        self.write(ui, Entry::Summary(told.clone()))?;
        let (lang, model) = (ui.lang, told.model.as_str());
        ui.notice(match &told.usage {
            Some(used) => {
                let cost = used.cost.map_or_else(String::new, |cost| words::total_cost(lang, &cost.to_string()));
                words::summarised(lang, left, model, used.prompt_tokens, used.completion_tokens, &cost)
            }
            None => words::summarised_uncounted(lang, left, model),
        });
        self.tell(told);
        Ok(())
    }

    /// Others may have told of turns too: who tells of more is believed.
    pub(super) fn tell(&mut self, told: Told) {
        match &told.usage {
            Some(used) => self.totals.count(used),
            None => self.totals.miss(),
        }
        if self.summary.as_ref().is_some_and(|before| before.turns > told.turns) {
            return;
        }
        self.forget(told.turns.saturating_sub(self.gone));
        self.summary = Some(told);
    }
}

fn add(sum: &mut Option<Used>, usage: &Usage, cost: Option<&qwenda::Cost>) {
    let sum = sum.get_or_insert(Used { prompt_tokens: 0, completion_tokens: 0, context_tokens: 0, cost: None });
    sum.prompt_tokens += usage.input_tokens;
    sum.completion_tokens += usage.output_tokens;
    if let Some(cost) = cost {
        let before = sum.cost.map_or(qwenda::Nanos::ZERO, |price| price.amount);
        let amount = before.checked_add(cost.amount).unwrap_or(qwenda::Nanos::MAX);
        sum.cost = Some(Price { amount, currency: cost.currency });
    }
}
