//! The caller of `benches/sdk.sh` with async-openai; `client/examples/overhead.rs` says what the modes are.

use std::{error::Error, time::Instant};

use async_openai::{
    Client,
    config::OpenAIConfig,
    types::chat::{
        ChatCompletionRequestUserMessageArgs, ChatCompletionStreamOptions, CreateChatCompletionRequest,
        CreateChatCompletionRequestArgs,
    },
};
use futures_util::{StreamExt, future::join_all};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, url, count] = args.as_slice() else { return Err("MODE URL COUNT".into()) };
    let count: usize = count.parse()?;
    let client = Client::with_config(OpenAIConfig::new().with_api_base(url).with_api_key("sk-bench"));
    match mode.as_str() {
        "call" => {
            calls(&client, count / 10).await?;
            let began = cpu_us();
            calls(&client, count).await?;
            println!("{{\"cpu_us\": {}}}", (cpu_us() - began) / count as f64);
        }
        "stream" => {
            streams(&client, count / 10 + 1).await?;
            let began = cpu_us();
            let (events, mut first) = streams(&client, count).await?;
            let cpu = (cpu_us() - began) / events as f64;
            first.sort_by(f64::total_cmp);
            println!("{{\"cpu_us\": {cpu}, \"first_us\": {}}}", first[first.len() / 2]);
        }
        _ => {
            calls(&client, 1).await?;
            let before = rss_kib()?;
            let opened = join_all((0..count).map(|_| async {
                let mut stream = client.chat().create_stream(request("hold", true)?).await?;
                stream.next().await.ok_or("no event")??;
                Ok::<_, Box<dyn Error>>(stream)
            }));
            let held: Vec<_> = opened.await.into_iter().collect::<Result<_, _>>()?;
            let rss = rss_kib()?;
            println!("{{\"rss_kib\": {rss}, \"stream_kib\": {}}}", (rss - before) / held.len() as f64);
        }
    }
    Ok(())
}

fn request(model: &str, stream: bool) -> Outcome<CreateChatCompletionRequest> {
    let user = ChatCompletionRequestUserMessageArgs::default().content("Why is the sky blue?").build()?;
    let mut args = CreateChatCompletionRequestArgs::default();
    args.model(model).messages([user.into()]);
    if stream {
        args.stream_options(ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None });
    }
    Ok(args.build()?)
}

async fn calls(client: &Client<OpenAIConfig>, count: usize) -> Outcome<()> {
    for _ in 0..count {
        let reply = client.chat().create(request("whole", false)?).await?;
        let text = reply.choices[0].message.content.as_deref().unwrap_or_default();
        if text.len() < 100 {
            return Err("an answer is too short".into());
        }
    }
    Ok(())
}

async fn streams(client: &Client<OpenAIConfig>, count: usize) -> Outcome<(usize, Vec<f64>)> {
    let (mut events, mut first) = (0, Vec::new());
    for _ in 0..count {
        let began = Instant::now();
        let mut stream = client.chat().create_stream(request("stream", true)?).await?;
        let (mut text, mut whole) = (String::new(), false);
        while let Some(chunk) = stream.next().await {
            if events % 1_002 == 0 {
                first.push(began.elapsed().as_secs_f64() * 1e6);
            }
            events += 1;
            for choice in chunk?.choices {
                text.push_str(choice.delta.content.as_deref().unwrap_or_default());
                whole |= choice.finish_reason.is_some();
            }
        }
        if !whole || text.len() < 4_000 {
            return Err("a stream is not whole".into());
        }
    }
    Ok((events, first))
}

fn cpu_us() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
}

fn rss_kib() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
