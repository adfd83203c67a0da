use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::cache::{Cache, Held};

fn limits(page: u32, prefill: u32, sequences: u32) -> Limits {
    let number = |n| NonZeroU32::new(n).unwrap();
    Limits { page_tokens: number(page), prefill_tokens_max: number(prefill), sequences_max: number(sequences) }
}

/// Numbers of pages, enough for every view of a table.
const PAGES: [u32; 100] = {
    let mut pages = [0; 100];
    let mut page = 0;
    while page < 100 {
        pages[page] = page as u32;
        page += 1;
    }
    pages
};

fn waiting(tokens: u32) -> View<'static> {
    View { tokens, done: 0, pages: &[], running: false, follows: false }
}

/// A sequence with pages of four tokens from page `10 * own` on.
fn running(own: usize, tokens: u32, done: u32) -> View<'static> {
    let pages = &PAGES[10 * own..][..done.div_ceil(4) as usize];
    View { tokens, done, pages, running: true, follows: false }
}

fn span(index: usize, start: u32, len: u32) -> Span {
    Span { index, start, len }
}

#[test]
fn one_step_as_a_table() {
    let four = limits(4, 8, 3);
    let follower = |view: View<'static>| View { follows: true, ..view };
    let holding = |pages: &'static [u32], view: View<'static>| View { pages, ..view };
    // what is shown | sequences | free pages | step
    type Row<'a> = (&'a str, Vec<View<'static>>, u32, Step);
    let table: &[Row<'_>] = &[
        ("nothing", vec![], 9, Step::default()),
        ("a first chunk", vec![waiting(20)], 9, Step { admit: vec![0], spans: vec![span(0, 0, 8)], ..Step::default() }),
        ("the next chunk", vec![running(0, 20, 8)], 9, Step { spans: vec![span(0, 8, 8)], ..Step::default() }),
        ("decode", vec![running(0, 21, 20)], 9, Step { spans: vec![span(0, 20, 1)], ..Step::default() }),
        (
            "decode goes first, whoever came first",
            vec![running(0, 20, 8), running(1, 10, 9)],
            9,
            Step { spans: vec![span(1, 9, 1), span(0, 8, 8)], ..Step::default() },
        ),
        (
            "two prompts share the budget",
            vec![running(0, 20, 8), running(1, 30, 0)],
            20,
            Step { spans: vec![span(0, 8, 4), span(1, 0, 4)], ..Step::default() },
        ),
        (
            "no more sequences than allowed",
            vec![running(0, 5, 4), running(1, 5, 4), running(2, 5, 4), waiting(3)],
            20,
            Step { spans: vec![span(0, 4, 1), span(1, 4, 1), span(2, 4, 1)], ..Step::default() },
        ),
        (
            "a sequence waits until its prompt fits",
            vec![running(0, 6, 5), waiting(30)],
            8,
            Step { spans: vec![span(0, 5, 1)], ..Step::default() },
        ),
        (
            "nobody overtakes one who waits for pages",
            vec![running(0, 6, 5), waiting(30), waiting(1)],
            8,
            Step { spans: vec![span(0, 5, 1)], ..Step::default() },
        ),
        (
            "the youngest makes room for the oldest",
            vec![running(0, 9, 8), running(1, 7, 6), running(2, 6, 5)],
            0,
            Step { preempt: vec![2], spans: vec![span(0, 8, 1), span(1, 6, 1)], ..Step::default() },
        ),
        (
            "what two share is free when both have lost their places",
            vec![running(0, 9, 8), holding(&[10, 11], running(1, 7, 6)), holding(&[10, 11], running(2, 8, 7))],
            0,
            Step { preempt: vec![2, 1], spans: vec![span(0, 8, 1)], ..Step::default() },
        ),
        (
            "the youngest waits rather than pushing out an older one",
            vec![running(0, 7, 6), running(1, 9, 8)],
            0,
            Step { spans: vec![span(0, 6, 1)], ..Step::default() },
        ),
        (
            "a prompt of one token is computed at once",
            vec![waiting(1)],
            9,
            Step { admit: vec![0], spans: vec![span(0, 0, 1)], ..Step::default() },
        ),
        (
            "who follows leaves the budget to the one ahead",
            vec![running(0, 20, 4), follower(running(1, 20, 4)), follower(waiting(20))],
            20,
            Step { admit: vec![2], spans: vec![span(0, 4, 8)], ..Step::default() },
        ),
    ];
    for (what, views, free, expected) in table {
        assert_eq!(plan(&four, views, room(views, *free, &mut Vec::new()), 0), *expected, "{what}");
    }
}

