//! The exactly-once demo: our SDK calls our service over a network that resets connections, keeps silent, fails after
//! the work is done, cuts answers and sends requests twice. Every call is answered whole and charged once.
//!
//! ```text
//! cargo run --release -p qwenda-server --example exactly_once [-- [CALLS] [--tasks 16] [--seed N] [--spoiled PERCENT]]
//! ```
#![expect(clippy::print_stdout, reason = "a demo prints what it saw")]

mod demo;

use demo::{Outcome, Plan, Seen};
use qwenda_testkit::{Fault, Weather};

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, otherwise: u64| -> Outcome<u64> {
        let given = args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
        given
            .map_or(Ok(otherwise), |text| text.parse().map_err(|_| format!("{name} takes a number, not {text}").into()))
    };
    let calls = match args.first().filter(|arg| !arg.starts_with("--")) {
        Some(calls) => calls.parse().map_err(|_| format!("CALLS is a number, not {calls}"))?,
        None => 2_000,
    };
    let weather = Weather {
        seed: option("--seed", getrandom::u64()? >> 32)?,
        spoiled_percent: option("--spoiled", 60)?.min(100) as usize,
        spoiled_max: 8,
    };
    let plan = Plan { calls, tasks: option("--tasks", 16)?.max(1) as usize, weather };
    println!("{calls} calls by {} tasks, {} % spoiled, seed {}", plan.tasks, weather.spoiled_percent, weather.seed);
    let seen = tokio::runtime::Runtime::new()?.block_on(demo::run(plan))?;
    show(&seen);
    let once = (seen.answers_made, seen.charges) == (calls, calls);
    if seen.wrong.is_empty() && once && seen.charged == seen.owed && seen.spent == seen.owed && seen.audit.is_none() {
        println!("every call was answered whole and charged once");
        return Ok(());
    }
    seen.wrong.iter().take(10).for_each(|wrong| println!("wrong: {wrong}"));
    Err("not every call was answered whole and charged once".into())
}

fn show(seen: &Seen) {
    println!("\n| what happened | times |\n| --- | ---: |");
    println!("| requests on the wire | {} |", seen.requests);
    for fault in Fault::ALL {
        println!("| … {} | {} |", fault.words(), seen.faults.get(&fault).copied().unwrap_or(0));
    }
    println!("| answers that the model made | {} |", seen.answers_made);
    println!("| charges on the bill | {} |", seen.charges);
    println!("| calls that failed or came short | {} |", seen.wrong.len());
    println!("\nthe callers add up {} CNY, the bill {}, the account paid {}", seen.owed, seen.charged, seen.spent);
    println!("audit: {}", seen.audit.as_deref().unwrap_or("in order"));
}
