//! The definition of matrix products: every faster variant gives the same bits.
//!
//! With [`Precision::Int8`], a product is a sum over blocks of 32 columns, in ascending order:
//! the sum of products of integers, exact, times both scales, added with one rounding
//! (`mul_add`). A layout with a minimum adds `minimum * (scale * sum of the activations)` after
//! that; where each half of a block has a minimum of its own (`Q2K`), the minima times the sums of
//! the halves, exact, times both scales. With [`Precision::F32`], and for plain floats, it is a `mul_add` for each column, in
//! ascending order. There is one accumulator for each output, so neither the shape of tiles nor
//! the split over threads shows in the result.

use half::{bf16, f16};

use crate::acts::{Acts, Precision};
use crate::layout::{CODEBOOK, Layout};
use crate::matmul::{Share, Tile};
use crate::pack::{BLOCK, GROUP, NIBBLES, PAIRS, SUB_SCALES, TILE, int_bytes, int_offset, unit_bytes, unit_elems};

/// Columns of the output worked on together, so that weights are unpacked less often.
const TOGETHER: usize = 8;

/// 32 columns of a tile, unpacked.
struct Sub {
    /// The integers without their offset: `[group][row][column of the group]`.
    q: [i8; 8 * GROUP],
    /// What an integer is worth.
    scale: [f32; TILE],
    /// What is added to every element.
    min: Option<[f32; TILE]>,
    /// Integer scales of the two halves of the columns.
    halves: Option<[[i32; TILE]; 2]>,
    /// Integer minima of the two halves, which `min` is then the scale of, divided by -32.
    half_mins: Option<[[i32; TILE]; 2]>,
}

impl Sub {
    fn new() -> Self {
        Self { q: [0; 8 * GROUP], scale: [0.0; TILE], min: None, halves: None, half_mins: None }
    }

    /// Unpacks sub-block `s` of a unit.
    #[inline(always)]
    fn unpack(&mut self, layout: Layout, unit: &[u8], s: usize) {
        let int_len = int_bytes(layout);
        let ints = &unit[int_offset(layout) + s * int_len..][..int_len];
        let offset = match layout {
            Layout::Q4_0 => 8,
            Layout::Q5_0 => 16,
            Layout::Q3K => 4,
            Layout::Q6K => 32,
            _ => 0,
        };
        for (g, group) in self.q.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            for (i, q) in group.iter_mut().enumerate() {
                let low = || ints[g % 4 * GROUP + i] >> (g / 4 * 4) & 15;
                let pair = || ints[g / 4 * GROUP + i] >> (g % 4 * 2) & 3;
                *q = match layout {
                    Layout::Q2K => pair(),
                    Layout::Q3K => pair() | (ints[PAIRS + i] >> g & 1) << 2,
                    Layout::Iq4Nl | Layout::Iq4Xs => CODEBOOK[usize::from(low())] as u8,
                    Layout::Q8_0 => ints[g * GROUP + i],
                    Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K => low() | (ints[NIBBLES + i] >> g & 1) << 4,
                    Layout::Q6K => low() | (ints[NIBBLES + g / 4 * GROUP + i] >> (g % 4 * 2) & 3) << 4,
                    _ => low(),
                } as i8
                    - offset;
            }
        }
        let half = |at: usize, r: usize| f16::from_le_bytes([unit[at + r * 2], unit[at + r * 2 + 1]]).to_f32();
        self.scale = std::array::from_fn(|r| half(0, r));
        self.min = None;
        self.halves = None;
        self.half_mins = None;
        let sub_halves = |value: fn(u8) -> i32| {
            let sub = &unit[SUB_SCALES + s * 32..][..32];
            Some(std::array::from_fn(|h| std::array::from_fn(|r| value(sub[h * 16 + r]))))
        };
        match layout {
            Layout::Q4_1 | Layout::Q5_1 => self.min = Some(std::array::from_fn(|r| half(32, r))),
            Layout::Q4K | Layout::Q5K => {
                let sub = &unit[SUB_SCALES + s * 32..][..32];
                for (r, scale) in self.scale.iter_mut().enumerate() {
                    *scale *= f32::from(sub[r]);
                }
                self.min = Some(std::array::from_fn(|r| -(half(32, r) * f32::from(sub[16 + r]))));
            }
            Layout::Q2K => {
                self.min = Some(std::array::from_fn(|r| half(32, r) / 32.0));
                self.halves = sub_halves(|both| i32::from(both & 15));
                self.half_mins = sub_halves(|both| i32::from(both >> 4));
            }
            Layout::Q3K | Layout::Q6K => self.halves = sub_halves(|scale| i32::from(scale as i8)),
            Layout::Iq4Xs => {
                let sub = &unit[SUB_SCALES + s * 16..][..16];
                for (scale, sub) in self.scale.iter_mut().zip(sub) {
                    *scale *= f32::from(*sub as i8);
                }
            }
            _ => {}
        }
    }
}

