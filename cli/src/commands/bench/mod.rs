//! `qwenda bench`: how fast a model is on this machine, beside what the machine allows.
//!
//! `plan` decides what is measured, `http` is the service under load, `report` says it. The engine is
//! measured by the backend (`local::bench`).

mod http;
mod plan;
mod report;

use std::sync::Arc;

use qwenda_backend::local::{
    bench::{Bench, BenchError},
    inspect::Inspector,
};

use self::{
    plan::{BATCH_DEPTH, Plan},
    report::{Http, Report, Row},
};
use crate::{args, exit::CliError, lang::messages, model, output::Ui, progress, settings::Settings};

pub async fn run(ui: Ui, settings: &Settings, args: args::Bench) -> Result<(), CliError> {
    let wanted = settings.model(args.model.model.as_deref(), args.model.threads)?;
    let file = model::obtain(ui, settings, &wanted.name).await?;
    let options = model::options(settings, wanted.threads);
    let unusable =
        |error: &dyn std::fmt::Display| CliError::model(messages::unusable_model(ui.lang, &file.name, error));
    let about = Inspector::open(&file.path).map_err(|error| unusable(&error))?;
    let plan = Plan::new(&args, about.context_tokens_max());
    if !plan.alone() && plan.callers == 0 {
        return Err(CliError::usage(messages::bench_nothing(ui.lang)));
    }

    let spinner = progress::spinner(ui, messages::loading(ui.lang, &file.name));
    let (path, loading) = (file.clone(), options.clone());
    let (kv_tokens, sequences) = (plan.kv_tokens(), plan.sequences());
    let bench = model::blocking(move || Bench::open(&path, &loading, kv_tokens, sequences)).await?;
    let bench = Arc::new(bench.map_err(|error| unusable(&error))?);
    drop(spinner);
    let mut report = prepare(ui, &plan, &file.name, &bench).await?;
    alone(ui, &plan, &bench, &mut report).await?;
    drop(bench);
    if plan.callers > 0 {
        let spinner = progress::spinner(ui, messages::measuring(ui.lang, "HTTP"));
        let service = http::Service::start(ui, settings, file, options).await?;
        let mut rounds = Vec::new();
        for round in 0..plan.rounds {
            rounds.push(service.round(round, plan.callers).await?);
        }
        service.stop().await;
        drop(spinner);
        report.http = Some(Http { callers: plan.callers, rounds });
    }
    ui.answer_line(if args.json { report.json().to_string() } else { report.text(ui.lang) })
}

/// Checks the answers, and finds out what the machine could do.
async fn prepare(ui: Ui, plan: &Plan, name: &str, bench: &Arc<Bench>) -> Result<Report, CliError> {
    let spinner = progress::spinner(ui, messages::checking(ui.lang));
    let checked = Arc::clone(bench);
    let roofline = model::blocking(move || checked.check().map(|()| checked.roofline())).await?;
    drop(spinner);
    let (cost, roofline) = (bench.cost(), roofline.map_err(|error| CliError::failure(error.to_string()))?);
    Ok(Report {
        model: name.to_owned(),
        isa: bench.isa(),
        threads: bench.threads(),
        rounds: plan.rounds,
        load_ms: bench.load_ms(),
        tokens: plan.tokens,
        cost,
        roofline,
        prefill: rows(&plan.prefill),
        decode: rows(&plan.decode),
        batch: rows(&plan.batch),
        http: None,
    })
}

fn rows(all: &[u32]) -> Vec<Row> {
    all.iter().map(|&at| Row { at, ceiling: 0.0, rounds: Vec::new() }).collect()
}

/// Fills the rows of the engine alone, all rows once in each round: a machine that slows down on the way
/// does so for all of them.
async fn alone(ui: Ui, plan: &Plan, bench: &Arc<Bench>, report: &mut Report) -> Result<(), CliError> {
    let tokens = plan.tokens;
    for round in 1..=plan.rounds {
        let _spinner = progress::spinner(ui, messages::measuring(ui.lang, &format!("{round}/{}", plan.rounds)));
        for row in &mut report.prefill {
            let at = row.at;
            measure(bench, row, move |bench| bench.prefill(at)).await?;
        }
        for row in &mut report.decode {
            let at = row.at;
            measure(bench, row, move |bench| bench.decode(1, at, tokens)).await?;
        }
        for row in &mut report.batch {
            let at = row.at;
            measure(bench, row, move |bench| bench.decode(at, BATCH_DEPTH, tokens)).await?;
        }
        // Something else may have run while the machine was measured first: its best is what it can do.
        let again = Arc::clone(bench);
        report.roofline = report.roofline.best(model::blocking(move || again.roofline()).await?);
    }
    report.set_ceilings();
    Ok(())
}

/// Adds one figure, in tokens per second, to a row.
async fn measure(
    bench: &Arc<Bench>,
    row: &mut Row,
    figure: impl FnOnce(&Bench) -> Result<f64, BenchError> + Send + 'static,
) -> Result<(), CliError> {
    let bench = Arc::clone(bench);
    let rate = model::blocking(move || figure(&bench)).await?;
    row.rounds.push(rate.map_err(|error| CliError::failure(error.to_string()))?);
    Ok(())
}
