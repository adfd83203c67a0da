//! Attention over the paged cache: close to a plain softmax in `f64`, and the same bits for a row
//! whatever else is computed with it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::num::NonZeroUsize;

use half::f16;
use qwenda_kernels::{AttendRow, Compute, Isa, KvSlot, KvStore, PAGE_TOKENS};

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

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    dim: usize,
}

const SHAPES: [Shape; 5] = [
    Shape { heads: 14, kv_heads: 2, dim: 64 },
    Shape { heads: 12, kv_heads: 2, dim: 128 },
    Shape { heads: 4, kv_heads: 4, dim: 16 },
    Shape { heads: 3, kv_heads: 1, dim: 80 },
    Shape { heads: 40, kv_heads: 1, dim: 32 },
];

/// A sequence of `len` positions in a store of two layers; its pages are scattered, and what it
/// did not write is NaN.
struct Sequence {
    shape: Shape,
    store: KvStore,
    pages: Vec<u32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
    exact: bool,
}

const LAYER: usize = 1;

impl Sequence {
    fn new(c: &Compute, shape: Shape, len: usize) -> Sequence {
        Sequence::in_store(c, shape, len, false)
    }

    fn in_store(c: &Compute, shape: Shape, len: usize, exact: bool) -> Sequence {
        let Shape { heads, kv_heads, dim } = shape;
        let count = len.div_ceil(PAGE_TOKENS);
        let new = if exact { KvStore::exact } else { KvStore::new };
        let mut store = new(2, kv_heads, dim, 2 * count + 1);
        let pages: Vec<u32> = (0..count as u32).rev().map(|i| 2 * i + 1).collect();
        let nan = vec![f32::NAN; count * PAGE_TOKENS * kv_heads * dim];
        c.kv_write(&mut store, LAYER, &nan, &nan, &slots(&pages, 0..count * PAGE_TOKENS));
        let keys = noise(len * kv_heads * dim, 21, 2.0);
        let values = noise(len * kv_heads * dim, 22, 2.0);
        c.kv_write(&mut store, LAYER, &keys, &values, &slots(&pages, 0..len));
        Sequence { shape, store, pages, keys, values, queries: noise(len * heads * dim, 23, 2.0), exact }
    }

    /// The rows of positions `range`, each attending all up to itself.
    fn attend(&self, c: &Compute, range: std::ops::Range<usize>) -> Vec<f32> {
        let rows: Vec<AttendRow<'_>> =
            range.clone().map(|p| AttendRow { pages: &self.pages, len: p as u32 + 1 }).collect();
        let cols = self.shape.heads * self.shape.dim;
        let q = &self.queries[range.start * cols..range.end * cols];
        let mut out = vec![f32::NAN; q.len()];
        c.attend(&self.store, LAYER, q, self.shape.heads, &rows, &mut out);
        out
    }

    /// Softmax attention of one position by its definition.
    fn expected(&self, position: usize) -> Vec<f64> {
        let Shape { heads, kv_heads, dim } = self.shape;
        let half = |x: f32| f64::from(if self.exact { x } else { f16::from_f32(x).to_f32() });
        let mut out = Vec::new();
        for head in 0..heads {
            let of = |x: &'_ [f32], p: usize, i: usize| half(x[(p * kv_heads + head / (heads / kv_heads)) * dim + i]);
            let q = &self.queries[(position * heads + head) * dim..][..dim];
            let scores: Vec<f64> = (0..=position)
                .map(|p| (0..dim).map(|i| f64::from(q[i]) * of(&self.keys, p, i)).sum::<f64>() / (dim as f64).sqrt())
                .collect();
            let max = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f64 = weights.iter().sum();
            out.extend(
                (0..dim).map(|i| (0..=position).map(|p| weights[p] * of(&self.values, p, i)).sum::<f64>() / sum),
            );
        }
        out
    }
}

fn slots(pages: &[u32], positions: std::ops::Range<usize>) -> Vec<KvSlot> {
    positions.map(|p| KvSlot { page: pages[p / PAGE_TOKENS], offset: (p % PAGE_TOKENS) as u32 }).collect()
}

