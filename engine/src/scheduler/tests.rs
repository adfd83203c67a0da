use super::*;

mod simulation;

fn limits(page: u32, prefill: u32, sequences: u32) -> Limits {
    let number = |n| NonZeroU32::new(n).unwrap();
    let (page_tokens, prefill_tokens_max, sequences_max) = (number(page), number(prefill), number(sequences));
    Limits { page_tokens, prefill_tokens_max, sequences_max, guess_rows_max: 8 }
}

const ONE: Flow = Flow { id: 1, weight: 8, served: 0 };

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
    View { tokens, done: 0, pages: &[], running: false, follows: false, guessed: 0, flow: ONE }
}

/// A sequence with pages of four tokens from page `10 * own` on.
fn running(own: usize, tokens: u32, done: u32) -> View<'static> {
    let pages = &PAGES[10 * own..][..done.div_ceil(4) as usize];
    View { tokens, done, pages, running: true, follows: false, guessed: 0, flow: ONE }
}

fn span(index: usize, start: u32, len: u32) -> Span {
    Span { index, start, len }
}

#[test]
fn one_step_as_a_table() {
    let four = limits(4, 8, 3);
    let follower = |view: View<'static>| View { follows: true, ..view };
    let holding = |pages: &'static [u32], view: View<'static>| View { pages, ..view };
    let guessing = |guessed, view: View<'static>| View { guessed, ..view };
    let of = |id, weight, served, view: View<'static>| View { flow: Flow { id, weight, served }, ..view };
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
        (
            "guesses get the rows that are left",
            vec![guessing(15, running(0, 6, 5)), running(1, 7, 6)],
            9,
            Step { spans: vec![span(0, 5, 1 + 3), span(1, 6, 1)], ..Step::default() },
        ),
        (
            "what one does not guess is for the next",
            vec![guessing(1, running(0, 6, 5)), guessing(15, running(1, 6, 5))],
            9,
            Step { spans: vec![span(0, 5, 2), span(1, 5, 1 + 5)], ..Step::default() },
        ),
        (
            "guesses take no page that a text may need",
            vec![guessing(5, running(0, 6, 5)), running(1, 9, 8)],
            3,
            Step { spans: vec![span(0, 5, 1 + 2), span(1, 8, 1)], ..Step::default() },
        ),
        (
            "who was served less comes first",
            vec![of(1, 8, 500, waiting(3)), of(2, 8, 100, waiting(3)), of(1, 8, 500, waiting(3))],
            20,
            Step { admit: vec![1, 0, 2], spans: vec![span(1, 0, 3), span(0, 0, 3), span(2, 0, 2)], ..Step::default() },
        ),
        (
            "a newcomer gets a place of the flow that has them all",
            vec![running(0, 5, 4), running(1, 5, 4), running(2, 5, 4), of(2, 8, 0, waiting(3))],
            20,
            Step { preempt: vec![2], admit: vec![3], spans: vec![span(0, 4, 1), span(1, 4, 1), span(3, 0, 3)] },
        ),
        (
            "no place changes hands between flows with equal shares",
            vec![running(0, 5, 4), of(2, 8, 0, running(1, 5, 4)), of(2, 8, 0, running(2, 5, 4)), waiting(3)],
            20,
            Step { spans: vec![span(0, 4, 1), span(1, 4, 1), span(2, 4, 1)], ..Step::default() },
        ),
        (
            "batch work gives its places to who is waited for, but for the oldest's",
            vec![of(3, 1, 0, running(0, 5, 4)), of(3, 1, 0, running(1, 5, 4)), running(2, 5, 4), waiting(3)],
            20,
            Step { preempt: vec![1], admit: vec![3], spans: vec![span(0, 4, 1), span(2, 4, 1), span(3, 0, 3)] },
        ),
        (
            "prefill is shared by weight",
            vec![of(3, 1, 0, running(0, 100, 0)), of(2, 8, 0, running(1, 100, 0))],
            50,
            Step { spans: vec![span(1, 0, 7), span(0, 0, 1)], ..Step::default() },
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
        Text { scope, tokens, done, running: true }
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
        ("the older waits", [Text { running: false, ..text(Some(1), &long, 0) }, text(Some(1), &long, 0)], false),
    ];
    for (what, texts, expected) in table {
        assert_eq!(follows(texts, 4), [false, *expected], "{what}");
    }
}
