//! Products that do more than multiply give the bits of their parts done one after the other, on every
//! instruction set and with any number of threads.

mod common;

use std::num::NonZeroUsize;

use common::{Random, matrix, packed, weights};
use qwenda_kernels::{Acts, AlignedBytes, Compute, Isa, Layout, Precision, Product, Then};

const EPS: f32 = 1e-6;

fn computes() -> Vec<Compute> {
    let threads = |n| NonZeroUsize::new(n).expect("at least one");
    Isa::available().iter().flat_map(|&isa| [1, 3].map(|n| Compute::new(isa, threads(n)))).collect()
}

fn made(layout: Layout, rows: usize, cols: usize, random: &mut Random) -> AlignedBytes {
    packed(layout, rows, cols, &weights(layout, rows, cols, random, |r| r.bits() as u8))
}

fn floats(len: usize, random: &mut Random) -> Vec<f32> {
    (0..len).map(|_| random.float() * 3.0).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Rows of activations, and which of them enter in two parts.
fn batches() -> Vec<(usize, Vec<usize>)> {
    let mut batches = vec![(1, vec![]), (1, vec![0]), (3, vec![1, 2]), (16, vec![]), (14, vec![0, 13])];
    if !cfg!(miri) {
        batches.extend([(17, vec![5]), (137, vec![0]), (272, vec![]), (300, vec![0, 135, 136, 299])]);
    }
    batches
}

/// What bytes with a scale for 32 hold of a row, and what they leave.
fn parts(row: &[f32]) -> [Vec<f32>; 2] {
    let (mut held, mut rest) = (Vec::new(), Vec::new());
    for block in row.chunks(32) {
        let step = block.iter().fold(0.0f32, |largest, x| largest.max(x.abs())) / 127.0;
        for x in block {
            let steps = (x / step).round_ties_even() * step;
            held.push(steps);
            rest.push(x - steps);
        }
    }
    [held, rest]
}

fn product(compute: &Compute, w: (Layout, usize, &AlignedBytes), x: &[f32], cols: usize) -> Vec<f32> {
    let mut acts = Acts::new();
    compute.quantize(x, cols, Precision::Int8, &mut acts);
    let mut out = vec![0.0; x.len() / cols * w.1];
    compute.matmul(&mut [(matrix(w.0, w.1, cols, w.2), &mut out)], &acts);
    out
}

#[test]
fn rows_in_two_parts_are_the_sum_of_both() {
    let mut random = Random(1);
    for (layout, cols) in [(Layout::Q5_0, 96), (Layout::Q4K, if cfg!(miri) { 256 } else { 1280 }), (Layout::F16, 96)] {
        let rows = 40;
        let w = made(layout, rows, cols, &mut random);
        for (m, split) in batches() {
            let x = floats(m * cols, &mut random);
            let plain = Compute::new(Isa::Scalar, NonZeroUsize::MIN);
            let mut want = product(&plain, (layout, rows, &w), &x, cols);
            for &row in &split {
                let [held, rest] =
                    parts(&x[row * cols..][..cols]).map(|part| product(&plain, (layout, rows, &w), &part, cols));
                let sums = held.iter().zip(rest).map(|(held, rest)| held + rest);
                want[row * rows..][..rows].iter_mut().zip(sums).for_each(|(want, sum)| *want = sum);
            }
            for compute in computes() {
                let mut acts = Acts::new();
                compute.quantize_split(&x, cols, Precision::Int8, &split, &mut acts);
                let mut out = vec![f32::NAN; m * rows];
                compute.matmul(&mut [(matrix(layout, rows, cols, &w), &mut out)], &acts);
                assert_eq!(bits(&out), bits(&want), "{layout} {m} {split:?} {}", compute.isa());
            }
        }
    }
}

#[test]
fn what_is_done_with_a_product_is_done_once_to_each_output() {
    let mut random = Random(2);
    let (cols, rows) = (256, [48, 21]);
    let w = rows.map(|rows| made(Layout::Q6K, rows, cols, &mut random));
    for (m, split) in batches() {
        let x = floats(m * cols, &mut random);
        let bias = floats(rows[1], &mut random);
        let before = floats(m * rows[0], &mut random);
        for compute in computes() {
            let mut acts = Acts::new();
            compute.quantize_split(&x, cols, Precision::Int8, &split, &mut acts);
            let weights = [0, 1].map(|i| matrix(Layout::Q6K, rows[i], cols, &w[i]));
            let mut plain = rows.map(|rows| vec![f32::NAN; m * rows]);
            let [first, second] = &mut plain;
            compute.matmul(&mut [(weights[0], first), (weights[1], second)], &acts);
            let (mut added, mut biased) = (before.clone(), vec![f32::NAN; m * rows[1]]);
            compute.products(
                &mut [
                    Product { weights: weights[0], out: &mut added, then: Then::Add },
                    Product { weights: weights[1], out: &mut biased, then: Then::AddBias(&bias) },
                ],
                &acts,
            );
            let want: Vec<f32> = before.iter().zip(&plain[0]).map(|(before, sum)| before + sum).collect();
            assert_eq!(bits(&added), bits(&want), "{m} {split:?} {}", compute.isa());
            let want: Vec<f32> = plain[1].iter().zip(bias.iter().cycle()).map(|(sum, bias)| sum + bias).collect();
            assert_eq!(bits(&biased), bits(&want), "{m} {split:?} {}", compute.isa());
        }
    }
}

#[test]
fn a_norm_on_the_way_is_the_norm() {
    let mut random = Random(3);
    let (cols, rows) = (100, 24);
    let w = made(Layout::F32, rows, cols, &mut random);
    let weight = floats(cols, &mut random);
    for (m, split) in batches() {
        let x = floats(m * cols, &mut random);
        for compute in computes() {
            let mut normed = vec![0.0; x.len()];
            compute.rms_norm(&x, &weight, EPS, &mut normed);
            for precision in [Precision::Int8, Precision::F32] {
                let split: &[usize] = if precision == Precision::F32 { &[] } else { &split };
                let mut outs = [0, 1].map(|way| {
                    let mut acts = Acts::new();
                    match way {
                        0 => compute.quantize_normed(&x, (&weight, EPS), precision, split, &mut acts),
                        _ => compute.quantize_split(&normed, cols, precision, split, &mut acts),
                    }
                    let mut out = vec![f32::NAN; m * rows];
                    compute.matmul(&mut [(matrix(Layout::F32, rows, cols, &w), &mut out)], &acts);
                    bits(&out)
                });
                let [one, two] = &mut outs;
                assert_eq!(one, two, "{m} {split:?} {precision:?} {}", compute.isa());
            }
        }
    }
}

#[test]
fn a_gated_mlp_is_its_parts() {
    let mut random = Random(4);
    // Widths of whole blocks, of one tile more, and of a part of a tile.
    for (layouts, ffn) in [
        ([Layout::Q4_0, Layout::Q4_0], 64),
        ([Layout::Q5_1, Layout::Q8_0], 80),
        ([Layout::F16, Layout::Q8_0], 71),
        ([Layout::BF16, Layout::BF16], 96),
    ] {
        let (cols, rows) = (64, 20);
        let [gate, up] = layouts.map(|layout| made(layout, ffn, cols, &mut random));
        let down = made(Layout::F32, rows, ffn, &mut random);
        for (m, split) in batches() {
            let x = floats(m * cols, &mut random);
            for compute in computes() {
                for precision in [Precision::Int8, Precision::F32] {
                    let split: &[usize] = if precision == Precision::F32 { &[] } else { &split };
                    let [gate, up] = [(layouts[0], &gate), (layouts[1], &up)].map(|(l, w)| matrix(l, ffn, cols, w));
                    let (mut acts, mut inner) = (Acts::new(), Acts::new());
                    compute.quantize_split(&x, cols, precision, split, &mut acts);
                    let mut outs = [0, 1].map(|way| {
                        if way == 0 {
                            compute.gated(gate, up, &acts, &mut inner);
                        } else {
                            let [mut g, mut u] = [(); 2].map(|()| vec![f32::NAN; m * ffn]);
                            compute.matmul(&mut [(gate, &mut g), (up, &mut u)], &acts);
                            compute.silu_mul(&mut g, &u);
                            compute.quantize_split(&g, ffn, precision, split, &mut inner);
                        }
                        assert_eq!((inner.rows(), inner.cols()), (m, ffn));
                        let mut out = vec![f32::NAN; m * rows];
                        compute.matmul(&mut [(matrix(Layout::F32, rows, ffn, &down), &mut out)], &inner);
                        bits(&out)
                    });
                    let [one, two] = &mut outs;
                    assert_eq!(one, two, "{layouts:?} {m} {split:?} {precision:?} {}", compute.isa());
                }
            }
        }
    }
}
