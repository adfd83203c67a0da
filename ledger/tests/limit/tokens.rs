//! Tokens per minute.

use std::{cmp::Reverse, collections::BinaryHeap};

use qwenda_ledger::limit::{MINUTE_NS, Rate, Tokens, TokensTaken, Wait};

use crate::{Admitted, Random, seeds};

const RATES: [u64; 5] = [100, 6_000, 100_000, 5_000_000, 4_980_000_000];

struct Open {
    taken: TokensTaken,
    admitted: usize,
    used: u64,
}

/// Requests that end later, with less used than was estimated or (`over`) with more.
struct Run {
    rate: Rate,
    state: Tokens,
    admitted: Admitted,
    open: Vec<Option<Open>>,
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    over: bool,
    overrun: u64,
    largest: u64,
}

impl Run {
    fn new(rate: Rate, over: bool) -> Self {
        let (state, admitted, open, ends) = Default::default();
        Self { rate, state, admitted, open, ends, over, overrun: 0, largest: 0 }
    }

    fn arrive(&mut self, random: &mut Random, now_ns: u64) -> Result<(), Wait> {
        let share = random.pick(&[1, 2, 10, 100]);
        let estimate = 1 + random.below(self.rate.per_minute / share);
        let taken = self.state.take(self.rate, estimate, now_ns)?;
        let used = match random.below(4) {
            0 => 0,
            1 => estimate,
            2 if self.over => estimate + random.below(estimate),
            _ => random.below(estimate),
        };
        self.largest = self.largest.max(estimate);
        let length_ns = random.pick(&[1_000_000, MINUTE_NS / 60, MINUTE_NS / 4, 5 * MINUTE_NS]);
        self.ends.push(Reverse((now_ns + random.below(length_ns), self.open.len())));
        self.open.push(Some(Open { taken, admitted: self.admitted.0.len(), used }));
        self.admitted.push(now_ns, estimate);
        Ok(())
    }

    fn settle_until(&mut self, now_ns: u64) {
        while let Some(Reverse((end_ns, at))) = self.ends.peek().copied().filter(|Reverse((end, _))| *end <= now_ns) {
            self.ends.pop();
            let open = self.open[at].take().expect("a request ends once");
            self.overrun += open.used.saturating_sub(open.taken.estimate());
            self.admitted.0[open.admitted].1 = open.used;
            self.state.settle(self.rate, open.taken, open.used, end_ns);
        }
    }

    /// An ask above the burst is let through whole: one such ask may be in a window beside the burst.
    fn burst(&self) -> u64 {
        self.rate.burst().max(self.largest)
    }
}

fn any_rate(random: &mut Random) -> Rate {
    let shape = random.pick(&[Rate::minute, Rate::smooth, Rate::strict]);
    shape(random.pick(&RATES))
}

/// A flood, with pauses after which the bucket is full.
fn flood(random: &mut Random, over: bool) -> Run {
    let mut run = Run::new(any_rate(random), over);
    let mut now_ns = MINUTE_NS;
    for _ in 0..20_000 {
        now_ns += match random.below(1000) {
            0 => random.below(5 * MINUTE_NS),
            1..500 => random.below(MINUTE_NS / 60),
            _ => 0,
        };
        run.settle_until(now_ns);
        let _ = run.arrive(random, now_ns);
    }
    run.settle_until(u64::MAX);
    run
}

#[test]
fn over_every_window_at_most_the_burst_and_what_flows_back_is_used() {
    seeds(16, |mut random| {
        let run = flood(&mut random, false);
        assert!(run.admitted.0.len() > 100, "{:?}", run.rate);
        run.admitted.assert_within(run.burst(), run.rate.refill());
    });
}

