//! Whatever hands memory to other threads or looks at it as another type, in the plain variant and
//! at the least size that reaches it. This is what `cargo xtask sanitize` runs under Miri, where
//! the tests of the real shapes would take hours; here it also runs as any other test.

mod common;

use std::num::NonZeroUsize;

use common::{Random, matrix, packed, weights};
use qwenda_kernels::{Acts, AlignedBytes, AttendRow, Compute, Isa, KvSlot, KvStore, Layout, PAGE_TOKENS, Precision};

fn compute(threads: usize) -> Compute {
    Compute::new(Isa::Scalar, NonZeroUsize::new(threads).expect("at least one thread"))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn aligned_bytes_of_any_length_are_read_and_written_to_their_end() {
    for len in [0, 1, 63, 64, 65, 200] {
        let mut bytes = AlignedBytes::zeroed(len);
        assert_eq!(&bytes[..], vec![0; len]);
        assert!(bytes.as_ptr().addr().is_multiple_of(64));
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
        assert!(bytes.clone().iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }
}

#[test]
fn products_over_three_threads_are_those_of_one() {
    let mut random = Random(11);
    // A whole tile and a part of one.
    let (rows, m) = (17, 2);
    // Under Miri, floats and integers once: what differs between layouts is safe code.
    let few = [Layout::F16, Layout::Q5_1];
    for layout in Layout::ALL.into_iter().filter(|layout| !cfg!(miri) || few.contains(layout)) {
        let cols = layout.block_elems().max(32);
        let file = weights(layout, rows, cols, &mut random, |r| r.bits() as u8);
        let bytes = packed(layout, rows, cols, &file);
        let mut over_threads = bytes.clone();
        over_threads.fill(0xee);
        compute(3).pack(layout, rows, cols, &file, &mut over_threads);
        assert_eq!(&bytes[..], &over_threads[..], "{layout}");
        let x: Vec<f32> = (0..m * cols).map(|_| random.float()).collect();
        let [one, three] = [1, 3].map(|threads| {
            let (compute, mut acts, mut out) = (compute(threads), Acts::new(), vec![f32::NAN; m * rows]);
            compute.quantize(&x, cols, Precision::Int8, &mut acts);
            compute.matmul(&mut [(matrix(layout, rows, cols, &bytes), &mut out)], &acts);
            bits(&out)
        });
        assert_eq!(one, three, "{layout}");
    }
}

#[test]
fn activations_enough_for_several_threads_are_quantized_as_by_one() {
    // Miri gets the same path with less: see `QUANTIZE_ALONE`.
    let cols = if cfg!(miri) { 96 } else { 3 * 1024 };
    let file = weights(Layout::F32, 1, cols, &mut Random(12), |_| 0);
    let bytes = packed(Layout::F32, 1, cols, &file);
    let mut random = Random(13);
    let x: Vec<f32> = (0..6 * cols).map(|_| random.float()).collect();
    let products = |rows: &[f32], threads: usize| {
        let (compute, mut acts) = (compute(threads), Acts::new());
        compute.quantize(rows, cols, Precision::Int8, &mut acts);
        let mut out = vec![f32::NAN; rows.len() / cols];
        compute.matmul(&mut [(matrix(Layout::F32, 1, cols, &bytes), &mut out)], &acts);
        bits(&out)
    };
    let alone: Vec<u32> = x.chunks(cols).flat_map(|row| products(row, 1)).collect();
    assert_eq!(products(&x, 3), alone);
}

#[test]
fn keys_and_values_of_both_kinds_are_written_attended_and_given_back() {
    let (heads, kv_heads, dim, len) = (2, 2, 16, PAGE_TOKENS + 2);
    let pages = [3, 1];
    let slots: Vec<KvSlot> =
        (0..len).map(|at| KvSlot { page: pages[at / PAGE_TOKENS], offset: (at % PAGE_TOKENS) as u32 }).collect();
    let mut random = Random(14);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.float()).collect() };
    let (keys, values) = (draw(len * kv_heads * dim), draw(len * kv_heads * dim));
    let queries = draw(2 * heads * dim);
    let rows: Vec<AttendRow<'_>> = (0..2).map(|i| AttendRow { pages: &pages, len: (len - 1 + i) as u32 }).collect();
    for new in [KvStore::new, KvStore::exact] {
        let [one, three] = [1, 3].map(|threads| {
            let (compute, mut store) = (compute(threads), new(2, kv_heads, dim, 4));
            compute.kv_write(&mut store, 1, &keys, &values, &slots);
            assert_eq!(store.pages_allocated(), 2);
            let mut out = vec![f32::NAN; queries.len()];
            compute.attend(&store, 1, &queries, heads, &rows, &mut out);
            store.release(1);
            assert_eq!(store.pages_allocated(), 1);
            out
        });
        assert_eq!(bits(&one), bits(&three));
        assert!(one.iter().all(|x| x.abs() <= 1.0), "averages of values between -1 and 1");
    }
}
