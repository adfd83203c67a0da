//! Asks a model and prints its answer as it comes: `cargo run -p qwenda --example chat -- "Why is the sky blue?"`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a terminal")]

use std::{env, io::Write, process::ExitCode};

use qwenda::{Client, Event, Lang, Result};

#[tokio::main]
async fn main() -> ExitCode {
    let prompt = env::args().nth(1).unwrap_or_else(|| "Why is the sky blue?".to_owned());
    match ask(&prompt).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.friendly(Lang::En));
            ExitCode::FAILURE
        }
    }
}

async fn ask(prompt: &str) -> Result<()> {
    let model = env::var("QWENDA_MODEL").unwrap_or_else(|_| "qwen-plus".to_owned());
    let mut stream = Client::from_env()?.chat(model).user(prompt).stream().await?;
    while let Some(event) = stream.next().await {
        match event? {
            Event::Reasoning(text) => eprint!("{text}"),
            Event::Text(text) => print!("{text}"),
            Event::Retry(retry) => eprintln!("{retry}"),
            _ => {}
        }
        // A terminal that went away is no reason to stop reading.
        let _ = std::io::stdout().flush();
    }
    let reply = stream.finish()?;
    println!();
    if let Some(usage) = reply.usage() {
        eprintln!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens);
    }
    Ok(())
}