/// A share of a product.
///
/// `mul_add` is a call where the instruction is not known to be there, and everything here waits
/// for it; so the same text is compiled twice.
pub(crate) fn matmul(share: Share<'_, '_>, acts: &Acts) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "fma,avx2")]
        fn with_fma(share: Share<'_, '_>, acts: &Acts) {
            define(share, acts);
        }
        // SAFETY: the CPU has both, as just asked.
        return unsafe { with_fma(share, acts) };
    }
    define(share, acts);
}

#[inline(always)]
fn define(mut share: Share<'_, '_>, acts: &Acts) {
    let rows = acts.all_rows();
    let mut sums = vec![[0.0; TILE]; share.width() * rows];
    for group in share.groups() {
        sums.fill([0.0; TILE]);
        for (i, sums) in sums.chunks_exact_mut(rows).enumerate() {
            let Some(tile) = share.tile(group, i) else { continue };
            for (col, acc) in sums.chunks_mut(TOGETHER).enumerate().map(|(i, acc)| (i * TOGETHER, acc)) {
                if tile.weights.layout().is_float() || acts.precision == Precision::F32 {
                    float_tile(tile, acts, col, acc);
                } else {
                    int_tile(tile, acts, col, acc);
                }
            }
        }
        share.finish(group..group + 1, 0..rows, &mut sums);
    }
}

