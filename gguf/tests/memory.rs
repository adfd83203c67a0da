//! How much is allocated while a file is read, as the allocator counts it.
//!
//! One test alone in this file: the counter counts every thread.

mod raw;

use std::alloc::System;

use qwenda_gguf::{Array, Gguf, write::GgufWriter};
use raw::Raw;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and bytes while `bytes` are read.
fn cost(bytes: Vec<u8>) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    let read = Gguf::from_bytes(bytes);
    let change = region.change();
    drop(read);
    (change.allocations + change.reallocations, change.bytes_allocated)
}

#[test]
fn memory_is_in_proportion_to_the_file_and_a_vocabulary_is_not_150_thousand_allocations() {
    let mut file = GgufWriter::new();
    file.metadata("tokens", (0..150_000).map(|i| format!("token {i}")).collect::<Array>());
    let mut vocabulary = Vec::new();
    file.finish(&mut vocabulary).unwrap();
    let len = vocabulary.len();
    let (allocations, allocated) = cost(vocabulary);
    assert!(allocations < 30, "{allocations} allocations");
    assert!(allocated < len, "{allocated} bytes for a file of {len}");

    let nested = (0..60_000).fold(Raw::header(0, 1).key("a", 9).array(9, 60_000), |raw, _| raw.array(0, 0));
    let entries = (0..16_000).fold(Raw::header(0, 16_000), |raw, i| raw.key(&format!("{i}"), 0).bytes(&[0]));
    let tensors = (0..50_000).fold(Raw::header(50_000, 0), |raw, i| raw.tensor(&format!("{i}"), &[1], 4_000, 0));
    // Lengths that promise much and hold nothing.
    let text = Raw::header(0, 1).key("a", 8).u64(16 << 20).data(1000);
    let texts = Raw::header(0, 1).key("a", 9).array(8, 1 << 23).data(1000);
    let numbers = Raw::header(0, 1).key("a", 9).array(12, 1 << 23).data(1000);
    let later = Raw::header(0, 1).key("a", 9).array(8, 100).u64(1000).data(2000);
    for (what, raw) in [
        ("nested arrays", nested),
        ("entries", entries),
        ("tensors", tensors),
        ("a text", text),
        ("texts", texts),
        ("numbers", numbers),
        ("a text too long", later),
    ] {
        let len = raw.0.len();
        let (_, allocated) = cost(raw.0);
        assert!(allocated < 2048 + 16 * len, "{what}: {allocated} bytes for a file of {len}");
    }
}
