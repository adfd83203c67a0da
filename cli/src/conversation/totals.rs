//! What a conversation took so far, and how full its context is.

use qwenda::{Currency, Nanos};

use crate::{
    answer::Answer,
    lang::{Lang, chat as words},
    sessions::{Price, Turn, Used},
};

/// What all turns of a conversation took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    prompt: u64,
    completion: u64,
    costs: Vec<Price>,
    /// Tokens of the last prompt and its answer.
    context: u64,
    counted: bool,
    /// Somebody did not count, or was stopped before.
    partly: bool,
}

impl Totals {
    pub fn add(&mut self, turn: &Turn) {
        match &turn.usage {
            Some(used) => self.count(used),
            None => self.miss(),
        }
    }

    /// Something was not counted.
    pub fn miss(&mut self) {
        self.partly = true;
    }

    pub fn count(&mut self, used: &Used) {
        self.counted = true;
        self.prompt = self.prompt.saturating_add(used.prompt_tokens);
        self.completion = self.completion.saturating_add(used.completion_tokens);
        if used.context_tokens > 0 {
            self.context = used.context_tokens;
        }
        let Some(cost) = used.cost else { return };
        match self.costs.iter_mut().find(|sum| sum.currency == cost.currency) {
            Some(sum) => sum.amount = sum.amount.checked_add(cost.amount).unwrap_or(Nanos::MAX),
            None => self.costs.push(cost),
        }
    }

    /// One line; `None` where nobody counted. `most` is how many tokens the context may have.
    pub fn line(&self, lang: Lang, most: u64) -> Option<String> {
        if !self.counted {
            return None;
        }
        let cost: String = self.costs.iter().map(|cost| words::total_cost(lang, &cost.to_string())).collect();
        let percent = self.context * 100 / most.max(1);
        let percent = if percent == 0 { "<1%".to_owned() } else { format!("{percent}%") };
        let least = if self.partly { words::at_least(lang) } else { String::new() };
        Some(format!("[{}]", words::totals(lang, &least, self.prompt, self.completion, &cost, &percent, most)))
    }
}

/// What an answer took, for its turn; `None` where nobody counted.
pub fn used(answer: &Answer) -> Option<Used> {
    let tokens = answer.tokens?;
    let price = |(amount, currency): (Nanos, Currency)| Price { amount, currency };
    Some(Used {
        prompt_tokens: tokens.prompt,
        completion_tokens: tokens.completion,
        context_tokens: answer.context,
        cost: answer.cost.map(price),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(usage: Option<Used>) -> Turn {
        Turn { at: 1, model: "m".to_owned(), messages: Vec::new(), cut: false, usage }
    }

    fn used(prompt: u64, cost: Option<&str>) -> Option<Used> {
        let cost = cost.map(|text| {
            let (amount, currency) = text.split_once(' ').unwrap();
            Price { amount: amount.parse().unwrap(), currency: currency.parse().unwrap() }
        });
        Some(Used { prompt_tokens: prompt, completion_tokens: 10, context_tokens: prompt + 10, cost })
    }

    #[test]
    fn turns_are_summed_up_and_the_last_one_says_how_full_the_context_is() {
        let mut totals = Totals::default();
        assert_eq!(totals.line(Lang::En, 1000), None);
        totals.add(&turn(used(90, Some("0.25 CNY"))));
        totals.add(&turn(used(190, Some("0.5 CNY"))));
        assert_eq!(totals.line(Lang::En, 1000).unwrap(), "[so far 280 in, 20 out, 0.75 CNY; context 20% of 1000]");
        totals.add(&turn(used(390, Some("1 USD"))));
        totals.add(&turn(None));
        assert_eq!(
            totals.line(Lang::En, 100_000).unwrap(),
            "[so far at least 670 in, 30 out, 0.75 CNY, 1 USD; context <1% of 100000]"
        );
        assert!(totals.line(Lang::Zh, 1000).unwrap().contains("输入 670"));
    }
}
