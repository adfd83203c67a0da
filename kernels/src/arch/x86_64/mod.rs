//! What the x86-64 variants share: which part of a product is worked on when.
//!
//! Few rows of activations ([`Variant::DIRECT`]): each tile streams from memory once, unpacked in
//! registers. Many: a panel of a tile is unpacked into the first cache and used for all rows, and
//! panels are the outer loop, so that the activations of one panel stay in the second cache.

pub(crate) mod avx2;
pub(crate) mod avx512vnni;
pub(crate) mod peak;

use std::ops::Range;

use crate::acts::{ActBlock, Acts, BUNCH, Precision};
use crate::compute::Output;
use crate::layout::Layout;
use crate::pack::{BLOCK, Matrix, TILE, unit_bytes};

/// Rows of activations that one kernel call takes at most; whole bunches.
const COLUMNS: usize = 8;
/// Blocks of 32 columns in a panel: 12 KiB unpacked, which stay in the first cache beside the
/// activations that they meet.
const PANEL: usize = 16;
/// Rows of activations that are worked on together, and how many blocks of so many: 256 KiB, which
/// stay in the second cache.
const RESIDENT: usize = 128;
const SLAB: usize = 32;
/// Columns of a panel of floats: 16 KiB.
const FLOAT_PANEL: usize = 256;
/// Tiles of floats worked on together when there are at most [`FLOAT_FEW`] rows of activations:
/// one accumulator alone would wait for itself.
const FLOAT_TILES: usize = 4;
const FLOAT_FEW: usize = 4;

// Only the last rows of a product are a bunch that is not whole.
const _: () = assert!(RESIDENT.is_multiple_of(COLUMNS) && COLUMNS.is_multiple_of(BUNCH));

/// How far ahead of its use the stream of weights is asked for, in bytes.
const AHEAD: usize = 3 * 1024;

/// 32 columns of a tile, as the kernels multiply them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Unpacked {
    /// `[group][row][column of the group]`, unsigned. With AVX2, where [`is_signed`]: the lower 4
    /// bits, then the upper ones.
    q: [u8; 16 * 64],
    scale: [f32; TILE],
    min: [f32; TILE],
    /// Where [`has_halves`]: their integer scales, in the form the variant multiplies with; and with
    /// AVX2 what is multiplied with their sums.
    halves: [[i32; TILE]; 3],
}

impl Unpacked {
    const ZERO: Self = Self { q: [0; 1024], scale: [0.0; TILE], min: [0.0; TILE], halves: [[0; TILE]; 3] };
}

/// Accumulators of one tile for `C` rows of activations.
type Sums<const C: usize> = [[f32; TILE]; C];

/// Up to [`COLUMNS`] rows of activations: their bunches, each from the wanted block on.
type Bunches<'a> = [&'a [ActBlock]; COLUMNS / BUNCH];

/// The innermost loops of a variant. `L` is a [`Layout`] as a number.
///
/// # Safety
/// Each function may be called only where the CPU has the variant's instructions.
trait Variant {
    /// Rows of activations up to which weights are not unpacked to memory.
    const DIRECT: usize;

