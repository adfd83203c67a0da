//! Activations as matrix products take them.

use std::ops::Range;

use super::lanes::{Lanes, Op};
use super::rows::norm_row;
use crate::acts::{ActBlock, Grid, Part};
use crate::pack::{BLOCK, TILE};
use crate::shared::Parted;

/// Rows that become activations.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// `[rows, cols]`
    pub(crate) x: &'a [f32],
    pub(crate) cols: usize,
    /// Weights and epsilon of a root-mean-square norm that each row goes through first.
    pub(crate) norm: Option<(&'a [f32], f32)>,
    /// Rows that enter in two parts.
    pub(crate) split: &'a [usize],
    pub(crate) rests_at: usize,
}

/// Makes one bunch of activations.
pub(crate) struct Prepare<'a> {
    pub(crate) source: Source<'a>,
    /// The bunch's first row.
    pub(crate) first: usize,
    /// Room for one row.
    pub(crate) buffer: &'a mut [f32],
    /// All blocks of the bunch.
    pub(crate) out: &'a mut [ActBlock],
}

impl Op for Prepare<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Source { x, cols, norm, split, rests_at } = self.source;
        let rows = self.out.len() / cols.div_ceil(BLOCK);
        for i in 0..rows {
            let row = self.first + i;
            let (row, part) = if row >= rests_at && !split.is_empty() {
                (split[row - rests_at], Some(Part::Rest))
            } else if row * cols >= x.len() {
                continue;
            } else {
                (row, split.binary_search(&row).is_ok().then_some(Part::Held))
            };
            let mut x = &x[row * cols..][..cols];
            if let Some((weight, eps)) = norm {
                norm_row(v, x, weight, eps, self.buffer);
                x = self.buffer;
            }
            let mut to = self.out[i..].iter_mut().step_by(rows);
            let (whole, last) = x.as_chunks::<BLOCK>();
            if let Some(part) = part {
                for (x, to) in whole.iter().zip(&mut to) {
                    let mut x = *x;
                    part.take(&mut x);
                    *to = ActBlock::quantize(&x);
                }
            } else {
                for (x, to) in whole.iter().zip(&mut to) {
                    *to = ActBlock::quantize(x);
                }
            }
            if let Some(to) = to.next() {
                let mut x = [0.0; BLOCK];
                x[..last.len()].copy_from_slice(last);
                if let Some(part) = part {
                    part.take(&mut x);
                }
                *to = ActBlock::quantize(&x);
            }
        }
    }
}

/// Makes one block of activations of some rows from two tiles, one after the other.
pub(crate) struct ToBlocks<'a> {
    pub(crate) tiles: &'a [[f32; TILE]],
    pub(crate) rows: Range<usize>,
    pub(crate) block: usize,
    pub(crate) grid: Grid,
    pub(crate) split: &'a [usize],
    pub(crate) rests_at: usize,
    /// Only this block of these rows is written, and by nobody else.
    pub(crate) to: &'a Parted<'a, ActBlock>,
}

impl Op for ToBlocks<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, _: V) {
        let Self { tiles, rows, block, grid, split, rests_at, to } = self;
        let put = |row: usize, x: &[f32; BLOCK]| {
            let (first, step) = grid.row_at(row);
            // SAFETY: each block is written by one thread, which holds one at a time.
            let to = unsafe { to.part(first + block * step, 1) };
            to[0] = ActBlock::quantize(x);
        };
        let (low, high) = tiles.split_at(rows.len());
        for ((low, high), row) in low.iter().zip(high).zip(rows.clone()) {
            put(row, &joined(low, high));
        }
        for (i, &row) in split.iter().enumerate().filter(|(_, row)| rows.contains(row)) {
            let at = row - rows.start;
            let [mut held, mut rest] = [joined(&low[at], &high[at]); 2];
            Part::Held.take(&mut held);
            Part::Rest.take(&mut rest);
            put(row, &held);
            put(rests_at + i, &rest);
        }
    }
}

#[inline(always)]
fn joined(low: &[f32; TILE], high: &[f32; TILE]) -> [f32; BLOCK] {
    let mut both = [0.0; BLOCK];
    both[..TILE].copy_from_slice(low);
    both[TILE..].copy_from_slice(high);
    both
}
