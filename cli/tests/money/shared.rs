//! Three services that share a limit per minute admit no more than one would.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{
    check,
    home::{self, Home, Server},
    upstream::Upstream,
    wire::{Answer, Ask},
};

const PER_MINUTE: u64 = 60;
const CALLERS: u64 = 90;

/// Asks at all services at once, and returns how many were answered; all others were told when to come again.
fn at_once(servers: &[Server], key: &str) -> u64 {
    let barrier = Barrier::new(CALLERS as usize);
    let statuses: Vec<(u16, String)> = thread::scope(|scope| {
        let asked: Vec<_> = (0..CALLERS)
            .map(|n| {
                let (barrier, address) = (&barrier, servers[n as usize % servers.len()].address());
                scope.spawn(move || {
                    let ask = Ask { mark: (0, n), max_tokens: Some(1), ..Ask::default() };
                    barrier.wait();
                    let answer = Answer::begin(address, key, &ask).unwrap();
                    (answer.status, answer.whole().unwrap())
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let answered = statuses.iter().filter(|(status, _)| *status == 200).count();
    let refused = statuses.iter().filter(|(status, body)| *status == 429 && body.contains("limit_requests")).count();
    assert_eq!(answered + refused, CALLERS as usize, "{statuses:?}");
    answered as u64
}

/// At most so many flow back in a time.
fn flows_back(time: Duration) -> u64 {
    (time.as_secs_f64() * PER_MINUTE as f64 / 60.0).ceil() as u64
}

#[test]
fn three_services_on_one_postgres_admit_no_more_than_one_would() {
    let Some(database) = home::postgres() else { return };
    let upstream = Upstream::start(home::seed());
    let home = Home::priced(&upstream, Some(database.url("postgres")), "--input 0 --output 0.1");
    home.run("accounts create acme");
    home.run("topup acme 1");
    home.run("projects create shop --account acme");
    home.run(&format!("limits --project shop --rpm {PER_MINUTE}"));
    let key = home.run("keys create --project shop");
    let servers: Vec<Server> = (0..3).map(|_| home.serve()).collect();
    let began = Instant::now();
    let first = at_once(&servers, &key);
    assert!(first <= PER_MINUTE + flows_back(began.elapsed()), "{first}");
    // What one of them is lent and has not used when its last caller was answered, the others do not have; a block
    // is an eighth of the limit at most. How much a steady load is short of is in the simulation of `ledger`.
    assert!(first >= PER_MINUTE - servers.len() as u64 * (PER_MINUTE / 8), "{first}");
    let second = at_once(&servers, &key);
    assert!(first + second <= PER_MINUTE + flows_back(began.elapsed()), "{first}, {second}");
    drop(servers.into_iter().map(Server::stop).collect::<Vec<_>>());
    assert_eq!(upstream.sent().values().flatten().count() as u64, first + second);
    check::adds_up(&home);
    check::nothing_stays_held(&home);
}
