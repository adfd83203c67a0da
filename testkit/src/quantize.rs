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
        TensorType::Q2_K => q2_k,
        TensorType::Q3_K => q3_k,
        TensorType::Q4_K => q4_k,
        TensorType::Q5_K => q5_k,
        TensorType::Q6_K => q6_k,
        TensorType::IQ4_NL => iq4_nl,
        TensorType::IQ4_XS => iq4_xs,
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

/// A super-block of 256 in sub-blocks that have integer scales and minima.
struct SuperBlock {
    step: f32,
    low: f32,
    scales: Vec<u8>,
    minima: Vec<u8>,
    levels: Vec<u8>,
}

impl SuperBlock {
    /// Sub-blocks of `size`, their scales and minima up to `most`, levels of `bits`.
    fn new(x: &[f32], size: usize, most: i32, bits: u32) -> Self {
        let top = (1 << bits) - 1;
        let ranges: Vec<(f32, f32)> = x
            .chunks_exact(size)
            .map(|sub| {
                let (low, high) = min_max(sub);
                // The format subtracts the minimum, so it cannot lie above 0.
                (low.min(0.0), high.max(0.0))
            })
            .collect();
        let widest = ranges.iter().map(|(low, high)| (high - low) / top as f32).fold(0.0, f32::max);
        let deepest = ranges.iter().map(|(low, _)| -low).fold(0.0, f32::max);
        let (step, low) = (as_f16(widest / most as f32), as_f16(deepest / most as f32));
        let mut block = Self { step, low, scales: Vec::new(), minima: Vec::new(), levels: Vec::with_capacity(256) };
        for (sub, range) in x.chunks_exact(size).zip(&ranges) {
            let scale = level((range.1 - range.0) / top as f32, step, 0, most);
            let minimum = level(-range.0, low, 0, most);
            block.scales.push(scale as u8);
            block.minima.push(minimum as u8);
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

/// Four runs of 32 levels in 32 bytes, the lowest two bits of each, the first run lowest.
fn pairs(levels: &[u8]) -> impl Iterator<Item = u8> + '_ {
    levels
        .chunks_exact(128)
        .flat_map(|half| (0..32).map(|l| (0..4).fold(0, |byte, run| byte | (half[run * 32 + l] & 3) << (2 * run))))
}

fn q2_k(x: &[f32], out: &mut Vec<u8>) {
    let block = SuperBlock::new(x, 16, 15, 2);
    out.extend(block.scales.iter().zip(&block.minima).map(|(scale, minimum)| scale | minimum << 4));
    out.extend(pairs(&block.levels));
    put_f16(out, block.step);
    put_f16(out, block.low);
}

/// Signed scales of sub-blocks of `size` and the step that they count in: a sub-block's peak is
/// its scale times `lowest`, the largest scale `least`.
fn signed_scales(x: &[f32], size: usize, lowest: f32, least: i32) -> (f32, Vec<i32>) {
    let wanted: Vec<f32> = x.chunks_exact(size).map(|sub| peak(sub) / lowest).collect();
    let step = as_f16(peak(&wanted) / least as f32);
    (step, wanted.iter().map(|&scale| level(scale, step, least, -least - 1)).collect())
}

fn q3_k(x: &[f32], out: &mut Vec<u8>) {
    let (step, scales) = signed_scales(x, 16, -4.0, -32);
    let levels: Vec<u8> = (0..256).map(|i| (level(x[i], step * scales[i / 16] as f32, -4, 3) + 4) as u8).collect();
    // Byte `l` has the third bit of element `l` of each run of 32.
    out.extend((0..32).map(|l| (0..8).fold(0, |byte, run| byte | (levels[run * 32 + l] >> 2) << run)));
    out.extend(pairs(&levels));
    let scales: Vec<u8> = scales.iter().map(|scale| (scale + 32) as u8).collect();
    out.extend((0..8).map(|i| (scales[i] & 15) | (scales[i + 8] & 15) << 4));
    out.extend((0..4).map(|i| (0..4).fold(0, |byte, row| byte | (scales[row * 4 + i] >> 4) << (2 * row))));
    put_f16(out, step);
}

/// What the 16 levels of `IQ4_NL` and `IQ4_XS` stand for.
const UNEVEN: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];

/// The levels of [`UNEVEN`] nearest to `x`.
fn uneven(x: &[f32], step: f32) -> Vec<u8> {
    let off = |v: f32, level: u8| (UNEVEN[usize::from(level)] * step - v).abs();
    x.iter().map(|&v| (0..16).min_by(|a, b| off(v, *a).total_cmp(&off(v, *b))).unwrap_or_default()).collect()
}

fn iq4_nl(x: &[f32], out: &mut Vec<u8>) {
    let step = as_f16(peak(x) / UNEVEN[0]);
    put_f16(out, step);
    out.extend(nibbles(&uneven(x, step)));
}

fn iq4_xs(x: &[f32], out: &mut Vec<u8>) {
    let (step, scales) = signed_scales(x, 32, UNEVEN[0], -32);
    put_f16(out, step);
    let stored: Vec<u8> = scales.iter().map(|scale| (scale + 32) as u8).collect();
    out.extend(stored.iter().rev().fold(0_u16, |bits, scale| bits << 2 | u16::from(scale >> 4)).to_le_bytes());
    out.extend((0..4).map(|i| (stored[2 * i] & 15) | (stored[2 * i + 1] & 15) << 4));
    for (sub, scale) in x.chunks_exact(32).zip(scales) {
        out.extend(nibbles(&uneven(sub, step * scale as f32)));
    }
}

fn q4_k(x: &[f32], out: &mut Vec<u8>) {
    let block = SuperBlock::new(x, 32, 63, 4);
    block.put_head(out);
    block.put_nibbles(out);
}

fn q5_k(x: &[f32], out: &mut Vec<u8>) {
    let block = SuperBlock::new(x, 32, 63, 5);
    block.put_head(out);
    // Byte `l` has the fifth bit of element `l` of each sub-block.
    out.extend((0..32).map(|l| (0..8).fold(0, |byte, sub| byte | (block.levels[sub * 32 + l] >> 4) << sub)));
    block.put_nibbles(out);
}

fn q6_k(x: &[f32], out: &mut Vec<u8>) {
    let (step, scales) = signed_scales(x, 16, -32.0, -128);
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
