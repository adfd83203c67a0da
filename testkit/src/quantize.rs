//! Plain quantisers: f32 rows into the layouts of model files.
//!
//! They are written for tiny models: straightforward, correct to the step width of the layout,
//! and without the searches for better scales that real quantisers make.

use half::{bf16, f16};
use qwenda_gguf::TensorType;

/// `values` in layout `kind`, or `None` for a layout without a quantiser here.
///
/// # Panics
/// If `values` are not whole blocks.
pub fn quantize(kind: TensorType, values: &[f32]) -> Option<Vec<u8>> {
    let (block, _) = kind.block()?;
    assert!(values.len().is_multiple_of(block as usize), "{} values are not whole blocks of {kind}", values.len());
    let mut out = Vec::new();
    let encode: fn(&[f32], &mut Vec<u8>) = match kind {
        TensorType::F32 => |x, out| out.extend(x[0].to_le_bytes()),
        TensorType::F16 => |x, out| put_f16(out, x[0]),
        TensorType::BF16 => |x, out| out.extend(bf16::from_f32(x[0]).to_le_bytes()),
        TensorType::Q4_0 => q4_0,
        TensorType::Q4_1 => q4_1,
        TensorType::Q5_0 => q5_0,
        TensorType::Q5_1 => q5_1,
        TensorType::Q8_0 => q8_0,
        TensorType::Q4_K => q4_k,
        TensorType::Q5_K => q5_k,
        TensorType::Q6_K => q6_k,
        _ => return None,
    };
    values.chunks_exact(block as usize).for_each(|x| encode(x, &mut out));
    Some(out)
}

fn put_f16(out: &mut Vec<u8>, value: f32) {
    out.extend(f16::from_f32(value).to_le_bytes());
}

/// `value` as the file will have it.
fn as_f16(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// The nearest integer to `x / step` within `min..=max`.
fn level(x: f32, step: f32, min: i32, max: i32) -> i32 {
    if step == 0.0 { 0.clamp(min, max) } else { ((x / step).round() as i32).clamp(min, max) }
}

/// The value farthest from 0, with its sign.
fn peak(x: &[f32]) -> f32 {
    x.iter().copied().fold(0.0, |a, b| if b.abs() > f32::abs(a) { b } else { a })
}

fn min_max(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)))
}

/// Levels around 0: the peak is the lowest level, which has no positive twin.
fn signed(x: &[f32], bits: u32) -> (f32, Vec<u8>) {
    let half = 1 << (bits - 1);
    let step = as_f16(peak(x) / -(half as f32));
    (step, x.iter().map(|&v| (level(v, step, -half, half - 1) + half) as u8).collect())
}

/// Levels above a minimum.
fn above(x: &[f32], bits: u32) -> (f32, f32, Vec<u8>) {
    let top = (1 << bits) - 1;
    let (low, high) = min_max(x);
    let (step, low) = (as_f16((high - low) / top as f32), as_f16(low));
    (step, low, x.iter().map(|&v| level(v - low, step, 0, top) as u8).collect())
}

/// Low four bits: the first half of the levels in low nibbles, the second in high ones.
fn nibbles(levels: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let (first, second) = levels.split_at(levels.len() / 2);
    first.iter().zip(second).map(|(a, b)| (a & 15) | (b & 15) << 4)
}

/// The fifth bits of 32 levels.
fn fifth_bits(levels: &[u8]) -> u32 {
    levels.iter().rev().fold(0, |bits, level| bits << 1 | u32::from(level >> 4))
}

fn q4_0(x: &[f32], out: &mut Vec<u8>) {
    let (step, levels) = signed(x, 4);
    put_f16(out, step);
    out.extend(nibbles(&levels));
}

fn q4_1(x: &[f32], out: &mut Vec<u8>) {
    let (step, low, levels) = above(x, 4);
    put_f16(out, step);
    put_f16(out, low);
    out.extend(nibbles(&levels));
}

fn q5_0(x: &[f32], out: &mut Vec<u8>) {
    let (step, levels) = signed(x, 5);
    put_f16(out, step);
    out.extend(fifth_bits(&levels).to_le_bytes());
    out.extend(nibbles(&levels));
}

fn q5_1(x: &[f32], out: &mut Vec<u8>) {
    let (step, low, levels) = above(x, 5);
    put_f16(out, step);
    put_f16(out, low);
    out.extend(fifth_bits(&levels).to_le_bytes());
    out.extend(nibbles(&levels));
}