#[test]
fn attention_agrees_with_softmax_in_f64() {
    for (shape, exact) in SHAPES.into_iter().flat_map(|shape| [(shape, false), (shape, true)]) {
        let len = 600;
        let c = compute(Isa::detect(), 2);
        let sequence = Sequence::in_store(&c, shape, len, exact);
        let got = sequence.attend(&c, 0..len);
        let cols = shape.heads * shape.dim;
        // Page, span and block boundaries, and both ends.
        for position in [0, 1, 30, 31, 32, 63, 255, 256, 257, 511, 512, len - 1] {
            let expected = sequence.expected(position);
            for (i, (g, e)) in got[position * cols..].iter().zip(&expected).enumerate() {
                let error = (f64::from(*g) - e).abs();
                assert!(error < 1e-5, "{shape:?} exact {exact} position {position} element {i}: {g}, expected {e}");
            }
        }
    }
}

#[test]
fn every_instruction_set_and_thread_count_attends_alike() {
    for shape in SHAPES {
        for len in [1, 33, 300] {
            let expected = {
                let c = compute(Isa::Scalar, 1);
                bits(&Sequence::new(&c, shape, len).attend(&c, 0..len))
            };
            for isa in Isa::available() {
                for threads in [1, 3] {
                    let c = compute(isa, threads);
                    let got = Sequence::new(&c, shape, len).attend(&c, 0..len);
                    assert!(bits(&got) == expected, "{shape:?}, {len} positions, {isa} with {threads} threads");
                }
            }
        }
    }
}

#[test]
fn a_row_attends_alike_alone_and_in_any_chunk() {
    for shape in SHAPES {
        let len = 700;
        let c = compute(Isa::detect(), 2);
        let sequence = Sequence::new(&c, shape, len);
        let whole = sequence.attend(&c, 0..len);
        let cols = shape.heads * shape.dim;
        for chunk in [1, 3, 7, 64, 129] {
            let mut start = 0;
            while start < len {
                let end = (start + chunk).min(len);
                let got = sequence.attend(&c, start..end);
                assert!(bits(&got) == bits(&whole[start * cols..end * cols]), "{shape:?}, positions {start}..{end}");
                start = if chunk == 1 { start + 37 } else { end };
            }
        }
    }
}

#[test]
fn sequences_in_one_call_do_not_touch_each_other() {
    let shape = SHAPES[0];
    let c = compute(Isa::detect(), 2);
    let sequence = Sequence::new(&c, shape, 400);
    let cols = shape.heads * shape.dim;
    // Rows in no order: other sequences would have other pages; here the same page list is
    // copied, so that neighbours do not share it by address.
    let copies: Vec<Vec<u32>> = (0..6).map(|_| sequence.pages.clone()).collect();
    let positions = [399, 5, 255, 256, 31, 300];
    let rows: Vec<AttendRow<'_>> =
        positions.iter().zip(&copies).map(|(&p, pages)| AttendRow { pages, len: p as u32 + 1 }).collect();
    let q: Vec<f32> =
        positions.iter().flat_map(|p| sequence.queries[p * cols..(p + 1) * cols].iter().copied()).collect();
    let mut out = vec![0.0; q.len()];
    c.attend(&sequence.store, LAYER, &q, shape.heads, &rows, &mut out);
    for (&p, got) in positions.iter().zip(out.chunks(cols)) {
        assert_eq!(bits(got), bits(&sequence.attend(&c, p..p + 1)), "position {p}");
    }
}

#[test]
fn a_shared_prefix_may_end_in_different_pages() {
    let shape = SHAPES[1];
    let Shape { heads, kv_heads, dim } = shape;
    let c = compute(Isa::detect(), 2);
    let mut sequence = Sequence::new(&c, shape, 100);
    // A second sequence shares the first three pages and has a fourth of its own.
    let mut pages = sequence.pages.clone();
    let other = pages.len() as u32 * 2;
    pages[3] = other;
    let (k, v) = (noise(4 * kv_heads * dim, 31, 2.0), noise(4 * kv_heads * dim, 32, 2.0));
    c.kv_write(&mut sequence.store, LAYER, &k, &v, &slots(&pages, 96..100));
    let rows = [AttendRow { pages: &sequence.pages, len: 98 }, AttendRow { pages: &pages, len: 99 }];
    let q = noise(2 * heads * dim, 33, 2.0);
    let mut both = vec![0.0; q.len()];
    c.attend(&sequence.store, LAYER, &q, heads, &rows, &mut both);
    for (i, row) in rows.iter().enumerate() {
        let range = i * heads * dim..(i + 1) * heads * dim;
        let mut alone = vec![0.0; heads * dim];
        c.attend(&sequence.store, LAYER, &q[range.clone()], heads, &[*row], &mut alone);
        assert_eq!(bits(&alone), bits(&both[range]), "row {i}");
    }
}

