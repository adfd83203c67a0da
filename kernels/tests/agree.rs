//! Every variant gives the bits of `scalar`, and `scalar` gives the product.

mod common;

use std::num::NonZeroUsize;

use common::{Random, matrix, packed, weights};
use qwenda_kernels::{Acts, Compute, Isa, Layout, Precision, dequantize};

fn compute(isa: Isa, threads: usize) -> Compute {
    Compute::new(isa, NonZeroUsize::new(threads).expect("at least one thread"))
}

fn activations(m: usize, cols: usize, random: &mut Random) -> Vec<f32> {
    // Some rows are a hundred times larger, some blocks are zero.
    (0..m * cols)
        .map(|i| match (i / cols % 5, i / 32 % 7) {
            (_, 3) => 0.0,
            (2, _) => random.float() * 100.0,
            _ => random.float(),
        })
        .collect()
}

fn product(
    compute: &Compute,
    precision: Precision,
    weights: &[(Layout, usize, &qwenda_kernels::AlignedBytes)],
    cols: usize,
    x: &[f32],
) -> Vec<Vec<f32>> {
    let mut acts = Acts::new();
    compute.quantize(x, cols, precision, &mut acts);
    let m = x.len() / cols;
    let mut outs: Vec<Vec<f32>> = weights.iter().map(|(_, rows, _)| vec![9.0; m * rows]).collect();
    let mut jobs: Vec<_> = weights
        .iter()
        .zip(&mut outs)
        .map(|((layout, rows, bytes), out)| (matrix(*layout, *rows, cols, bytes), &mut out[..]))
        .collect();
    compute.matmul(&mut jobs, &acts);
    outs
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[track_caller]
fn same(a: &[f32], b: &[f32], what: &str) {
    let differs = a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(a.len(), b.len());
    if let Some(at) = differs {
        panic!("{what}: element {at} is {} and not {}", b[at], a[at]);
    }
}

#[test]
fn every_variant_gives_the_bits_of_scalar() {
    let mut random = Random(1);
    let scalar = compute(Isa::Scalar, 1);
    for layout in Layout::ALL {
        let block = layout.block_elems().max(32);
        for (rows, cols) in [(1, block), (16, 2 * block), (37, 5 * block), (45, (1280 / block) * block)] {
            let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
            let bytes = packed(layout, rows, cols, &file);
            let work = [(layout, rows, &bytes)];
            for m in (1..=20).chain([31, 64, 67]) {
                // The large shape is for what changes with many columns.
                if cols > 5 * 256 && !(m % 5 == 1 || m > 20) {
                    continue;
                }
                let x = activations(m, cols, &mut random);
                for precision in [Precision::Int8, Precision::F32] {
                    let want = product(&scalar, precision, &work, cols, &x);
                    for isa in Isa::available() {
                        let got = product(&compute(isa, 1 + m % 3), precision, &work, cols, &x);
                        let what = format!("{isa} {layout} {rows}x{cols} m={m} {precision:?}");
                        same(&want[0], &got[0], &what);
                    }
                }
            }
        }
    }
}

#[test]
fn integer_sums_are_exact_at_the_largest_magnitudes() {
    let mut random = Random(2);
    let scalar = compute(Isa::Scalar, 1);
    let (rows, cols) = (16, 512);
    for layout in Layout::ALL.into_iter().filter(|l| !l.is_float()) {
        for byte in [0x00, 0xff, 0x80, 0x7f, 0x88, 0xf0, 0x0f] {
            let file = weights(layout, rows, cols, &mut random, |_| byte);
            let bytes = packed(layout, rows, cols, &file);
            for signs in [u64::MAX, 0, 0xaaaa_aaaa_aaaa_aaaa, 0x0f0f_33cc_aaaa_5555] {
                for m in [1, 24] {
                    let x: Vec<f32> =
                        (0..m * cols).map(|i| if signs >> (i % 64) & 1 == 1 { 127.0 } else { -127.0 }).collect();
                    let work = [(layout, rows, &bytes)];
                    let want = product(&scalar, Precision::Int8, &work, cols, &x);
                    close(&file, layout, rows, cols, &x, &want[0], 2e-6);
                    for isa in Isa::available() {
                        let got = product(&compute(isa, 1), Precision::Int8, &work, cols, &x);
                        same(&want[0], &got[0], &format!("{isa} {layout} byte={byte:#x} m={m}"));
                    }
                }
            }
        }
    }
}

/// Compares with sums in double precision; `tolerance` is relative to the sum of magnitudes.
#[track_caller]
fn close(file: &[u8], layout: Layout, rows: usize, cols: usize, x: &[f32], out: &[f32], tolerance: f64) {
    let mut w = vec![0.0; rows * cols];
    dequantize(layout, file, &mut w);
    for (i, got) in out.iter().enumerate() {
        let (w, x) = (&w[i % rows * cols..][..cols], &x[i / rows * cols..][..cols]);
        let terms = || w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
        let (sum, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
        let error = (f64::from(*got) - sum).abs();
        assert!(error <= tolerance * magnitude, "{layout}, output {i}: {got} and not {sum}");
    }
}

#[test]
fn scalar_is_the_product_of_dequantized_weights() {
    let mut random = Random(3);
    let scalar = compute(Isa::Scalar, 1);
    for layout in Layout::ALL {
        let (rows, cols, m) = (21, 3 * 256, 5);
        let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
        let bytes = packed(layout, rows, cols, &file);
        let work = [(layout, rows, &bytes)];

        let x = activations(m, cols, &mut random);
        let exact = product(&scalar, Precision::F32, &work, cols, &x);
        close(&file, layout, rows, cols, &x, &exact[0], 5e-6);
        let rounded = product(&scalar, Precision::Int8, &work, cols, &x);
        close(&file, layout, rows, cols, &x, &rounded[0], 6e-3);

        // Whole numbers up to 127 in every block are bytes already, so nothing is lost.
        let x: Vec<f32> =
            (0..m * cols).map(|i| if i % 32 == 5 { 127.0 } else { (random.float() * 127.0).trunc() } * 0.25).collect();
        let lossless = product(&scalar, Precision::Int8, &work, cols, &x);
        close(&file, layout, rows, cols, &x, &lossless[0], 5e-6);
    }
}

#[test]
fn floats_may_have_any_number_of_columns() {
    let mut random = Random(4);
    let (rows, cols, m) = (19, 45, 6);
    for layout in [Layout::F32, Layout::F16, Layout::BF16] {
        let file = weights(layout, rows, cols, &mut random, |_| 0);
        let bytes = packed(layout, rows, cols, &file);
        let x = activations(m, cols, &mut random);
        let want = product(&compute(Isa::Scalar, 1), Precision::Int8, &[(layout, rows, &bytes)], cols, &x);
        close(&file, layout, rows, cols, &x, &want[0], 8e-3);
        for isa in Isa::available() {
            let got = product(&compute(isa, 2), Precision::Int8, &[(layout, rows, &bytes)], cols, &x);
            same(&want[0], &got[0], &format!("{isa} {layout}"));
        }
    }
}

#[test]
fn matrices_of_one_region_do_not_mix() {
    let mut random = Random(5);
    let (cols, m) = (512, 9);
    let shapes = [(Layout::Q4K, 48), (Layout::Q6K, 5), (Layout::Q8_0, 130)];
    let files = shapes.map(|(layout, rows)| weights(layout, rows, cols, &mut random, |r| r.bits() as u8));
    let bytes: Vec<_> = shapes.iter().zip(&files).map(|((layout, rows), f)| packed(*layout, *rows, cols, f)).collect();
    let work: Vec<_> = shapes.iter().zip(&bytes).map(|((layout, rows), b)| (*layout, *rows, b)).collect();
    let x = activations(m, cols, &mut random);
    for isa in Isa::available() {
        let compute = compute(isa, 3);
        let together = product(&compute, Precision::Int8, &work, cols, &x);
        for (i, one) in work.iter().enumerate() {
            let alone = product(&compute, Precision::Int8, &[*one], cols, &x);
            same(&alone[0], &together[i], &format!("{isa} job {i}"));
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let mut random = Random(6);
    let (rows, cols, m) = (40, 1024, 70);
    for layout in Layout::ALL {
        let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
        let bytes = packed(layout, rows, cols, &file);
        let x = activations(m, cols, &mut random);
        for isa in Isa::available() {
            let work = [(layout, rows, &bytes)];
            let whole = product(&compute(isa, 2), Precision::Int8, &work, cols, &x);
            for row in [0, 3, 4, 66, 69] {
                let alone = product(&compute(isa, 1), Precision::Int8, &work, cols, &x[row * cols..][..cols]);
                same(&whole[0][row * rows..][..rows], &alone[0], &format!("{isa} {layout} row {row}"));
            }
        }
    }
}

#[test]
fn what_is_not_a_number_spoils_its_own_row_only() {
    let mut random = Random(7);
    let (rows, cols, m) = (16, 256, 3);
    let file = weights(Layout::Q4K, rows, cols, &mut random, |r| r.bits() as u8);
    let bytes = packed(Layout::Q4K, rows, cols, &file);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = activations(m, cols, &mut random);
        x[cols + 40] = bad;
        for isa in Isa::available() {
            let out = product(&compute(isa, 1), Precision::Int8, &[(Layout::Q4K, rows, &bytes)], cols, &x);
            for (i, y) in out[0].iter().enumerate() {
                assert_eq!(y.is_nan(), i / rows == 1, "{isa}, {bad}, output {i}");
            }
        }
    }
}

#[test]
fn packing_over_threads_is_packing() {
    let mut random = Random(8);
    for layout in Layout::ALL {
        let (rows, cols) = (99, 512);
        let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
        let want = packed(layout, rows, cols, &file);
        let mut got = want.clone();
        got.fill(0xee);
        compute(Isa::Scalar, 3).pack(layout, rows, cols, &file, &mut got);
        assert_eq!(&want[..], &got[..], "{layout}");
        let size = want.len() as f64 / file.len() as f64 * 99.0 / 112.0;
        // Scales of `Q3_K` have a byte each instead of six bits.
        let most = if layout == Layout::Q3K { 1.06 } else { 1.03 };
        assert!(size < most, "{layout} packs to {size} of the file");
    }
}

#[test]
fn tiny_and_zero_activations_give_zero() {
    let mut random = Random(9);
    let file = weights(Layout::Q8_0, 16, 32, &mut random, |r| r.bits() as u8);
    let bytes = packed(Layout::Q8_0, 16, 32, &file);
    for x in [[0.0; 32], [1e-31; 32], [-f32::MIN_POSITIVE; 32]] {
        for isa in Isa::available() {
            let out = product(&compute(isa, 1), Precision::Int8, &[(Layout::Q8_0, 16, &bytes)], 32, &x);
            assert_eq!(bits(&out[0]), vec![0; 16]);
        }
    }
}
