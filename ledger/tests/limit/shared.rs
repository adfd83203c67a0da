//! A limit that three replicas share, with slow and lost answers, crashes and clocks that differ.

use qwenda_ledger::limit::{MINUTE_NS, Rate};

use crate::{
    Random,
    replicas::{SECOND, Sim, World},
    seeds,
};

fn any_rate(random: &mut Random, of: &[u64]) -> Rate {
    let shape = random.pick(&[Rate::minute, Rate::smooth, Rate::strict]);
    shape(random.pick(of))
}

/// A world in which everything goes wrong, more or less.
fn rough(rate: Rate, random: &mut Random) -> World {
    let mut world = World::calm(rate, [0; 3].map(|_: u64| random.below(3 * rate.per_minute)));
    world.lost_permille = random.pick(&[0, 5, 100]);
    world.slow_permille = random.pick(&[0, 5, 100]);
    world.crash_every_ns = random.pick(&[0, SECOND, 20 * SECOND]);
    world.stall_every_ns = random.pick(&[0, SECOND, 20 * SECOND]);
    world.shift_every_ns = random.pick(&[0, 3 * SECOND, 45 * SECOND]);
    world.pause_every_ns = random.pick(&[0, 5 * SECOND, 80 * SECOND]);
    world.drift_permille = [0, 50, -50];
    world
}

#[test]
fn three_replicas_together_never_admit_more_than_the_limit_over_any_window() {
    seeds(60, |mut random| {
        let rate = any_rate(&mut random, &[1, 10, 60, 600, 3_000, 12_000]);
        let mut sim = Sim::new(rough(rate, &mut random), random);
        sim.run(10 * MINUTE_NS);
        assert!(sim.admitted.units() > 0 || sim.arrived < 10, "{rate:?}");
        sim.admitted.assert_within(rate.burst(), rate.refill());
        if rate == Rate::strict(rate.per_minute) {
            assert!(sim.admitted.most_in(MINUTE_NS) <= rate.per_minute);
        }
    });
}

#[test]
fn three_replicas_together_never_use_more_tokens_than_the_limit_over_any_window() {
    seeds(60, |mut random| {
        let rate = any_rate(&mut random, &[6_000, 100_000, 5_000_000]);
        let mut world = rough(rate, &mut random);
        world.units_max = rate.per_minute / random.pick(&[1, 3, 30, 300]);
        world.length_max_ns = random.pick(&[SECOND, 10 * SECOND, 90 * SECOND]);
        let mut sim = Sim::new(world, random);
        sim.run(20 * MINUTE_NS);
        assert!(sim.admitted.units() > 0 || sim.arrived < 10, "{rate:?}");
        // One ask above the burst may be let through whole.
        let above = if world.units_max > rate.burst() { world.units_max } else { 0 };
        sim.admitted.assert_within(rate.burst() + above, rate.refill());
    });
}

#[test]
fn where_each_replica_brings_its_own_clock_what_flows_between_them_is_admitted_once() {
    seeds(20, |mut random| {
        let rate = any_rate(&mut random, &[1, 10, 60, 600, 3_000, 12_000]);
        let mut world = World::calm(rate, [rate.per_minute; 3]);
        (world.row_by_replica, world.drift_permille) = (true, [0; 3]);
        world.ahead_ns = [0, random.below(2 * SECOND), 2 * SECOND];
        world.crash_every_ns = 20 * SECOND;
        let mut sim = Sim::new(world, random);
        sim.run(20 * MINUTE_NS);
        sim.admitted.assert_within(rate.burst() + (rate.refill() * 2).div_ceil(60), rate.refill());
    });
}

const RATES: [fn(u64) -> Rate; 3] = [Rate::minute, Rate::smooth, Rate::strict];

#[test]
fn in_the_steady_state_at_most_a_tenth_less_is_admitted_than_by_one_process() {
    for (per_minute, shape) in [60, 600, 9_000].into_iter().flat_map(|n| RATES.map(|shape| (n, shape))) {
        let rate = shape(per_minute);
        for (name, demand) in [
            ("a flood at all", [per_minute; 3]),
            ("a flood at one", [2 * per_minute, 0, 0]),
            ("a flood at one beside others", [2 * per_minute, per_minute / 10, per_minute / 10]),
            ("just above the limit", [per_minute / 2, per_minute * 2 / 5, per_minute / 5]),
            ("just below the limit", [per_minute / 2, per_minute * 3 / 10, per_minute / 10]),
        ] {
            seeds(1, |random| {
                let mut sim = Sim::new(World::calm(rate, demand), random);
                sim.run(2 * MINUTE_NS);
                let before = (sim.admitted.units(), sim.alone, sim.trades);
                sim.run(6 * MINUTE_NS);
                let share = (sim.admitted.units() - before.0) as f64 / (sim.alone - before.1) as f64;
                let trades = (sim.trades - before.2) / 360;
                assert!(share >= 0.9, "{rate:?}, {name}: {share:.3}");
                assert!(trades <= 60, "{rate:?}, {name}: {trades} trades per second");
            });
        }
    }
}

#[test]
fn tokens_are_used_up_to_the_limit_though_half_of_each_estimate_comes_back() {
    seeds(4, |random| {
        let mut world = World::calm(Rate::minute(1_000_000), [1_500_000; 3]);
        (world.units_max, world.length_max_ns) = (6_000, 10 * SECOND);
        let mut sim = Sim::new(world, random);
        sim.run(3 * MINUTE_NS);
        let before = sim.admitted.units();
        sim.run(10 * MINUTE_NS);
        let share = (sim.admitted.units() - before) as f64 / 10_000_000.0;
        assert!(share >= 0.9, "{share:.3}");
    });
}