fn q8_0(x: &[f32], out: &mut Vec<u8>) {
    let step = as_f16(peak(x).abs() / 127.0);
    put_f16(out, step);
    out.extend(x.iter().map(|&v| level(v, step, -127, 127) as i8 as u8));
}

/// A super-block of eight sub-blocks with 6-bit scales and minima.
struct SuperBlock {
    step: f32,
    low: f32,
    scales: [u8; 8],
    minima: [u8; 8],
    levels: Vec<u8>,
}

impl SuperBlock {
    fn new(x: &[f32], bits: u32) -> Self {
        let top = (1 << bits) - 1;
        let ranges: Vec<(f32, f32)> = x
            .chunks_exact(32)
            .map(|sub| {
                let (low, high) = min_max(sub);
                // The format subtracts the minimum, so it cannot lie above 0.
                (low.min(0.0), high.max(0.0))
            })
            .collect();
        let widest = ranges.iter().map(|(low, high)| (high - low) / top as f32).fold(0.0, f32::max);
        let deepest = ranges.iter().map(|(low, _)| -low).fold(0.0, f32::max);
        let (step, low) = (as_f16(widest / 63.0), as_f16(deepest / 63.0));
        let mut block = Self { step, low, scales: [0; 8], minima: [0; 8], levels: Vec::with_capacity(256) };
        for (i, (sub, range)) in x.chunks_exact(32).zip(&ranges).enumerate() {
            let scale = level((range.1 - range.0) / top as f32, step, 0, 63);
            let minimum = level(-range.0, low, 0, 63);
            (block.scales[i], block.minima[i]) = (scale as u8, minimum as u8);
            let shift = low * minimum as f32;
            block.levels.extend(sub.iter().map(|&v| level(v + shift, step * scale as f32, 0, top) as u8));
        }
        block
    }

    fn put_head(&self, out: &mut Vec<u8>) {
        put_f16(out, self.step);
        put_f16(out, self.low);
        // The first four scales and minima whole, each with two bits of one of the last four above it.
        let (s, m) = (&self.scales, &self.minima);
        out.extend((0..4).map(|i| s[i] | (s[i + 4] >> 4) << 6));
        out.extend((0..4).map(|i| m[i] | (m[i + 4] >> 4) << 6));
        out.extend((4..8).map(|i| (s[i] & 15) | (m[i] & 15) << 4));
    }

    fn put_nibbles(&self, out: &mut Vec<u8>) {
        self.levels.chunks_exact(64).for_each(|pair| out.extend(nibbles(pair)));
    }
}

fn q4_k(x: &[f32], out: &mut Vec<u8>) {
    let block = SuperBlock::new(x, 4);
    block.put_head(out);
    block.put_nibbles(out);
}

fn q5_k(x: &[f32], out: &mut Vec<u8>) {
    let block = SuperBlock::new(x, 5);
    block.put_head(out);
    // Byte `l` has the fifth bit of element `l` of each sub-block.
    out.extend((0..32).map(|l| (0..8).fold(0, |byte, sub| byte | (block.levels[sub * 32 + l] >> 4) << sub)));
    block.put_nibbles(out);
}

fn q6_k(x: &[f32], out: &mut Vec<u8>) {
    let wanted: Vec<f32> = x.chunks_exact(16).map(|sub| peak(sub) / -32.0).collect();
    let step = as_f16(peak(&wanted) / -128.0);
    let scales: Vec<i32> = wanted.iter().map(|&scale| level(scale, step, -128, 127)).collect();
    let levels: Vec<u8> = (0..256).map(|i| (level(x[i], step * scales[i / 16] as f32, -32, 31) + 32) as u8).collect();
    let halves = || levels.chunks_exact(128);
    // Each half: four rows of 32; low bits of rows 0 and 2, then 1 and 3, share bytes.
    for half in halves() {
        out.extend((0..64).map(|l| (half[l] & 15) | (half[l + 64] & 15) << 4));
    }
    for half in halves() {
        out.extend((0..32).map(|l| (0..4).fold(0, |byte, row| byte | (half[row * 32 + l] >> 4) << (2 * row))));
    }
    out.extend(scales.iter().map(|&scale| scale as i8 as u8));
    put_f16(out, step);
}