/// A store with `free` pages besides those held.
fn room<'a>(views: &[View<'_>], free: u32, holders: &'a mut Vec<u32>) -> Room<'a> {
    holders.resize(PAGES.len(), 0);
    views.iter().flat_map(|view| view.pages).for_each(|&page| holders[page as usize] += 1);
    Room { free, holders }
}

#[test]
fn the_share_of_the_budget_rotates() {
    let limits = limits(4, 8, 4);
    let views = [running(0, 100, 0), running(1, 100, 0), running(2, 100, 0)];
    let first = |turn| {
        let step = plan(&limits, &views, room(&views, 100, &mut Vec::new()), turn);
        step.spans.iter().map(|span| (span.index, span.len)).collect::<Vec<_>>()
    };
    assert_eq!(first(0), [(0, 4), (1, 4)]);
    assert_eq!(first(1), [(1, 4), (2, 4)]);
    assert_eq!(first(2), [(2, 4), (0, 4)]);
}

#[test]
fn who_follows_whom_as_a_table() {
    fn text(scope: Option<u64>, tokens: &[u32], done: usize) -> Text<'_> {
        Text { scope, tokens, done }
    }
    let (long, other, late) = ([1, 2, 3, 4, 5, 6, 7, 8, 9], [9; 9], [1, 2, 3, 4, 5, 6, 7, 9, 9]);
    type Row<'a> = (&'a str, [Text<'a>; 2], bool);
    let table: &[Row<'_>] = &[
        ("the same", [text(Some(1), &long, 0), text(Some(1), &long, 0)], true),
        ("one is in the middle of the page", [text(Some(1), &long, 6), text(Some(1), &long, 4)], true),
        ("another text", [text(Some(1), &other, 0), text(Some(1), &long, 0)], false),
        ("another scope", [text(Some(2), &long, 0), text(Some(1), &long, 0)], false),
        ("no scope", [text(None, &long, 0), text(None, &long, 0)], false),
        ("the next page differs", [text(Some(1), &late, 4), text(Some(1), &long, 4)], false),
        ("this page does not differ", [text(Some(1), &late, 0), text(Some(1), &long, 0)], true),
        ("the older is further", [text(Some(1), &long, 8), text(Some(1), &long, 4)], false),
        ("the older is behind", [text(Some(1), &long, 0), text(Some(1), &long, 4)], false),
        ("the younger is in the middle of its page", [text(Some(1), &long, 1), text(Some(1), &long, 1)], false),
        ("the last token is one's own to compute", [text(Some(1), &long, 0), text(Some(1), &long[..4], 0)], false),
        ("the older does not go so far", [text(Some(1), &long[..3], 0), text(Some(1), &long, 0)], false),
    ];
    for (what, texts, expected) in table {
        assert_eq!(follows(texts, 4), [false, *expected], "{what}");
    }
}

