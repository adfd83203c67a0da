//! What the x86-64 variants share: which part of a product is worked on when.
//!
//! Few rows of activations ([`Variant::DIRECT`]): each tile streams from memory once, unpacked in
//! registers. Many: a panel of a tile is unpacked into the first cache and used for all rows, and
//! panels are the outer loop, so that the activations of one panel stay in the second cache.

/// Calls with the layout as a constant.
macro_rules! with_layout {
    ($layout:expr, [$($name:ident),*], $l:ident => $call:expr) => {
        match $layout {
            $(Layout::$name => { const $l: u8 = Layout::$name as u8; $call })*
            layout => unreachable!("{layout} here"),
        }
    };
}

/// The same with a layout of integers.
macro_rules! with_integers {
    ($layout:expr, $l:ident => $call:expr) => {
        with_layout!($layout, [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, Iq4Nl, Iq4Xs], $l => $call)
    };
}

pub(crate) mod amx;
pub(crate) mod avx2;
pub(crate) mod avx512vnni;
pub(crate) mod avxvnni;
pub(crate) mod peak;

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

use crate::acts::{ActBlock, Acts, BUNCH, Grid, Precision};
use crate::aligned::lend_floats;
use crate::layout::Layout;
use crate::matmul::{Share, Tile};
use crate::pack::{BLOCK, Matrix, TILE, unit_bytes};

/// Rows of activations that one kernel call takes at most; whole bunches.
const COLUMNS: usize = 8;
/// Blocks of 32 columns in a panel: 12 KiB unpacked, which stay in the first cache beside the
/// activations that they meet.
const PANEL: usize = 16;
/// Rows of activations that are worked on together (a prompt's 512 and a few rests are four parts), and
/// how many blocks of so many: 272 KiB, which stay in the second cache.
const RESIDENT: usize = 136;
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

/// A share of a product.
///
/// # Safety
/// The CPU must have the variant's instructions.
unsafe fn matmul<V: Variant>(mut share: Share<'_, '_>, acts: &Acts) {
    let floats = share.matrices().iter().any(|weights| weights.layout().is_float());
    // SAFETY: handed on.
    unsafe {
        if floats || acts.precision == Precision::F32 {
            float_groups::<V>(&mut share, acts);
        } else if acts.all_rows() <= V::DIRECT {
            direct_groups::<V>(&mut share, acts);
        } else {
            panel_groups::<V>(&mut share, acts);
        }
    }
}

/// The bunches of the rows from `row` on, from block `from` on.
fn bunches(acts: &Acts, row: usize, from: usize) -> Bunches<'_> {
    let Grid { rows: all, row_blocks } = acts.grid();
    std::array::from_fn(|i| {
        let first = row + i * BUNCH;
        let rows = BUNCH.min(all.saturating_sub(first));
        let start = first.min(all) * row_blocks;
        &acts.blocks[start..start + rows * row_blocks][from * rows..]
    })
}

/// # Safety
/// As `matmul`.
unsafe fn direct_groups<V: Variant>(share: &mut Share<'_, '_>, acts: &Acts) {
    let (rows, width, groups, run) = (acts.all_rows(), share.width(), share.groups(), share.run());
    lend_floats(groups.len() * width * rows * TILE, |floats| {
        let sums = floats.as_chunks_mut::<TILE>().0;
        // One matrix after the other, as a stream: memory is what these wait for.
        for (i, weights) in share.matrices().iter().enumerate() {
            if let Some(next) = share.matrices().get(i + 1) {
                ask_for_beginning(next.tile(groups.start * run));
            }
            let tiles = groups.start * run..groups.end * run;
            let there = tiles.start..tiles.end.min(weights.tiles());
            let place = |tile: usize| {
                let at = tile - tiles.start;
                (at / run * width + i * run + at % run) * rows
            };
            for tile in there.end..tiles.end {
                sums[place(tile)..][..rows].fill([0.0; TILE]);
            }
            with_integers!(weights.layout(), L => {
                // SAFETY: handed on.
                unsafe { direct_tiles::<V, L>(weights, there, acts, sums, &place) };
            });
        }
        share.finish(groups, 0..rows, sums);
    });
}

