//! A model that calls a function: `cargo run -p qwenda --example tools`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a terminal")]

use std::{env, process::ExitCode};

use qwenda::{
    Client, Lang, Result,
    tools::{RunEvent, ToolError},
};

/// The sum of two numbers.
#[qwenda::tool]
async fn add(
    /// The first number.
    a: i64,
    /// The second number.
    b: i64,
) -> std::result::Result<i64, ToolError> {
    a.checked_add(b).ok_or_else(|| ToolError::new("the sum is out of range"))
}

#[tokio::main]
async fn main() -> ExitCode {
    match ask().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.friendly(Lang::En));
            ExitCode::FAILURE
        }
    }
}

async fn ask() -> Result<()> {
    let model = env::var("QWENDA_MODEL").unwrap_or_else(|_| "qwen-plus".to_owned());
    let chat = Client::from_env()?.chat(model).user("What is 20260429 + 31415926? Use the tool.");
    let run = chat.tools(add).steps(5).listen(|event| {
        if let RunEvent::Calling(call) = event {
            eprintln!("-> {} {}", call.name, call.arguments);
        }
    });
    println!("{}", run.await?.text());
    Ok(())
}
