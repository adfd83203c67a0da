//! Weights as the arithmetic reads them: tiles of 16 rows, 4 consecutive elements of each.
//!
//! A tile is a sequence of units in ascending column, each [`unit_elems`] columns wide:
//!
//! | layout | unit, for 16 rows |
//! | --- | --- |
//! | `F32`, `F16`, `BF16` | 16 elements of one column |
//! | `Q4_0` | d, nibbles |
//! | `Q4_1` | d, m, nibbles |
//! | `Q5_0` | d, nibbles, fifth bits |
//! | `Q5_1` | d, m, nibbles, fifth bits |
//! | `Q8_0` | d, 8 vectors of bytes |
//! | `Q4K` | d, dmin, 8 x (scales, minima), 8 x nibbles |
//! | `Q5K` | d, dmin, 8 x (scales, minima), 8 x (nibbles, fifth bits) |
//! | `Q6K` | d, 32 unused bytes, 8 x (scales, scales), 8 x (nibbles, upper two bits) |
//! | `Q2K` | d, dmin, 8 x (scales and minima, scales and minima), 8 x two bits |
//! | `Q3K` | d, 32 unused bytes, 8 x (scales, scales), 8 x (two bits, third bits) |
//! | `Iq4Nl` | d, nibbles |
//! | `Iq4Xs` | d, 32 unused bytes, 8 x scales, 8 x nibbles |
//!
//! 32 columns are 8 *groups* of 4. The vector of a group is 64 bytes, `[16 rows][4 columns]`.
//! *Nibbles* are 4 vectors: the j-th has group j below and group j + 4 above. *Fifth bits* are
//! one vector: bit g of a byte belongs to group g; so are *third bits*. *Upper two bits*, and *two
//! bits* where there are no others, are two vectors: bits `2 * (g % 4)` of vector `g / 4` belong to
//! group g. Where a byte has scale and minimum, the scale is its low nibble. Scales `d`, `m`, `dmin` are 16 half floats;
//! sub-block scales and minima are 16 bytes. Rows beyond the matrix are zeros.

use std::ops::Range;

use crate::layout::{Layout, Parts};

/// Rows in a tile.
pub(crate) const TILE: usize = 16;
/// Columns in a block of activations, and in a sub-block of packed weights.
pub(crate) const BLOCK: usize = 32;
/// Bytes of one group of 16 rows x 4 columns.
pub(crate) const GROUP: usize = 64;
/// Bytes of the four vectors of nibbles of 32 columns.
pub(crate) const NIBBLES: usize = 4 * GROUP;
/// Where the scales of the first sub-block of a `Q4K`, `Q5K` or `Q6K` unit are.
pub(crate) const SUB_SCALES: usize = 64;
/// Where the integers of the first sub-block of such a unit are.
pub(crate) const SUB_INTS: usize = SUB_SCALES + 8 * 32;
/// Bytes of the two vectors of two bits of 32 columns.
pub(crate) const PAIRS: usize = 2 * GROUP;

/// Columns in a unit.
pub(crate) const fn unit_elems(layout: Layout) -> usize {
    layout.block_elems()
}

/// Bytes of the integers of 32 columns of a tile.
pub(crate) const fn int_bytes(layout: Layout) -> usize {
    match layout {
        Layout::F32 | Layout::F16 | Layout::BF16 => 0,
        Layout::Q4_0 | Layout::Q4_1 | Layout::Q4K | Layout::Iq4Nl | Layout::Iq4Xs => NIBBLES,
        Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K => NIBBLES + GROUP,
        Layout::Q6K => NIBBLES + 2 * GROUP,
        Layout::Q8_0 => 8 * GROUP,
        Layout::Q2K => PAIRS,
        Layout::Q3K => PAIRS + GROUP,
    }
}

/// Where the integers of a unit begin.
pub(crate) const fn int_offset(layout: Layout) -> usize {
    match layout {
        Layout::F32 | Layout::F16 | Layout::BF16 => 0,
        Layout::Q4_0 | Layout::Q5_0 | Layout::Q8_0 | Layout::Iq4Nl => 32,
        Layout::Q4_1 | Layout::Q5_1 => 64,
        Layout::Q2K | Layout::Q3K | Layout::Q4K | Layout::Q5K | Layout::Q6K => SUB_INTS,
        Layout::Iq4Xs => SUB_SCALES + 8 * TILE,
    }
}

/// Bytes of a unit.
pub(crate) const fn unit_bytes(layout: Layout) -> usize {
    match layout {
        Layout::F32 => 64,
        Layout::F16 | Layout::BF16 => 32,
        _ => int_offset(layout) + unit_elems(layout) / BLOCK * int_bytes(layout),
    }
}

/// Bytes of a tile of `cols` columns.
pub(crate) const fn tile_bytes(layout: Layout, cols: usize) -> usize {
    cols / unit_elems(layout) * unit_bytes(layout)
}

/// Bytes that a packed matrix takes, a multiple of 64.
///
/// # Panics
/// If a row is not whole blocks.
pub fn packed_len(layout: Layout, rows: usize, cols: usize) -> usize {
    assert!(layout.row_bytes(cols).is_some(), "{cols} columns are not whole blocks of {layout}");
    (rows.div_ceil(TILE) * tile_bytes(layout, cols)).next_multiple_of(64)
}