/// Asks for what the stream of weights from another place begins with, which nothing else does.
fn ask_for_beginning(tile: &[u8]) {
    for line in tile[..tile.len().min(AHEAD)].chunks(64) {
        // SAFETY: SSE is a part of x86-64, and a prefetch may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
}

/// All rows, of which there are at most [`DIRECT`](Variant::DIRECT), times some tiles; the sums of a tile
/// go to its place.
///
/// # Safety
/// As `matmul`.
unsafe fn direct_tiles<V: Variant, const L: u8>(
    weights: &Matrix<'_>,
    tiles: Range<usize>,
    acts: &Acts,
    sums: &mut [[f32; TILE]],
    place: &dyn Fn(usize) -> usize,
) {
    let rows = acts.all_rows();
    let mut some = |tile: usize, from: usize, x: &Bunches<'_>| {
        with_columns!(COLUMNS.min(rows - from), C => {
            let mut these = [[0.0; TILE]; C];
            // SAFETY: handed on.
            unsafe { V::direct::<L, C>(weights.tile(tile), x, &mut these) };
            sums[place(tile) + from..][..C].copy_from_slice(&these);
        });
    };
    if rows <= COLUMNS {
        let x = bunches(acts, 0, 0);
        tiles.for_each(|tile| some(tile, 0, &x));
        return;
    }
    // The weights are what is far away: all rows before the next tile.
    for tile in tiles {
        for from in (0..rows).step_by(COLUMNS) {
            some(tile, from, &bunches(acts, from, 0));
        }
    }
}

/// # Safety
/// As `matmul`.
unsafe fn panel_groups<V: Variant>(share: &mut Share<'_, '_>, acts: &Acts) {
    let (all, blocks, width) = (acts.all_rows(), acts.row_blocks(), share.width());
    // Parts of about the same size.
    let part = all.div_ceil(all.div_ceil(RESIDENT)).next_multiple_of(COLUMNS);
    let slab = blocks.div_ceil(blocks.div_ceil(RESIDENT * SLAB / part));
    // Where there are several slabs, sums of all groups wait for the next.
    let waiting = if slab < blocks { share.groups().len() } else { 1 };
    lend_floats(waiting * width * part * TILE, |floats| {
        let sums = floats.as_chunks_mut::<TILE>().0;
        let mut panel = [Unpacked::ZERO; PANEL];
        // Rests are last, and come first.
        for start in (0..all).step_by(part).rev() {
            let rows = start..all.min(start + part);
            for from in (0..blocks).step_by(slab) {
                let slab = from..blocks.min(from + slab);
                for (at, group) in share.groups().enumerate() {
                    let sums = &mut sums[at % waiting * width * rows.len()..][..width * rows.len()];
                    if from == 0 {
                        sums.fill([0.0; TILE]);
                    }
                    for (i, sums) in sums.chunks_exact_mut(rows.len()).enumerate() {
                        let Some(tile) = share.tile(group, i) else { continue };
                        // SAFETY: handed on.
                        unsafe { panel_tile::<V>(tile, acts, start, slab.clone(), &mut panel, sums) };
                    }
                    if slab.end == blocks {
                        share.finish(group..group + 1, rows.clone(), sums);
                    }
                }
            }
        }
    });
}

/// Adds some blocks of a tile times rows from `start` on.
///
/// # Safety
/// As `matmul`.
unsafe fn panel_tile<V: Variant>(
    tile: Tile<'_>,
    acts: &Acts,
    start: usize,
    blocks: Range<usize>,
    panel: &mut [Unpacked; PANEL],
    sums: &mut [[f32; TILE]],
) {
    with_integers!(tile.weights.layout(), L => {
        for from in blocks.clone().step_by(PANEL) {
            let w = &mut panel[..PANEL.min(blocks.end - from)];
            // SAFETY: handed on.
            unsafe { V::unpack::<L>(tile.bytes(), from, w) };
            for (i, sums) in sums.chunks_mut(COLUMNS).enumerate() {
                let x = bunches(acts, start + i * COLUMNS, from);
                with_columns!(sums.len(), C => {
                    // SAFETY: handed on.
                    unsafe { V::panel::<L, C>(w, &x, &mut sums.as_chunks_mut::<C>().0[0]) };
                });
            }
        }
    });
}

/// A share with floats on either side.
///
/// # Safety
/// As `matmul`.
unsafe fn float_groups<V: Variant>(share: &mut Share<'_, '_>, acts: &Acts) {
    let (rows, width) = (acts.all_rows(), share.width());
    assert!(FLOAT_TILES.is_multiple_of(width), "{width} tiles in a group");
    let groups = share.groups();
    let mut sums = vec![[0.0; TILE]; FLOAT_TILES * rows];
    for first in groups.clone().step_by(FLOAT_TILES / width) {
        let these = first..groups.end.min(first + FLOAT_TILES / width);
        let tiles: [_; FLOAT_TILES] = std::array::from_fn(|i| {
            let group = first + i / width;
            if group < these.end { share.tile(group, i % width) } else { None }
        });
        sums.fill([0.0; TILE]);
        // SAFETY: handed on.
        unsafe {
            if acts.precision == Precision::Int8 {
                for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(rows)) {
                    if let Some(tile) = tile
                        && !tile.weights.layout().is_float()
                    {
                        whole_tile::<V>(*tile, acts, sums);
                    }
                }
            }
            float_tiles::<V>(&tiles, acts, &mut sums);
        }
        for (at, group) in these.enumerate() {
            share.finish(group..group + 1, 0..rows, &mut sums[at * width * rows..][..width * rows]);
        }
    }
}

