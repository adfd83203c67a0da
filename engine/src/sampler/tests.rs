use super::*;

/// Draws `count` tokens from the same logits.
fn draw(rules: &Sampling, logits: &[f32], prompt: &[u32], count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(rules.clone(), prompt);
    let mut scratch = Scratch::default();
    (0..count)
        .map(|_| {
            let id = sampler.sample(&mut logits.to_vec(), &[], &Allowed::All, &mut scratch).unwrap();
            sampler.accept(id);
            id
        })
        .collect()
}

/// Share of each token among many draws.
fn shares(rules: &Sampling, logits: &[f32]) -> Vec<f64> {
    const DRAWS: usize = 20_000;
    let mut counts = vec![0.0; logits.len()];
    for id in draw(rules, logits, &[], DRAWS) {
        counts[id as usize] += 1.0 / DRAWS as f64;
    }
    counts
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    for (token, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < 0.015, "{what}: token {token} has share {a}, not {b}");
    }
}

#[test]
fn temperature_0_takes_the_lowest_id_of_the_largest_logits() {
    assert_eq!(draw(&Sampling::greedy(), &[0.0, 3.0, 3.0, -1.0], &[], 3), [1, 1, 1]);
}

#[test]
fn shares_follow_the_rules() {
    // ln of probabilities .5 .25 .15 .1
    let logits = [0.5f32, 0.25, 0.15, 0.1].map(f32::ln);
    let rules = Sampling { seed: 1, ..Sampling::default() };
    // what is shown | rules | shares
    let table: &[(&str, Sampling, [f64; 4])] = &[
        ("nothing", rules.clone(), [0.5, 0.25, 0.15, 0.1]),
        ("top_k", Sampling { top_k: 2, ..rules.clone() }, [0.6667, 0.3333, 0.0, 0.0]),
        ("top_k of 1", Sampling { top_k: 1, ..rules.clone() }, [1.0, 0.0, 0.0, 0.0]),
        ("top_k beyond all", Sampling { top_k: 9, ..rules.clone() }, [0.5, 0.25, 0.15, 0.1]),
        ("top_p keeps the one that crosses", Sampling { top_p: 0.6, ..rules.clone() }, [0.6667, 0.3333, 0.0, 0.0]),
        ("a tiny top_p keeps the best", Sampling { top_p: 1e-6, ..rules.clone() }, [1.0, 0.0, 0.0, 0.0]),
        ("min_p is relative to the best", Sampling { min_p: 0.29, ..rules.clone() }, [0.5556, 0.2778, 0.1667, 0.0]),
        ("min_p of 1", Sampling { min_p: 1.0, ..rules.clone() }, [1.0, 0.0, 0.0, 0.0]),
        // Squared and normalised: .25 .0625 .0225 .01 over .345.
        ("temperature 0.5", Sampling { temperature: 0.5, ..rules.clone() }, [0.7246, 0.1812, 0.0652, 0.029]),
        // top_p counts the mass that top_k left: .5 / .75 = .667 of it.
        ("top_k before top_p", Sampling { top_k: 2, top_p: 0.65, ..rules.clone() }, [1.0, 0.0, 0.0, 0.0]),
        ("top_p and min_p", Sampling { top_p: 0.95, min_p: 0.4, ..rules.clone() }, [0.6667, 0.3333, 0.0, 0.0]),
        ("a bias", Sampling { logit_bias: vec![(3, 100.0)], ..rules.clone() }, [0.0, 0.0, 0.0, 1.0]),
        ("a ban", Sampling { logit_bias: vec![(0, -100.0)], ..rules.clone() }, [0.0, 0.5, 0.3, 0.2]),
    ];
    for (what, rules, expected) in table {
        assert_close(&shares(rules, &logits), expected, what);
    }
}

