//! The models as the native dialect lists them: what each takes, gives and can.

use qwenda_backend::{Abilities, ModelCard, Thinking};
use qwenda_types::{
    dashscope::models::{Modalities, ModelInfo, NativeModel},
    error::Invalid,
};

use super::models;
use crate::ServeConfig;

/// Most models of one page.
const PAGE_SIZE_MAX: u64 = 1000;
const PAGE_SIZE_DEFAULT: u64 = 20;

/// Which models are asked for, and which page of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Part of the name, whatever its case.
    name: Option<String>,
    /// The whole name.
    model: Option<String>,
    /// All of these.
    capabilities: Vec<String>,
    /// All of these.
    features: Vec<String>,
    /// A smaller context than this.
    context_below: Option<u64>,
    /// From 1.
    pub(crate) page_no: u64,
    pub(crate) page_size: u64,
}

impl Filter {
    /// Reads a query's pairs; names that mean nothing here are passed over.
    pub(crate) fn of(query: &[(String, String)]) -> Result<Self, Invalid> {
        let all =
            |name: &'static str| query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str());
        let one = |name| all(name).next().filter(|value| !value.is_empty()).map(str::to_owned);
        let count = |name: &'static str, most: u64| match one(name) {
            None => Ok(None),
            Some(text) => match text.parse().ok().filter(|count| (1..=most).contains(count)) {
                Some(count) => Ok(Some(count)),
                None => Err(Invalid::parameter(name, format!("Range of {name} should be [1, {most}]"))),
            },
        };
        let list = |name| all(name).flat_map(|value| value.split(',')).map(str::to_owned).collect();
        Ok(Self {
            name: one("name").map(|name| name.to_lowercase()),
            model: one("model"),
            capabilities: list("capabilities"),
            features: list("features"),
            context_below: count("context_window", u64::MAX)?,
            page_no: count("page_no", u64::MAX)?.unwrap_or(1),
            page_size: count("page_size", PAGE_SIZE_MAX)?.unwrap_or(PAGE_SIZE_DEFAULT),
        })
    }

    fn takes(&self, model: &NativeModel) -> bool {
        let fits = |wanted: &Option<String>, ok: &dyn Fn(&String) -> bool| wanted.as_ref().is_none_or(ok);
        fits(&self.name, &|part| model.model.to_lowercase().contains(part.as_str()))
            && fits(&self.model, &|name| model.model == *name)
            && self.capabilities.iter().all(|wanted| model.capabilities.contains(wanted))
            && self.features.iter().all(|wanted| model.features.contains(wanted))
            && self.context_below.is_none_or(|most| model.model_info.context_window.is_some_and(|has| has < most))
    }
}

/// Every model that fits, under each of its names.
pub(crate) fn models(config: &ServeConfig, cards: &[ModelCard], filter: &Filter) -> Vec<NativeModel> {
    let named = models::cards(config, cards);
    named.into_iter().map(|(name, card)| native(&name, card)).filter(|model| filter.takes(model)).collect()
}

fn native(name: &str, card: &ModelCard) -> NativeModel {
    let thinks = card.thinking != Thinking::Never;
    let context = u64::from(card.context_tokens_max);
    let bound = card.abilities.chat.then_some(context);
    let text = || "Text".to_owned();
    let media = card.abilities.media.then(|| "Image".to_owned());
    NativeModel {
        model: name.to_owned(),
        name: name.to_owned(),
        description: if name == card.id { String::new() } else { format!("answered by {}", card.id) },
        provider: card.owned_by.clone(),
        inference_provider: "qwenda".to_owned(),
        capabilities: capabilities(card.abilities, thinks),
        features: features(card.abilities),
        published_time: Some(time(card.created)),
        inference_metadata: Modalities {
            request_modality: [text()].into_iter().chain(media).collect(),
            response_modality: vec![if card.abilities.chat { text() } else { "Vector".to_owned() }],
        },
        model_info: ModelInfo {
            context_window: Some(context),
            // At least one token of the answer has to fit too.
            max_input_tokens: bound.map(|most| most.saturating_sub(1)),
            max_output_tokens: bound,
            max_reasoning_tokens: bound.filter(|_| thinks),
            reasoning_max_input_tokens: bound.filter(|_| thinks).map(|most| most.saturating_sub(1)),
            reasoning_max_output_tokens: bound.filter(|_| thinks),
        },
        prices: Vec::new(),
    }
}

fn capabilities(can: Abilities, thinks: bool) -> Vec<String> {
    chosen(&[
        (can.chat, "TG"),
        (thinks, "Reasoning"),
        (can.media, "VU"),
        (can.embed.is_some(), "ME"),
        (can.rerank, "TR"),
    ])
}

fn features(can: Abilities) -> Vec<String> {
    chosen(&[
        (can.chat, "function-calling"),
        (can.chat, "structured-outputs"),
        (can.search, "web-search"),
        (can.chat, "prefix-completion"),
        (can.chat, "cache"),
    ])
}

fn chosen(words: &[(bool, &str)]) -> Vec<String> {
    words.iter().filter(|(has, _)| *has).map(|(_, word)| (*word).to_owned()).collect()
}

/// Unix seconds as `yyyy-MM-dd HH:mm:ss`, in UTC.
fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that a leap day is the last of its year; eras have 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_the_calendar_has_them() {
        for (seconds, want) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_767_225_600, "2026-01-01 00:00:00"),
            (1_735_689_599, "2024-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(time(seconds), want);
        }
    }

    #[test]
    fn a_query_is_read_and_its_bounds_are_kept() {
        let of = |text: &str| {
            let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            Filter::of(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>())
        };
        let plain = of("").unwrap();
        assert_eq!((plain.page_no, plain.page_size), (1, 20));
        let asked = of("page_no=2&page_size=5&name=Qwen&capabilities=TG&capabilities=ME&unheard=1").unwrap();
        assert_eq!((asked.page_no, asked.page_size, asked.capabilities.len()), (2, 5, 2));
        for wrong in ["page_no=0", "page_no=x", "page_size=0", "page_size=5000", "context_window=-1"] {
            assert!(of(wrong).unwrap_err().message.starts_with("Range of "), "{wrong}");
        }
    }
}
