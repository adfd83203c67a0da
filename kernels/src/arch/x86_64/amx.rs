//! AMX with int8: one `tdpbssd` multiplies 32 columns of a tile's 16 rows with 16 rows of activations.
//!
//! Few rows are left to AVX-512; so is all that is not integers. What one instruction sums has one scale,
//! so its sums are scaled 32 columns at a time, by AVX-512, as every other variant does it: that is what
//! most of the time goes into.

mod state;

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

use super::avx512vnni::{Avx512Vnni, Weights, prefetch, unpack};
use super::{COLUMNS, PANEL};
use super::{direct_groups, float_groups, has_halves, has_min, is_signed, layout_of, panel_tile, tile_blocks};
use crate::acts::{ActBlock, Acts};
use crate::aligned::lend_floats;
use crate::layout::Layout;
use crate::matmul::{Share, Tile};
use crate::pack::{BLOCK, TILE, unit_bytes, unit_elems};

pub(crate) use state::is_available;

/// Rows of activations that one instruction takes.
const STRIP: usize = 16;
/// Rows of activations up to which AVX-512 is faster.
const DIRECT: usize = 8;
/// Rows that are worked on together, and how many blocks of so many: 320 KiB, which stay in the second cache.
const PART: usize = 256;
const SLAB: usize = 32;

/// 32 columns of a tile, as `tdpbssd` takes them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Unpacked {
    /// `[group][row][column of the group]`, signed.
    q: [i8; 8 * 64],
    scale: [f32; TILE],
    min: [f32; TILE],
    /// Where [`has_halves`]: their integer scales.
    halves: [[f32; TILE]; 2],
}

/// One block of 16 rows of activations. Rows that are not there are zeros.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct StripBlock {
    q: [[i8; BLOCK]; STRIP],
    scale: [f32; STRIP],
    scaled_sum: [f32; STRIP],
}

impl StripBlock {
    const ZERO: Self = Self { q: [[0; BLOCK]; STRIP], scale: [0.0; STRIP], scaled_sum: [0.0; STRIP] };
}

/// A share of a product.
///
/// # Safety
/// The CPU must have AVX-512 F, BW, DQ, VL and VNNI, and AMX with int8, which the process may use.
pub(crate) unsafe fn matmul(mut share: Share<'_, '_>, acts: &Acts) {
    let floats = share.matrices().iter().any(|weights| weights.layout().is_float());
    // SAFETY: handed on.
    unsafe {
        if floats || acts.precision == crate::acts::Precision::F32 {
            float_groups::<Avx512Vnni>(&mut share, acts);
        } else if acts.all_rows() <= DIRECT {
            direct_groups::<Avx512Vnni>(&mut share, acts);
        } else {
            strip_groups(&mut share, acts);
        }
    }
}

/// Whether a layout's sums need nothing but scales and a minimum.
fn is_for_strips(layout: Layout) -> bool {
    // Minima of halves are multiplied with sums of halves of the activations.
    layout != Layout::Q2K
}

