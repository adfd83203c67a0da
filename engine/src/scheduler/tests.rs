use super::*;
use crate::cache::pages::Pages;

fn limits(page: u32, prefill: u32, sequences: u32) -> Limits {
    let number = |n| NonZeroU32::new(n).unwrap();
    Limits { page_tokens: number(page), prefill_tokens_max: number(prefill), sequences_max: number(sequences) }
}

fn waiting(tokens: u32) -> View {
    View { tokens, done: 0, pages: 0, running: false }
}

fn running(tokens: u32, done: u32) -> View {
    View { tokens, done, pages: done.div_ceil(4), running: true }
}

fn span(index: usize, start: u32, len: u32) -> Span {
    Span { index, start, len }
}

#[test]
fn one_step_as_a_table() {
    let four = limits(4, 8, 3);
    // what is shown | sequences | free pages | step
    let table: &[(&str, &[View], u32, Step)] = &[
        ("nothing", &[], 9, Step::default()),
        ("a first chunk", &[waiting(20)], 9, Step { admit: vec![0], spans: vec![span(0, 0, 8)], ..Step::default() }),
        ("the next chunk", &[running(20, 8)], 9, Step { spans: vec![span(0, 8, 8)], ..Step::default() }),
        ("decode", &[running(21, 20)], 9, Step { spans: vec![span(0, 20, 1)], ..Step::default() }),
        (
            "decode goes first, whoever came first",
            &[running(20, 8), running(10, 9)],
            9,
            Step { spans: vec![span(1, 9, 1), span(0, 8, 8)], ..Step::default() },
        ),
        (
            "two prompts share the budget",
            &[running(20, 8), running(30, 0)],
            20,
            Step { spans: vec![span(0, 8, 4), span(1, 0, 4)], ..Step::default() },
        ),
        (
            "no more sequences than allowed",
            &[running(5, 4), running(5, 4), running(5, 4), waiting(3)],
            20,
            Step { spans: vec![span(0, 4, 1), span(1, 4, 1), span(2, 4, 1)], ..Step::default() },
        ),
        (
            "a sequence waits until its prompt fits",
            &[running(6, 5), waiting(30)],
            8,
            Step { spans: vec![span(0, 5, 1)], ..Step::default() },
        ),
        (
            "nobody overtakes one who waits for pages",
            &[running(6, 5), waiting(30), waiting(1)],
            8,
            Step { spans: vec![span(0, 5, 1)], ..Step::default() },
        ),
        (
            "the youngest makes room for the oldest",
            &[running(9, 8), running(7, 6), running(6, 5)],
            0,
            Step { preempt: vec![2], spans: vec![span(0, 8, 1), span(1, 6, 1)], ..Step::default() },
        ),
        (
            "the youngest waits rather than pushing out an older one",
            &[running(7, 6), running(9, 8)],
            0,
            Step { spans: vec![span(0, 6, 1)], ..Step::default() },
        ),
        (
            "a prompt of one token is computed at once",
            &[waiting(1)],
            9,
            Step { admit: vec![0], spans: vec![span(0, 0, 1)], ..Step::default() },
        ),
    ];
    for (what, views, free, expected) in table {
        assert_eq!(plan(&four, views, *free, 0), *expected, "{what}");
    }
}

#[test]
fn the_share_of_the_budget_rotates() {
    let limits = limits(4, 8, 4);
    let views = [running(100, 0), running(100, 0), running(100, 0)];
    let first =
        |turn| plan(&limits, &views, 100, turn).spans.iter().map(|span| (span.index, span.len)).collect::<Vec<_>>();
    assert_eq!(first(0), [(0, 4), (1, 4)]);
    assert_eq!(first(1), [(1, 4), (2, 4)]);
    assert_eq!(first(2), [(2, 4), (0, 4)]);
}

/// One request of the simulation.
struct Simulated {
    prompt: u32,
    /// Tokens at which it ends.
    end: u32,
    tokens: u32,
    done: u32,
    pages: Vec<u32>,
    running: bool,
    /// The step at which it must have ended.
    deadline: u64,
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
}

fn simulate(seed: u64) {
    let mut random = Random(seed);
    let page = [1, 4, 32][random.below(3) as usize];
    let limits = limits(page, 1 + random.below(64), 1 + random.below(6));
    let total = 1 + random.below(40);
    let mut pages = Pages::new(total);
    let capacity = total * page;
    let mut sequences: Vec<Simulated> = Vec::new();
    let mut left = 1 + random.below(40);
    let mut turn = 0u64;
    while left > 0 || !sequences.is_empty() {
        while left > 0 && (sequences.is_empty() || random.below(4) == 0) {
            left -= 1;
            let prompt = 1 + random.below(capacity.min(300));
            let end = (prompt + 1 + random.below(60)).min(capacity + 1);
            sequences.push(Simulated {
                prompt,
                end,
                tokens: prompt,
                done: 0,
                pages: vec![],
                running: false,
                deadline: 0,
            });
            // Alone, a sequence needs one step a token at most, and as much once more for each page
            // it loses and is computed again for. Those that run beside it share the budget.
            let work = |s: &Simulated| u64::from(s.end) * (2 + u64::from(s.end.div_ceil(page)));
            let before: u64 = sequences.iter().map(work).sum();
            let last = sequences.len() - 1;
            sequences[last].deadline = turn + before * u64::from(limits.sequences_max.get());
        }
        if random.below(30) == 0 && !sequences.is_empty() {
            let mut gone = sequences.remove(random.below(sequences.len() as u32) as usize);
            pages.release(&mut gone.pages);
        }
        let views: Vec<View> = sequences
            .iter()
            .map(|s| View { tokens: s.tokens, done: s.done, pages: s.pages.len() as u32, running: s.running })
            .collect();
        let step = plan(&limits, &views, pages.free() as u32, turn);
        turn += 1;
        check(seed, &limits, &views, &step);
        for &index in &step.preempt {
            pages.release(&mut sequences[index].pages);
            sequences[index].running = false;
            sequences[index].done = 0;
        }
        for &index in &step.admit {
            sequences[index].running = true;
        }
        for span in &step.spans {
            let sequence = &mut sequences[span.index];
            while (sequence.pages.len() as u32) * page < span.start + span.len {
                sequence.pages.push(pages.take().unwrap_or_else(|| panic!("seed {seed}: the plan overdrew the pages")));
            }
            sequence.done += span.len;
            sequence.tokens += u32::from(sequence.done == sequence.tokens);
        }
        assert!(sequences.is_empty() || !step.spans.is_empty(), "seed {seed}: a step without work");
        for sequence in &sequences {
            assert!(turn <= sequence.deadline, "seed {seed}: a prompt of {} starves", sequence.prompt);
        }
        sequences.retain_mut(|sequence| {
            let ends = sequence.tokens >= sequence.end;
            if ends {
                pages.release(&mut sequence.pages);
            }
            !ends
        });
    }
    assert_eq!(pages.free(), total as usize, "seed {seed}: pages are left over");
}

/// What holds in every step.
fn check(seed: u64, limits: &Limits, views: &[View], step: &Step) {
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
