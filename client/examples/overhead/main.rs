//! What the SDK itself costs: one side of `benches/sdk.sh`, and the stub that all sides ask.
//!
//! ```text
//! overhead stub                  prints its address and answers until it is killed
//! overhead call URL COUNT        so many answers, one after another: CPU for each
//! overhead stream URL COUNT      so many streams of 1,000 pieces: CPU for each event, time to the first
//! overhead hold URL COUNT        so many streams open at once: memory
//! ```
//!
//! CPU is that of this process alone, after a tenth as much was done to warm up. Linux only.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod stub;

use std::{error::Error, time::Instant};

use futures_util::future::join_all;
use qwenda::{Client, Event};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (mode, url, count) = match args.as_slice() {
        ["stub"] => return stub::serve().await,
        [mode, url, count] => (*mode, *url, count.parse::<usize>()?),
        _ => return Err("stub, or MODE URL COUNT".into()),
    };
    let client = Client::builder().base_url(url).key("sk-bench").build()?;
    match mode {
        "call" => {
            calls(&client, count / 10).await?;
            let began = cpu_us();
            calls(&client, count).await?;
            println!("{{\"cpu_us\": {}}}", (cpu_us() - began) / count as f64);
        }
        "stream" => {
            streams(&client, count / 10 + 1).await?;
            let began = cpu_us();
            let mut first = streams(&client, count).await?;
            let cpu = (cpu_us() - began) / (count * stub::EVENTS) as f64;
            first.sort_by(f64::total_cmp);
            println!("{{\"cpu_us\": {cpu}, \"first_us\": {}}}", first[first.len() / 2]);
        }
        "hold" => {
            calls(&client, 1).await?;
            let before = rss_kib()?;
            let opened = join_all((0..count).map(|_| async {
                let mut stream = client.chat("hold").user("Why is the sky blue?").stream().await?;
                stream.next().await.ok_or("no event")??;
                Ok::<_, Box<dyn Error>>(stream)
            }));
            let held: Vec<_> = opened.await.into_iter().collect::<Result<_, _>>()?;
            let rss = rss_kib()?;
            println!("{{\"rss_kib\": {rss}, \"stream_kib\": {}}}", (rss - before) / held.len() as f64);
        }
        mode => return Err(format!("no mode is called {mode}").into()),
    }
    Ok(())
}

async fn calls(client: &Client, count: usize) -> Outcome<()> {
    for _ in 0..count {
        let reply = client.chat("whole").user("Why is the sky blue?").unstreamed().await?;
        if reply.text().len() < stub::WHOLE_BYTES {
            return Err("an answer is too short".into());
        }
    }
    Ok(())
}

/// How long each stream's first event took, in microseconds.
async fn streams(client: &Client, count: usize) -> Outcome<Vec<f64>> {
    let mut first = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let mut stream = client.chat("stream").user("Why is the sky blue?").stream().await?;
        let (mut bytes, mut seen) = (0, false);
        while let Some(event) = stream.next().await {
            if !std::mem::replace(&mut seen, true) {
                first.push(began.elapsed().as_secs_f64() * 1e6);
            }
            if let Event::Text(text) = event? {
                bytes += text.len();
            }
        }
        if stream.finish()?.text().len() != bytes || bytes < stub::STREAM_BYTES {
            return Err("a stream is not whole".into());
        }
    }
    Ok(first)
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
