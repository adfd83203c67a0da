use super::*;

/// Computes a text of a scope: what was found of it, and what is held then.
fn compute(cache: &mut Cache, scope: u64, tokens: &[u32]) -> (usize, Held) {
    let mut held = Held::default();
    let found = cache.adopt(scope, tokens, &mut held, 0);
    assert!(cache.reserve(&mut held, tokens.len()), "there are pages enough");
    cache.keep(scope, tokens, &mut held, tokens.len());
    (found, held)
}

/// The same, given back at once.
fn pass(cache: &mut Cache, scope: u64, tokens: &[u32]) -> usize {
    let (found, mut held) = compute(cache, scope, tokens);
    cache.release(&mut held);
    found
}

#[test]
fn whole_pages_of_a_beginning_are_found_again_within_their_scope() {
    let mut cache = Cache::new(20, 4);
    let text: Vec<u32> = (0..14).collect();
    assert_eq!(pass(&mut cache, 1, &text), 0);
    assert_eq!(cache.available(), 20);
    let table: &[(&str, u64, Vec<u32>, usize)] = &[
        ("the same again", 1, text.clone(), 12),
        ("another scope", 2, text.clone(), 0),
        ("a longer one", 1, (0..20).collect(), 12),
        ("a part", 1, text[..10].to_vec(), 8),
        ("at a page's end, all but the last token", 1, text[..8].to_vec(), 4),
        ("one token more", 1, text[..9].to_vec(), 8),
        ("one page", 1, text[..4].to_vec(), 0),
        ("another first token", 1, [&[9], &text[1..]].concat(), 0),
        ("another token on the second page", 1, [&text[..5], &[9], &text[6..]].concat(), 4),
        ("the second page alone", 1, text[4..].to_vec(), 0),
    ];
    for (what, scope, text, expected) in table {
        let mut held = Held::default();
        assert_eq!(cache.adopt(*scope, text, &mut held, 0), *expected, "{what}");
        assert_eq!(held.pages().len() * 4, *expected, "{what}");
        cache.release(&mut held);
    }
}

#[test]
fn the_longest_unused_goes_first_and_never_what_is_held() {
    let mut cache = Cache::new(6, 4);
    let text = |first: u32| (first..first + 8).collect::<Vec<_>>();
    let (_, held) = compute(&mut cache, 0, &text(0));
    assert_eq!(pass(&mut cache, 0, &text(100)), 0);
    assert_eq!(pass(&mut cache, 0, &text(200)), 0);
    assert_eq!(cache.available(), 4);
    // Used again, so that the other is the older one now.
    let longer = |first: u32| (first..first + 9).collect::<Vec<_>>();
    let mut again = Held::default();
    assert_eq!(cache.adopt(0, &longer(100), &mut again, 0), 8);
    cache.release(&mut again);
    assert_eq!(pass(&mut cache, 0, &text(300)), 0);
    let mut found = |first: u32| {
        let mut held = Held::default();
        let found = cache.adopt(0, &longer(first), &mut held, 0);
        cache.release(&mut held);
        found
    };
    assert_eq!([found(0), found(100), found(200), found(300)], [8, 8, 0, 8]);
    let mut most = Held::default();
    assert!(!cache.reserve(&mut most, 5 * 4), "what is held is not given up");
    assert_eq!(most.pages().len(), 4);
    assert!(most.pages().iter().all(|page| !held.pages().contains(page)));
}

#[test]
fn a_text_goes_from_its_end() {
    let mut cache = Cache::new(4, 4);
    let text: Vec<u32> = (0..16).collect();
    pass(&mut cache, 0, &text);
    let mut one = Held::default();
    assert!(cache.reserve(&mut one, 4));
    let mut rest = Held::default();
    assert_eq!(cache.adopt(0, &text, &mut rest, 0), 12, "its last page went");
}

#[test]
fn two_that_computed_the_same_end_up_with_the_same_pages() {
    let mut cache = Cache::new(10, 4);
    let text: Vec<u32> = (0..10).collect();
    let (mut one, mut other) = (Held::default(), Held::default());
    for held in [&mut one, &mut other] {
        assert!(cache.reserve(held, 10));
    }
    assert_eq!(cache.available(), 4);
    cache.keep(0, &text, &mut one, 10);
    cache.keep(0, &text, &mut other, 10);
    assert_eq!(one.pages()[..2], other.pages()[..2]);
    assert_ne!(one.pages()[2], other.pages()[2], "pages that are not full are not shared");
    assert_eq!(cache.available(), 6);
    // They go on differently behind what they have in common.
    let longer: Vec<u32> = text.iter().copied().chain(50..60).collect();
    assert!(cache.reserve(&mut other, 20));
    cache.keep(0, &longer, &mut other, 20);
    cache.release(&mut one);
    assert_eq!(cache.available(), 5, "the other still holds what they share");
    cache.release(&mut other);
    assert_eq!(cache.available(), 10);
}

#[test]
fn nothing_is_adopted_in_the_middle_of_a_page() {
    let mut cache = Cache::new(10, 4);
    let text: Vec<u32> = (0..10).collect();
    pass(&mut cache, 0, &text);
    let mut held = Held::default();
    assert!(cache.reserve(&mut held, 3));
    assert_eq!(cache.adopt(0, &text, &mut held, 3), 3);
    assert_eq!(held.pages().len(), 1);
}

#[test]
fn where_there_is_a_state_pages_are_used_up_to_where_it_was_kept() {
    let mut cache = Cache::new(5, 4).with_slots(2, 2);
    let text: Vec<u32> = (0..14).collect();
    let with_slot = |cache: &mut Cache| {
        let mut held = Held::default();
        assert!(cache.take_slot(&mut held));
        held
    };
    let state = |value: f32| Some(vec![value].into_boxed_slice());
    let mut first = with_slot(&mut cache);
    assert_eq!(cache.adopt(1, &text, &mut first, 0), 0);
    assert!(cache.reserve(&mut first, 14));
    cache.keep(1, &text, &mut first, 8);
    cache.keep_state(&first, 8, || state(0.8));
    cache.keep_state(&first, 8, || panic!("it is kept already"));
    cache.keep(1, &text, &mut first, 14);
    cache.keep_state(&first, 14, || panic!("that is no page's end"));
    let slot = first.slot();
    cache.release(&mut first);
    assert_eq!((first.slot(), first.parted()), (None, 0));

    let mut again = with_slot(&mut cache);
    assert_eq!(again.slot(), slot, "the slot has come back");
    assert_eq!(cache.adopt(1, &text, &mut again, 0), 8);
    assert_eq!((again.parted(), cache.state(&again)), (12, Some([0.8].as_slice())));
    cache.release(&mut again);

    // A text that needs all pages takes those of the first, and its state with them.
    let other: Vec<u32> = (50..70).collect();
    assert_eq!(pass(&mut cache, 1, &other), 0);
    let mut again = with_slot(&mut cache);
    assert_eq!((cache.adopt(1, &text, &mut again, 0), again.parted()), (0, 0));
    let mut none = with_slot(&mut cache);
    assert_eq!((cache.adopt(1, &other, &mut none, 0), none.parted()), (0, 16), "of that none was kept");
    assert!(!cache.take_slot(&mut Held::default()), "both are taken");
}