/// # Safety
/// As `matmul`.
unsafe fn strip_groups(share: &mut Share<'_, '_>, acts: &Acts) {
    thread_local! {
        static STRIPS: RefCell<Vec<StripBlock>> = const { RefCell::new(Vec::new()) };
    }
    let (all, blocks, width) = (acts.all_rows(), acts.row_blocks(), share.width());
    // Parts of about the same size.
    let part = all.div_ceil(all.div_ceil(PART)).next_multiple_of(STRIP);
    let slab = blocks.div_ceil(blocks.div_ceil(PART * SLAB / part));
    // Where there are several slabs, sums of all groups wait for the next.
    let waiting = if slab < blocks { share.groups().len() } else { 1 };
    // SAFETY: the caller says that AMX is there; the guard's end gives the tiles back.
    let _tiles = unsafe { state::Tiles::set_up() };
    STRIPS.with_borrow_mut(|strips| {
        strips.resize(strips.len().max(part / STRIP * slab), StripBlock::ZERO);
        lend_floats(waiting * width * part * TILE, |floats| {
            let sums = floats.as_chunks_mut::<TILE>().0;
            let (mut panel, mut spare) = ([UNPACKED; PANEL], None);
            // Rests are last, and come first.
            for start in (0..all).step_by(part).rev() {
                let rows = start..all.min(start + part);
                for from in (0..blocks).step_by(slab) {
                    let slab = from..blocks.min(from + slab);
                    let strips = lay_out(acts, rows.clone(), slab.clone(), strips);
                    for (at, group) in share.groups().enumerate() {
                        let sums = &mut sums[at % waiting * width * rows.len()..][..width * rows.len()];
                        if from == 0 {
                            sums.fill([0.0; TILE]);
                        }
                        for (i, sums) in sums.chunks_exact_mut(rows.len()).enumerate() {
                            let Some(tile) = share.tile(group, i) else { continue };
                            // SAFETY: handed on.
                            unsafe {
                                if is_for_strips(tile.weights.layout()) {
                                    strip_tile(tile, strips, slab.clone(), &mut panel, sums);
                                } else {
                                    let panel = spare.get_or_insert([super::Unpacked::ZERO; PANEL]);
                                    panel_tile::<Avx512Vnni>(tile, acts, start, slab.clone(), panel, sums);
                                }
                            }
                        }
                        if slab.end == blocks {
                            share.finish(group..group + 1, rows.clone(), sums);
                        }
                    }
                }
            }
        });
    });
}

const UNPACKED: Unpacked = Unpacked { q: [0; 512], scale: [0.0; TILE], min: [0.0; TILE], halves: [[0.0; TILE]; 2] };

/// Lays some blocks of some rows out in strips, `[strip][block]`.
fn lay_out<'a>(acts: &Acts, rows: Range<usize>, blocks: Range<usize>, to: &'a mut [StripBlock]) -> &'a [StripBlock] {
    let strips = rows.len().div_ceil(STRIP);
    let to = &mut to[..strips * blocks.len()];
    for (s, to) in to.chunks_exact_mut(blocks.len()).enumerate() {
        let first = rows.start + s * STRIP;
        let there = STRIP.min(rows.end - first);
        if there < STRIP {
            to.fill(StripBlock::ZERO);
        }
        for i in 0..there {
            let (at, step) = acts.grid().row_at(first + i);
            let from: &[ActBlock] = &acts.blocks[at + blocks.start * step..];
            for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
                to.q[i] = from.q;
                to.scale[i] = from.scale;
                to.scaled_sum[i] = from.scaled_sum;
            }
        }
    }
    to
}

/// Adds some blocks of a tile times strips of as many blocks.
///
/// # Safety
/// As `matmul`, and this thread's tiles are set up.
unsafe fn strip_tile(
    tile: Tile<'_>,
    strips: &[StripBlock],
    blocks: Range<usize>,
    panel: &mut [Unpacked; PANEL],
    sums: &mut [[f32; TILE]],
) {
    with_integers!(tile.weights.layout(), L => {
        let mut ints = [const { [const { Ints([[0; TILE]; STRIP]) }; 2] }; UNDER_WAY];
        for from in (0..blocks.len()).step_by(PANEL) {
            let w = &mut panel[..PANEL.min(blocks.len() - from)];
            // SAFETY: handed on.
            unsafe { unpack_panel::<L>(tile.bytes(), blocks.start + from, w) };
            for (x, sums) in strips.chunks_exact(blocks.len()).zip(sums.chunks_mut(STRIP)) {
                let x = &x[from..][..w.len()];
                // SAFETY: handed on.
                unsafe {
                    if let Ok(sums) = <&mut [_; STRIP]>::try_from(&mut *sums) {
                        strip::<L>(w, x, &mut ints, sums);
                    } else {
                        let mut whole = [[0.0; TILE]; STRIP];
                        whole[..sums.len()].copy_from_slice(sums);
                        strip::<L>(w, x, &mut ints, &mut whole);
                        sums.copy_from_slice(&whole[..sums.len()]);
                    }
                }
            }
        }
    });
}

