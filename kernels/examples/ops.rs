//! Times what lies between the matrix products: `cargo run --release --example ops [threads]`.
//!
//! Attention is shown with the bytes of keys and values that a row has to read; each shape is
//! first checked to give the scalar definition's bits.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::num::NonZeroUsize;
use std::time::Instant;

use qwenda_kernels::{AttendRow, Compute, Isa, KvSlot, KvStore, PAGE_TOKENS, Rope, RopeScaling, argmax, log_sum_exp};

fn main() {
    let threads = std::env::args().nth(1).and_then(|t| t.parse().ok()).unwrap_or(NonZeroUsize::MIN);
    for isa in Isa::available().into_iter().filter(|&isa| isa != Isa::Scalar) {
        let c = Compute::new(isa, threads);
        println!("{isa}, {threads} threads");
        for (heads, kv_heads, dim) in [(14, 2, 64), (12, 2, 128)] {
            for len in [512, 2048, 16_384] {
                attention(&c, heads, kv_heads, dim, len, 1);
            }
            for (len, rows) in [(512, 512), (2048, 512), (2048, 8)] {
                attention(&c, heads, kv_heads, dim, len, rows);
            }
        }
        small(&c);
    }
}

/// Seconds of one run: the best of several, since others may be using the cores.
fn time(mut f: impl FnMut()) -> f64 {
    let mut runs = Vec::new();
    let begun = Instant::now();
    while runs.len() < 3 || (runs.len() < 500 && begun.elapsed().as_secs_f64() < 0.4) {
        let start = Instant::now();
        f();
        runs.push(start.elapsed().as_secs_f64());
    }
    runs.sort_by(f64::total_cmp);
    runs[0]
}

fn attention(c: &Compute, heads: usize, kv_heads: usize, dim: usize, len: usize, rows: usize) {
    // Several layers, so that caches see what a forward pass shows them.
    let layers = 24;
    let pages: Vec<u32> = (0..len.div_ceil(PAGE_TOKENS) as u32).collect();
    let mut kv = KvStore::new(layers, kv_heads, dim, pages.len());
    let slots: Vec<KvSlot> =
        (0..len).map(|p| KvSlot { page: pages[p / PAGE_TOKENS], offset: (p % PAGE_TOKENS) as u32 }).collect();
    let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| ((i * 7919 % 1000) as f32 / 500.0 - 1.0) * 2.0).collect() };
    let x = wave(len * kv_heads * dim);
    for layer in 0..layers {
        c.kv_write(&mut kv, layer, &x, &x, &slots);
    }
    let q = wave(rows * heads * dim);
    let mut out = vec![0.0; q.len()];
    let list: Vec<AttendRow<'_>> = (len - rows..len).map(|p| AttendRow { pages: &pages, len: p as u32 + 1 }).collect();
    let seconds =
        time(|| (0..layers).for_each(|layer| c.attend(&kv, layer, &q, heads, &list, &mut out))) / layers as f64;
    if c.isa() != Isa::Scalar && rows * len < 100_000 {
        let mut expected = vec![0.0; q.len()];
        let scalar = Compute::new(Isa::Scalar, NonZeroUsize::MIN);
        scalar.attend(&kv, 0, &q, heads, &list, &mut expected);
        assert!(out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "not the scalar bits");
    }
    let positions: usize = list.iter().map(|r| r.len as usize).sum();
    let bytes = len * kv_heads * dim * 4;
    let macs = 2 * positions * heads * dim;
    println!(
        "  attend {heads}/{kv_heads} heads of {dim}, {rows:3} rows to {len:5}: {:9.1} us  {:5.1} GB/s  {:6.1} GMAC/s",
        seconds * 1e6,
        bytes as f64 / seconds / 1e9,
        macs as f64 / seconds / 1e9
    );
}

fn small(c: &Compute) {
    let show = |name: &str, n: usize, seconds: f64| {
        println!("  {name:28} {:8.2} us  {:6.2} G elements/s", seconds * 1e6, n as f64 / seconds / 1e9);
    };
    for rows in [1, 512] {
        let (cols, ff, heads, dim) = (896, 4864, 14, 64);
        let x = vec![0.5; rows * cols];
        let mut out = x.clone();
        let weight = vec![1.0; cols];
        let seconds = time(|| c.rms_norm(&x, &weight, 1e-6, &mut out));
        show(&format!("rms_norm {rows} x {cols}"), x.len(), seconds);
        let seconds = time(|| c.add(&mut out, &x));
        show(&format!("add {rows} x {cols}"), x.len(), seconds);
        let up = vec![0.5; rows * ff];
        let mut gate = up.clone();
        let seconds = time(|| c.silu_mul(&mut gate, &up));
        show(&format!("silu_mul {rows} x {ff}"), up.len(), seconds);
        let rope = Rope::new(dim, 1e6, RopeScaling::None, 32_768);
        let positions: Vec<u32> = (0..rows as u32).collect();
        let seconds = time(|| c.rope(&rope, &mut out, heads, &positions));
        show(&format!("rope {rows} x {heads} x {dim}"), x.len(), seconds);
        let mut kv = KvStore::new(1, 2, dim, rows.div_ceil(PAGE_TOKENS));
        let slots: Vec<KvSlot> = positions.iter().map(|p| KvSlot { page: p / 32, offset: p % 32 }).collect();
        let k = vec![0.5; rows * 2 * dim];
        let seconds = time(|| c.kv_write(&mut kv, 0, &k, &k, &slots));
        show(&format!("kv_write {rows} x 2 x {dim}"), 2 * k.len(), seconds);
    }
    let logits: Vec<f32> = (0..151_936).map(|i| (i % 977) as f32 * 0.01).collect();
    let mut sink = 0.0;
    let seconds = time(|| sink += log_sum_exp(&logits));
    show("log_sum_exp 151936", logits.len(), seconds);
    let mut sum = 0;
    let seconds = time(|| sum += argmax(&logits));
    show("argmax 151936", logits.len(), seconds);
    assert!(sink > 0.0 && sum > 0, "results are used");
}