#[inline(always)]
fn int_tile(tile: Tile<'_>, acts: &Acts, col: usize, acc: &mut [[f32; TILE]]) {
    let layout = tile.weights.layout();
    let subs = unit_elems(layout) / BLOCK;
    let mut sub = Sub::new();
    for (u, unit) in tile.bytes().chunks_exact(unit_bytes(layout)).enumerate() {
        for s in 0..subs {
            sub.unpack(layout, unit, s);
            for (c, acc) in acc.iter_mut().enumerate() {
                let (first, step) = acts.grid().row_at(col + c);
                let block = &acts.blocks[first + (u * subs + s) * step];
                let mut halves = [[0_i32; TILE]; 2];
                for (g, (group, a)) in sub.q.as_chunks::<GROUP>().0.iter().zip(block.q.as_chunks::<4>().0).enumerate() {
                    for (sum, q) in halves[g / 4].iter_mut().zip(group.as_chunks::<4>().0) {
                        *sum += (0..4).map(|k| i32::from(q[k]) * i32::from(a[k])).sum::<i32>();
                    }
                }
                for (r, acc) in acc.iter_mut().enumerate() {
                    let sum = match &sub.halves {
                        Some(scales) => scales[0][r] * halves[0][r] + scales[1][r] * halves[1][r],
                        None => halves[0][r] + halves[1][r],
                    };
                    *acc = (sub.scale[r] * block.scale).mul_add(sum as f32, *acc);
                    match (&sub.min, &sub.half_mins) {
                        (Some(min), Some(mins)) => {
                            let sums = block.halves_minus_32;
                            let sum = mins[0][r] * sums[0] + mins[1][r] * sums[1];
                            *acc = (min[r] * block.scale).mul_add(sum as f32, *acc);
                        }
                        (Some(min), None) => *acc = min[r].mul_add(block.scaled_sum, *acc),
                        (None, _) => {}
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn float_tile(tile: Tile<'_>, acts: &Acts, col: usize, acc: &mut [[f32; TILE]]) {
    let weights = tile.weights;
    let mut w = [[0.0; TILE]; BLOCK];
    let mut x = [0.0; BLOCK];
    for from in (0..weights.cols()).step_by(BLOCK) {
        let n = BLOCK.min(weights.cols() - from);
        dequantize_tile(weights.layout(), tile.bytes(), from, &mut w[..n]);
        for (c, acc) in acc.iter_mut().enumerate() {
            acts.floats(col + c, from, &mut x[..n]);
            for (w, x) in w[..n].iter().zip(x) {
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = w.mul_add(x, *acc);
                }
            }
        }
    }
}

/// Columns of a tile as floats, from a multiple of 32 on; at most as many as `out` has.
#[inline(always)]
fn dequantize_tile(layout: Layout, tile: &[u8], from: usize, out: &mut [[f32; TILE]]) {
    let unit_len = unit_bytes(layout);
    if layout.is_float() {
        let units = tile[from * unit_len..].chunks_exact(unit_len);
        for (out, unit) in out.iter_mut().zip(units) {
            *out = std::array::from_fn(|r| match layout {
                Layout::F32 => f32::from_le_bytes([unit[r * 4], unit[r * 4 + 1], unit[r * 4 + 2], unit[r * 4 + 3]]),
                Layout::F16 => f16::from_le_bytes([unit[r * 2], unit[r * 2 + 1]]).to_f32(),
                _ => bf16::from_le_bytes([unit[r * 2], unit[r * 2 + 1]]).to_f32(),
            });
        }
        return;
    }
    let elems = unit_elems(layout);
    let mut sub = Sub::new();
    for (i, out) in out.chunks_mut(BLOCK).enumerate() {
        let at = from + i * BLOCK;
        sub.unpack(layout, &tile[at / elems * unit_len..][..unit_len], at % elems / BLOCK);
        for (k, out) in out.iter_mut().enumerate() {
            for (r, out) in out.iter_mut().enumerate() {
                let q = f32::from(sub.q[k / 4 * GROUP + r * 4 + k % 4]);
                let scale = match &sub.halves {
                    Some(scales) => sub.scale[r] * scales[k / 16][r] as f32,
                    None => sub.scale[r],
                };
                *out = match (&sub.min, &sub.half_mins) {
                    (Some(min), Some(mins)) => scale * q + min[r] * (mins[k / 16][r] * -32) as f32,
                    (Some(min), None) => scale * q + min[r],
                    (None, _) => scale * q,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::{AlignedBytes, Compute, Isa, Matrix, pack, packed_len};

    #[test]
    fn the_text_means_the_same_with_and_without_the_instruction() {
        for layout in Layout::ALL {
            let (rows, cols, m) = (20, 256, 3);
            let mut file = vec![0; rows * layout.row_bytes(cols).unwrap()];
            for (i, byte) in file.iter_mut().enumerate() {
                // Keeps exponents of floats below the one of infinity.
                *byte = (i * 89 + i / 7) as u8 & 0x3b;
            }
            let mut bytes = AlignedBytes::zeroed(packed_len(layout, rows, cols));
            pack(layout, rows, cols, &file, &mut bytes);
            let weights = Matrix::new(layout, rows, cols, &bytes);
            let x: Vec<f32> = (0..m * cols).map(|i| (i * 37 % 101) as f32 - 50.3).collect();
            for precision in [Precision::Int8, Precision::F32] {
                let mut acts = Acts::new();
                let compute = Compute::new(Isa::Scalar, std::num::NonZeroUsize::MIN);
                compute.quantize(&x, cols, precision, &mut acts);
                let [plain, chosen] = [define, matmul].map(|compute: fn(Share<'_, '_>, &Acts)| {
                    let mut out = Vec::new();
                    let mut finish = |_: Range<usize>, _: Range<usize>, sums: &mut [[f32; TILE]]| {
                        out.extend(sums.as_flattened().iter().map(|y| y.to_bits()))
                    };
                    compute(Share::new(0..2, &[weights], 1, &mut finish), &acts);
                    out
                });
                assert_eq!(plain, chosen, "{layout} {precision:?}");
            }
        }
    }
}
