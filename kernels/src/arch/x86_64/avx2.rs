//! AVX2: a tile's rows are two vectors of 8, `vpmaddubsw` sums two columns of each.
//!
//! Sums stay in 16 bits as long as they cannot overflow ([`in_i16`]); then one `vpmaddwd` widens
//! them, and where halves of a block have integer scales applies those on the way.

pub(super) mod panel;

use std::arch::asm;
use std::arch::x86_64::*;

use super::{AHEAD, Bunches, Sums, Unpacked, Variant};
use super::{block_at, check_bunches, has_halves, has_min, is_signed, layout_of, tile_blocks};
use crate::acts::{ActBlock, Acts, BUNCH};
use crate::layout::{CODEBOOK, Layout};
use crate::matmul::Share;
use crate::pack::{BLOCK, SUB_SCALES, TILE, int_bytes, int_offset, unit_bytes, unit_elems};

/// A share of a product.
///
/// # Safety
/// The CPU must have AVX2, FMA and F16C.
pub(crate) unsafe fn matmul(share: Share<'_, '_>, acts: &Acts) {
    // SAFETY: handed on.
    unsafe { super::matmul::<Avx2>(share, acts) };
}

pub(super) struct Avx2;

/// 32 columns of 8 of a tile's rows in registers.
pub(super) struct Weights {
    /// Unsigned, but where [`is_signed`].
    pub(super) q: [__m256i; 8],
    pub(super) scale: __m256,
    pub(super) min: __m256,
    /// Where [`has_halves`], the scale of each half twice as an i16; else ones. `Q2K` has the half's
    /// minimum in the upper byte of each: [`scales`] and [`minima`] tell them apart.
    pub(super) halves: [__m256i; 2],
}

/// How many `vpmaddubsw` of this layout's integers an i16 holds the sum of.
///
/// One is at most 2 * 127 * the [`largest`] integer.
const fn in_i16(l: u8) -> usize {
    match layout_of(l) {
        Layout::Q4_0 | Layout::Q4_1 | Layout::Q4K => 8,
        Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K | Layout::Q2K | Layout::Q3K => 4,
        Layout::Q6K => 2,
        _ => 1,
    }
}

/// The largest magnitude of an integer as it is multiplied.
const fn largest(l: u8) -> usize {
    match layout_of(l) {
        Layout::Q4_0 | Layout::Q4_1 | Layout::Q4K => 15,
        Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K => 31,
        Layout::Q2K => 3,
        Layout::Q3K => 7,
        Layout::Q6K => 63,
        _ => 128,
    }
}

const _: () = {
    let mut l = 0;
    while l < Layout::ALL.len() as u8 {
        assert!(in_i16(l) * 2 * 127 * largest(l) <= i16::MAX as usize);
        l += 1;
    }
};

