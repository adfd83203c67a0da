//! A chat bot in a terminal whose memory outlives it: what was said is in a file, what no longer fits the model's
//! context comes back when it has to do with what is said now.
//!
//! `cargo run -p qwenda-examples --bin bot`; `/plan WORDS` shows what would be sent, `/forget` forgets, `/quit` ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use qwenda::{
    Client, Conversation, Policy,
    history::{History, SqliteHistory},
    memory::{Embedder, SqliteVectors, VectorMemory, VectorStore, Which, WordVectors},
};
use qwenda_examples::{Result, friendly, lang, model, say};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Prompt and answer together: what the smallest model that is to be asked can hold.
const WINDOW_TOKENS: u64 = 8_192;
/// There is one conversation; a bot with many callers would name each after its caller.
const NAME: &str = "terminal";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", friendly(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut args = env::args().skip(1);
    let path = args.next().unwrap_or_else(|| "bot.db".to_owned());
    if args.next().is_some() {
        return Err(say("usage: bot [FILE]", "用法：bot [文件]").into());
    }
    let client = Client::from_env()?;
    // A model finds what means the same; without one, texts are found that share words.
    match env::var("QWENDA_EMBEDDER") {
        Ok(name) => talk(&client, &path, client.embedder(name)).await,
        Err(_) => talk(&client, &path, WordVectors::new()).await,
    }
}

async fn talk(client: &Client, path: &str, embedder: impl Embedder + Clone) -> Result<()> {
    let (history, vectors) = (SqliteHistory::open(path)?, SqliteVectors::open(path)?);
    let memory = VectorMemory::new(vectors.clone(), embedder.clone());
    let policy = Policy::window(WINDOW_TOKENS).remember_in(memory);
    let mut talk = opened(client, &policy, &history).await?;
    if !talk.history().is_empty() {
        println!("({}: {})", say("messages so far", "已有消息"), talk.history().len());
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    prompt()?;
    while let Some(line) = lines.next_line().await? {
        let (command, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match command {
            "" => {}
            "/quit" => break,
            "/plan" => match talk.prepare(rest).await {
                Ok(plan) => println!("{}", plan.explain(lang())),
                Err(error) => eprintln!("{}", error.friendly(lang())),
            },
            "/forget" => {
                history.delete(NAME).await?;
                vectors.delete(&embedder.space(), Which::Conversation(NAME.to_owned())).await?;
                talk = opened(client, &policy, &history).await?;
                println!("{}", say("Forgotten.", "已忘记。"));
            }
            command if command.starts_with('/') => {
                println!("{}", say("/plan WORDS, /forget, /quit", "/plan 内容、/forget、/quit"));
            }
            // When this fails, nothing was said: the same words can be said again.
            _ => match talk.send(&line).await {
                Ok(reply) => println!("{}", reply.text()),
                Err(error) => eprintln!("{}", error.friendly(lang())),
            },
        }
        prompt()?;
    }
    Ok(())
}

/// The conversation as it is kept, or a new one.
async fn opened(client: &Client, policy: &Policy, history: &SqliteHistory) -> qwenda::Result<Conversation> {
    let chat = client.chat(model()).system("You are a friendly companion. Be brief.").max_tokens(1_000);
    chat.conversation(policy.clone()).open(NAME).store(history.clone()).await
}

fn prompt() -> io::Result<()> {
    print!("> ");
    io::stdout().flush()
}
