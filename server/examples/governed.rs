//! What keys, limits, holds and posts cost: CPU of the server for each request, in turns, against a backend that
//! answers at once.
//!
//! ```text
//! cargo run --release -p qwenda-server --example governed [-- [REQUESTS] [--callers N] [--stream] [--only WAY]]
//! ```
//!
//! *open*: nobody is asked for a key. *key*: a key without an account. *account*: a key with limits, a budget and an
//! account, whose requests are held and durably paid. The server is a process of its own, so that what the callers
//! cost is not counted; Linux only.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use qwenda_backend::{
    Backend, BackendError, BoxFuture, ChatCall, ChatEvent, ChatStream, CompletionCall, Counts, EmbedCall, Embedded,
    ModelCard, Ranked, RerankCall, Timings, TokenizeCall, Tokenized,
};
use qwenda_ledger::{
    money::{Currency, Nanos},
    terms::Terms,
};
use qwenda_server::{
    Auth, ServeConfig, Server,
    accounts::Accounts,
    keys::{self, NewKey},
};
use qwenda_testkit::Scripted;
use qwenda_types::chat::FinishReason;

/// Callers at once, unless told otherwise.
const CALLERS: usize = 16;
const ROUNDS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "serve") {
        return tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve());
    }
    let requests: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(4_000);
    let stream = args.iter().any(|arg| arg == "--stream");
    let mut child = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let only = args.iter().skip_while(|arg| *arg != "--only").nth(1).map(String::as_str);
    let callers = args.iter().skip_while(|arg| *arg != "--callers").nth(1).and_then(|arg| arg.parse().ok());
    let load = Load { requests, callers: callers.unwrap_or(CALLERS), stream };
    let result = measure(&mut child, load, only);
    child.kill()?;
    child.wait()?;
    result
}

/// Who is asked, and with which key.
struct Way {
    name: String,
    addr: SocketAddr,
    key: String,
}

/// What is asked in a round.
#[derive(Clone, Copy)]
struct Load {
    requests: usize,
    callers: usize,
    stream: bool,
}

fn measure(child: &mut Child, load: Load, only: Option<&str>) -> Outcome<()> {
    let Load { requests, callers, stream } = load;
    let lines = BufReader::new(child.stdout.take().ok_or("the server has no output")?).lines();
    let mut ways = Vec::new();
    for line in lines.take(3) {
        let line = line?;
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().ok_or("the server said too little");
        ways.push(Way { name: word()?, addr: word()?.parse()?, key: word()? });
    }
    ways.retain(|way| only.is_none_or(|only| way.name == only));
    println!("{requests} requests a round, {callers} callers, stream: {stream}");
    let mut costs = vec![Vec::new(); ways.len()];
    for round in 0..=ROUNDS {
        for (way, costs) in ways.iter().zip(&mut costs) {
            let (before, began) = (cpu_us(child.id())?, Instant::now());
            ask(way, load)?;
            let took = began.elapsed().as_secs_f64();
            let cost = (cpu_us(child.id())? - before) / requests as f64;
            // The first round warms up.
            if round > 0 {
                println!("{:8} {cost:7.1} us of CPU a request, {:6.0} requests/s", way.name, requests as f64 / took);
                costs.push(cost);
            }
        }
    }
    let medians: Vec<f64> = costs.iter_mut().map(|costs| median(costs)).collect();
    for (way, cost) in ways.iter().zip(&medians) {
        println!("median {:8} {cost:7.1} us, {:.2} x {}", way.name, cost / medians[0], ways[0].name);
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU that a process has used, in microseconds.
fn cpu_us(pid: u32) -> Outcome<f64> {
    /// Clock ticks of Linux, whatever the kernel's own (`sysconf(_SC_CLK_TCK)`).
    const TICK_US: f64 = 10_000.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no such process")?.1.split_whitespace().collect();
    let ticks = |at: usize| -> Outcome<f64> { Ok(fields.get(at).ok_or("a short line")?.parse::<f64>()?) };
    Ok((ticks(11)? + ticks(12)?) * TICK_US)
}

fn ask(way: &Way, load: Load) -> Outcome<()> {
    let Load { requests, callers, stream } = load;
    let body = format!(
        "{{\"model\":\"qwen-plus\",\"stream\":{stream},\"max_tokens\":64,\
         \"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        way.key,
        body.len()
    );
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|_| scope.spawn(|| call(way.addr, &request, requests / callers, stream).map_err(|e| e.to_string())))
            .collect();
        threads.into_iter().try_for_each(|caller| caller.join().map_err(|_| "a caller panicked".to_owned())?)
    })?;
    Ok(())
}

