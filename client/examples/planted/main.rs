//! Planted facts: how much of what was said a policy still sends when it is asked for. No model takes part.
//!
//! `cargo run --release -p qwenda --example planted -- [--turns 200] [--seeds 3] [--svg planted.svg]` prints tables
//! in Markdown and writes a plot. What each part does is said at its beginning.
//!
//! With `--model NAME` a real model at the service of the environment (`QWENDA_BASE_URL`, …) gets the requests of one
//! conversation in each language within one budget: `[--turns 50] [--budget 1000] [--questions 20] [--languages en,zh]`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod asked;
mod generate;
mod play;
mod report;
mod rivals;
mod score;
mod service;

use std::{env, fs, process::ExitCode};

use asked::Model;
use generate::LANGUAGES;
use play::SUBJECTS;
use qwenda::Client;
use report::{BUDGETS, Scores};
use score::Score;

#[tokio::main]
async fn main() -> ExitCode {
    let options: Vec<String> = env::args().skip(1).collect();
    let option = |name: &str| options.iter().skip_while(|one| *one != name).nth(1).cloned();
    let number = |name: &str, default: usize| option(name).map_or(Ok(default), |text| text.parse());
    let (Ok(turns), Ok(seeds)) = (number("--turns", 200), number("--seeds", 3)) else {
        eprintln!("--turns and --seeds take numbers");
        return ExitCode::FAILURE;
    };
    let failed = |error: qwenda::Error| {
        eprintln!("{error}\n{}", error.report());
        ExitCode::FAILURE
    };
    if let Some(name) = option("--model") {
        let (Ok(turns), Ok(budget), Ok(questions)) =
            (number("--turns", 50), number("--budget", 1_000), number("--questions", 20))
        else {
            eprintln!("--turns, --budget and --questions take numbers");
            return ExitCode::FAILURE;
        };
        let languages = option("--languages").unwrap_or_else(|| "en,zh".to_owned());
        let model = Client::from_env().map(|client| Model { client, name, questions, mark: String::new() });
        return match model {
            Ok(model) => {
                ask(&model, turns.max(2), budget as u64, &languages).await.map_or_else(failed, |()| ExitCode::SUCCESS)
            }
            Err(error) => failed(error),
        };
    }
    let scores = match scores(turns.max(2), seeds.max(1) as u64).await {
        Ok(scores) => scores,
        Err(error) => return failed(error),
    };
    println!("{turns} turns, {seeds} seeds.\n\n{}", report::tables(&scores));
    match option("--svg").map(|path| fs::write(&path, report::plot(&scores)).map_err(|error| (path, error))) {
        Some(Err((path, error))) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// A real model, one request after another.
async fn ask(model: &Model, turns: usize, budget: u64, languages: &str) -> qwenda::Result<()> {
    println!("{turns} turns, {budget} tokens, {}.\n\n{}", model.name, report::ASKED_HEAD);
    for (language, name) in LANGUAGES.into_iter().filter(|(_, name)| languages.split(',').any(|one| one == *name)) {
        for (subject, how) in SUBJECTS {
            let script = generate::script(language, turns, 0);
            let model = Model { mark: format!("{name} {subject}"), ..model.clone() };
            let score = play::play(&script, how, budget, Some(&model)).await?;
            println!("{}", report::asked(name, subject, &score));
        }
    }
    Ok(())
}

/// Everything, side by side.
async fn scores(turns: usize, seeds: u64) -> qwenda::Result<Scores> {
    let mut tasks = Vec::new();
    for (language, _) in LANGUAGES {
        for (_, subject) in SUBJECTS {
            for budget in BUDGETS {
                tasks.push(tokio::spawn(async move {
                    let mut all = Score::default();
                    for seed in 0..seeds {
                        let script = generate::script(language, turns, seed);
                        all.add(&play::play(&script, subject, budget, None).await?);
                    }
                    qwenda::Result::Ok(all)
                }));
            }
        }
    }
    let mut scores = Vec::new();
    for task in tasks {
        scores.push(task.await.expect("what is played does not panic")?);
    }
    let subjects: Vec<Vec<Score>> = scores.chunks(BUDGETS.len()).map(<[Score]>::to_vec).collect();
    Ok(subjects.chunks(SUBJECTS.len()).map(<[Vec<Score>]>::to_vec).collect())
}
