//! Requests that seeded mutators have been at, over every route that takes a body: whatever comes, no
//! 5xx, no panic, nobody waits for ever, every refusal has the shape of its dialect, and the next good
//! request is answered.
//!
//! `routes` are the requests that are mutated, `replies` is what an answer must be; `bodies`, `engine`,
//! `headers` and `heads` are what is mutated of them.

mod bodies;
mod engine;
mod headers;
mod heads;
mod replies;
mod routes;

use std::time::Duration;

use qwenda_testkit::Script;

use self::routes::Route;
use crate::service::{Connection, Reply, Service};

/// What all mutants depend on; another with `QWENDA_MUTATED_SEED`.
fn seed() -> u64 {
    from_env("QWENDA_MUTATED_SEED").unwrap_or(20_261_123)
}

/// So many rounds, or `QWENDA_MUTATED_TIMES` as many: for a long search.
fn rounds(usual: u64) -> std::ops::Range<u64> {
    0..usual * from_env("QWENDA_MUTATED_TIMES").unwrap_or(1)
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Nobody waits longer: what takes so long hangs.
const HANGS: Duration = Duration::from_secs(120);
/// After so many mutants a good request must be answered.
const GOOD_EVERY: u64 = 20;

#[test]
fn all_in_all_there_are_more_than_ten_thousand() {
    let (bodies, headers) = (bodies::count(), headers::count());
    assert!(bodies >= 8_000 && headers >= 2_500 && heads::COUNT >= 1_000, "{bodies} {headers} {}", heads::COUNT);
}

/// One caller who keeps the connection, and what has become of the requests.
struct Caller<'a> {
    service: &'a Service,
    connection: Connection,
    accepted: u64,
    refused: u64,
}

impl<'a> Caller<'a> {
    async fn new(service: &'a Service) -> Self {
        Self { service, connection: service.connect().await, accepted: 0, refused: 0 }
    }

    /// Sends a request that may be anything and checks the answer.
    async fn send(&mut self, route: &Route, head: &str, body: &[u8], what: &str) {
        let reply = self.exchange(head, body, what).await;
        match replies::check(&reply, route.is_native()) {
            Ok(true) => self.accepted += 1,
            Ok(false) => self.refused += 1,
            Err(why) => panic!("{what}: {why}\n{head}{}\n{reply:?}", String::from_utf8_lossy(body)),
        }
    }

    /// Sends a request as it should be, which is answered.
    async fn send_good(&mut self, route: &Route, sample: usize, what: &str) {
        let sample = &route.samples()[sample];
        let body = sample.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let head = route.head(self.service, sample, &body, "");
        let reply = self.exchange(&head, body.as_bytes(), what).await;
        let checked = replies::check(&reply, route.is_native());
        assert_eq!(checked, Ok(true), "{what}: a good request after it\n{head}{body}\n{reply:?}");
    }

    async fn exchange(&mut self, head: &str, body: &[u8], what: &str) -> Reply {
        self.service.backend.answer(Script::text(3, &["a", "b"]));
        let connection = &mut self.connection;
        let exchange = async {
            connection.write(head.as_bytes()).await;
            connection.write(body).await;
            loop {
                let reply = connection.reply().await;
                // Who asks first is told to go on.
                if reply.status != 100 {
                    return reply;
                }
            }
        };
        let reply = tokio::time::timeout(HANGS, exchange).await;
        let reply = reply.unwrap_or_else(|_| panic!("{what}: no answer\n{head}{}", String::from_utf8_lossy(body)));
        if reply.headers.get("connection").is_some_and(|value| value == "close") {
            self.connection = self.service.connect().await;
        }
        reply
    }
}
