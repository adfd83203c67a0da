//! Activations, made ready to be multiplied.

use crate::pack::BLOCK;

/// How activations enter a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Signed bytes with one scale per 32 values.
    Int8,
    /// As they are, against exactly dequantized weights. Slow; for checking a model.
    F32,
}

/// Columns of activations that lie interleaved, block by block.
pub(crate) const BUNCH: usize = 4;

/// 32 consecutive activations of one row, and the sums that correct for unsigned weights.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(crate) struct ActBlock {
    pub(crate) q: [i8; BLOCK],
    /// Value of one step of `q`.
    pub(crate) scale: f32,
    /// `scale` times the sum of `q`; multiplies a weight's minimum.
    pub(crate) scaled_sum: f32,
    /// The sum of `q` times -16 and times -128.
    pub(crate) minus_16: i32,
    pub(crate) minus_128: i32,
    /// The sums of the two halves of `q` times -32; and times -16, as two i16, the first below.
    pub(crate) halves_minus_32: [i32; 2],
    pub(crate) halves_minus_16: i32,
}

const _: () = assert!(size_of::<ActBlock>() == 64);

impl ActBlock {
    pub(crate) const ZERO: Self = Self {
        q: [0; BLOCK],
        scale: 0.0,
        scaled_sum: 0.0,
        minus_16: 0,
        minus_128: 0,
        halves_minus_32: [0; 2],
        halves_minus_16: 0,
    };

    /// Rounds 32 values to steps of their largest magnitude / 127, ties to even.
    ///
    /// A block with an infinity or a NaN becomes NaN as a whole. Magnitudes below 1e-30 are zero:
    /// their scale could not be inverted.
    #[inline(always)]
    pub(crate) fn quantize(x: &[f32; BLOCK]) -> Self {
        // Magnitudes of floats order as their bits do, NaN above everything.
        let mut bits = 0;
        for x in x {
            bits = u32::max(bits, x.to_bits() & 0x7fff_ffff);
        }
        let largest = f32::from_bits(bits);
        let mut block = Self::ZERO;
        if !largest.is_finite() {
            block.scale = f32::NAN;
            block.scaled_sum = f32::NAN;
            return block;
        }
        if largest < 1e-30 {
            return block;
        }
        block.scale = largest / 127.0;
        let inverse = 127.0 / largest;
        // Added to a small number, this leaves the number rounded in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        let mut steps = [0; BLOCK];
        for (s, x) in steps.iter_mut().zip(x) {
            *s = (x * inverse + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        }
        for (q, s) in block.q.iter_mut().zip(steps) {
            *q = s as i8;
        }
        let half: [i32; 2] = [steps[..16].iter().sum(), steps[16..].iter().sum()];
        let sum = half[0] + half[1];
        block.scaled_sum = block.scale * sum as f32;
        block.minus_16 = sum * -16;
        block.minus_128 = sum * -128;
        block.halves_minus_32 = half.map(|sum| sum * -32);
        // At most 16 * 127 * 16, which an i16 holds.
        block.halves_minus_16 = (half[0] * -16) & 0xffff | (half[1] * -16) << 16;
        block
    }
}

/// Activations of some rows, made by [`Compute::quantize`](crate::Compute::quantize) and the like.
///
/// A row may enter in two parts ([`split`](crate::Compute::quantize_split)): what bytes with a scale for
/// a block hold of it, and the *rest*, which has scales of its own. Rests lie behind all rows, from a
/// whole bunch on; a product adds theirs to the row's.
///
/// The buffer is kept between uses, so a step that is not larger than an earlier one allocates
/// nothing.
pub struct Acts {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) precision: Precision,
    /// Rows that enter in two parts, ascending.
    pub(crate) split: Vec<usize>,
    /// As [`Grid`] says.
    pub(crate) blocks: Vec<ActBlock>,
    /// `[rows, cols]`, for [`Precision::F32`].
    pub(crate) exact: Vec<f32>,
}

/// How blocks lie: in bunches of [`BUNCH`] rows (the last may have fewer), `[bunch][block][row of the
/// bunch]`.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    /// Rows, rests included.
    pub(crate) rows: usize,
    /// Blocks in a row; the last may be filled up with zeros.
    pub(crate) row_blocks: usize,
}

impl Grid {
    /// Where a row's first block is and how far apart its blocks are.
    pub(crate) fn row_at(self, row: usize) -> (usize, usize) {
        let bunch = row / BUNCH * BUNCH;
        (bunch * self.row_blocks + row % BUNCH, BUNCH.min(self.rows - bunch))
    }
}

