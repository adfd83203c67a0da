//! `qwenda prices`: what models cost.

use qwenda_server::{
    keys::{KeysError, Nanos},
    prices::{self, NewPrice, PRICE_MAX, PriceEntry, PricesError, Tier},
};
use serde_json::{Value, json};

use crate::{
    args, books,
    exit::CliError,
    lang::{Lang, messages, money},
    output::Ui,
    settings::Settings,
    table::Table,
    when::{self, Way},
};

pub async fn run(ui: Ui, settings: &Settings, command: args::Prices) -> Result<(), CliError> {
    match command {
        args::Prices::Set(args) => set(ui, settings, *args).await,
        args::Prices::List { currency, model, place } => list(ui, settings, currency, model, place).await,
    }
}

async fn set(ui: Ui, settings: &Settings, args: args::SetPrice) -> Result<(), CliError> {
    let lang = ui.lang;
    let mut tiers = args.tier.iter().map(|text| tier(lang, text)).collect::<Result<Vec<_>, _>>()?;
    tiers.push(Tier {
        input_tokens_max: None,
        input: price(lang, "--input", &args.input)?,
        output: price(lang, "--output", &args.output)?,
        output_thinking: args.thinking.map(|text| price(lang, "--thinking", &text)).transpose()?,
    });
    let cost = match (&args.cost_input, &args.cost_output) {
        (Some(input), Some(output)) => Some(Tier {
            input_tokens_max: None,
            input: price(lang, "--cost-input", input)?,
            output: price(lang, "--cost-output", output)?,
            output_thinking: None,
        }),
        _ => None,
    };
    let from = args.from.map(|text| books::time_ahead(lang, "--from", &text)).transpose()?;
    let until = args.until.map(|text| books::time(lang, "--until", &text, Way::Ahead)).transpose()?;
    let currency = args.currency.map(|text| books::currency(lang, &text)).transpose()?;
    let folder = settings.place(args.place.data_dir.as_deref())?;
    let new = NewPrice { model: args.model, account: args.account, currency, from, until, tiers, cost };
    let all = prices::list(&folder).await.map_err(|error| explain(lang, &error))?;
    let made = prices::set(&folder, new).await.map_err(|error| explain(lang, &error))?;
    if !all.iter().any(|entry| entry.model == made.model) {
        ui.notice(money::first_price(lang, &made.model));
    }
    if args.place.json {
        return ui.answer_line(record(&made));
    }
    ui.notice(money::price_made(lang, &made.model, made.currency.as_str(), &when::second(made.effective_from)));
    ui.answer_line(&made.id)
}

fn price(lang: Lang, field: &str, text: &str) -> Result<Nanos, CliError> {
    let price = books::amount_unsigned(lang, field, text)?;
    if price > PRICE_MAX {
        return Err(CliError::usage(messages::out_of_range(lang, field, &format!("[0, {PRICE_MAX}]"), text)));
    }
    Ok(price)
}

/// `TOKENS:INPUT:OUTPUT`, or with `:THINKING` behind.
fn tier(lang: Lang, text: &str) -> Result<Tier, CliError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (tokens, input, output, thinking) = match parts.as_slice() {
        [tokens, input, output] => (tokens, input, output, None),
        [tokens, input, output, thinking] => (tokens, input, output, Some(thinking)),
        _ => return Err(CliError::usage(money::bad_tier(lang, text))),
    };
    Ok(Tier {
        input_tokens_max: Some(books::count(lang, "--tier", tokens, i64::MAX.unsigned_abs())?),
        input: price(lang, "--tier", input)?,
        output: price(lang, "--tier", output)?,
        output_thinking: thinking.map(|text| price(lang, "--tier", text)).transpose()?,
    })
}

fn explain(lang: Lang, error: &PricesError) -> CliError {
    let message = money::bad_prices(lang, error);
    match error {
        PricesError::Folder(KeysError::NoSuchAccount { .. }) => {
            CliError::usage(message).hint(money::list_accounts(lang))
        }
        PricesError::Book(_) => CliError::usage(message).hint(money::list_prices(lang)),
        PricesError::Folder(_) | PricesError::Store(_) | PricesError::Changed => CliError::failure(message),
        _ => CliError::usage(message),
    }
}

async fn list(
    ui: Ui,
    settings: &Settings,
    currency: Option<String>,
    model: Option<String>,
    place: args::Place,
) -> Result<(), CliError> {
    let lang = ui.lang;
    let currency = currency.map(|text| books::currency(lang, &text)).transpose()?;
    let folder = settings.place(place.data_dir.as_deref())?;
    let all = prices::list(&folder).await.map_err(|error| explain(lang, &error))?;
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
        ui.notice(money::no_prices(lang));
        return Ok(());
    }
    let mut table = Table::new(&money::prices_headings(lang));
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
                or_dash((entry.effective_from > 0).then(|| when::short(entry.effective_from))),
                or_dash(entry.effective_until.map(when::short)),
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
        "cost": entry.cost.as_ref().map(|cost| json!({
            "currency": cost.currency.as_str(),
            "tiers": cost.price.tiers(),
        })),
    })
}
