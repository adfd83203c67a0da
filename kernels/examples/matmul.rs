//! Speed of matrix products: `matmul [isa] [threads] [layout…] [m=1,8,…]`. Checks its answers
//! first. With `f32` among the layouts: activations as floats.
//!
//! GOP/s counts a multiplication and an addition each; GB/s is the weights, once per product.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use common::{Random, matrix, packed, weights};
use qwenda_kernels::{Acts, Compute, Isa, Layout, Precision};

/// Shapes of the 0.5B and 1.5B models: rows x columns.
const SHAPES: [(Layout, usize, usize); 12] = [
    (Layout::Q5_0, 4864, 896),
    (Layout::Q8_0, 4864, 896),
    (Layout::Q4K, 896, 4864),
    (Layout::Q6K, 896, 4864),
    (Layout::Q8_0, 151_936, 896),
    (Layout::Q4_0, 8960, 1536),
    (Layout::Q4K, 8960, 1536),
    (Layout::Q4K, 1536, 8960),
    (Layout::Q5K, 8960, 1536),
    (Layout::Q6K, 8960, 1536),
    (Layout::Q6K, 1536, 8960),
    (Layout::F16, 4864, 896),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let isa = args.first().map_or(Isa::detect(), |name| name.parse().expect("an instruction set"));
    let threads = args.get(1).map_or(2, |n| n.parse().expect("a number of threads"));
    let (batches, mut only): (Vec<&String>, Vec<&String>) = args.iter().skip(2).partition(|arg| arg.starts_with("m="));
    let precision = match only.iter().position(|name| *name == "f32") {
        Some(at) => {
            only.remove(at);
            Precision::F32
        }
        None => Precision::Int8,
    };
    let batches: Vec<usize> = batches.first().map_or(vec![1, 2, 4, 8, 16, 128, 512], |list| {
        list[2..].split(',').map(|m| m.parse().expect("a number of rows")).collect()
    });
    let fast = Compute::new(isa, NonZeroUsize::new(threads).expect("at least one thread"));
    let scalar = Compute::new(Isa::Scalar, fast.threads());
    let mut random = Random(1);
    println!("{isa}, {threads} threads");
    println!("{:6} {:>14} {:>4} {:>9} {:>7} {:>11}", "layout", "rows x cols", "m", "GOP/s", "GB/s", "quantize us");
    for (layout, rows, cols) in SHAPES {
        if !only.is_empty() && !only.iter().any(|name| **name == layout.to_string()) {
            continue;
        }
        let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
        let start = Instant::now();
        let bytes = packed(layout, rows, cols, &file);
        let rate = file.len() as f64 / start.elapsed().as_secs_f64() / 1e9;
        println!("{layout}: one thread packs {rate:.2} GB/s");
        for &m in &batches {
            if m > 16 && rows > 100_000 {
                continue;
            }
            let x: Vec<f32> = (0..m * cols).map(|_| random.float()).collect();
            let mut out = vec![0.0; m * rows];
            let mut acts = Acts::new();
            if (8..20).contains(&m) && rows < 100_000 {
                check(&scalar, &fast, layout, rows, cols, &bytes, &x);
            }
            let quantize = time(|| fast.quantize(&x, cols, precision, &mut acts));
            // A model's weights do not stay in the cache from one step to the next.
            let copies = (256 << 20) / bytes.len().max(1 << 20);
            let others: Vec<_> = (0..if m <= 16 { copies.clamp(1, 64) } else { 1 }).map(|_| bytes.clone()).collect();
            let mut turn = 0;
            let product = time(|| {
                turn = (turn + 1) % others.len();
                let weights = matrix(layout, rows, cols, &others[turn]);
                fast.matmul(&mut [(weights, &mut out)], &acts);
            });
            let ops = 2.0 * (rows * cols * m) as f64;
            println!(
                "{:6} {:>14} {m:>4} {:>9.0} {:>7.1} {:>11.1}",
                layout.to_string(),
                format!("{rows}x{cols}"),
                ops / product.as_secs_f64() / 1e9,
                bytes.len() as f64 / product.as_secs_f64() / 1e9,
                quantize.as_secs_f64() * 1e6,
            );
        }
    }
}

fn check(
    scalar: &Compute,
    fast: &Compute,
    layout: Layout,
    rows: usize,
    cols: usize,
    bytes: &qwenda_kernels::AlignedBytes,
    x: &[f32],
) {
    let [want, got] = [scalar, fast].map(|compute| {
        let mut acts = Acts::new();
        let mut out = vec![0.0; x.len() / cols * rows];
        compute.quantize(x, cols, Precision::Int8, &mut acts);
        compute.matmul(&mut [(matrix(layout, rows, cols, bytes), &mut out)], &acts);
        out
    });
    assert!(want.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()), "{layout} {rows}x{cols}");
}

/// The median of several runs within a quarter of a second.
fn time(mut run: impl FnMut()) -> Duration {
    run();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begin.elapsed() < Duration::from_millis(250) {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}
