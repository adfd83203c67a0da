//! Planted facts: how much of what was said a policy still sends when it is asked for. No model takes part.
//!
//! `cargo run --release -p qwenda --example planted -- [--turns 200] [--seeds 3] [--svg planted.svg]` prints tables
//! in Markdown and writes a plot. What each part does is said at its beginning.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod generate;
mod play;
mod report;
mod rivals;
mod score;
mod service;

use std::{env, fs, process::ExitCode};

use generate::LANGUAGES;
use play::SUBJECTS;
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
    let scores = match scores(turns.max(2), seeds.max(1) as u64).await {
        Ok(scores) => scores,
        Err(error) => {
            eprintln!("{error}\n{}", error.report());
            return ExitCode::FAILURE;
        }
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
                        all.add(&play::play(&script, subject, budget).await?);
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