#[test]
fn what_exceeds_its_estimate_is_paid_back_before_more_is_admitted() {
    seeds(16, |mut random| {
        let run = flood(&mut random, true);
        let (first, last) = (run.admitted.0[0].0, run.admitted.0[run.admitted.0.len() - 1].0);
        let flowed = u128::from(last - first) * u128::from(run.rate.refill()) / u128::from(MINUTE_NS);
        // Whatever was used too much is missing later: only what is open at the end may be above the rate.
        let open_at_end = run.admitted.0.iter().filter(|(at, _)| *at + 5 * MINUTE_NS >= last).map(|(_, used)| used);
        let bound = flowed + u128::from(run.burst()) + open_at_end.map(|used| u128::from(*used)).sum::<u128>();
        assert!(run.overrun > 0 && u128::from(run.admitted.units()) <= bound, "{:?}", run.rate);
    });
}

#[test]
fn a_wait_is_exact() {
    seeds(16, |mut random| {
        let mut run = Run::new(any_rate(&mut random), true);
        let (mut now_ns, mut waits) = (random.below(1 << 60), 0);
        for _ in 0..8_000 {
            run.settle_until(now_ns);
            let estimate = 1 + random.below(run.rate.per_minute);
            if let Err(Wait::Ns(wait_ns)) = run.state.check(run.rate, estimate, now_ns) {
                assert!(run.state.check(run.rate, estimate, now_ns + wait_ns - 1).is_err(), "{:?}", run.rate);
                assert_eq!(run.state.check(run.rate, estimate, now_ns + wait_ns), Ok(()), "{:?}", run.rate);
                waits += 1;
                now_ns += random.below(wait_ns + 1);
            }
            let _ = run.arrive(&mut random, now_ns);
        }
        assert!(waits > 100);
    });
}

#[test]
fn a_steady_flood_with_true_estimates_gets_the_whole_rate_however_long_its_requests_run() {
    for (rate, length_ns) in [
        (Rate::minute(6_000), MINUTE_NS / 60),
        (Rate::minute(6_000), 5 * MINUTE_NS),
        (Rate::smooth(6_000), MINUTE_NS),
        (Rate::strict(1_000_000), MINUTE_NS),
    ] {
        let mut run = Run::new(rate, false);
        let (mut now_ns, each) = (0, rate.per_minute / 100);
        while now_ns < 20 * MINUTE_NS {
            run.settle_until(now_ns);
            match run.state.take(rate, each, now_ns) {
                Ok(taken) => {
                    run.ends.push(Reverse((now_ns + length_ns, run.open.len())));
                    run.open.push(Some(Open { taken, admitted: run.admitted.0.len(), used: each }));
                    run.admitted.push(now_ns, each);
                }
                Err(Wait::Ns(wait_ns)) => now_ns += wait_ns,
                Err(wait) => panic!("{wait:?}"),
            }
        }
        assert!(run.admitted.units() >= 20 * rate.refill(), "{rate:?}");
    }
}

#[test]
fn no_clock_that_jumps_lets_more_be_used_than_its_latest_time_allows() {
    seeds(16, |mut random| {
        let mut run = Run::new(any_rate(&mut random), false);
        let (mut now_ns, mut latest_ns) = (10 * MINUTE_NS, 0);
        for _ in 0..10_000 {
            now_ns = match random.below(100) {
                0 => now_ns.saturating_sub(random.below(5 * MINUTE_NS)),
                1 => now_ns + random.below(5 * MINUTE_NS),
                _ => now_ns + random.below(MINUTE_NS / 60),
            };
            latest_ns = latest_ns.max(now_ns);
            if run.arrive(&mut random, now_ns).is_ok() {
                run.admitted.0.last_mut().expect("just admitted").0 = latest_ns;
            }
            if random.below(3) == 0 {
                // Some request ends, and is settled at whatever the clock says.
                if let Some(Reverse((_, at))) = run.ends.pop() {
                    let open = run.open[at].take().expect("a request ends once");
                    run.admitted.0[open.admitted].1 = open.used;
                    run.state.settle(run.rate, open.taken, open.used, now_ns);
                }
            }
        }
        run.admitted.assert_within(run.burst(), run.rate.refill());
    });
}
