//! AVX-VNNI, which CPUs without AVX-512 have: as AVX2, but `vpdpbusd` sums four columns of 8 rows.

use std::arch::x86_64::*;

use super::avx2::panel::pinned;
use super::avx2::{Avx2, load_sums, minima, opaque, prefetch, scales, store_sums, unpack};
use super::{AHEAD, Bunches, Sums, Unpacked, Variant};
use super::{check_bunches, has_halves, has_min, is_signed, layout_of, tile_blocks};
use crate::acts::{ActBlock, Acts, BUNCH};
use crate::layout::Layout;
use crate::matmul::Share;
use crate::pack::{BLOCK, TILE, unit_bytes, unit_elems};

/// A share of a product.
///
/// # Safety
/// The CPU must have AVX2, FMA, F16C and AVX-VNNI.
pub(crate) unsafe fn matmul(share: Share<'_, '_>, acts: &Acts) {
    // SAFETY: handed on.
    unsafe { super::matmul::<AvxVnni>(share, acts) };
}

struct AvxVnni;

/// 32 columns of 8 of a tile's rows. Integers are unsigned: [`columns`] corrects for that.
struct Half {
    q: [__m256i; 8],
    scale: __m256,
    min: __m256,
    /// Where [`has_halves`]: their integer scales and, of `Q2K`, minima.
    scales: [__m256i; 2],
    minima: [__m256i; 2],
}