#[test]
fn penalties_push_down_what_has_occurred() {
    let greedy = Sampling::greedy();
    // what is shown | rules | prompt | logits | tokens
    type Row<'a> = (&'a str, Sampling, &'a [u32], &'a [f32], &'a [u32]);
    let table: &[Row<'_>] = &[
        ("none", greedy.clone(), &[0], &[2.0, 1.5], &[0, 0, 0]),
        ("presence, once", Sampling { presence_penalty: 1.0, ..greedy.clone() }, &[], &[2.0, 1.5], &[0, 1, 0, 0]),
        (
            "presence leaves the prompt alone",
            Sampling { presence_penalty: 1.0, ..greedy.clone() },
            &[0],
            &[2.0, 1.5],
            &[0, 1],
        ),
        (
            "frequency, each time",
            Sampling { frequency_penalty: 0.4, ..greedy.clone() },
            &[],
            &[2.0, 1.5],
            &[0, 0, 1, 0, 1],
        ),
        (
            "repetition, the prompt too",
            Sampling { repetition_penalty: 2.0, ..greedy.clone() },
            &[0],
            &[2.0, 1.5],
            &[1, 0, 0],
        ),
        (
            "repetition of a negative logit",
            Sampling { repetition_penalty: 2.0, ..greedy.clone() },
            &[0],
            &[-1.0, -1.5],
            &[1, 0],
        ),
        (
            "the bias comes first",
            Sampling { repetition_penalty: 2.0, logit_bias: vec![(0, 3.0)], ..greedy.clone() },
            &[0],
            &[-1.0, 0.9],
            &[0],
        ),
    ];
    for (what, rules, prompt, logits, expected) in table {
        assert_eq!(draw(rules, logits, prompt, expected.len()), *expected, "{what}");
    }
}

#[test]
fn the_least_numbers_that_a_request_may_have_still_draw_the_best_token() {
    let logits = [1.0, 12.0, 3.0, -2.0];
    for temperature in [f32::from_bits(1), f32::MIN_POSITIVE, 1e-30, 1.0] {
        for repetition_penalty in [f32::MIN_POSITIVE, 1e-30] {
            for (top_k, top_p) in [(0, f32::MIN_POSITIVE), (0, 1.0), (2, 0.5)] {
                let rules = Sampling { temperature, repetition_penalty, top_k, top_p, ..Sampling::default() };
                assert_eq!(draw(&rules, &logits, &[1], 3), [1, 1, 1], "{rules:?}");
            }
        }
    }
}

#[test]
fn equal_seeds_draw_equal_tokens_and_others_do_not() {
    let logits: Vec<f32> = (0..1000).map(|i| (i % 7) as f32 * 0.1).collect();
    let tokens = |seed| draw(&Sampling { seed, ..Sampling::default() }, &logits, &[], 50);
    assert_eq!(tokens(1), tokens(1));
    assert_ne!(tokens(1), tokens(2));
    let two: Vec<Vec<u32>> = (0..200).map(tokens).collect();
    let mut firsts: Vec<u32> = two.iter().map(|tokens| tokens[0]).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 150, "neighbouring seeds are independent: {} different first tokens", firsts.len());
}

#[test]
fn rows_that_are_no_tokens_are_never_drawn() {
    let logits = [1.0, 50.0, 50.0, 2.0, 60.0];
    for temperature in [0.0, 1.0, 100.0] {
        let mut sampler = Sampler::new(Sampling { temperature, ..Sampling::default() }, &[]);
        for _ in 0..200 {
            let scratch = &mut Scratch::default();
            let id = sampler.sample(&mut logits.to_vec(), &[1..3, 4..5], &Allowed::All, scratch).unwrap();
            sampler.accept(id);
            assert!(id == 0 || id == 3, "token {id} at temperature {temperature}");
        }
    }
}

