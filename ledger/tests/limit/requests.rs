//! Requests per minute.

use qwenda_ledger::limit::{Gcra, MINUTE_NS, Rate, Wait};

use crate::{Admitted, Random, seeds};

const RATES: [u64; 9] = [1, 3, 7, 60, 100, 601, 3_000, 30_000, 600_000];

fn any_rate(random: &mut Random) -> Rate {
    let shape = random.pick(&[Rate::minute, Rate::smooth, Rate::strict]);
    shape(random.pick(&RATES))
}

#[test]
fn over_every_window_at_most_the_burst_and_what_flows_back_is_admitted() {
    seeds(12, |mut random| {
        let rate = any_rate(&mut random);
        let (mut state, mut admitted, mut now_ns) = (Gcra::default(), Admitted::default(), 1_000_000_000);
        for _ in 0..20_000.max(5 * rate.per_minute) {
            // Floods, arrivals near the limit's own pace, and pauses.
            now_ns += match random.below(20_000) {
                0 => random.below(3 * MINUTE_NS),
                1..10_000 => random.below(2 * MINUTE_NS / rate.per_minute),
                _ => 0,
            };
            if state.take(rate, now_ns).is_ok() {
                admitted.push(now_ns, 1);
            }
        }
        assert!(admitted.units() > rate.burst(), "{rate:?}");
        admitted.assert_within(rate.burst(), rate.refill());
        assert!(admitted.most_in(MINUTE_NS) < rate.burst() + rate.refill(), "{rate:?}");
        if rate == Rate::strict(rate.per_minute) {
            assert!(admitted.most_in(MINUTE_NS) <= rate.per_minute, "{rate:?}");
        }
    });
}

#[test]
fn a_steady_flood_gets_the_whole_rate() {
    for rate in RATES
        .iter()
        .flat_map(|per_minute| [Rate::minute(*per_minute), Rate::smooth(*per_minute), Rate::strict(*per_minute)])
    {
        let (mut state, mut now_ns, mut admitted) = (Gcra::default(), 0, 0);
        while now_ns < 3 * MINUTE_NS {
            match state.take(rate, now_ns) {
                Ok(()) => admitted += 1,
                Err(Wait::Ns(wait_ns)) => now_ns += wait_ns,
                Err(wait) => panic!("{rate:?}: {wait:?}"),
            }
        }
        let flowed = u128::from(now_ns) * u128::from(rate.refill()) / u128::from(MINUTE_NS);
        let want = flowed + u128::from(rate.burst());
        // Less than a nanosecond is lost with each request.
        let lost = admitted * u128::from(rate.per_minute) / u128::from(MINUTE_NS) + 1;
        assert!((want - lost..=want + 1).contains(&admitted), "{rate:?}: {admitted} of {want}");
    }
}

#[test]
fn a_wait_is_exact_and_admits_exactly_one() {
    seeds(12, |mut random| {
        let rate = any_rate(&mut random);
        let (mut state, mut now_ns) = (Gcra::default(), random.below(1 << 60));
        for _ in 0..10_000 {
            match state.take(rate, now_ns) {
                Ok(()) => now_ns += random.pick(&[0, 0, 1, MINUTE_NS / rate.per_minute / 2]),
                Err(Wait::Ns(wait_ns)) => {
                    assert!(state.check(rate, now_ns + wait_ns - 1).is_err(), "{rate:?} a nanosecond before");
                    now_ns += wait_ns;
                    assert_eq!(state.take(rate, now_ns), Ok(()), "{rate:?}");
                    assert!(state.take(rate, now_ns).is_err(), "{rate:?} a second one");
                }
                Err(wait) => panic!("{rate:?}: {wait:?}"),
            }
        }
    });
}

#[test]
fn no_clock_that_jumps_lets_more_through_than_its_latest_time_allows() {
    seeds(12, |mut random| {
        let rate = any_rate(&mut random);
        let (mut state, mut admitted) = (Gcra::default(), Admitted::default());
        let (mut now_ns, mut latest_ns) = (10 * MINUTE_NS, 0);
        for _ in 0..10_000 {
            now_ns = match random.below(100) {
                0 => now_ns.saturating_sub(random.below(5 * MINUTE_NS)),
                1 => now_ns + random.below(5 * MINUTE_NS),
                _ => now_ns + random.below(2 * MINUTE_NS / rate.per_minute),
            };
            latest_ns = latest_ns.max(now_ns);
            if state.take(rate, now_ns).is_ok() {
                admitted.push(latest_ns, 1);
            }
        }
        admitted.assert_within(rate.burst(), rate.refill());
    });
}
