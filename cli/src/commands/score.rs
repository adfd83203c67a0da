//! `qwenda score`: how well a model predicts a text.

use qwenda_backend::local::inspect::{self, Score, ScoreError};
use serde_json::{Value, json};

use crate::{
    args,
    exit::{CliError, Exit},
    input,
    lang::messages,
    model,
    output::Ui,
    progress,
    settings::Settings,
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Score) -> Result<(), CliError> {
    let text = input::text_argument(ui, args.text.as_deref())?;
    if text.is_empty() {
        return Err(CliError::usage(messages::empty_text(ui.lang)));
    }
    let wanted = settings.model(args.model.model.as_deref(), args.model.threads)?;
    let file = model::obtain(ui, settings, &wanted.name).await?;
    let (name, options) = (file.name.clone(), model::options(settings, wanted.threads));
    let spinner = progress::spinner(ui, messages::scoring(ui.lang));
    let score = model::blocking(move || inspect::score(&file, &options, &text).map_err(Box::new)).await;
    spinner.clear();
    let score = score?.map_err(|error| match *error {
        ScoreError::Open(error) => CliError::model(messages::unusable_model(ui.lang, &name, &error)),
        ScoreError::TooLong { tokens, limit } => {
            CliError::new(Exit::TooLong, messages::text_too_long(ui.lang, tokens, limit))
        }
        ScoreError::Engine(error) => CliError::failure(error.to_string()),
    })?;
    if args.json {
        return ui.answer_line(record(&name, &score));
    }
    ui.answer_line(match (score.perplexity, score.mean_nll) {
        (Some(perplexity), Some(mean)) => messages::score_line(ui.lang, perplexity, mean, score.tokens.len()),
        _ => messages::score_one(ui.lang),
    })
}

/// The record that `--json` prints. Its shape is documented in `docs/cli.md`.
fn record(model: &str, score: &Score) -> Value {
    let sum = score.mean_nll.map(|_| score.tokens.iter().filter_map(|token| token.nll).map(f64::from).sum::<f64>());
    let tokens = score.tokens.iter().map(
        |token| json!({ "id": token.id, "text": token.text, "nll": token.nll.map(short), "argmax": token.argmax }),
    );
    json!({
        "model": model,
        "tokens": tokens.collect::<Vec<_>>(),
        "nll_sum": sum,
        "nll_mean": score.mean_nll,
        "perplexity": score.perplexity,
    })
}

/// The same number with the digits that an `f32` has, and no more.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}
