//! Two hundred ask at once with money for ten: ten are answered, wherever they ask.

use std::{sync::Barrier, thread};

use crate::{
    check,
    home::{self, Home, OUTPUT_NANOS, Server},
    upstream::Upstream,
    wire::{Answer, Ask},
};

const CALLERS: u64 = 200;
const AFFORDABLE: u64 = 10;
/// What each writes, and may write: what is held is what is paid.
const TOKENS: u64 = 10;

/// Asks at several services at once, and returns how many were answered and how many were refused for want of money.
fn at_once(servers: &[Server], key: &str) -> (u64, u64) {
    let barrier = Barrier::new(CALLERS as usize);
    let statuses: Vec<(u16, String)> = thread::scope(|scope| {
        let asked: Vec<_> = (0..CALLERS)
            .map(|n| {
                let (barrier, address) = (&barrier, servers[n as usize % servers.len()].address());
                scope.spawn(move || {
                    let ask = Ask { mark: (0, n), max_tokens: Some(TOKENS), ..Ask::default() };
                    barrier.wait();
                    let answer = Answer::begin(address, key, &ask).unwrap();
                    (answer.status, answer.whole().unwrap())
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |want: &dyn Fn(&(u16, String)) -> bool| statuses.iter().filter(|one| want(one)).count() as u64;
    (count(&|(status, _)| *status == 200), count(&|(status, body)| *status == 400 && body.contains("Arrearage")))
}

fn ten_are_answered(database_url: Option<String>, replicas: usize) {
    let upstream = Upstream::start(home::seed());
    let home = Home::priced(&upstream, database_url, "--input 0 --output 2");
    home.run("accounts create acme");
    let money = (AFFORDABLE * TOKENS) as i64 * OUTPUT_NANOS;
    home.run(&format!("topup acme 0.{money:09}"));
    let key = home.run("keys create --account acme");
    let servers: Vec<Server> = (0..replicas).map(|_| home.serve()).collect();
    assert_eq!(at_once(&servers, &key), (AFFORDABLE, CALLERS - AFFORDABLE));
    // Nor is anything left for one more.
    assert_eq!(at_once(&servers, &key), (0, CALLERS));
    drop(servers.into_iter().map(Server::stop).collect::<Vec<_>>());
    let (sent, paid) = (upstream.sent(), check::requests(&home));
    assert_eq!(sent.values().flatten().copied().collect::<Vec<_>>(), [TOKENS; AFFORDABLE as usize]);
    assert_eq!(paid.values().map(|paid| paid.charge.get()).sum::<i64>(), money);
    assert_eq!(home.json("accounts show acme")["balance"], "0");
    check::adds_up(&home);
    check::nothing_stays_held(&home);
}

#[test]
fn only_what_is_affordable_is_answered_on_sqlite() {
    ten_are_answered(None, 1);
}

#[test]
fn only_what_is_affordable_is_answered_by_three_services_on_one_sqlite() {
    ten_are_answered(None, 3);
}

#[test]
fn only_what_is_affordable_is_answered_by_three_services_on_one_postgres() {
    let Some(database) = home::postgres() else { return };
    ten_are_answered(Some(database.url("postgres")), 3);
}