    /// Adds a whole packed tile times `C` rows of activations.
    unsafe fn direct<const L: u8, const C: usize>(tile: &[u8], x: &Bunches<'_>, sums: &mut Sums<C>);

    /// Unpacks blocks of a packed tile from `from` on.
    unsafe fn unpack<const L: u8>(tile: &[u8], from: usize, out: &mut [Unpacked]);

    /// Adds unpacked blocks times `C` rows of activations.
    unsafe fn panel<const L: u8, const C: usize>(w: &[Unpacked], x: &Bunches<'_>, sums: &mut Sums<C>);

    /// Adds columns of `T` packed tiles of floats times `C` rows of as many floats each.
    unsafe fn floats<const L: u8, const C: usize, const T: usize>(
        w: [&[u8]; T],
        x: &[&[f32]; C],
        sums: &mut [Sums<C>; T],
    );

    /// [`dequantize_tile`](crate::scalar::dequantize_tile), faster.
    unsafe fn dequantize<const L: u8>(tile: &[u8], from: usize, out: &mut [[f32; TILE]]);
}

const fn layout_of(l: u8) -> Layout {
    Layout::ALL[l as usize]
}

const fn has_min(l: u8) -> bool {
    matches!(layout_of(l), Layout::Q4_1 | Layout::Q5_1 | Layout::Q2K | Layout::Q4K | Layout::Q5K)
}

/// Whether the halves of 32 columns have integer scales of their own.
const fn has_halves(l: u8) -> bool {
    matches!(layout_of(l), Layout::Q2K | Layout::Q3K | Layout::Q6K)
}

/// Whether integers fill a signed byte, so that no small offset makes them unsigned.
const fn is_signed(l: u8) -> bool {
    matches!(layout_of(l), Layout::Q8_0 | Layout::Iq4Nl | Layout::Iq4Xs)
}

/// Calls with the number of rows of activations as a constant.
macro_rules! with_columns {
    ($n:expr, $c:ident => $call:expr) => {
        match $n {
            1 => {
                const $c: usize = 1;
                $call
            }
            2 => {
                const $c: usize = 2;
                $call
            }
            3 => {
                const $c: usize = 3;
                $call
            }
            4 => {
                const $c: usize = 4;
                $call
            }
            5 => {
                const $c: usize = 5;
                $call
            }
            6 => {
                const $c: usize = 6;
                $call
            }
            7 => {
                const $c: usize = 7;
                $call
            }
            8 => {
                const $c: usize = 8;
                $call
            }
            n => unreachable!("{n} rows of activations at once"),
        }
    };
}

/// Calls with the layout as a constant.
macro_rules! with_layout {
    ($layout:expr, [$($name:ident),*], $l:ident => $call:expr) => {
        match $layout {
            $(Layout::$name => { const $l: u8 = Layout::$name as u8; $call })*
            layout => unreachable!("{layout} here"),
        }
    };
}

/// Some tiles of `out = acts · weightsᵀ`.
///
/// # Safety
/// The CPU must have the variant's instructions.
unsafe fn matmul_tiles<V: Variant>(weights: &Matrix<'_>, acts: &Acts, tiles: Range<usize>, out: &Output<'_>) {
    let layout = weights.layout();
    // SAFETY: handed on.
    unsafe {
        if layout.is_float() || acts.precision == Precision::F32 {
            return float_tiles::<V>(weights, acts, tiles, out);
        }
        with_layout!(layout, [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, Iq4Nl, Iq4Xs], L => {
            if acts.rows <= V::DIRECT {
                direct_tiles::<V, L>(weights, acts, tiles, out);
            } else {
                panel_tiles::<V, L>(weights, acts, tiles, out);
            }
        });
    }
}

/// The bunches of the rows from `row` on, from block `from` on.
fn bunches(acts: &Acts, row: usize, from: usize) -> Bunches<'_> {
    let row_blocks = acts.row_blocks();
    std::array::from_fn(|i| {
        let first = row + i * BUNCH;
        let rows = BUNCH.min(acts.rows.saturating_sub(first));
        let start = first.min(acts.rows) * row_blocks;
        &acts.blocks[start..start + rows * row_blocks][from * rows..]
    })
}

/// # Safety
/// As `matmul_tiles`.
unsafe fn direct_tiles<V: Variant, const L: u8>(
    weights: &Matrix<'_>,
    acts: &Acts,
    tiles: Range<usize>,
    out: &Output<'_>,
) {
    for tile in tiles {
        for row in (0..acts.rows).step_by(COLUMNS) {
            let x = bunches(acts, row, 0);
            with_columns!(COLUMNS.min(acts.rows - row), C => {
                let mut sums = [[0.0; TILE]; C];
                // SAFETY: handed on.
                unsafe { V::direct::<L, C>(weights.tile(tile), &x, &mut sums) };
                store(out, tile, row, &sums);
            });
        }
    }
}

/// # Safety
/// As `matmul_tiles`.
unsafe fn panel_tiles<V: Variant, const L: u8>(
    weights: &Matrix<'_>,
    acts: &Acts,
    tiles: Range<usize>,
    out: &Output<'_>,
) {
    let blocks = acts.row_blocks();
    let fit = RESIDENT * SLAB / acts.rows.min(RESIDENT);
    // Slabs of about the same width.
    let slab = blocks.div_ceil(blocks.div_ceil(fit));
    let mut panel = [Unpacked::ZERO; PANEL];
    let mut sums = [[0.0; TILE]; RESIDENT];
    for rows in (0..acts.rows).step_by(RESIDENT) {
        let rows = rows..acts.rows.min(rows + RESIDENT);
        let sums = &mut sums[..rows.len()];
        for from in (0..blocks).step_by(slab) {
            let slab = from..blocks.min(from + slab);
            for tile in tiles.clone() {
                match from {
                    0 => sums.fill([0.0; TILE]),
                    _ => load(out, tile, rows.start, sums),
                }
                for from in slab.clone().step_by(PANEL) {
                    let w = &mut panel[..PANEL.min(slab.end - from)];
                    // SAFETY: handed on.
                    unsafe { V::unpack::<L>(weights.tile(tile), from, w) };
                    for (row, sums) in rows.clone().step_by(COLUMNS).zip(sums.chunks_mut(COLUMNS)) {
                        let x = bunches(acts, row, from);
                        with_columns!(sums.len(), C => {
                            // SAFETY: handed on.
                            unsafe { V::panel::<L, C>(w, &x, &mut sums.as_chunks_mut::<C>().0[0]) };
                        });
                    }
                }
                store(out, tile, rows.start, sums);
            }
        }
    }
}

/// # Safety
/// As `matmul_tiles`.
unsafe fn float_tiles<V: Variant>(weights: &Matrix<'_>, acts: &Acts, tiles: Range<usize>, out: &Output<'_>) {
    let layout = weights.layout();
    let unit = unit_bytes(layout);
    let mut panel = [[0.0; TILE]; FLOAT_PANEL];
    let mut x = FloatRows { row: 0, rows: 0, from: 0, cols: 0, values: [[0.0; FLOAT_PANEL]; COLUMNS] };
    for from in (0..weights.cols()).step_by(FLOAT_PANEL) {
        let n = FLOAT_PANEL.min(weights.cols() - from);
        // SAFETY: handed on.
        unsafe {
            if layout.is_float() {
                let columns = |tile| &weights.tile(tile)[from * unit..][..n * unit];
                for row in (0..acts.rows).step_by(COLUMNS) {
                    x.copy(acts, row, from, n);
                    let mut tile = tiles.start;
                    while x.rows <= FLOAT_FEW && tiles.end - tile >= FLOAT_TILES {
                        let w: [_; FLOAT_TILES] = std::array::from_fn(|i| columns(tile + i));
                        float_rows::<V, FLOAT_TILES>(layout, w, &x, tile, out);
                        tile += FLOAT_TILES;
                    }
                    for tile in tile..tiles.end {
                        float_rows::<V, 1>(layout, [columns(tile)], &x, tile, out);
                    }
                }
            } else {
                for tile in tiles.clone() {
                    with_layout!(layout, [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, Iq4Nl, Iq4Xs], L => {
                        V::dequantize::<L>(weights.tile(tile), from, &mut panel[..n]);
                    });
                    for row in (0..acts.rows).step_by(COLUMNS) {
                        x.copy(acts, row, from, n);
                        float_rows::<V, 1>(Layout::F32, [as_bytes(&panel[..n])], &x, tile, out);
                    }
                }
            }
        }
    }
}

/// Some columns of some rows of activations, as floats.
struct FloatRows {
    row: usize,
    rows: usize,
    from: usize,
    cols: usize,
    values: [[f32; FLOAT_PANEL]; COLUMNS],
}

impl FloatRows {
    fn copy(&mut self, acts: &Acts, row: usize, from: usize, cols: usize) {
        (self.row, self.from, self.cols) = (row, from, cols);
        self.rows = COLUMNS.min(acts.rows - row);
        for (i, values) in self.values[..self.rows].iter_mut().enumerate() {
            acts.floats(row + i, from, &mut values[..cols]);
        }
    }
}

/// Adds `x` times the same columns `w` of `T` tiles from `tile` on.
///
/// # Safety
/// As `matmul_tiles`.
unsafe fn float_rows<V: Variant, const T: usize>(
    layout: Layout,
    w: [&[u8]; T],
    x: &FloatRows,
    tile: usize,
    out: &Output<'_>,
) {
    with_columns!(x.rows, C => {
        let rows: [&[f32]; C] = std::array::from_fn(|c| &x.values[c][..x.cols]);
        let mut sums = [[[0.0; TILE]; C]; T];
        if x.from > 0 {
            sums.iter_mut().enumerate().for_each(|(t, sums)| load(out, tile + t, x.row, sums));
        }
        with_layout!(layout, [F32, F16, BF16], L => {
            // SAFETY: handed on.
            unsafe { V::floats::<L, C, T>(w, &rows, &mut sums) }
        });
        sums.iter().enumerate().for_each(|(t, sums)| store(out, tile + t, x.row, sums));
    });
}

fn as_bytes(floats: &[[f32; TILE]]) -> &[u8] {
    // SAFETY: floats are bytes without padding, and a byte may begin anywhere.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
}

// All but the last tile of a matrix are whole. They have loops of their own, in which a copy has a
// known length and is one instruction or two; side by side in one loop, both become a call.

fn load(out: &Output<'_>, tile: usize, row: usize, sums: &mut [[f32; TILE]]) {
    // SAFETY: a tile is given to one thread, which holds one of these slices at a time.
    let out = |c: usize| unsafe { out.tile(tile, row + c) };
    if out(0).len() == TILE {
        for (c, sums) in sums.iter_mut().enumerate() {
            *sums = *out(c).as_chunks().0.first().expect("the tile is whole");
        }
    } else {
        for (c, sums) in sums.iter_mut().enumerate() {
            let out = out(c);
            sums[..out.len()].copy_from_slice(out);
        }
    }
}

fn store(out: &Output<'_>, tile: usize, row: usize, sums: &[[f32; TILE]]) {
    // SAFETY: a tile is given to one thread, which holds one of these slices at a time.
    let out = |c: usize| unsafe { out.tile(tile, row + c) };
    if out(0).len() == TILE {
        for (c, sums) in sums.iter().enumerate() {
            *out(c).as_chunks_mut().0.first_mut().expect("the tile is whole") = *sums;
        }
    } else {
        for (c, sums) in sums.iter().enumerate() {
            let out = out(c);
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

/// What the leaves rely on: `x` has `blocks` blocks for each of `C` rows.
fn check_bunches<const C: usize>(x: &Bunches<'_>, blocks: usize) {
    for (i, bunch) in x.iter().enumerate() {
        let rows = BUNCH.min(C.saturating_sub(i * BUNCH));
        assert!(bunch.len() >= rows * blocks, "{C} rows of {blocks} blocks");
    }
}

/// The address of a block of activations; the caller has checked that there is one.
#[inline(always)]
fn block_at<const C: usize>(x: &Bunches<'_>, block: usize, c: usize) -> *const ActBlock {
    let rows = BUNCH.min(C - c / BUNCH * BUNCH);
    x[c / BUNCH].as_ptr().wrapping_add(block * rows + c % BUNCH)
}

/// Columns of a packed tile in blocks of 32.
fn tile_blocks(layout: Layout, tile: &[u8]) -> usize {
    tile.len() / unit_bytes(layout) * (layout.block_elems() / BLOCK)
}