/// What unsigned integers of this layout are too large by.
const fn offset(l: u8) -> i8 {
    match layout_of(l) {
        Layout::Q4_0 => 8,
        Layout::Q5_0 => 16,
        Layout::Q3K => 4,
        Layout::Q6K => 32,
        _ if is_signed(l) => -128,
        _ => 0,
    }
}

/// Unpacks blocks of a packed tile from `from` on.
///
/// # Safety
/// As `matmul`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn unpack_panel<const L: u8>(tile: &[u8], from: usize, out: &mut [Unpacked]) {
    let layout = layout_of(L);
    let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
    assert!(from + out.len() <= tile_blocks(layout, tile), "{} blocks from {from} on", out.len());
    for (i, out) in out.iter_mut().enumerate() {
        let at = from + i;
        let unit = &tile[at / subs * unit_len..][..unit_len];
        prefetch::<L>(unit, at % subs);
        // SAFETY: a whole unit, and one of its sub-blocks; `out` has these fields at multiples of 64.
        unsafe {
            let w: Weights = unpack::<L>(unit.as_ptr(), at % subs);
            for g in 0..8 {
                let q = _mm512_sub_epi8(w.q[g], _mm512_set1_epi8(offset(L)));
                _mm512_store_si512(out.q.as_mut_ptr().add(g * 64).cast(), q);
            }
            _mm512_store_ps(out.scale.as_mut_ptr(), w.scale);
            if has_min(L) {
                _mm512_store_ps(out.min.as_mut_ptr(), w.min);
            }
            if has_halves(L) {
                for i in 0..2 {
                    _mm512_store_ps(out.halves[i].as_mut_ptr(), _mm512_cvtepi32_ps(w.halves[i]));
                }
            }
        }
    }
}

/// `rounds` times, for [`crate::roofline`]: blocks as [`strip`] multiplies them, and nothing else; what
/// they mean is nothing. Returns how many multiplications that were.
///
/// # Safety
/// As `matmul`.
pub(crate) unsafe fn multiply(rounds: u64) -> u64 {
    /// Instructions in a round: several sums, so that none waits for another.
    const PRODUCTS: u64 = 2;
    // SAFETY: the caller says that AMX is there; tiles are zeros when they are set up.
    unsafe {
        let _tiles = state::Tiles::set_up();
        for _ in 0..rounds {
            asm!("tdpbssd tmm0, tmm2, tmm3", "tdpbssd tmm1, tmm4, tmm5", options(nomem, nostack, preserves_flags));
        }
    }
    rounds * PRODUCTS * (STRIP * TILE * BLOCK) as u64
}

/// Integer sums as they leave a tile: of 16 rows of activations with 16 rows of weights.
#[repr(C, align(64))]
struct Ints([[i32; TILE]; STRIP]);

/// How many blocks' sums are under way at once: those of one are scaled while others are multiplied.
const UNDER_WAY: usize = 4;

/// Adds unpacked blocks times as many of a strip.
///
/// # Safety
/// As `matmul`, and this thread's tiles are set up.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn strip<const L: u8>(
    w: &[Unpacked],
    x: &[StripBlock],
    ints: &mut [[Ints; 2]; UNDER_WAY],
    sums: &mut [[f32; TILE]; STRIP],
) {
    assert_eq!(w.len(), x.len());
    let mut acc = [_mm512_setzero_ps(); STRIP];
    for (acc, sums) in acc.iter_mut().zip(&*sums) {
        // SAFETY: 16 floats.
        *acc = unsafe { _mm512_loadu_ps(sums.as_ptr()) };
    }
    let blocks = w.len();
    // SAFETY: handed on; indices stay below `blocks`, and those of `ints` below `UNDER_WAY`.
    unsafe {
        for block in 0..blocks.min(UNDER_WAY - 1) {
            multiply_block::<L>(&w[block], &x[block], block % 2 == 1, &mut ints[block]);
        }
        for block in 0..blocks {
            let next = block + UNDER_WAY - 1;
            if next < blocks {
                multiply_block::<L>(&w[next], &x[next], next % 2 == 1, &mut ints[next % UNDER_WAY]);
            }
            scale::<L>(&w[block], &x[block], &ints[block % UNDER_WAY], &mut acc);
        }
    }
    for (acc, sums) in acc.iter().zip(sums) {
        // SAFETY: 16 floats.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *acc) };
    }
}

