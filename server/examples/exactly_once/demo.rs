//! Calls of our SDK to our service over a network that breaks, and what the books say afterwards.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use qwenda::{Client, Currency, Nanos, Protocol, Retry, Timeouts};
use qwenda_server::{
    ServeConfig, Server,
    accounts::{Accounts, Wanted},
    keys::{self, NewKey},
};
use qwenda_testkit::{Act, Fault, FaultyWay, Script, Scripted, Weather, rng::Rng};
use tokio::{sync::oneshot, task::JoinSet};

const MODEL: &str = "qwen-plus";
/// Some of the faults are silence, and this is how long a caller listens to it.
const SILENCE: Duration = Duration::from_millis(500);
const BALANCE: &str = "1000";

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    /// Callers at once.
    pub(crate) tasks: usize,
    pub(crate) weather: Weather,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Requests on the wire, the spoiled ones included.
    pub(crate) requests: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Calls whose error, or whose answer that is not the whole one, is told here.
    pub(crate) wrong: Vec<String>,
    /// How often the model was asked.
    pub(crate) answers_made: usize,
    /// Lines of the bill.
    pub(crate) charges: usize,
    /// What the lines of the bill come to.
    pub(crate) charged: Nanos,
    /// What the account has less than before.
    pub(crate) spent: Nanos,
    /// What the answers cost as the callers add it up.
    pub(crate) owed: Nanos,
    /// What an audit of the books finds wrong.
    pub(crate) audit: Option<String>,
}

/// Calls, and reads the books once the service has stopped.
pub(crate) async fn run(plan: Plan) -> Outcome<Seen> {
    let dir = tempfile::tempdir()?;
    let accounts = Accounts::open(dir.path()).await?;
    let account = accounts.create("callers", Currency::Cny, Nanos::ZERO).await?;
    accounts.top_up(&account, BALANCE.parse()?, None, "").await?;
    let new = NewKey { name: "callers".to_owned(), account: Some("callers".to_owned()), ..NewKey::default() };
    let (key, _) = keys::create_with(dir.path(), new).await?;

    let backend = Scripted::new(&[MODEL]);
    backend.otherwise(|call| answer(&call.request.messages.last().map(|m| m.plain_text()).unwrap_or_default()));
    let config = ServeConfig::new("127.0.0.1:0".parse()?, dir.path());
    let server = Server::bind(config, Arc::new(backend.clone())).await?;
    let way = FaultyWay::start(server.addr(), plan.weather).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { stopped.await.unwrap_or_default() }));

    let client = |protocol| {
        Client::builder()
            .qwenda(format!("http://{}/v1", way.addr()))
            .key(key.reveal())
            .protocol(protocol)
            .timeouts(Timeouts { first_byte: Some(SILENCE), idle: Some(SILENCE), ..Timeouts::default() })
            .retry(Retry {
                attempts_max: qwenda::ATTEMPTS_MAX,
                elapsed_max: Duration::from_secs(600),
                pause_first: Duration::from_millis(1),
                pause_max: Duration::from_millis(50),
                ..Retry::default()
            })
            .retry_allowance(u32::MAX)
            .build()
    };
    let clients = [client(Protocol::OpenAi)?, client(Protocol::DashScope)?];
    let mut tasks = JoinSet::new();
    for task in 0..plan.tasks {
        tasks.spawn(caller(clients.clone(), plan, task));
    }
    let (mut wrong, mut owed) = (Vec::new(), Nanos::ZERO);
    while let Some(done) = tasks.join_next().await {
        let (its_wrong, its_owed) = done?;
        wrong.extend(its_wrong);
        owed = owed.checked_add(its_owed).ok_or("more is owed than there is")?;
    }

    drop(stop);
    running.await?;
    let bill = accounts.requests(&Wanted { until: i64::MAX, limit: i64::MAX, ..Wanted::default() }).await?;
    let charges: Option<Nanos> = bill.iter().try_fold(Nanos::ZERO, |sum, line| sum.checked_add(line.charge));
    let has: i64 = accounts.buckets(&account).await?.iter().map(|bucket| bucket.posted).sum();
    let (audit, wrong_charge) = accounts.audit().await?;
    let found = audit.difference.map(|found| format!("{found:?}")).or(wrong_charge.map(|found| format!("{found:?}")));
    Ok(Seen {
        requests: way.requests(),
        faults: way.faults(),
        wrong,
        answers_made: backend.calls().len(),
        charges: bill.len(),
        charged: charges.ok_or("the bill is too long")?,
        spent: BALANCE.parse::<Nanos>()?.checked_sub(Nanos::new(has)).ok_or("the account has too much")?,
        owed,
        audit: found,
    })
}

/// Every `tasks`-th call, one after another; gives what is wrong, and what the answers cost.
async fn caller(clients: [Client; 2], plan: Plan, task: usize) -> (Vec<String>, Nanos) {
    let (mut wrong, mut owed) = (Vec::new(), Nanos::ZERO);
    for call in (task..plan.calls).step_by(plan.tasks) {
        let mut rng = Rng::round(plan.weather.seed, call as u64);
        let prompt: Vec<String> = (0..1 + rng.below(40)).map(|word| format!("{call}号{word}")).collect();
        let prompt = prompt.join(" ");
        let chat = clients[rng.below(2)].chat(MODEL).user(&prompt).max_tokens(100);
        let answered = if rng.below(3) == 0 { chat.unstreamed().await } else { chat.await };
        match answered {
            Err(error) => wrong.push(format!("call {call}: {error}")),
            Ok(reply) if reply.text() != pieces(&prompt).concat() => {
                wrong.push(format!("call {call}: {:?} answers {prompt:?}", reply.text()));
            }
            Ok(reply) => {
                let cost = reply.cost().map_or(Nanos::ZERO, |cost| cost.amount);
                owed = owed.checked_add(cost).unwrap_or(Nanos::MAX);
            }
        }
    }
    (wrong, owed)
}

/// What the model says to a prompt: its words, each as a token.
fn pieces(prompt: &str) -> Vec<String> {
    prompt.split(' ').map(|word| format!("[{word}]")).collect()
}

/// The same, made slowly enough that others come in between.
fn answer(prompt: &str) -> Script {
    let pieces = pieces(prompt);
    let script = Script::text(pieces.len() as u32, &pieces.iter().map(String::as_str).collect::<Vec<_>>());
    script.between(|| Act::Yield)
}
