//! `qwenda prices`: what models cost.

use qwenda_server::keys::{self, PriceEntry};
use serde_json::{Value, json};

use crate::{args, books, exit::CliError, lang::messages, output::Ui, settings::Settings, table::Table, when};

pub async fn run(ui: Ui, settings: &Settings, command: args::Prices) -> Result<(), CliError> {
    let args::Prices::List { currency, model, place } = command;
    let lang = ui.lang;
    let currency = currency.map(|text| books::currency(lang, &text)).transpose()?;
    let folder = settings.place(place.data_dir.as_deref())?;
    let all = keys::prices(&folder).await.map_err(|error| CliError::failure(messages::bad_keys(lang, &error)))?;
    let means = |entry: &PriceEntry| match model.as_deref().map(|model| (model, model.strip_suffix('*'))) {
        None => true,
        Some((_, Some(beginning))) => entry.model.starts_with(beginning),
        Some((name, None)) => entry.model == name,
    };
    let mut prices: Vec<&PriceEntry> =
        all.iter().filter(|entry| currency.is_none_or(|currency| entry.currency == currency) && means(entry)).collect();
    prices.sort_by_key(|entry| (&entry.model, entry.currency, &entry.account, entry.effective_from));
    if place.json {
        return ui.answer_line(json!({ "prices": prices.into_iter().map(record).collect::<Vec<_>>() }));
    }
    if prices.is_empty() {
        ui.notice(messages::no_prices(lang));
        return Ok(());
    }
    let mut table = Table::new(&messages::prices_headings(lang));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for entry in prices {
        for tier in entry.price.tiers() {
            table.row([
                entry.model.clone(),
                entry.currency.to_string(),
                or_dash(tier.input_tokens_max.map(|max| max.to_string())),
                tier.input.to_string(),
                tier.output.to_string(),
                or_dash(tier.output_thinking.map(|price| price.to_string())),
                or_dash(entry.account.clone()),
                or_dash((entry.effective_from > 0).then(|| when::day_of(entry.effective_from))),
                or_dash(entry.effective_until.map(when::day_of)),
                entry.id.clone(),
            ]);
        }
    }
    ui.answer_line(table)
}

fn record(entry: &PriceEntry) -> Value {
    json!({
        "id": entry.id,
        "model": entry.model,
        "currency": entry.currency.as_str(),
        "account": entry.account,
        "effective_from": entry.effective_from,
        "effective_until": entry.effective_until,
        "tiers": entry.price.tiers(),
        "cache_percent": entry.price.cache(),
    })
}
