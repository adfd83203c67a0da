//! The scheduler with a cache and accounts, but without a model: arrivals, hang-ups and floods at
//! random, from a seed that a failure prints.

use super::*;
use crate::{
    cache::{Cache, Held},
    fair::Shares,
    request::Priority,
};

/// One request of the simulation.
struct Simulated {
    scope: Option<u64>,
    account: u64,
    priority: Priority,
    tokens: Vec<u32>,
    /// Tokens at which it ends.
    end: usize,
    done: usize,
    held: Held,
    running: bool,
    guessed: u32,
    arrived: u64,
}

impl Simulated {
    /// Texts of one kind begin alike, and go on alike up to some point.
    fn new(random: &mut Random, capacity: u32) -> Self {
        let len = 1 + random.below(capacity.min(300));
        let kind = random.below(3);
        let alike = random.below(2 * len);
        let own = random.below(1000);
        let tokens = (0..len).map(|at| if at < alike { kind } else { kind + 10 * own }).collect();
        let end = (len + 1 + random.below(60)).min(capacity + 1) as usize;
        let scope = (random.below(5) > 0).then(|| random.below(2).into());
        let priority = if random.below(3) == 0 { Priority::Batch } else { Priority::Interactive };
        Self { scope, account: random.below(4).into(), priority, ..Self::plain(tokens, end) }
    }

    fn plain(tokens: Vec<u32>, end: usize) -> Self {
        Self {
            scope: None,
            account: 0,
            priority: Priority::Interactive,
            tokens,
            end,
            done: 0,
            held: Held::default(),
            running: false,
            guessed: 0,
            arrived: 0,
        }
    }

    fn adopt(&mut self, cache: &mut Cache) {
        if let Some(scope) = self.scope {
            self.done = cache.adopt(scope, &self.tokens, &mut self.held, self.done);
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % u64::from(bound)) as u32
    }
}

/// An engine without a model.
struct Simulation {
    seed: u64,
    random: Random,
    limits: Limits,
    cache: Cache,
    shares: Shares,
    sequences: Vec<Simulated>,
    turn: u64,
    /// Tokens that were found at admission.
    reused: u64,
    /// Rows of guesses.
    guessed: u64,
}

impl Simulation {
    fn new(seed: u64, limits: Limits, total: u32) -> Self {
        let cache = Cache::new(total, limits.page_tokens.get() as usize);
        let (shares, sequences, random) = (Shares::default(), Vec::new(), Random(seed));
        Self { seed, random, limits, cache, shares, sequences, turn: 0, reused: 0, guessed: 0 }
    }

    fn hang_up(&mut self, index: usize) {
        let mut gone = self.sequences.remove(index);
        self.cache.release(&mut gone.held);
    }