/// Packs a matrix from a file's layout.
///
/// # Shapes
/// `src`: `rows` rows of [`Layout::row_bytes`]; `dst`: [`packed_len`] bytes.
///
/// # Panics
/// If a length is another one.
pub fn pack(layout: Layout, rows: usize, cols: usize, src: &[u8], dst: &mut [u8]) {
    assert_eq!(dst.len(), packed_len(layout, rows, cols));
    let tile_len = tile_bytes(layout, cols);
    let tiles = rows.div_ceil(TILE);
    pack_tiles(layout, rows, cols, src, 0..tiles, &mut dst[..tiles * tile_len]);
    dst[tiles * tile_len..].fill(0);
}

/// Packs some of a matrix's tiles; `dst` is exactly theirs.
pub(crate) fn pack_tiles(layout: Layout, rows: usize, cols: usize, src: &[u8], tiles: Range<usize>, dst: &mut [u8]) {
    let row_len = layout.row_bytes(cols).expect("whole blocks, as packed_len asserted");
    assert_eq!(src.len(), rows * row_len);
    let tile_len = tile_bytes(layout, cols);
    assert_eq!(dst.len(), tiles.len() * tile_len);
    if tile_len == 0 {
        return;
    }
    let block_len = layout.block_bytes();
    let unit_len = unit_bytes(layout);
    let mut parts = Parts::new();
    for (tile, dst) in tiles.zip(dst.chunks_exact_mut(tile_len)) {
        dst.fill(0);
        for r in 0..TILE.min(rows - tile * TILE) {
            let row = &src[(tile * TILE + r) * row_len..][..row_len];
            for (block, unit) in row.chunks_exact(block_len).zip(dst.chunks_exact_mut(unit_len)) {
                if layout.is_float() {
                    unit[r * block_len..][..block_len].copy_from_slice(block);
                } else {
                    parts.read(layout, block);
                    write_row(layout, &parts, r, unit);
                }
            }
        }
    }
}

/// Puts one block in as row `r` of a unit that holds zeros there.
fn write_row(layout: Layout, parts: &Parts, r: usize, unit: &mut [u8]) {
    unit[r * 2..][..2].copy_from_slice(&parts.d.to_le_bytes());
    match layout {
        Layout::Q4_1 | Layout::Q5_1 => unit[32 + r * 2..][..2].copy_from_slice(&parts.m.to_le_bytes()),
        Layout::Q4K | Layout::Q5K => {
            unit[32 + r * 2..][..2].copy_from_slice(&parts.m.to_le_bytes());
            for s in 0..8 {
                unit[SUB_SCALES + s * 32 + r] = parts.scales[s];
                unit[SUB_SCALES + s * 32 + 16 + r] = parts.mins[s];
            }
        }
        Layout::Q2K => {
            unit[32 + r * 2..][..2].copy_from_slice(&parts.m.to_le_bytes());
            for (s, (scale, min)) in parts.scales.iter().zip(parts.mins).enumerate() {
                unit[SUB_SCALES + s * 16 + r] = scale | min << 4;
            }
        }
        Layout::Q3K | Layout::Q6K => {
            for (s, scale) in parts.scales.iter().enumerate() {
                unit[SUB_SCALES + s * 16 + r] = *scale;
            }
        }
        Layout::Iq4Xs => {
            for (s, scale) in parts.scales[..8].iter().enumerate() {
                unit[SUB_SCALES + s * 16 + r] = *scale;
            }
        }
        _ => {}
    }
    let ints = unit[int_offset(layout)..].chunks_exact_mut(int_bytes(layout));
    for (ints, q) in ints.zip(parts.q.as_chunks::<BLOCK>().0) {
        for (g, group) in q.as_chunks::<4>().0.iter().enumerate() {
            for (k, q) in group.iter().enumerate() {
                let at = r * 4 + k;
                if layout == Layout::Q8_0 {
                    ints[g * GROUP + at] = *q;
                    continue;
                }
                if matches!(layout, Layout::Q2K | Layout::Q3K) {
                    ints[g / 4 * GROUP + at] |= (q & 3) << (g % 4 * 2);
                    if layout == Layout::Q3K {
                        ints[PAIRS + at] |= (q >> 2) << g;
                    }
                    continue;
                }
                ints[g % 4 * GROUP + at] |= (q & 15) << (g / 4 * 4);
                let high = q >> 4;
                match layout {
                    Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K => ints[NIBBLES + at] |= high << g,
                    Layout::Q6K => ints[NIBBLES + g / 4 * GROUP + at] |= high << (g % 4 * 2),
                    _ => {}
                }
            }
        }
    }
}

/// A packed matrix, borrowed from wherever its bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    layout: Layout,
    rows: usize,
    cols: usize,
    data: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// A matrix over what [`pack`] wrote.
    ///
    /// # Panics
    /// If `data` is not [`packed_len`] bytes or does not begin at a multiple of 64.
    pub fn new(layout: Layout, rows: usize, cols: usize, data: &'a [u8]) -> Self {
        assert_eq!(data.len(), packed_len(layout, rows, cols), "{rows} x {cols} of {layout}");
        assert!(data.as_ptr().addr().is_multiple_of(64), "packed weights must begin at a multiple of 64");
        Self { layout, rows, cols, data }
    }

    /// How the elements were stored in the file.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// The bytes of one tile.
    pub(crate) fn tile(&self, tile: usize) -> &'a [u8] {
        let len = tile_bytes(self.layout, self.cols);
        &self.data[tile * len..][..len]
    }
}