/// Multiplies one block; where [`has_halves`], each half into sums of its own.
///
/// # Safety
/// As `strip`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn multiply_block<const L: u8>(w: &Unpacked, x: &StripBlock, odd: bool, to: &mut [Ints; 2]) {
    macro_rules! product {
        ($sums:literal, $x:literal, $w:literal, $x_at:expr, $w_at:expr, $to:expr) => {
            asm!(
                concat!("tilezero ", $sums),
                concat!("tileloadd ", $x, ", [{x} + {row}]"),
                concat!("tileloadd ", $w, ", [{w} + {line}]"),
                concat!("tdpbssd ", $sums, ", ", $x, ", ", $w),
                concat!("tilestored [{to} + {line}], ", $sums),
                x = in(reg) $x_at,
                w = in(reg) $w_at,
                to = in(reg) $to,
                row = in(reg) BLOCK,
                line = in(reg) 64_usize,
                options(nostack, preserves_flags),
            )
        };
    }
    let (x, w) = (x.q.as_ptr().cast::<i8>(), w.q.as_ptr());
    let [first, second] = to;
    let (first, second) = (first.0.as_mut_ptr(), second.0.as_mut_ptr());
    // SAFETY: the tiles are shaped as `state` says: what is read and written are the fields of these
    // types, whole or, of halves, half.
    unsafe {
        if has_halves(L) {
            product!("tmm0", "tmm6", "tmm7", x, w, first);
            product!("tmm1", "tmm6", "tmm7", x.add(BLOCK / 2), w.add(4 * 64), second);
        } else if odd {
            product!("tmm1", "tmm4", "tmm5", x, w, first);
        } else {
            product!("tmm0", "tmm2", "tmm3", x, w, first);
        }
    }
}

/// Adds the integer sums of one block, scaled.
///
/// # Safety
/// As `strip`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn scale<const L: u8>(w: &Unpacked, x: &StripBlock, ints: &[Ints; 2], acc: &mut [__m512; STRIP]) {
    // SAFETY: these fields are vectors, at multiples of 64.
    unsafe {
        let (scale, min) = (_mm512_load_ps(w.scale.as_ptr()), _mm512_load_ps(w.min.as_ptr()));
        let halves = [_mm512_load_ps(w.halves[0].as_ptr()), _mm512_load_ps(w.halves[1].as_ptr())];
        for (i, acc) in acc.iter_mut().enumerate() {
            let sum = |half: usize| _mm512_cvtepi32_ps(_mm512_load_si512(ints[half].0[i].as_ptr().cast()));
            let sum = if has_halves(L) {
                // At most 2 * 16 * 127 * 32 * 128, which is below 2^24: floats hold all of it exactly.
                _mm512_fmadd_ps(sum(1), halves[1], _mm512_mul_ps(sum(0), halves[0]))
            } else {
                sum(0)
            };
            let scale = _mm512_mul_ps(scale, _mm512_set1_ps(x.scale[i]));
            *acc = _mm512_fmadd_ps(scale, sum, *acc);
            if has_min(L) {
                *acc = _mm512_fmadd_ps(min, _mm512_set1_ps(x.scaled_sum[i]), *acc);
            }
        }
    }
}

// What is laid out here is what `state` shapes tiles for.
const _: () = assert!(PART.is_multiple_of(STRIP) && STRIP.is_multiple_of(COLUMNS) && size_of::<StripBlock>() == 640);
