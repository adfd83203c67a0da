//! The demo of `examples/exactly_once`, small.

#[path = "../../examples/exactly_once/demo.rs"]
mod demo;

use qwenda_testkit::Weather;

const CALLS: usize = 96;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_answered_whole_and_charged_once_over_a_network_that_breaks() {
    let seed = std::env::var("QWENDA_SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_129);
    println!("seed {seed}; QWENDA_SIM_SEED sets another");
    let weather = Weather { seed, spoiled_percent: 60, spoiled_max: 6 };
    let seen = demo::run(demo::Plan { calls: CALLS, tasks: 16, weather }).await.unwrap();
    assert!(seen.wrong.is_empty(), "seed {seed}: {:?}", seen.wrong);
    assert_eq!((seen.answers_made, seen.charges), (CALLS, CALLS), "seed {seed}: {seen:?}");
    assert_eq!((seen.charged, seen.spent), (seen.owed, seen.owed), "seed {seed}");
    assert_eq!(seen.audit, None, "seed {seed}");
    assert!(seen.faults.len() == 7 && seen.requests > CALLS as u64, "seed {seed} spoils too little: {seen:?}");
}
