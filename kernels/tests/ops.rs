//! Norms, rotation, SiLU and softmax: close to `f64`, and the same bits on every instruction set.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::num::NonZeroUsize;

use qwenda_kernels::{
    Compute, Isa, Rope, RopeScaling, argmax, argmax_on, exp_on, log_sum_exp, log_sum_exp_on, softmax, softmax_on,
};

/// Lengths around the sixteen lanes, around a chunk, and a real row.
const LENGTHS: [usize; 12] = [1, 2, 7, 15, 16, 17, 31, 63, 65, 130, 896, 16_385];

fn compute(isa: Isa, threads: usize) -> Compute {
    Compute::new(isa, NonZeroUsize::new(threads).unwrap())
}

/// Reproducible numbers in [-scale, scale).
fn noise(n: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n).map(|_| ((next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs `f` on every instruction set with one and with three threads; all must agree with scalar.
fn everywhere(f: impl Fn(&Compute) -> Vec<f32>) -> Vec<f32> {
    let expected = f(&compute(Isa::Scalar, 1));
    for isa in Isa::available() {
        for threads in [1, 3] {
            let got = f(&compute(isa, threads));
            assert_eq!(bits(&got), bits(&expected), "{isa} with {threads} threads");
        }
    }
    expected
}

fn close(got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(g) - e).abs();
        assert!(error <= tolerance * e.abs().max(1e-3), "element {i}: {g}, expected {e}");
    }
}

#[test]
fn exp_is_within_one_unit_in_the_last_place_of_f64() {
    let mut worst = 0.0f64;
    let xs: Vec<f32> = (-87_300..88_700).map(|i| i as f32 * 1e-3 + 3.1e-4).collect();
    for isa in Isa::available() {
        let mut got = xs.clone();
        exp_on(isa, &mut got);
        for (&x, &g) in xs.iter().zip(&got) {
            let exact = f64::from(x).exp();
            let unit = f64::from(g.next_up()) - f64::from(g);
            let error = (f64::from(g) - exact).abs() / unit;
            worst = worst.max(error);
            assert!(error < 1.0, "{isa}: exp({x}) = {g:e}, expected {exact:e}, off by {error} units");
        }
    }
    println!("largest error: {worst:.3} units in the last place");
}

#[test]
fn exp_is_right_at_the_extremes() {
    let cases = [
        (0.0, 1.0),
        (-0.0, 1.0),
        (f32::NEG_INFINITY, 0.0),
        (f32::INFINITY, f32::INFINITY),
        (f32::MIN, 0.0),
        (f32::MAX, f32::INFINITY),
        (88.73, f32::INFINITY),
        (-104.0, 0.0),
        (-103.0, f32::from_bits(1)),
        (1e-30, 1.0),
    ];
    for isa in Isa::available() {
        for (x, expected) in cases {
            let mut got = [x];
            exp_on(isa, &mut got);
            assert_eq!(got[0].to_bits(), expected.to_bits(), "{isa}: exp({x}) = {}", got[0]);
        }
        let mut nan = [f32::NAN];
        exp_on(isa, &mut nan);
        assert!(nan[0].is_nan(), "{isa}");
    }
}

#[test]
fn small_exponentials_fade_out_gradually() {
    for isa in Isa::available() {
        for i in 0..1700 {
            let x = -87.0 - i as f32 * 0.01;
            let mut got = [x];
            exp_on(isa, &mut got);
            let error = (f64::from(got[0]) - f64::from(x).exp()).abs();
            assert!(error <= 2.0 * f64::from(f32::from_bits(1)), "{isa}: exp({x}) = {:e}", got[0]);
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_exponential() {
    for n in LENGTHS {
        let x = noise(n, n as u64, 110.0);
        everywhere(|c| {
            let mut x = x.clone();
            exp_on(c.isa(), &mut x);
            x
        });
    }
}

#[test]
fn rms_norm_agrees_with_f64() {
    for cols in LENGTHS {
        let (x, weight) = (noise(3 * cols, 1, 4.0), noise(cols, 2, 2.0));
        let got = everywhere(|c| {
            let mut out = vec![0.0; x.len()];
            c.rms_norm(&x, &weight, 1e-6, &mut out);
            out
        });
        let expected: Vec<f64> = x
            .chunks(cols)
            .flat_map(|row| {
                let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
                let scale = 1.0 / (squares / cols as f64 + 1e-6f32 as f64).sqrt();
                row.iter().zip(&weight).map(move |(&x, &w)| f64::from(x) * scale * f64::from(w))
            })
            .collect();
        close(&got, &expected, 2e-6);
    }
}

#[test]
fn a_row_is_normed_alike_alone_and_among_others() {
    let (cols, rows) = (896, 70);
    let (x, weight) = (noise(rows * cols, 5, 4.0), noise(cols, 6, 2.0));
    let c = compute(Isa::detect(), 2);
    let mut together = vec![0.0; x.len()];
    c.rms_norm(&x, &weight, 1e-6, &mut together);
    for (x, expected) in x.chunks(cols).zip(together.chunks(cols)) {
        let mut alone = vec![0.0; cols];
        c.rms_norm(x, &weight, 1e-6, &mut alone);
        assert_eq!(bits(&alone), bits(expected));
    }
}

#[test]
fn silu_agrees_with_f64_and_does_not_overflow() {
    for n in LENGTHS {
        let mut gate = noise(n, 3, 30.0);
        gate[0] = 0.0;
        gate[n / 2] = -1000.0;
        gate[n - 1] = 1000.0;
        let up = noise(n, 4, 2.0);
        let got = everywhere(|c| {
            let mut gate = gate.clone();
            c.silu_mul(&mut gate, &up);
            gate
        });
        let expected: Vec<f64> =
            gate.iter().zip(&up).map(|(&g, &u)| f64::from(g) / (1.0 + (-f64::from(g)).exp()) * f64::from(u)).collect();
        close(&got, &expected, 5e-7);
    }
}

#[test]
fn sums_are_exact_sums() {
    for n in LENGTHS {
        let (x, y) = (noise(n, 7, 3.0), noise(n, 8, 3.0));
        let got = everywhere(|c| {
            let mut x = x.clone();
            c.add(&mut x, &y);
            x
        });
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        assert_eq!(bits(&got), bits(&expected));
    }
}

#[test]
fn rope_turns_halves_by_position_times_frequency() {
    let base = 1_000_000.0;
    for head_dim in [2, 64, 80, 128] {
        let rope = Rope::new(head_dim, base, RopeScaling::None, 32_768);
        // The last lies beyond the tables.
        let positions = [0, 1, 255, 256, 257, 511, 4_095, 32_767, 40_000];
        let n_heads = 3;
        let x = noise(positions.len() * n_heads * head_dim, 10, 5.0);
        let got = everywhere(|c| {
            let mut x = x.clone();
            c.rope(&rope, &mut x, n_heads, &positions);
            x
        });
        let half = head_dim / 2;
        let mut expected = vec![0.0f64; x.len()];
        for (row, &p) in positions.iter().enumerate() {
            for head in 0..n_heads {
                let at = (row * n_heads + head) * head_dim;
                for i in 0..half {
                    let angle = f64::from(p) * base.powf(-(i as f64) / half as f64);
                    let (a, b) = (f64::from(x[at + i]), f64::from(x[at + i + half]));
                    expected[at + i] = a * angle.cos() - b * angle.sin();
                    expected[at + i + half] = a * angle.sin() + b * angle.cos();
                }
            }
        }
        for (g, e) in got.iter().zip(&expected) {
            assert!((f64::from(*g) - e).abs() < 2e-6, "{g}, expected {e}");
        }
        assert_eq!(bits(&got[..n_heads * head_dim]), bits(&x[..n_heads * head_dim]), "position 0 turns nothing");
    }
}

#[test]
fn linear_scaling_divides_positions() {
    let plain = Rope::new(64, 10_000.0, RopeScaling::None, 4096);
    let scaled = Rope::new(64, 10_000.0, RopeScaling::Linear { factor: 4.0 }, 4096);
    for position in [0, 1, 5, 100, 1000] {
        let angles = |rope: &Rope, position| {
            let (mut cos, mut sin) = ([0.0f32; 32], [0.0f32; 32]);
            rope.angles(position, &mut cos, &mut sin);
            [cos, sin].concat()
        };
        for (a, b) in angles(&plain, position).iter().zip(angles(&scaled, position * 4)) {
            assert!((a - b).abs() < 1e-6, "position {position}");
        }
    }
}

#[test]
fn yarn_keeps_fast_dimensions_divides_slow_ones_and_raises_the_magnitude() {
    let factor = 4.0;
    let yarn =
        RopeScaling::Yarn { factor, original_context: 32_768, attention_factor: 1.0, beta_fast: 32.0, beta_slow: 1.0 };
    let base = 1_000_000.0f64;
    let rope = Rope::new(128, base, yarn, 131_072);
    let (mut cos, mut sin) = ([0.0; 64], [0.0; 64]);
    rope.angles(1, &mut cos, &mut sin);
    let magnitude = 0.1 * factor.ln() + 1.0;
    let angle = |i: usize| f64::from(sin[i]).atan2(f64::from(cos[i]));
    for i in 0..64 {
        let length = f64::from(sin[i]).hypot(f64::from(cos[i]));
        assert!((length - magnitude).abs() < 1e-6, "dimension {i}: magnitude {length}");
        let plain = base.powf(-(i as f64) / 64.0);
        // Turns within the trained context decide: more than 32 are kept, fewer than 1 divided.
        let turns = 32_768.0 * plain / std::f64::consts::TAU;
        let ratio = plain / angle(i);
        if turns > 64.0 {
            assert!((ratio - 1.0).abs() < 1e-4, "dimension {i}: divided by {ratio}");
        } else if turns < 0.9 {
            assert!((ratio - factor).abs() < 1e-2, "dimension {i}: divided by {ratio}");
        } else {
            assert!((0.999..factor + 0.01).contains(&ratio), "dimension {i}: divided by {ratio}");
        }
    }
}

#[test]
fn log_sum_exp_agrees_with_f64_over_a_whole_vocabulary() {
    for n in LENGTHS.into_iter().chain([151_936]) {
        for (scale, offset) in [(20.0, 0.0), (3.0, 1000.0), (0.0, -5.0)] {
            let x: Vec<f32> = noise(n, 11, scale).iter().map(|x| x + offset).collect();
            let got = everywhere(|c| vec![log_sum_exp_on(c.isa(), &x)])[0];
            let max = x.iter().copied().fold(f32::MIN, f32::max);
            let sum: f64 = x.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).sum();
            let expected = f64::from(max) + sum.ln();
            let tolerance = 2e-7 * expected.abs().max(1.0) + 2e-6;
            assert!((f64::from(got) - expected).abs() < tolerance, "n {n}: {got}, expected {expected}");
        }
    }
    assert_eq!(log_sum_exp(&[]), f32::NEG_INFINITY);
    assert_eq!(log_sum_exp(&[f32::NEG_INFINITY, 2.0]), 2.0);
}

#[test]
fn softmax_is_a_distribution() {
    for n in LENGTHS {
        let x = noise(n, 12, 15.0);
        let got = everywhere(|c| {
            let mut out = vec![0.0; n];
            softmax_on(c.isa(), &x, &mut out);
            out
        });
        let max = x.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f64> = x.iter().map(|&x| f64::from(x - max).exp()).collect();
        let sum: f64 = exps.iter().sum();
        let expected: Vec<f64> = exps.iter().map(|e| e / sum).collect();
        close(&got, &expected, 1e-6);
        let total: f64 = got.iter().map(|&p| f64::from(p)).sum();
        assert!((total - 1.0).abs() < 1e-5, "sums to {total}");
    }
    let mut out = [0.0; 3];
    softmax(&[f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY], &mut out);
    assert_eq!(out, [0.0, 1.0, 0.0], "what is masked has probability zero");
}

#[test]
fn argmax_takes_the_lowest_of_equals_and_points_at_nan() {
    let cases: [(&[f32], usize); 7] = [
        (&[1.0], 0),
        (&[1.0, 3.0, 3.0], 1),
        (&[-0.0, 0.0], 0),
        (&[f32::NEG_INFINITY, f32::NEG_INFINITY], 0),
        (&[f32::INFINITY, 2.0], 0),
        (&[9.0, f32::NAN, 10.0], 1),
        (&[f32::NAN], 0),
    ];
    for (x, expected) in cases {
        assert_eq!(argmax(x), expected, "{x:?}");
    }
    for n in LENGTHS {
        let mut x = noise(n, 13, 5.0);
        for at in [0, n / 2, n - 1] {
            x[at] = 6.0;
            let first = x.iter().position(|&x| x == 6.0).unwrap();
            for isa in Isa::available() {
                assert_eq!(argmax_on(isa, &x), first, "{isa}, {n} elements");
            }
        }
    }
}

#[test]
fn sigmoid_agrees_with_f64_and_does_not_overflow() {
    for n in LENGTHS {
        let mut gate = noise(n, 13, 30.0);
        gate[n / 2] = -1000.0;
        gate[n - 1] = 1000.0;
        let x = noise(n, 14, 2.0);
        let got = everywhere(|c| {
            let mut x = x.clone();
            c.sigmoid_mul(&mut x, &gate);
            x
        });
        let expected: Vec<f64> =
            x.iter().zip(&gate).map(|(&x, &g)| f64::from(x) / (1.0 + (-f64::from(g)).exp())).collect();
        close(&got, &expected, 5e-7);
    }
}

#[test]
fn only_the_beginning_of_a_longer_head_turns() {
    let (heads, head_dim, turning) = (3, 64, 16);
    let rope = Rope::new(turning, 1e6, RopeScaling::None, 512);
    let within = rope.clone().within(head_dim);
    let positions = [0, 5, 300];
    let x = noise(positions.len() * heads * head_dim, 15, 2.0);
    let got = everywhere(|c| {
        let mut x = x.clone();
        c.rope(&within, &mut x, heads, &positions);
        x
    });
    let c = compute(Isa::detect(), 1);
    for (i, (got, x)) in got.chunks(head_dim).zip(x.chunks(head_dim)).enumerate() {
        let mut alone = x[..turning].to_vec();
        c.rope(&rope, &mut alone, 1, &positions[i / heads..][..1]);
        assert_eq!(bits(&got[..turning]), bits(&alone), "head {i}");
        assert_eq!(bits(&got[turning..]), bits(&x[turning..]), "head {i}");
    }
}