impl Variant for Avx2 {
    const DIRECT: usize = 16;

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn direct<const L: u8, const C: usize>(tile: &[u8], x: &Bunches<'_>, sums: &mut Sums<C>) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        check_bunches::<C>(x, tile_blocks(layout, tile));
        let mut acc = load_sums(sums);
        let mut block = 0;
        for unit in tile.chunks_exact(unit_len) {
            for s in 0..subs {
                prefetch(L, unit, s, AHEAD);
                for (half, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: a whole unit, and `s` is one of its sub-blocks; as many blocks of
                    // `x` as the tile has were checked.
                    unsafe {
                        let w = unpack::<L>(unit.as_ptr(), s, half);
                        columns::<L, C>(&w, x, block, acc);
                    }
                }
                block += 1;
            }
        }
        store_sums(&acc, sums);
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn unpack<const L: u8>(tile: &[u8], from: usize, out: &mut [Unpacked]) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        let panel_bytes = out.len() * unit_len / subs;
        for (i, out) in out.iter_mut().enumerate() {
            let at = from + i;
            let unit = &tile[at / subs * unit_len..][..unit_len];
            // What the next panel is made of, while this one is in use.
            prefetch(L, unit, at % subs, panel_bytes);
            for half in 0..2 {
                // SAFETY: a whole unit, and one of its sub-blocks; half a field of `out` is one
                // vector, at a multiple of 32.
                unsafe {
                    let w = unpack::<L>(unit.as_ptr(), at % subs, half);
                    let (low, high) = out.q.as_chunks_mut::<64>().0.split_at_mut(8);
                    for (q, (low, high)) in w.q.iter().zip(low.iter_mut().zip(high)) {
                        let (low, high) = (low.as_mut_ptr().add(half * 32), high.as_mut_ptr().add(half * 32));
                        if is_signed(L) {
                            let (q, mask) = (_mm256_xor_si256(*q, _mm256_set1_epi8(-128)), _mm256_set1_epi8(15));
                            _mm256_store_si256(low.cast(), _mm256_and_si256(q, mask));
                            _mm256_store_si256(high.cast(), _mm256_and_si256(_mm256_srli_epi16::<4>(q), mask));
                        } else {
                            _mm256_store_si256(low.cast(), *q);
                        }
                    }
                    _mm256_store_ps(out.scale.as_mut_ptr().add(half * 8), w.scale);
                    if has_min(L) {
                        _mm256_store_ps(out.min.as_mut_ptr().add(half * 8), w.min);
                    }
                    if has_halves(L) {
                        let both = match layout {
                            Layout::Q2K => twice_both(w.halves.map(|half| minima(half))),
                            _ => twice_both(w.halves),
                        };
                        let halves = [scales::<L>(w.halves[0]), scales::<L>(w.halves[1]), both];
                        for (halves, to) in halves.iter().zip(&mut out.halves) {
                            _mm256_store_si256(to.as_mut_ptr().add(half * 8).cast(), *halves);
                        }
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn panel<const L: u8, const C: usize>(w: &[Unpacked], x: &Bunches<'_>, sums: &mut Sums<C>) {
        check_bunches::<C>(x, w.len());
        // Bunches are equally far apart.
        let [first, second] = x.map(<[ActBlock]>::as_ptr);
        let after = second.wrapping_byte_add(second.addr().wrapping_sub(first.addr()));
        for ((x, next), sums) in x.iter().zip([second, after]).zip(sums.chunks_mut(BUNCH)) {
            // SAFETY: as many blocks as there are unpacked ones were checked.
            unsafe {
                match sums.len() {
                    1 => panel::bunch::<L, 1>(w, x, next, sums),
                    2 => panel::bunch::<L, 2>(w, x, next, sums),
                    3 => panel::bunch::<L, 3>(w, x, next, sums),
                    _ => panel::bunch::<L, 4>(w, x, next, sums),
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn floats<const L: u8, const C: usize, const T: usize>(
        w: [&[u8]; T],
        x: &[&[f32]; C],
        sums: &mut [Sums<C>; T],
    ) {
        let unit = unit_bytes(layout_of(L));
        let n = w[0].len() / unit;
        assert!(w.iter().all(|w| w.len() == n * unit) && x.iter().all(|x| x.len() == n), "{n} columns");
        let mut acc: [_; T] = std::array::from_fn(|t| load_sums(&sums[t]));
        // Eight rows of a tile at a time: all accumulators fit the registers.
        #[expect(clippy::needless_range_loop, reason = "what is loaded depends on `half` too")]
        for half in 0..2 {
            for k in 0..n {
                // SAFETY: every tile has `n` units, and every row has `n` values.
                unsafe {
                    let w: [_; T] = std::array::from_fn(|t| load_floats::<L>(w[t].as_ptr().add(k * unit), half));
                    for c in 0..C {
                        let x = _mm256_set1_ps(*x[c].get_unchecked(k));
                        for t in 0..T {
                            acc[t][half][c] = _mm256_fmadd_ps(w[t], x, acc[t][half][c]);
                        }
                    }
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums) {
            store_sums(acc, sums);
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dequantize<const L: u8>(tile: &[u8], from: usize, out: &mut [[f32; TILE]]) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        let offset = _mm256_set1_epi32(match layout {
            Layout::Q4_0 => 8,
            Layout::Q5_0 => 16,
            Layout::Q3K => 4,
            Layout::Q6K => 32,
            _ => 0,
        });
        for (i, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let at = from / BLOCK + i;
            let unit = &tile[at / subs * unit_len..][..unit_len];
            for half in 0..2 {
                // SAFETY: a whole unit, and one of its sub-blocks.
                let w = unsafe { unpack::<L>(unit.as_ptr(), at % subs, half) };
                for (k, out) in out.iter_mut().enumerate() {
                    // A row's four columns are the bytes of one lane, lowest first. Moving one to
                    // the top and back down keeps the sign of those that have one.
                    let q = _mm256_sllv_epi32(w.q[k / 4], _mm256_set1_epi32(24 - k as i32 % 4 * 8));
                    let q = match is_signed(L) {
                        true => _mm256_srai_epi32::<24>(q),
                        false => _mm256_sub_epi32(_mm256_srli_epi32::<24>(q), offset),
                    };
                    let wide = |twice| _mm256_cvtepi32_ps(_mm256_srai_epi32::<16>(twice));
                    let scale = match has_halves(L) {
                        true => _mm256_mul_ps(w.scale, wide(scales::<L>(w.halves[k / 16]))),
                        false => w.scale,
                    };
                    let min = match layout {
                        Layout::Q2K => {
                            let min = _mm256_mul_ps(wide(minima(w.halves[k / 16])), _mm256_set1_ps(-32.0));
                            _mm256_mul_ps(w.min, min)
                        }
                        _ => w.min,
                    };
                    let value = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(q));
                    let value = if has_min(L) { _mm256_add_ps(value, min) } else { value };
                    // SAFETY: half of 16 floats.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * 8), value) };
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_sums<const C: usize>(sums: &Sums<C>) -> [[__m256; C]; 2] {
    // SAFETY: 16 floats each, of which a half is 8.
    let half = |half: usize| std::array::from_fn(|c| unsafe { _mm256_loadu_ps(sums[c].as_ptr().add(half * 8)) });
    [half(0), half(1)]
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_sums<const C: usize>(acc: &[[__m256; C]; 2], sums: &mut Sums<C>) {
    for (half, acc) in acc.iter().enumerate() {
        for (acc, sums) in acc.iter().zip(&mut *sums) {
            // SAFETY: 16 floats, of which a half is 8.
            unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(half * 8), *acc) };
        }
    }
}

/// Eight floats of one column.
///
/// # Safety
/// `unit` must point to 16 elements of the layout, one of floats; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load_floats<const L: u8>(unit: *const u8, half: usize) -> __m256 {
    // SAFETY: that many bytes are there, says the caller.
    unsafe {
        match layout_of(L) {
            Layout::F32 => _mm256_loadu_ps(unit.add(half * 32).cast()),
            Layout::F16 => _mm256_cvtph_ps(_mm_loadu_si128(unit.add(half * 16).cast())),
            _ => {
                let upper = _mm256_cvtepu16_epi32(_mm_loadu_si128(unit.add(half * 16).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(upper))
            }
        }
    }
}

/// Asks for the bytes that will be needed `ahead` bytes after sub-block `s`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn prefetch(l: u8, unit: &[u8], s: usize, ahead: usize) {
    let layout = layout_of(l);
    let at = unit.as_ptr().wrapping_add(s * (unit_bytes(layout) * BLOCK / unit_elems(layout)) + ahead);
    for line in (0..int_bytes(layout)).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line).cast());
    }
}

/// Unpacks 8 of the rows of sub-block `s` of a unit.
///
/// # Safety
/// `unit` must point to a whole unit that has a sub-block `s`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn unpack<const L: u8>(unit: *const u8, s: usize, half: usize) -> Weights {
    let layout = layout_of(L);
    // SAFETY: all within the unit, as `pack` describes it.
    unsafe {
        let ints = unit.add(int_offset(layout) + s * int_bytes(layout) + half * 32);
        let vector = |i: usize| _mm256_loadu_si256(ints.add(i * 64).cast());
        let floats = |at: usize| _mm256_cvtph_ps(_mm_loadu_si128(unit.add(at + half * 16).cast()));
        let sub = |at: usize| _mm_loadl_epi64(unit.add(SUB_SCALES + s * 32 + at + half * 8).cast());

        let mut w = Weights {
            q: [_mm256_setzero_si256(); 8],
            scale: floats(0),
            min: _mm256_setzero_ps(),
            halves: [_mm256_set1_epi16(1); 2],
        };
        if matches!(layout, Layout::Q8_0) {
            for g in 0..8 {
                w.q[g] = vector(g);
            }
        } else if matches!(layout, Layout::Q2K | Layout::Q3K) {
            let low = _mm256_set1_epi8(3);
            for i in 0..2 {
                let p = vector(i);
                w.q[i * 4] = _mm256_and_si256(p, low);
                w.q[i * 4 + 1] = _mm256_and_si256(_mm256_srli_epi16::<2>(p), low);
                w.q[i * 4 + 2] = _mm256_and_si256(_mm256_srli_epi16::<4>(p), low);
                w.q[i * 4 + 3] = _mm256_and_si256(_mm256_srli_epi16::<6>(p), low);
            }
        } else {
            let low = _mm256_set1_epi8(15);
            for j in 0..4 {
                let v = vector(j);
                w.q[j] = _mm256_and_si256(v, low);
                w.q[j + 4] = _mm256_and_si256(_mm256_srli_epi16::<4>(v), low);
            }
        }
        // q | (bits & mask)
        macro_rules! merge {
            ($g:expr, $mask:expr, $bits:expr) => {
                w.q[$g] = _mm256_or_si256(w.q[$g], _mm256_and_si256($bits, $mask))
            };
        }
        if matches!(layout, Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K) {
            let (p, mask) = (vector(4), _mm256_set1_epi8(16));
            merge!(0, mask, _mm256_slli_epi16::<4>(p));
            merge!(1, mask, _mm256_slli_epi16::<3>(p));
            merge!(2, mask, _mm256_slli_epi16::<2>(p));
            merge!(3, mask, _mm256_slli_epi16::<1>(p));
            merge!(4, mask, p);
            merge!(5, mask, _mm256_srli_epi16::<1>(p));
            merge!(6, mask, _mm256_srli_epi16::<2>(p));
            merge!(7, mask, _mm256_srli_epi16::<3>(p));
        }
        if matches!(layout, Layout::Iq4Nl | Layout::Iq4Xs) {
            let codebook = _mm256_broadcastsi128_si256(_mm_loadu_si128(CODEBOOK.as_ptr().cast()));
            w.q = w.q.map(|q| _mm256_shuffle_epi8(codebook, q));
        }
        if matches!(layout, Layout::Iq4Xs) {
            let scales = _mm_loadl_epi64(unit.add(SUB_SCALES + s * 16 + half * 8).cast());
            w.scale = _mm256_mul_ps(w.scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales)));
        }
        if matches!(layout, Layout::Q3K) {
            let (p, mask) = (vector(2), _mm256_set1_epi8(4));
            merge!(0, mask, _mm256_slli_epi16::<2>(p));
            merge!(1, mask, _mm256_slli_epi16::<1>(p));
            merge!(2, mask, p);
            merge!(3, mask, _mm256_srli_epi16::<1>(p));
            merge!(4, mask, _mm256_srli_epi16::<2>(p));
            merge!(5, mask, _mm256_srli_epi16::<3>(p));
            merge!(6, mask, _mm256_srli_epi16::<4>(p));
            merge!(7, mask, _mm256_srli_epi16::<5>(p));
        }
        if matches!(layout, Layout::Q2K) {
            for i in 0..2 {
                // Scale and minimum are nibbles of a byte: here the bytes of an i16, twice.
                let both = _mm256_cvtepu8_epi32(sub(i * 16));
                let scale = _mm256_and_si256(both, _mm256_set1_epi32(15));
                let both = _mm256_or_si256(scale, _mm256_slli_epi32::<8>(_mm256_srli_epi32::<4>(both)));
                w.halves[i] = _mm256_or_si256(_mm256_slli_epi32::<16>(both), both);
            }
            w.min = _mm256_mul_ps(floats(32), _mm256_set1_ps(1.0 / 32.0));
        }
        if matches!(layout, Layout::Q6K) {
            let mask = _mm256_set1_epi8(48);
            for i in 0..2 {
                let p = vector(4 + i);
                merge!(i * 4, mask, _mm256_slli_epi16::<4>(p));
                merge!(i * 4 + 1, mask, _mm256_slli_epi16::<2>(p));
                merge!(i * 4 + 2, mask, p);
                merge!(i * 4 + 3, mask, _mm256_srli_epi16::<2>(p));
            }
        }
        if matches!(layout, Layout::Q3K | Layout::Q6K) {
            for i in 0..2 {
                let scale = _mm256_cvtepi8_epi32(sub(i * 16));
                let lower = _mm256_and_si256(scale, _mm256_set1_epi32(0xffff));
                w.halves[i] = _mm256_or_si256(_mm256_slli_epi32::<16>(scale), lower);
            }
        }
        if matches!(layout, Layout::Q4_1 | Layout::Q5_1) {
            w.min = floats(32);
        }
        if matches!(layout, Layout::Q4K | Layout::Q5K) {
            let scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(sub(0)));
            let min = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(sub(16)));
            w.scale = _mm256_mul_ps(w.scale, scale);
            w.min = _mm256_xor_ps(_mm256_mul_ps(floats(32), min), _mm256_set1_ps(-0.0));
        }
        w
    }
}

/// The scales in a half of [`Weights::halves`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn scales<const L: u8>(half: __m256i) -> __m256i {
    match layout_of(L) {
        Layout::Q2K => _mm256_and_si256(half, _mm256_set1_epi16(255)),
        _ => half,
    }
}

/// The minima in a half of [`Weights::halves`] of `Q2K`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn minima(half: __m256i) -> __m256i {
    _mm256_srli_epi16::<8>(half)
}

/// The same address, but the compiler cannot know.
///
/// Otherwise it loads the activations once for both halves of the rows, and then has no registers
/// for them: storing and loading them again costs more than it spares.
#[inline(always)]
pub(super) fn opaque<T>(mut address: *const T) -> *const T {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) address, options(readonly, nostack, preserves_flags)) };
    address
}

/// Adds one block of weights times that block of `C` rows of activations.
///
/// # Safety
/// `x` must have the block for all rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn columns<const L: u8, const C: usize>(w: &Weights, x: &Bunches<'_>, block: usize, acc: &mut [__m256; C]) {
    for (c, acc) in acc.iter_mut().enumerate() {
        // SAFETY: the caller says that the block is there.
        let x = unsafe { &*opaque(block_at::<C>(x, block, c)) };
        let pairs = |g: usize| {
            // SAFETY: `g` is below 8, and any four bytes are an i32.
            let a = unsafe { x.q.as_ptr().add(g * 4).cast::<i32>().read_unaligned() };
            let a = _mm256_set1_epi32(a);
            match is_signed(L) {
                // |w| * (a with the sign of w): -128 becomes 128, which unsigned bytes hold.
                true => _mm256_maddubs_epi16(_mm256_abs_epi8(w.q[g]), _mm256_sign_epi8(a, w.q[g])),
                false => _mm256_maddubs_epi16(w.q[g], a),
            }
        };
        // An integer of each half times the sum of the half's activations times -32.
        let minus_32 =
            |halves: [__m256i; 2]| _mm256_madd_epi16(twice_both(halves), _mm256_set1_epi32(x.halves_minus_16));
        let mut sum = match layout_of(L) {
            Layout::Q4_0 => _mm256_srai_epi32::<1>(_mm256_set1_epi32(x.minus_16)),
            Layout::Q5_0 => _mm256_set1_epi32(x.minus_16),
            Layout::Q3K => _mm256_srai_epi32::<3>(minus_32(w.halves)),
            Layout::Q6K => minus_32(w.halves),
            _ => _mm256_setzero_si256(),
        };
        for from in (0..8).step_by(in_i16(L)) {
            let mut narrow = pairs(from);
            for g in from + 1..from + in_i16(L) {
                narrow = _mm256_add_epi16(narrow, pairs(g));
            }
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(narrow, scales::<L>(w.halves[from / 4])));
        }
        let scale = _mm256_mul_ps(w.scale, _mm256_set1_ps(x.scale));
        *acc = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(sum), *acc);
        if matches!(layout_of(L), Layout::Q2K) {
            let mins = minus_32([minima(w.halves[0]), minima(w.halves[1])]);
            let scale = _mm256_mul_ps(w.min, _mm256_set1_ps(x.scale));
            *acc = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(mins), *acc);
        } else if has_min(L) {
            *acc = _mm256_fmadd_ps(w.min, _mm256_set1_ps(x.scaled_sum), *acc);
        }
    }
}

/// From an i16 of each half, each twice: both once and doubled.
#[inline]
#[target_feature(enable = "avx2")]
fn twice_both(halves: [__m256i; 2]) -> __m256i {
    let both = _mm256_blend_epi16::<0b1010_1010>(halves[0], halves[1]);
    _mm256_add_epi16(both, both)
}