fn call(addr: SocketAddr, request: &str, times: usize, stream: bool) -> Outcome<()> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    let (mut read, mut buffer) = (Vec::new(), [0; 16 << 10]);
    for _ in 0..times {
        socket.write_all(request.as_bytes())?;
        read.clear();
        loop {
            let n = socket.read(&mut buffer)?;
            if n == 0 {
                return Err("the server hung up".into());
            }
            read.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&read);
            let over = if stream { text.ends_with("0\r\n\r\n") } else { text.ends_with('}') && is_whole(&text) };
            if over {
                if !text.starts_with("HTTP/1.1 200") {
                    return Err(text.into_owned().into());
                }
                break;
            }
        }
    }
    Ok(())
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

async fn serve() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (plain, _) = keys::create(dir.path(), "plain").await?;
    let accounts = Accounts::open(dir.path()).await?;
    let account = accounts.create("bench", Currency::Cny, Nanos::ZERO).await?;
    accounts.top_up(&account, "1000000".parse()?, None, "").await?;
    accounts.close().await;
    let terms: Terms = serde_json::from_str(
        r#"{"models":["qwen-*"],"requests_per_minute":100000000,"tokens_per_minute":100000000000,"concurrency":1000,
            "budget_day":"500000"}"#,
    )?;
    let new = NewKey { name: "governed".to_owned(), account: Some("bench".to_owned()), project: None, terms };
    let (governed, _) = keys::create_with(dir.path(), new).await?;
    let mut config = ServeConfig::new("127.0.0.1:0".parse()?, dir.path());
    let keyed = Server::bind(config.clone(), Arc::new(AtOnce::new())).await?;
    config.auth = Auth::None;
    let open = Server::bind(config, Arc::new(AtOnce::new())).await?;
    println!("open {} none", open.addr());
    println!("key {} {}", keyed.addr(), plain.reveal());
    println!("account {} {}", keyed.addr(), governed.reveal());
    tokio::join!(open.run(std::future::pending()), keyed.run(std::future::pending()));
    Ok(())
}

/// Answers every chat at once with two tokens.
struct AtOnce(Vec<ModelCard>);

impl AtOnce {
    fn new() -> Self {
        Self(Scripted::new(&["qwen-plus"]).models())
    }
}

fn nothing<T>() -> BoxFuture<'static, Result<T, BackendError>> {
    Box::pin(async { Err(BackendError::Internal("only chats are answered here".to_owned())) })
}

impl Backend for AtOnce {
    fn models(&self) -> Vec<ModelCard> {
        self.0.clone()
    }

    fn chat(&self, _: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        let text = |text: &str, completion_tokens| ChatEvent::Text {
            choice: 0,
            text: text.to_owned(),
            completion_tokens,
            logprobs: Vec::new(),
        };
        let usage = Counts { prompt_tokens: 9, completion_tokens: 2, ..Counts::default() };
        let events = [
            ChatEvent::Started { prompt_tokens: 9, cached_tokens: 0 },
            text("Hel", 1),
            text("lo", 2),
            ChatEvent::Finished { choice: 0, reason: FinishReason::Stop },
            ChatEvent::Done { usage, timings: Timings::default() },
        ];
        let stream = ChatStream::new(futures_util::stream::iter(events.map(Ok)));
        Box::pin(async { Ok(stream) })
    }

    fn complete(&self, _: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        nothing()
    }

    fn embed(&self, _: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        nothing()
    }

    fn rerank(&self, _: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        nothing()
    }

    fn tokenize(&self, _: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        nothing()
    }

    fn ready(&self) -> bool {
        true
    }
}