    /// One step; those that have ended.
    fn step(&mut self) -> Vec<Simulated> {
        let Self { seed, random, limits, cache, shares, sequences, .. } = self;
        let (seed, page) = (*seed, limits.page_tokens.get() as usize);
        sequences.iter_mut().filter(|sequence| sequence.running).for_each(|sequence| {
            sequence.adopt(cache);
            sequence.guessed = if random.below(3) == 0 { random.below(16) } else { 0 };
        });
        let flow = |shares: &Shares, s: &Simulated| shares.flow(s.account, s.priority);
        let active: Vec<u64> = sequences.iter().map(|s| flow(shares, s).id).collect();
        shares.update(&active);
        let text = |s: &Simulated| (s.scope, s.done, s.running);
        let texts: Vec<_> = sequences
            .iter()
            .map(|s| (text(s), &s.tokens))
            .map(|((scope, done, running), tokens)| Text { scope, tokens, done, running })
            .collect();
        let views: Vec<View<'_>> = sequences
            .iter()
            .zip(follows(&texts, page))
            .map(|(s, follows)| View {
                tokens: s.tokens.len() as u32,
                done: s.done as u32,
                pages: s.held.pages(),
                running: s.running,
                follows,
                guessed: s.guessed,
                flow: flow(shares, s),
            })
            .collect();
        let room = Room { free: cache.available() as u32, holders: cache.holders() };
        let mut step = plan(limits, &views, room, self.turn);
        self.turn += 1;
        check(seed, limits, &views, &step);
        for &index in &step.preempt {
            cache.release(&mut sequences[index].held);
            sequences[index].running = false;
            sequences[index].done = 0;
        }
        for &index in &step.admit {
            sequences[index].running = true;
            sequences[index].adopt(cache);
            self.reused += sequences[index].done as u64;
        }
        assert!(sequences.is_empty() || !step.spans.is_empty(), "seed {seed}: a step without work");
        for span in &mut step.spans {
            let sequence = &mut sequences[span.index];
            let decodes = sequence.done + 1 == sequence.tokens.len();
            span.start_at(sequence.done, sequence.tokens.len());
            let end = (span.start + span.len) as usize;
            let enough = cache.reserve(&mut sequence.held, end);
            assert!(enough, "seed {seed}: the plan overdrew the pages");
            shares.charge(shares.flow(sequence.account, sequence.priority), span.len, decodes);
            let guesses = end.saturating_sub(sequence.tokens.len());
            self.guessed += guesses as u64;
            sequence.done = end.min(sequence.tokens.len());
            if sequence.done == sequence.tokens.len() {
                // Some write several tokens at once, and of guesses some are right.
                let right = if guesses > 0 { random.below(guesses as u32 + 1) as usize } else { 0 };
                sequence.tokens.extend(std::iter::repeat_n(7, right));
                sequence.done += right;
                sequence.tokens.extend((0..1 + random.below(8) / 7).map(|_| 7));
            }
            if let Some(scope) = sequence.scope {
                cache.keep(scope, &sequence.tokens, &mut sequence.held, sequence.done);
            }
        }
        let ended: Vec<_> = self.sequences.extract_if(.., |s| s.tokens.len() >= s.end).collect();
        ended
            .into_iter()
            .map(|mut sequence| {
                self.cache.release(&mut sequence.held);
                sequence
            })
            .collect()
    }
}

/// Every sequence ends, in a time bounded by the work there is in all; no page is ever short, given
/// out twice, or left over.
#[test]
fn nobody_starves_and_no_page_leaks() {
    let (mut reused, mut guessed) = (0, 0);
    for seed in 0..400 {
        let done = simulate(seed);
        (reused, guessed) = (reused + done.reused, guessed + done.guessed);
    }
    assert!(reused > 1000 && guessed > 1000, "{reused} tokens used again, {guessed} guessed");
}

fn simulate(seed: u64) -> Simulation {
    let mut random = Random(seed ^ 0x5eed);
    let page = [1, 4, 32][random.below(3) as usize];
    let limits = limits(page, 1 + random.below(64), 1 + random.below(6));
    let total = 1 + random.below(40);
    let mut left = 1 + random.below(40);
    let mut simulation = Simulation::new(seed, limits, total);
    // Alone, a sequence needs one step a token at most, and as much once more for each page it loses
    // and is computed again for. Those that run beside it share the budget, and those that come later
    // may be served before it.
    let mut work = 0;
    while left > 0 || !simulation.sequences.is_empty() {
        while left > 0 && (simulation.sequences.is_empty() || random.below(4) == 0) {
            left -= 1;
            let new = Simulated::new(&mut random, total * page);
            work += new.end as u64 * (2 + new.end.div_ceil(page as usize) as u64);
            simulation.sequences.push(new);
        }
        if random.below(30) == 0 && !simulation.sequences.is_empty() {
            simulation.hang_up(random.below(simulation.sequences.len() as u32) as usize);
        }
        simulation.step();
        let bound = work * u64::from(limits.sequences_max.get());
        assert!(simulation.turn <= bound, "seed {seed}: {} sequences starve", simulation.sequences.len());
    }
    assert_eq!(simulation.cache.available(), total as usize, "seed {seed}: pages are held by nobody");
    simulation
}