impl Acts {
    /// An empty buffer.
    pub fn new() -> Self {
        Self { rows: 0, cols: 0, precision: Precision::Int8, split: Vec::new(), blocks: Vec::new(), exact: Vec::new() }
    }

    /// Rows it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Makes room; what is held is then anything.
    ///
    /// # Panics
    /// If a row to split is none of the rows, or they do not ascend, or there are some and precision is
    /// single.
    pub(crate) fn shape(&mut self, rows: usize, cols: usize, precision: Precision, split: &[usize]) {
        assert!(split.is_sorted_by(|a, b| a < b) && split.last().is_none_or(|&row| row < rows), "{split:?} of {rows}");
        assert!(split.is_empty() || precision == Precision::Int8, "single precision leaves no rest");
        (self.rows, self.cols, self.precision) = (rows, cols, precision);
        self.split.clear();
        self.split.extend_from_slice(split);
        match precision {
            Precision::F32 => self.exact.resize(rows * cols, 0.0),
            Precision::Int8 => {
                let grid = self.grid();
                let len = grid.rows * grid.row_blocks;
                if self.blocks.len() < len {
                    self.blocks.resize(len, ActBlock::ZERO);
                }
                for row in if split.is_empty() { 0..0 } else { rows..self.rests_at() } {
                    let (first, step) = grid.row_at(row);
                    for block in self.blocks[first..].iter_mut().step_by(step).take(grid.row_blocks) {
                        *block = ActBlock::ZERO;
                    }
                }
            }
        }
    }

    /// Where rests begin; between it and the rows there are rows of zeros.
    pub(crate) fn rests_at(&self) -> usize {
        if self.split.is_empty() { self.rows } else { self.rows.next_multiple_of(BUNCH) }
    }

    /// Rows that a product is computed of: rests are behind the others.
    pub(crate) fn all_rows(&self) -> usize {
        self.rests_at() + self.split.len()
    }

    pub(crate) fn grid(&self) -> Grid {
        Grid { rows: self.all_rows(), row_blocks: self.row_blocks() }
    }

    /// Blocks in a row; the last may be filled up with zeros.
    pub(crate) fn row_blocks(&self) -> usize {
        self.cols.div_ceil(BLOCK)
    }

    /// Writes the values of `cols` columns from `from` on of one row as floats.
    pub(crate) fn floats(&self, row: usize, from: usize, out: &mut [f32]) {
        match self.precision {
            Precision::F32 => {
                out.copy_from_slice(&self.exact[row * self.cols + from..][..out.len()]);
            }
            Precision::Int8 => {
                debug_assert!(from.is_multiple_of(BLOCK));
                let (first, step) = self.grid().row_at(row);
                for (i, out) in out.chunks_mut(BLOCK).enumerate() {
                    let block = &self.blocks[first + (from / BLOCK + i) * step];
                    for (o, q) in out.iter_mut().zip(block.q) {
                        *o = f32::from(q) * block.scale;
                    }
                }
            }
        }
    }
}

impl Default for Acts {
    fn default() -> Self {
        Self::new()
    }
}

/// A part of values that enter in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// What bytes with one scale hold.
    Held,
    /// What is then left.
    Rest,
}

impl Part {
    /// Leaves this part of the values of one block.
    #[inline(always)]
    pub(crate) fn take(self, block: &mut [f32; BLOCK]) {
        let largest = block.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let step = largest / 127.0;
        if !step.is_normal() {
            // All zero, or so small or broken that there is nothing to gain.
            if self == Self::Rest {
                *block = [0.0; BLOCK];
            }
            return;
        }
        for value in block {
            let held = (*value / step).round_ties_even() * step;
            *value = match self {
                Self::Held => held,
                Self::Rest => *value - held,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_rest_is_less_than_a_step() {
        for large in [9000.0, 22.05, 0.0] {
            let mut whole: [f32; BLOCK] = std::array::from_fn(|i| ((i * 37 % 64) as f32 - 31.5) * 0.7);
            whole[3] = large;
            if large == 0.0 {
                whole = [0.0; BLOCK];
            }
            let [mut held, mut rest] = [whole; 2];
            Part::Held.take(&mut held);
            Part::Rest.take(&mut rest);
            let step = whole.iter().fold(0.0f32, |largest, value| largest.max(value.abs())) / 127.0;
            for (i, ((held, rest), whole)) in held.iter().zip(rest).zip(whole).enumerate() {
                assert!((held + rest - whole).abs() <= whole.abs() * 1e-6, "{i}: {held} + {rest} is not {whole}");
                assert!(rest.abs() <= step * 0.5001, "{i}: {rest} of a step of {step}");
            }
        }
    }
}
