//! Limits under seeded simulation: what is admitted over every window, and what a wait promises.
//!
//! A failure prints its seed. `LIMIT_SEED=n` runs that seed alone, `LIMIT_SEEDS=n` the first n.

mod group;
mod lease;
mod replicas;
mod requests;
mod shared;
mod tokens;

/// Runs a simulation from several seeds, naming the one it fails from.
fn seeds(count: u64, simulate: impl Fn(Random)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a seed is a number"));
    let from = number("LIMIT_SEED").map(|seed| seed..seed + 1);
    for seed in from.unwrap_or(0..number("LIMIT_SEEDS").unwrap_or(count)) {
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulate(random)));
        assert!(end.is_ok(), "failed from LIMIT_SEED={seed}");
    }
}

/// Numbers that are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What was admitted when, in order of time.
#[derive(Default)]
struct Admitted(Vec<(u64, u64)>);

impl Admitted {
    fn push(&mut self, at_ns: u64, units: u64) {
        self.0.push((at_ns, units));
    }

    fn units(&self) -> u64 {
        self.0.iter().map(|(_, units)| units).sum()
    }

    /// The most units in any half-open window of this length, wherever it begins.
    fn most_in(&self, window_ns: u64) -> u64 {
        let (mut first, mut within, mut most) = (0, 0, 0);
        for (at_ns, units) in &self.0 {
            within += units;
            while self.0[first].0 + window_ns <= *at_ns {
                within -= self.0[first].1;
                first += 1;
            }
            most = most.max(within);
        }
        most
    }

    /// Asserts that over every window of every length at most `burst` and what flows back in it was admitted.
    fn assert_within(&self, burst: u64, refill_per_minute: u64) {
        const MINUTE: i128 = 60_000_000_000;
        // The sum over a window is at most burst + rate × length for all windows at once if and only if
        // (sum so far) - rate × time never rises by more than the burst above its lowest value before.
        let (mut sum, mut lowest) = (0_i128, i128::MAX);
        for (at_ns, units) in &self.0 {
            let drift = sum * MINUTE - i128::from(*at_ns) * i128::from(refill_per_minute);
            lowest = lowest.min(drift);
            sum += i128::from(*units);
            let rise = drift + i128::from(*units) * MINUTE - lowest;
            assert!(
                rise <= i128::from(burst) * MINUTE,
                "{} units too many at {at_ns} ns",
                rise / MINUTE - i128::from(burst)
            );
        }
    }
}