#[test]
fn huge_scores_neither_overflow_nor_vanish() {
    let (dim, heads) = (64, 2);
    let c = compute(Isa::detect(), 1);
    let mut store = KvStore::new(1, 1, dim, 2);
    let len = 40;
    // Position 7 has by far the largest score: all weight is its.
    let mut k = vec![-300.0; len * dim];
    k[7 * dim..8 * dim].fill(300.0);
    let v: Vec<f32> = (0..len).flat_map(|p| vec![p as f32; dim]).collect();
    c.kv_write(&mut store, 0, &k, &v, &slots(&[0, 1], 0..len));
    let mut out = vec![0.0; heads * dim];
    c.attend(&store, 0, &vec![300.0; heads * dim], heads, &[AttendRow { pages: &[0, 1], len: len as u32 }], &mut out);
    assert_eq!(out, vec![7.0; heads * dim]);
}

#[test]
fn the_cache_rounds_to_the_nearest_half_and_holds_what_is_beyond() {
    let dim = 16;
    let given = [
        0.0,
        -0.0,
        1.0,
        1.0 + 1.0 / 2048.0,
        1.0 + 3.0 / 2048.0,
        65_504.0,
        65_519.0,
        65_520.0,
        1e9,
        -1e9,
        f32::INFINITY,
        6e-8,
        2e-8,
        1e-5,
        -3.3,
        0.1,
    ];
    for isa in Isa::available() {
        let c = compute(isa, 1);
        let mut store = KvStore::new(1, 1, dim, 1);
        c.kv_write(&mut store, 0, &[0.0; 16], &given, &[KvSlot { page: 0, offset: 0 }]);
        // One position has all the weight, so the output is its value.
        let mut out = vec![0.0; dim];
        c.attend(&store, 0, &[1.0; 16], 1, &[AttendRow { pages: &[0], len: 1 }], &mut out);
        let expected = given.map(|x: f32| f16::from_f32(x.clamp(-65_504.0, 65_504.0)).to_f32());
        for (i, (got, expected)) in out.iter().zip(expected).enumerate() {
            assert_eq!(*got, expected, "{isa}: value {} became {got}", given[i]);
        }
    }
}

#[test]
fn a_page_takes_memory_when_it_is_first_written_and_can_give_it_back() {
    let c = compute(Isa::detect(), 1);
    let mut store = KvStore::new(3, 2, 64, 100);
    assert_eq!(store.pages(), 100);
    assert_eq!(store.pages_allocated(), 0);
    let row = vec![1.0; 2 * 64];
    c.kv_write(&mut store, 0, &row, &row, &[KvSlot { page: 42, offset: 3 }]);
    c.kv_write(&mut store, 2, &row, &row, &[KvSlot { page: 42, offset: 3 }]);
    assert_eq!(store.pages_allocated(), 1);
    store.release(42);
    assert_eq!(store.pages_allocated(), 0);
    // 24 layers, keys and values, 2 heads of 64, 32 positions, 2 bytes.
    assert_eq!(KvStore::bytes_per_page(24, 2, 64), 24 * 2 * 2 * 64 * 32 * 2);
}

#[test]
#[should_panic(expected = "only positions that were written are attended")]
fn attending_a_page_never_written_is_refused() {
    let c = compute(Isa::detect(), 1);
    let store = KvStore::new(1, 1, 16, 1);
    let mut out = vec![0.0; 16];
    c.attend(&store, 0, &[0.0; 16], 1, &[AttendRow { pages: &[0], len: 1 }], &mut out);
}