impl Variant for AvxVnni {
    const DIRECT: usize = 16;

    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
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
                    // SAFETY: a whole unit, and `s` is one of its sub-blocks; as many blocks of `x` as
                    // the tile has were checked.
                    unsafe {
                        let w = half_of::<L>(unit, s, half);
                        for (c, acc) in acc.iter_mut().enumerate() {
                            let x = &*opaque(super::block_at::<C>(x, block, c));
                            columns::<L>(&w, x, acc);
                        }
                    }
                }
                block += 1;
            }
        }
        store_sums(&acc, sums);
    }

    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
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
                // SAFETY: a whole unit, and one of its sub-blocks; half a field of `out` is one vector, at
                // a multiple of 32.
                unsafe {
                    let w = half_of::<L>(unit, at % subs, half);
                    for (q, to) in w.q.iter().zip(out.q.as_chunks_mut::<64>().0) {
                        _mm256_store_si256(to.as_mut_ptr().add(half * 32).cast(), *q);
                    }
                    _mm256_store_ps(out.scale.as_mut_ptr().add(half * 8), w.scale);
                    if has_min(L) {
                        _mm256_store_ps(out.min.as_mut_ptr().add(half * 8), w.min);
                    }
                    if has_halves(L) {
                        // Minima are below 16, and scales of `Q2K` too: one word holds both.
                        for (i, to) in out.halves[..2].iter_mut().enumerate() {
                            let both = _mm256_or_si256(w.scales[i], _mm256_slli_epi32::<8>(w.minima[i]));
                            let word = if layout == Layout::Q2K { both } else { w.scales[i] };
                            _mm256_store_si256(to.as_mut_ptr().add(half * 8).cast(), word);
                        }
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
    unsafe fn panel<const L: u8, const C: usize>(w: &[Unpacked], x: &Bunches<'_>, sums: &mut Sums<C>) {
        check_bunches::<C>(x, w.len());
        for (x, sums) in x.iter().zip(sums.chunks_mut(BUNCH)) {
            // SAFETY: as many blocks as there are unpacked ones were checked.
            unsafe {
                match sums.len() {
                    1 => bunch::<L, 1>(w, x, sums),
                    2 => bunch::<L, 2>(w, x, sums),
                    3 => bunch::<L, 3>(w, x, sums),
                    _ => bunch::<L, 4>(w, x, sums),
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
        // SAFETY: handed on.
        unsafe { Avx2::floats::<L, C, T>(w, x, sums) };
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dequantize<const L: u8>(tile: &[u8], from: usize, out: &mut [[f32; TILE]]) {
        // SAFETY: handed on.
        unsafe { Avx2::dequantize::<L>(tile, from, out) };
    }
}

/// Unpacks 8 of the rows of sub-block `s` of a unit.
///
/// # Safety
/// `unit` must be whole and have a sub-block `s`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn half_of<const L: u8>(unit: &[u8], s: usize, half: usize) -> Half {
    // SAFETY: handed on.
    let w = unsafe { unpack::<L>(unit.as_ptr(), s, half) };
    let mut half = Half {
        q: w.q,
        scale: w.scale,
        min: w.min,
        scales: [_mm256_setzero_si256(); 2],
        minima: [_mm256_setzero_si256(); 2],
    };
    if is_signed(L) {
        for q in &mut half.q {
            *q = _mm256_xor_si256(*q, _mm256_set1_epi8(-128));
        }
    }
    if has_halves(L) {
        // Each is there twice, as an i16.
        for i in 0..2 {
            half.scales[i] = _mm256_srai_epi32::<16>(scales::<L>(w.halves[i]));
            half.minima[i] = _mm256_srai_epi32::<16>(minima(w.halves[i]));
        }
    }
    half
}

/// What sums begin with, for the two halves of the columns where [`has_halves`], else only for the first.
#[inline]
#[target_feature(enable = "avx2")]
fn beginnings(l: u8, x: &ActBlock) -> [__m256i; 2] {
    let [first, second] = x.halves_minus_32;
    let (first, second) = match layout_of(l) {
        Layout::Q6K => (first, second),
        Layout::Q3K => (first >> 3, second >> 3),
        Layout::Q4_0 => (x.minus_16 >> 1, 0),
        Layout::Q5_0 => (x.minus_16, 0),
        _ if is_signed(l) => (x.minus_128, 0),
        _ => (0, 0),
    };
    [_mm256_set1_epi32(first), _mm256_set1_epi32(second)]
}

/// Four activations, for every row of weights.
#[inline]
#[target_feature(enable = "avx2")]
fn four(x: &ActBlock, g: usize) -> __m256i {
    _mm256_set1_epi32(i32::from_ne_bytes(x.q.as_chunks::<4>().0[g].map(|q| q as u8)))
}

/// Adds one block of weights times that block of one row of activations.
#[inline]
#[target_feature(enable = "avx2,fma,avxvnni")]
fn columns<const L: u8>(w: &Half, x: &ActBlock, acc: &mut __m256) {
    let mut sums = beginnings(L, x);
    for g in 0..8 {
        let half = if has_halves(L) { g / 4 } else { 0 };
        sums[half] = _mm256_dpbusd_avx_epi32(sums[half], w.q[g], four(x, g));
    }
    let sum = if has_halves(L) { two_products(sums, w.scales) } else { _mm256_cvtepi32_ps(sums[0]) };
    add::<L>((w.scale, w.min, w.minima), sum, x, acc);
}

/// Two integers of each row times one number each, added up.
///
/// At most 2 * 16 * 127 * 32 * 128, which is below 2^24: floats hold all of it exactly.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn two_products(a: [__m256i; 2], b: [__m256i; 2]) -> __m256 {
    let float = |ints: __m256i| _mm256_cvtepi32_ps(ints);
    _mm256_fmadd_ps(float(a[1]), float(b[1]), _mm256_mul_ps(float(a[0]), float(b[0])))
}

/// Adds the integer sum of one block, scaled, and the minimum.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add<const L: u8>((scale, min, minima): (__m256, __m256, [__m256i; 2]), sum: __m256, x: &ActBlock, acc: &mut __m256) {
    let scale = _mm256_mul_ps(scale, _mm256_set1_ps(x.scale));
    *acc = _mm256_fmadd_ps(scale, sum, *acc);
    if layout_of(L) == Layout::Q2K {
        let [first, second] = x.halves_minus_32;
        let mins = two_products([_mm256_set1_epi32(first), _mm256_set1_epi32(second)], minima);
        let min = _mm256_mul_ps(min, _mm256_set1_ps(x.scale));
        *acc = _mm256_fmadd_ps(min, mins, *acc);
    } else if has_min(L) {
        *acc = _mm256_fmadd_ps(min, _mm256_set1_ps(x.scaled_sum), *acc);
    }
}

/// Adds unpacked blocks times one bunch of `C` rows of activations.
///
/// # Safety
/// `x` must have as many blocks as `w` for all rows; `sums` are `C`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn bunch<const L: u8, const C: usize>(w: &[Unpacked], x: &[ActBlock], sums: &mut [[f32; TILE]]) {
    let sums = &mut sums.as_chunks_mut::<C>().0[0];
    let mut acc = load_sums(sums);
    for (w, x) in w.iter().zip(x.as_chunks::<C>().0) {
        for (half, acc) in acc.iter_mut().enumerate() {
            // SAFETY: half a field is one vector, at a multiple of 32.
            let words = |field: &[i32; TILE]| unsafe { _mm256_load_si256(field.as_ptr().add(half * 8).cast()) };
            let mut ints = [[_mm256_setzero_si256(); 2]; C];
            for (ints, x) in ints.iter_mut().zip(x) {
                *ints = beginnings(L, x);
            }
            for g in 0..8 {
                // SAFETY: as above.
                let q = unsafe { _mm256_load_si256(w.q.as_ptr().add(g * 64 + half * 32).cast()) };
                let part = if has_halves(L) { g / 4 } else { 0 };
                for (ints, x) in ints.iter_mut().zip(x) {
                    ints[part] = pinned(_mm256_dpbusd_avx_epi32(ints[part], q, four(x, g)));
                }
            }
            // SAFETY: as above.
            let (scale, min) = unsafe {
                (_mm256_load_ps(w.scale.as_ptr().add(half * 8)), _mm256_load_ps(w.min.as_ptr().add(half * 8)))
            };
            let mut scales = [words(&w.halves[0]), words(&w.halves[1])];
            let mut minima = [_mm256_setzero_si256(); 2];
            if layout_of(L) == Layout::Q2K {
                for (scale, min) in scales.iter_mut().zip(&mut minima) {
                    *min = _mm256_srli_epi32::<8>(*scale);
                    *scale = _mm256_and_si256(*scale, _mm256_set1_epi32(255));
                }
            }
            for ((ints, x), acc) in ints.iter().zip(x).zip(acc) {
                let sum = if has_halves(L) { two_products(*ints, scales) } else { _mm256_cvtepi32_ps(ints[0]) };
                add::<L>((scale, min, minima), sum, x, acc);
            }
        }
    }
    store_sums(&acc, sums);
}