/// All rows times one tile of integers.
///
/// # Safety
/// As `matmul`.
unsafe fn whole_tile<V: Variant>(tile: Tile<'_>, acts: &Acts, sums: &mut [[f32; TILE]]) {
    // SAFETY: handed on.
    unsafe {
        if acts.all_rows() <= V::DIRECT {
            with_integers!(tile.weights.layout(), L => {
                direct_tiles::<V, L>(&tile.weights, tile.index..tile.index + 1, acts, sums, &|_| 0);
            });
        } else {
            panel_tile::<V>(tile, acts, 0, 0..acts.row_blocks(), &mut [Unpacked::ZERO; PANEL], sums);
        }
    }
}

/// All rows times those tiles that are floats, or all of them if the activations are.
///
/// # Safety
/// As `matmul`.
unsafe fn float_tiles<V: Variant>(tiles: &[Option<Tile<'_>>; FLOAT_TILES], acts: &Acts, sums: &mut [[f32; TILE]]) {
    let rows = acts.all_rows();
    let layouts = tiles.map(|tile| tile.map(|tile| tile.weights.layout()));
    let alike = layouts[0].filter(|layout| layout.is_float() && layouts == [Some(*layout); FLOAT_TILES]);
    let mut panel = [[0.0; TILE]; FLOAT_PANEL];
    let mut x = FloatRows { rows: 0, cols: 0, values: [[0.0; FLOAT_PANEL]; COLUMNS] };
    for from in (0..acts.cols).step_by(FLOAT_PANEL) {
        let n = FLOAT_PANEL.min(acts.cols - from);
        let columns = |tile: Tile<'_>| {
            let unit = unit_bytes(tile.weights.layout());
            from * unit..(from + n) * unit
        };
        // SAFETY: handed on.
        unsafe {
            if rows <= FLOAT_FEW
                && let Some(layout) = alike
            {
                x.copy(acts, 0, from, n);
                let w = tiles.map(|tile| tile.map_or(&[][..], |tile| &tile.bytes()[columns(tile)]));
                float_rows::<V, FLOAT_TILES>(layout, w, &x, sums, rows);
                continue;
            }
            for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(rows)) {
                let Some(tile) = *tile else { continue };
                let layout = tile.weights.layout();
                let (layout, w) = if layout.is_float() {
                    (layout, &tile.bytes()[columns(tile)])
                } else if acts.precision == Precision::F32 {
                    with_integers!(layout, L => V::dequantize::<L>(tile.bytes(), from, &mut panel[..n]));
                    (Layout::F32, as_bytes(&panel[..n]))
                } else {
                    continue;
                };
                for (i, sums) in sums.chunks_mut(COLUMNS).enumerate() {
                    x.copy(acts, i * COLUMNS, from, n);
                    let rows = sums.len();
                    float_rows::<V, 1>(layout, [w], &x, sums, rows);
                }
            }
        }
    }
}

/// Some columns of some rows of activations, as floats.
struct FloatRows {
    rows: usize,
    cols: usize,
    values: [[f32; FLOAT_PANEL]; COLUMNS],
}

impl FloatRows {
    fn copy(&mut self, acts: &Acts, row: usize, from: usize, cols: usize) {
        self.cols = cols;
        self.rows = COLUMNS.min(acts.all_rows() - row);
        for (i, values) in self.values[..self.rows].iter_mut().enumerate() {
            acts.floats(row + i, from, &mut values[..cols]);
        }
    }
}

/// Adds `x` times the same columns `w` of `T` tiles, whose sums are `apart`.
///
/// # Safety
/// As `matmul`.
unsafe fn float_rows<V: Variant, const T: usize>(
    layout: Layout,
    w: [&[u8]; T],
    x: &FloatRows,
    to: &mut [[f32; TILE]],
    apart: usize,
) {
    with_columns!(x.rows, C => {
        let rows: [&[f32]; C] = std::array::from_fn(|c| &x.values[c][..x.cols]);
        let mut sums = [[[0.0; TILE]; C]; T];
        for (sums, to) in sums.iter_mut().zip(to.chunks(apart)) {
            sums.copy_from_slice(&to[..C]);
        }
        with_layout!(layout, [F32, F16, BF16], L => {
            // SAFETY: handed on.
            unsafe { V::floats::<L, C, T>(w, &rows, &mut sums) }
        });
        for (sums, to) in sums.iter().zip(to.chunks_mut(apart)) {
            to[..C].copy_from_slice(sums);
        }
    });
}

fn as_bytes(floats: &[[f32; TILE]]) -> &[u8] {
    // SAFETY: floats are bytes without padding, and a byte may begin anywhere.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
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