/// One request of the simulation.
struct Simulated {
    scope: Option<u64>,
    tokens: Vec<u32>,
    /// Tokens at which it ends.
    end: usize,
    done: usize,
    held: Held,
    running: bool,
    /// The step at which it must have ended.
    deadline: u64,
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
        Self { scope, tokens, end, done: 0, held: Held::default(), running: false, deadline: 0 }
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

/// Arrivals, completions and hang-ups at random. Every sequence ends, in a time bounded by what was
/// there when it arrived; no page is ever short, given out twice, or left over.
#[test]
fn nobody_starves_and_no_page_leaks() {
    for seed in 0..400 {
        simulate(seed);
    }
    assert!(REUSED.load(Ordering::Relaxed) > 1000, "pages are used again");
}

fn simulate(seed: u64) {
    let mut random = Random(seed);
    let page = [1, 4, 32][random.below(3) as usize];
    let limits = limits(page, 1 + random.below(64), 1 + random.below(6));
    let total = 1 + random.below(40);
    let mut cache = Cache::new(total, page as usize);
    let mut sequences: Vec<Simulated> = Vec::new();
    let mut left = 1 + random.below(40);
    let (mut turn, mut reused) = (0u64, 0);
    while left > 0 || !sequences.is_empty() {
        while left > 0 && (sequences.is_empty() || random.below(4) == 0) {
            left -= 1;
            sequences.push(Simulated::new(&mut random, total * page));
            // Alone, a sequence needs one step a token at most, and as much once more for each page
            // it loses and is computed again for. Those that run beside it share the budget.
            let work = |s: &Simulated| s.end as u64 * (2 + s.end.div_ceil(page as usize) as u64);
            let before: u64 = sequences.iter().map(work).sum();
            let last = sequences.len() - 1;
            sequences[last].deadline = turn + before * u64::from(limits.sequences_max.get());
        }
        if random.below(30) == 0 && !sequences.is_empty() {
            let mut gone = sequences.remove(random.below(sequences.len() as u32) as usize);
            cache.release(&mut gone.held);
        }
        sequences.iter_mut().filter(|sequence| sequence.running).for_each(|sequence| sequence.adopt(&mut cache));
        let texts: Vec<_> =
            sequences.iter().map(|s| Text { scope: s.scope, tokens: &s.tokens, done: s.done }).collect();
        let views: Vec<View<'_>> = sequences
            .iter()
            .zip(follows(&texts, page as usize))
            .map(|(s, follows)| View {
                tokens: s.tokens.len() as u32,
                done: s.done as u32,
                pages: s.held.pages(),
                running: s.running,
                follows,
            })
            .collect();
        let room = Room { free: cache.available() as u32, holders: cache.holders() };
        let mut step = plan(&limits, &views, room, turn);
        turn += 1;
        check(seed, &limits, &views, &step);
        for &index in &step.preempt {
            cache.release(&mut sequences[index].held);
            sequences[index].running = false;
            sequences[index].done = 0;
        }
        for &index in &step.admit {
            sequences[index].running = true;
            sequences[index].adopt(&mut cache);
            reused += sequences[index].done;
        }
        for span in &mut step.spans {
            let sequence = &mut sequences[span.index];
            span.start_at(sequence.done, sequence.tokens.len());
            let enough = cache.reserve(&mut sequence.held, (span.start + span.len) as usize);
            assert!(enough, "seed {seed}: the plan overdrew the pages");
            sequence.done += span.len as usize;
            if let Some(scope) = sequence.scope {
                cache.keep(scope, &sequence.tokens, &mut sequence.held, sequence.done);
            }
            if sequence.done == sequence.tokens.len() {
                // Some write several tokens at once.
                let more = 1 + random.below(8) / 7;
                sequence.tokens.extend((0..more).map(|_| 7));
            }
        }
        assert!(sequences.is_empty() || !step.spans.is_empty(), "seed {seed}: a step without work");
        for sequence in &sequences {
            assert!(turn <= sequence.deadline, "seed {seed}: a text of {} starves", sequence.tokens.len());
        }
        sequences.retain_mut(|sequence| {
            let ends = sequence.tokens.len() >= sequence.end;
            if ends {
                cache.release(&mut sequence.held);
            }
            !ends
        });
    }
    assert_eq!(cache.available(), total as usize, "seed {seed}: pages are held by nobody");
    REUSED.fetch_add(reused as u64, Ordering::Relaxed);
}

/// Tokens that were found at admission, in all simulations.
static REUSED: AtomicU64 = AtomicU64::new(0);

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
        holds(span.start + span.len <= view.tokens, "a span goes beyond what is known");
        let decodes = view.running && view.tokens - view.done == 1;
        prefill += if decodes { 0 } else { span.len };
    }
    holds(prefill <= limits.prefill_tokens_max.get(), "more prefill than the budget");
    // Waiting sequences are admitted in order.
    let first_waiting = (0..views.len()).find(|&index| !running(index) && !step.preempt.contains(&index));
    if let Some(first) = first_waiting {
        holds(step.admit.iter().all(|&index| index < first), "one overtakes another that waits");
    }
    // Who only lacks its newest token gets its row, unless the pages ran out.
    for (index, view) in views.iter().enumerate() {
        let needs_page = view.done.is_multiple_of(limits.page_tokens.get());
        if running(index) && view.running && view.tokens - view.done == 1 && !needs_page {
            holds(indices.binary_search(&index).is_ok(), "a decoding sequence waits without need");
        }
    }
}
