//! Blocks made by hand dequantize to what the published layouts say.

use half::f16;
use qwenda_kernels::{Layout, dequantize};

fn half(x: f32) -> [u8; 2] {
    f16::from_f32(x).to_le_bytes()
}

#[track_caller]
fn check(layout: Layout, block: &[&[u8]], want: impl Fn(usize) -> f32) {
    let block = block.concat();
    assert_eq!(block.len(), layout.block_bytes(), "{layout}");
    let mut out = vec![f32::NAN; layout.block_elems()];
    dequantize(layout, &block, &mut out);
    for (i, got) in out.iter().enumerate() {
        assert_eq!(*got, want(i), "{layout}, element {i}");
    }
}

/// Byte `i` has low nibble `i % 16` and high nibble `15 - i % 16`.
fn nibbles<const N: usize>() -> [u8; N] {
    std::array::from_fn(|i| ((i % 16) | ((15 - i % 16) << 4)) as u8)
}

#[test]
fn four_bits_in_blocks_of_32() {
    let q = |i: usize| if i < 16 { i as f32 } else { 31.0 - i as f32 };
    check(Layout::Q4_0, &[&half(0.5), &nibbles::<16>()], |i| 0.5 * (q(i) - 8.0));
    check(Layout::Q4_1, &[&half(0.5), &half(-3.0), &nibbles::<16>()], |i| 0.5 * q(i) - 3.0);
}

#[test]
fn five_bits_in_blocks_of_32() {
    // Elements 1, 15, 16 and 30 have the fifth bit.
    let high = (1_u32 << 1 | 1 << 15 | 1 << 16 | 1 << 30).to_le_bytes();
    let q = |i: usize| {
        let low = if i < 16 { i as f32 } else { 31.0 - i as f32 };
        if [1, 15, 16, 30].contains(&i) { low + 16.0 } else { low }
    };
    check(Layout::Q5_0, &[&half(2.0), &high, &nibbles::<16>()], |i| 2.0 * (q(i) - 16.0));
    check(Layout::Q5_1, &[&half(2.0), &half(7.0), &high, &nibbles::<16>()], |i| 2.0 * q(i) + 7.0);
}

#[test]
fn eight_bits() {
    let q: [u8; 32] = std::array::from_fn(|i| (i as i32 * 8 - 128) as i8 as u8);
    check(Layout::Q8_0, &[&half(0.25), &q], |i| 0.25 * (i as f32 * 8.0 - 128.0));
}

/// Scales 1, 2, 3, 4, 37, 38, 39, 63 and minima 5, 6, 7, 8, 41, 42, 43, 62 in 12 bytes: the
/// lower four of each in 6 bits; of the upper four the low nibbles share bytes 8..12 and the
/// upper two bits stand above the lower four.
const SCALES: [u8; 12] = [
    0b10_000001,
    0b10_000010,
    0b10_000011,
    0b11_000100,
    0b10_000101,
    0b10_000110,
    0b10_000111,
    0b11_001000,
    0b1001_0101,
    0b1010_0110,
    0b1011_0111,
    0b1110_1111,
];
const SCALE: [f32; 8] = [1.0, 2.0, 3.0, 4.0, 37.0, 38.0, 39.0, 63.0];
const MIN: [f32; 8] = [5.0, 6.0, 7.0, 8.0, 41.0, 42.0, 43.0, 62.0];

/// What `nibbles` means in blocks of 256: 32 bytes are 32 low nibbles, then 32 high ones.
fn q256(i: usize) -> f32 {
    let low = (i % 16) as f32;
    if i % 64 < 32 { low } else { 15.0 - low }
}

#[test]
fn four_bits_in_blocks_of_256() {
    check(Layout::Q4K, &[&half(0.5), &half(0.25), &SCALES, &nibbles::<128>()], |i| {
        0.5 * SCALE[i / 32] * q256(i) - 0.25 * MIN[i / 32]
    });
}

#[test]
fn five_bits_in_blocks_of_256() {
    // Bit s of byte l is for element l of sub-block s: here, where l = s or l = 31.
    let high: [u8; 32] = std::array::from_fn(|l| match l {
        0..8 => 1 << l,
        31 => 0xff,
        _ => 0,
    });
    check(Layout::Q5K, &[&half(0.5), &half(0.25), &SCALES, &high, &nibbles::<128>()], |i| {
        let high = if i % 32 == i / 32 || i % 32 == 31 { 16.0 } else { 0.0 };
        0.5 * SCALE[i / 32] * (q256(i) + high) - 0.25 * MIN[i / 32]
    });
}

#[test]
fn six_bits_in_blocks_of_256() {
    // Each half of 128: low nibbles of 64 bytes are elements 0..64, high ones 64..128; byte l
    // of the upper bits serves elements l, l + 32, l + 64, l + 96, lowest pair first.
    let high: [u8; 64] = std::array::from_fn(|l| if l % 2 == 0 { 0b11_10_01_00 } else { 0b00_01_10_11 });
    let scales: [u8; 16] = std::array::from_fn(|s| (s as i32 * 17 - 128) as i8 as u8);
    check(Layout::Q6K, &[&nibbles::<128>(), &high, &scales, &half(0.125)], |i| {
        let low = (i % 16) as f32;
        let low = if i % 128 < 64 { low } else { 15.0 - low };
        let quarter = (i % 128 / 32) as f32;
        let high = if i % 2 == 0 { quarter } else { 3.0 - quarter };
        let scale = (i / 16) as f32 * 17.0 - 128.0;
        0.125 * scale * (low + 16.0 * high - 32.0)
    });
}

#[test]
fn floats() {
    check(Layout::F32, &[&1.5_f32.to_le_bytes()], |_| 1.5);
    check(Layout::F16, &[&half(-0.75)], |_| -0.75);
    check(Layout::BF16, &[&half::bf16::from_f32(3.0).to_le_bytes()], |_| 3.0);
}

/// Blocks of random bytes and what they stand for, by `testkit/oracle/blocks.py`, which shares no
/// code with this crate and agrees with GGML's own Python package.
#[test]
fn blocks_of_any_bytes_are_what_an_independent_reader_makes_of_them() {
    let lines: Vec<&str> = include_str!("blocks.txt").lines().collect();
    let mut seen = 0;
    for case in lines.chunks(3) {
        let [name, bytes, floats] = case else { panic!("three lines for each layout") };
        let layout = Layout::ALL.into_iter().find(|layout| layout.to_string() == *name);
        let layout = layout.unwrap_or_else(|| panic!("no layout `{name}`"));
        let hex = |text: &str| u32::from_str_radix(text, 16).expect("hexadecimal");
        let bytes: Vec<u8> = (0..bytes.len() / 2).map(|i| hex(&bytes[i * 2..][..2]) as u8).collect();
        let want: Vec<f32> = (0..floats.len() / 8).map(|i| f32::from_bits(hex(&floats[i * 8..][..8]))).collect();
        let mut got = vec![f32::NAN; want.len()];
        dequantize(layout, &bytes, &mut got);
        assert_eq!(got, want, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn a_row_is_whole_blocks_or_none() {
    assert_eq!(Layout::Q4K.row_bytes(512), Some(288));
    assert_eq!(Layout::Q4K.row_bytes(300), None);
    assert_eq!(Layout::F16.row_bytes(3), Some(6));
    assert_eq!(Layout::F32.row_bytes(usize::MAX), None);
}
