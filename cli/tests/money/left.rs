//! Who hangs up, at whatever moment, leaves nothing behind.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use qwenda_testkit::rng::Rng;

use crate::{
    check,
    home::{self, Home},
    upstream::Upstream,
    wire::{Ask, send},
};

/// Those who leave while they are being let in are the ones that nobody would hear of again.
#[test]
fn no_hold_outlives_who_hung_up() {
    let seed = home::seed();
    let upstream = Upstream::start(seed);
    let home = Home::new(&upstream, None);
    home.run("accounts create acme");
    home.run("topup acme 1000000");
    let key = home.run("keys create --account acme");
    let server = home.serve();
    let number = AtomicU64::new(0);
    thread::scope(|scope| {
        for caller in 0..8 {
            let (number, server, key) = (&number, &server, &key);
            scope.spawn(move || {
                let mut rng = Rng::round(seed, caller);
                for _ in 0..100 {
                    let mark = (0, 1 + number.fetch_add(1, Ordering::Relaxed));
                    let ask = Ask { mark, stream: rng.below(2) == 0, ..Ask::default() };
                    let sent = send(server.address(), key, &ask);
                    thread::sleep(Duration::from_micros(rng.below(20_000) as u64));
                    drop(sent);
                }
            });
        }
    });
    server.stop();
    let audit = check::audit(&home);
    assert_eq!(audit.open_holds, 0, "{audit:?}");
    assert!(audit.requests > 0, "{audit:?}");
}