/// One account floods the engine for as long as it takes; another's few requests are done about as
/// soon as if the first had sent just as few.
#[test]
fn a_flood_holds_nobody_else_up() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let places = 2 + random.below(6);
        let mut simulation = Simulation::new(seed, limits(4, 16, places), 400);
        let request = |random: &mut Random| {
            let len = 5 + random.below(40);
            Simulated::plain(vec![1; len as usize], (len + 5 + random.below(30)) as usize)
        };
        let mut taken = Vec::new();
        for turn in 0..1500 {
            while simulation.sequences.iter().filter(|s| s.account == 1).count() < 60 {
                let priority = if seed % 2 == 0 { Priority::Interactive } else { Priority::Batch };
                simulation.sequences.push(Simulated { account: 1, priority, ..request(&mut random) });
            }
            if turn % 150 == 100 {
                let arrived = simulation.turn;
                simulation.sequences.push(Simulated { account: 2, arrived, ..request(&mut random) });
            }
            let now = simulation.turn;
            let ended = simulation.step();
            taken.extend(ended.iter().filter(|s| s.account == 2).map(|s| now - s.arrived));
        }
        // A text of at most 45 tokens whose prefill gets half of 16 a step, and at most 35 more.
        assert_eq!(taken.len(), 10, "seed {seed}");
        assert!(taken.iter().all(|&steps| steps <= 6 + 35 + 3), "seed {seed}: {taken:?}");
    }
}

/// Batch work goes on, if slowly, while interactive requests never stop coming.
#[test]
fn batch_work_is_not_forgotten() {
    let mut simulation = Simulation::new(1, limits(4, 16, 4), 400);
    simulation.sequences.push(Simulated { priority: Priority::Batch, ..Simulated::plain(vec![1; 50], 70) });
    for turn in 0..2000 {
        while simulation.sequences.iter().filter(|s| s.priority == Priority::Interactive).count() < 20 {
            simulation.sequences.push(Simulated::plain(vec![1; 10], 20));
        }
        if simulation.step().iter().any(|s| s.priority == Priority::Batch) {
            return;
        }
        assert!(turn < 1999, "the batch request is not done after {turn} steps");
    }
}

/// What holds in every step.
fn check(seed: u64, limits: &Limits, views: &[View<'_>], step: &Step) {
    let holds = |truth: bool, what: &str| assert!(truth, "seed {seed}: {what}\n{views:?}\n{step:?}");
    let running =
        |index: usize| (views[index].running || step.admit.contains(&index)) && !step.preempt.contains(&index);
    let running_count = (0..views.len()).filter(|&index| running(index)).count();
    holds(running_count <= limits.sequences_max.get() as usize, "too many sequences run");
    holds(step.admit.iter().all(|&index| !views[index].running), "one is admitted twice");
    holds(step.preempt.iter().all(|&index| views[index].running), "one is preempted that does not run");
    let mut indices: Vec<usize> = step.spans.iter().map(|span| span.index).collect();
    indices.sort_unstable();
    indices.dedup();
    holds(indices.len() == step.spans.len(), "one is computed twice");
    let mut prefill = 0;
    for span in &step.spans {
        let view = views[span.index];
        holds(running(span.index), "one is computed that does not run");
        holds(span.start == view.done && span.len > 0, "a span does not follow what is stored");
        let decodes = view.running && view.tokens - view.done == 1;
        let known = view.tokens + if decodes { view.guessed } else { 0 };
        holds(span.start + span.len <= known, "a span goes beyond what is known or guessed");
        prefill += if decodes { 0 } else { span.len };
    }
    holds(prefill <= limits.prefill_tokens_max.get(), "more prefill than the budget");
    // Waiting sequences are admitted in the order of what their flows were given.
    let order = |index: usize| (views[index].flow.served, index);
    let waits = |index: &usize| !running(*index) && !step.preempt.contains(index);
    if let Some(first) = (0..views.len()).filter(waits).map(order).min() {
        holds(step.admit.iter().all(|&index| order(index) < first), "one overtakes another that waits");
    }
    let guesses = step.spans.iter().filter(|span| views[span.index].running).map(|span| {
        let view = views[span.index];
        (span.start + span.len).saturating_sub(view.tokens)
    });
    let guesses: u32 = guesses.sum();
    holds(guesses <= limits.guess_rows_max, "more guesses than there are rows for");
    // Who only lacks its newest token gets its row, unless the pages ran out.
    for (index, view) in views.iter().enumerate() {
        let needs_page = view.done.is_multiple_of(limits.page_tokens.get());
        if running(index) && view.running && view.tokens - view.done == 1 && !needs_page {
            holds(indices.binary_search(&index).is_ok(), "a decoding sequence waits without need");
        }
    }
}
