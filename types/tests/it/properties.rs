//! Conversions lose nothing, for thousands of requests, answers, streams and counts made from seeds.
//!
//! A failing round prints its number; the same number makes the same case again.

mod answers;
mod make;
mod requests;
mod streams;

use qwenda_testkit::rng::Rng;

/// How many cases each property is held against.
const ROUNDS: u64 = 10_000;

/// Runs a check on every round's generator; a round that fails says its number.
fn rounds(seed: u64, check: impl Fn(&mut Rng)) {
    struct Tell(u64);
    impl Drop for Tell {
        #[expect(clippy::print_stderr, reason = "a failing test says how to repeat it")]
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the check failed in round {}", self.0);
            }
        }
    }
    for round in 0..ROUNDS {
        let _told = Tell(round);
        check(&mut Rng::round(seed, round));
    }
}
