//! The plug is pulled: the service, or the database under it, is killed while callers of every kind are at it.
//! Whatever somebody saw finished is charged once, nothing is charged that was not sent, and nothing stays held.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use qwenda_testkit::rng::Rng;

use crate::{
    caller::Caller,
    check,
    home::{self, Home, Server, number},
    upstream::Upstream,
};

const CALLERS: u64 = 16;

/// An account that has some of everything, callers with a key each, and who is asked for them.
struct Scene {
    home: Home,
    upstream: Upstream,
    callers: Vec<Caller>,
    /// Whose a key is, by its id.
    keys: HashMap<String, u64>,
    rng: Rng,
}

impl Scene {
    fn new(database_url: Option<String>) -> Self {
        let seed = home::seed();
        let upstream = Upstream::start(seed);
        let home = Home::new(&upstream, database_url);
        home.run("accounts create acme --credit 5");
        home.run("topup acme 1000000");
        home.run("grant acme 50000 --models m");
        home.run("grant acme 20000 --pack");
        let keys: Vec<_> = (0..CALLERS)
            .map(|_| home.json("keys create --account acme --budget-day 1000000 --budget-total 1000000"))
            .collect();
        let callers = keys.iter().zip(0..).map(|(key, id)| Caller::new(id, text(&key["key"]), seed)).collect();
        let keys = keys.iter().zip(0..).map(|(key, id)| (text(&key["id"]), id)).collect();
        Self { home, upstream, callers, keys, rng: Rng::new(seed) }
    }

    /// Lets all callers work at a service until `harm` is done.
    fn round(&mut self, server: Server, harm: impl FnOnce(&Upstream, &mut Rng, Server, &AtomicBool)) {
        let over = AtomicBool::new(false);
        let address = server.address().to_owned();
        thread::scope(|scope| {
            for caller in &mut self.callers {
                scope.spawn(|| caller.work(&address, &over));
            }
            harm(&self.upstream, &mut self.rng, server, &over);
        });
    }

    /// A round that ends in the middle of everything.
    fn killed(&mut self) {
        let server = self.home.serve();
        self.round(server, |upstream, rng, server, over| {
            upstream.sends(1 + rng.below(250) as u64);
            // Chance decides what the end comes in the middle of.
            thread::sleep(Duration::from_micros(rng.below(5_000) as u64));
            over.store(true, Ordering::Relaxed);
            server.kill();
        });
        // Who left a service that is gone may not have been heard of.
        self.callers.iter_mut().for_each(|caller| caller.seen.left.clear());
    }

    /// A round that ends as an operator ends it.
    fn stopped(&mut self) {
        let server = self.home.serve();
        self.round(server, |upstream, _, server, over| {
            upstream.sends(400);
            over.store(true, Ordering::Relaxed);
            server.stop();
        });
    }

    fn check(&self, stays: bool) {
        check::charged_once(&self.home, &self.upstream, &self.callers, &self.keys, stays);
    }

    fn finished(&self) -> usize {
        self.callers.iter().map(|caller| caller.seen.finished.len()).sum()
    }
}

fn text(json: &serde_json::Value) -> String {
    json.as_str().unwrap().to_owned()
}

fn pulled(mut scene: Scene, rounds: u64) {
    let rounds = number("QWENDA_PLUG_ROUNDS").unwrap_or(rounds);
    for n in 0..rounds {
        scene.killed();
        if n % 5 == 0 {
            scene.check(true);
        } else {
            check::adds_up(&scene.home);
        }
    }
    scene.stopped();
    scene.check(true);
    check::left_is_paid(&scene.home, &scene.callers);
    check::nothing_stays_held(&scene.home);
    assert!(scene.finished() > 0);
    eprintln!("{} answers were seen finished over {rounds} kills", scene.finished());
}

#[test]
fn every_answer_is_charged_once_when_the_service_is_killed_on_sqlite() {
    pulled(Scene::new(None), 50);
}

#[test]
fn every_answer_is_charged_once_when_the_service_is_killed_on_postgres() {
    let Some(database) = home::postgres() else { return };
    pulled(Scene::new(Some(database.url("postgres"))), 10);
}

/// The database is killed and comes back under a service that lives on and goes on by itself.
#[test]
fn every_answer_is_charged_once_when_the_database_is_killed() {
    let Some(mut database) = home::postgres() else { return };
    let mut scene = Scene::new(Some(database.url("postgres")));
    let rounds = number("QWENDA_PLUG_ROUNDS").unwrap_or(3);
    let server = scene.home.serve();
    scene.round(server, |upstream, rng, server, over| {
        for _ in 0..rounds {
            upstream.sends(1 + rng.below(300) as u64);
            thread::sleep(Duration::from_micros(rng.below(5_000) as u64));
            database.kill();
            database.restart();
        }
        // Nothing is sent for whom nothing can be held.
        upstream.sends(400);
        over.store(true, Ordering::Relaxed);
        server.stop();
    });
    scene.check(false);
    check::nothing_stays_held(&scene.home);
    assert!(scene.finished() > 0);
    eprintln!("{} answers were seen finished over {rounds} losses of the database", scene.finished());
}
