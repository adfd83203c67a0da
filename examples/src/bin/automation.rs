//! An automation script: lines of work on stdin, an answer for each as a line of JSON on stdout, what happened on
//! the way in a log. It waits and tries again where that is safe, and its exit code says whether all was done.
//!
//! `cargo run -p qwenda-examples --bin automation "Translate into French." < lines.txt > answers.jsonl`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its answers are its output")]

use std::{
    env,
    fs::File,
    io::{self, Write},
    process::ExitCode,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use qwenda::{Client, Fault, Finish, Observation, Retry, What};
use qwenda_examples::{Result, friendly, lang, model, say};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Nobody sits before a script: it may wait longer than a person would.
const PATIENT: Retry = Retry {
    attempts_max: 8,
    elapsed_max: Duration::from_secs(600),
    pause_first: Duration::from_millis(500),
    pause_max: Duration::from_secs(60),
    asked_max: Duration::from_secs(300),
    // Only where an answer is made and paid for once, as at a Qwenda.
    unknown: qwenda::Unknown::WhenReplayed,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missing) => {
            eprintln!("{missing} {}", say("lines have no answer", "行没有答案"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}", friendly(&*error));
            ExitCode::from(2)
        }
    }
}

/// Does the work and says how many lines of it have no answer.
async fn run() -> Result<u64> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (instruction, log) = match args.as_slice() {
        [instruction] => (instruction, "automation.log"),
        [instruction, log] => (instruction, log.as_str()),
        _ => return Err(say("usage: automation INSTRUCTION [LOG]", "用法：automation 指令 [日志文件]").into()),
    };
    let file = File::options().create(true).append(true).open(log).map_err(|error| format!("{log}: {error}"))?;
    let file = Mutex::new(file);
    let client = qwenda::Builder::from_env()?.retry(PATIENT).observe(move |seen| record(&file, seen)).build()?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut number, mut missing, mut hopeless) = (0_u64, 0, None);
    while let Some(line) = lines.next_line().await? {
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match &hopeless {
            Some(why) => Err(String::clone(why)),
            None => match ask(&client, instruction, &line).await {
                Ok(text) => Ok(text),
                Err(error) => {
                    let why = error.friendly(lang());
                    // A key that is wrong or an account without money is so for the rest as well.
                    let for_all = matches!(error.fault(), Fault::Account | Fault::Credentials);
                    hopeless = for_all.then(|| why.clone());
                    Err(why)
                }
            },
        };
        missing += u64::from(answer.is_err());
        let answer = match answer {
            Ok(text) => json!({"line": number, "answer": text}),
            Err(why) => json!({"line": number, "error": why}),
        };
        println!("{answer}");
    }
    io::stdout().flush()?;
    Ok(missing)
}

async fn ask(client: &Client, instruction: &str, line: &str) -> qwenda::Result<String> {
    let reply = client.chat(model()).system(instruction).user(line).temperature(0.0).max_tokens(1_000).await?;
    if reply.finish() == &Finish::Length {
        eprintln!("{}", say("an answer was cut at its most tokens", "有答案因长度上限被截断"));
    }
    Ok(reply.into_text())
}

/// One line of the log. Observations have neither texts nor keys in them, so that a log may be shown to anybody.
fn record(file: &Mutex<File>, seen: &Observation) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut line = json!({
        "at_ms": since.as_millis() as u64, "operation": seen.operation, "model": seen.model,
        "attempt": seen.attempt, "elapsed_ms": seen.elapsed.as_millis() as u64,
    });
    let what = match &seen.what {
        What::Sent => json!({"event": "sent"}),
        What::Began { status } => json!({"event": "began", "status": status}),
        What::Failed { kind, status, pause } => json!({
            "event": "failed", "kind": format!("{kind:?}"), "status": status,
            "again_in_ms": pause.map(|pause| pause.as_millis() as u64),
        }),
        What::Finished { usage, cost } => json!({
            "event": "finished", "cost": cost.as_ref().map(ToString::to_string),
            "input_tokens": usage.as_ref().map(|usage| usage.input_tokens),
            "output_tokens": usage.as_ref().map(|usage| usage.output_tokens),
        }),
        _ => return,
    };
    for (name, value) in what.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    let written = file.lock().map_err(|_| "the log's lock broke".to_owned());
    let written = written.and_then(|mut file| writeln!(file, "{line}").map_err(|error| error.to_string()));
    if let Err(error) = written {
        eprintln!("{}: {error}", say("the log cannot be written", "日志无法写入"));
    }
}
