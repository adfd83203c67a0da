//! The plug is pulled: a process, or the database server, is killed in the middle of its work.
//!
//! The work is done by this same program, started again with `QWENDA_PLUG_PLACE` set. It says each request whose
//! post has returned; whatever it has said must be charged once, and nothing else more than once.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use qwenda_store::{Store, ledger::Budget, ledger::HoldAsk, usage::Wanted};

use crate::{
    books::{HOLD_SECONDS, NOW, ask, at_once, budget, funded, money, tokens, used},
    database::Database,
    postgres::Server,
};

const PLACE: &str = "QWENDA_PLUG_PLACE";
const ROUND: &str = "QWENDA_PLUG_ROUND";

/// What each request uses, in nanos.
const CHARGE: u64 = 7;

/// Not a test of its own: what the other process does.
#[test]
fn work_until_killed() {
    let (Ok(place), Ok(round)) = (env::var(PLACE), env::var(ROUND)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(&place).await;
        at_once((0..8).map(|caller| call(&store, &round, caller))).await;
    });
}

async fn open(place: &str) -> Store {
    let opened = if place.contains("://") { Store::open_url(place).await } else { Store::open(Path::new(place)).await };
    opened.unwrap()
}

/// One caller, who asks again for what failed.
async fn call(store: &Store, round: &str, caller: u32) {
    for n in 0..u32::MAX {
        let id = format!("{round}-{caller}-{n}");
        let budgets: Vec<Budget> = vec![budget("total", i64::MAX)];
        let ask = HoldAsk { budgets, ..ask(&id, 3, 20) };
        let parts = loop {
            match store.hold(ask.clone()).await {
                Ok(held) => break held.unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        if n % 5 == 4 {
            let _ = store.void(&id, NOW).await;
            continue;
        }
        let post = used(&ask, &parts, CHARGE);
        while store.post(post.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // One write, which the pipe does not tear.
        std::io::stderr().write_all(format!("paid {id}\n").as_bytes()).unwrap();
    }
}

fn worker(database: &Database, round: u32) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "plug::work_until_killed", "--nocapture"])
        .env(PLACE, database.place())
        .env(ROUND, round.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a worker, lets it pay some requests, does `harm` to it, and kills it. What it said is added to `said`.
fn round(database: &Database, round: u32, said: &mut BTreeSet<String>, harm: impl FnOnce()) {
    let mut child = worker(database, round);
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut take = |line: std::io::Result<String>| {
        if let Some(id) = line.unwrap().strip_prefix("paid ") {
            assert!(said.insert(id.to_owned()), "{id} is said twice");
        }
    };
    // A different number each time, so that the end comes anywhere.
    for line in lines.by_ref().take(1 + (round as usize * 7) % 23) {
        take(line);
    }
    std::thread::sleep(Duration::from_micros(u64::from(round) * 977 % 5000));
    harm();
    child.kill().unwrap();
    child.wait().unwrap();
    lines.for_each(take);
}

async fn ready(database: &Database) {
    let store = funded(database, 1_000_000_000).await;
    store.deposit(tokens("q", true, 1000, None)).await.unwrap().unwrap();
    store.deposit(money("more", 1)).await.unwrap().unwrap();
    store.close().await;
}

/// Everything that was said is charged once, and everything adds up.
async fn check(database: &Database, said: &BTreeSet<String>) {
    let store = database.open().await;
    assert_eq!(store.audit().await.unwrap().difference, None);
    let all = Wanted { until: i64::MAX, limit: i64::MAX, ..Wanted::default() };
    let requests = store.requests(&all).await.unwrap();
    let charged: BTreeSet<String> = requests.iter().map(|paid| paid.line.id.clone()).collect();
    assert_eq!(charged.len(), requests.len());
    let lost: Vec<&String> = said.difference(&charged).collect();
    assert!(lost.is_empty(), "said to be paid and not charged: {lost:?}");
    // Each used seven, of quota or of money, and no more.
    let used: i64 =
        requests.iter().map(|paid| paid.charge.get() + paid.covered.iter().map(|part| part.amount).sum::<i64>()).sum();
    assert_eq!(used, requests.len() as i64 * CHARGE as i64);
    store.expire(NOW + HOLD_SECONDS).await.unwrap();
    assert_eq!(store.audit().await.unwrap().open_holds, 0);
    assert_eq!(database.number("SELECT COUNT(*) FROM buckets WHERE pending <> 0").await, 0);
    assert_eq!(database.number("SELECT COUNT(*) FROM budgets WHERE pending <> 0").await, 0);
    store.close().await;
    database.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_be_paid_is_paid_once_when_killed_on_sqlite() {
    let database = Database::sqlite();
    ready(&database).await;
    let mut said = BTreeSet::new();
    for n in 0..25 {
        round(&database, n, &mut said, || ());
        if n % 5 == 0 {
            check(&database, &said).await;
        }
    }
    check(&database, &said).await;
    eprintln!("{} paid over 25 kills", said.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_be_paid_is_paid_once_when_killed_on_postgres() {
    let Some(database) = Database::postgres().await else { return };
    ready(&database).await;
    let mut said = BTreeSet::new();
    for n in 0..8 {
        round(&database, n, &mut said, || ());
    }
    check(&database, &said).await;
    eprintln!("{} paid over 8 kills", said.len());
    database.remove().await;
}

/// The server is killed and comes back; the process lives on and its callers ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_be_paid_is_paid_once_when_the_server_is_killed() {
    let Some(mut server) = Server::start() else { return };
    let database = Database::at(server.url("postgres"));
    ready(&database).await;
    let mut said = BTreeSet::new();
    for n in 0..4 {
        round(&database, n, &mut said, || {
            server.kill();
            server.restart();
            std::thread::sleep(Duration::from_millis(300));
        });
        check(&database, &said).await;
    }
    eprintln!("{} paid over 4 losses of the server", said.len());

    // Meanwhile everybody is told, and none waits for the one before; afterwards they ask again.
    let store = database.open().await;
    let deposits = || (0..50).map(|n| store.deposit(money(&format!("away-{n}"), 1)));
    server.kill();
    for told in at_once(deposits()).await {
        assert!(told.is_err(), "{told:?}");
    }
    server.restart();
    for made in at_once(deposits()).await {
        assert_eq!(made.unwrap(), Ok(true));
    }
    store.close().await;
    check(&database, &said).await;
}