#[test]
fn tokens_that_are_not_allowed_are_never_drawn_whatever_speaks_for_them() {
    let logits = [1.0, 50.0, -50.0, 2.0, 60.0];
    let plain = Sampling { logit_bias: vec![(1, 1e6), (4, 1e6)], ..Sampling::default() };
    for temperature in [0.0, 0.01, 1.0, 100.0] {
        for (top_k, top_p, min_p) in [(0, 1.0, 0.0), (4, 1.0, 0.0), (0, 0.9, 0.0), (3, 0.9, 0.1)] {
            let rules = Sampling { temperature, top_k, top_p, min_p, repetition_penalty: 0.5, ..plain.clone() };
            let mut sampler = Sampler::new(rules, &[1, 4]);
            for _ in 0..200 {
                let allowed = Allowed::AllBut(&[1, 2, 4]);
                let id = sampler.sample(&mut logits.to_vec(), &[], &allowed, &mut Scratch::default()).unwrap();
                sampler.accept(id);
                assert!(id == 0 || id == 3, "token {id} at temperature {temperature}, top_k {top_k}, top_p {top_p}");
            }
        }
    }
}

#[test]
fn logits_that_are_not_finite_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 17, 99] {
            let mut logits = vec![0.0; 100];
            logits[at] = bad;
            let sampler = Sampler::new(Sampling::greedy(), &[]);
            let found = sampler.sample(&mut logits, &[], &Allowed::All, &mut Scratch::default());
            assert_eq!(found, Err(NotFinite), "{bad} at {at}");
        }
    }
}

#[test]
fn the_largest_are_those_of_a_full_sort() {
    let mut state = 1u32;
    let logits: Vec<f32> = (0..5000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 22) as f32 // many equal ones
        })
        .collect();
    let mut sorted: Vec<u32> = (0..5000).collect();
    sorted.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    for k in [1, 2, 5, 40, 63, 64, 65, 1000, 4999, 5000] {
        let mut found = Vec::new();
        largest(&logits, k, &mut found);
        let ids: Vec<u32> = found.iter().map(|candidate| candidate.id).collect();
        assert_eq!(ids, sorted[..k], "the {k} largest");
    }
}

#[test]
fn a_large_vocabulary_gives_the_same_shares_as_its_definition() {
    // A long tail: top_p has to look deeper than its first guess.
    let logits: Vec<f32> = (0..8_000).map(|i| -((i % 400) as f32) * 0.05).collect();
    let rules = Sampling { top_p: 0.9, temperature: 2.0, seed: 3, ..Sampling::default() };
    let mass: f64 = logits.iter().map(|&logit| f64::from(logit / 2.0).exp()).sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let mut kept = std::collections::HashSet::new();
    let mut sum = 0.0;
    for id in order {
        if sum >= 0.9 * mass {
            break;
        }
        sum += f64::from(logits[id] / 2.0).exp();
        kept.insert(id as u32);
    }
    let drawn = draw(&rules, &logits, &[], 2000);
    let outside = drawn.iter().filter(|id| !kept.contains(id)).count();
    // The border itself is subject to rounding of the sums.
    assert!(outside <= 1, "{outside} draws from outside the {} tokens kept", kept.len());
    let best = drawn.iter().filter(|&&id| id % 400 < 20).count() as f64 / 2000.0;
    let expected: f64 =
        kept.iter().filter(|&&id| id % 400 < 20).map(|&id| f64::from(logits[id as usize] / 2.0).exp()).sum::<f64>()
            / sum;
    assert!((best - expected).abs() < 0.04, "share {best}, not {expected}");
}

#[test]
fn logprobs_are_the_log_softmax_of_unmodified_logits() {
    let logits = [0.5f32, 0.25, 0.15, 0.1].map(f32::ln);
    let found = logprobs(&logits, 2, 2);
    assert_eq!(found.id, 2);
    assert!((found.logprob - 0.15f32.ln()).abs() < 1e-5);
    let ids: Vec<u32> = found.top.iter().map(|top| top.0).collect();
    assert_eq!(ids, [0, 1]);
    assert!((found.top[1].1 - 0.25f32.ln()).abs() < 1e-5);
    assert!(logprobs(&logits, 2, 0).top.is_empty());
}
