//! AVX-512 with VNNI: a tile's 16 rows are one vector, `vpdpbusd` sums four columns of each.

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::{AHEAD, Bunches, Sums, Unpacked, Variant};
use super::{block_at, check_bunches, has_halves, has_min, is_signed, layout_of, tile_blocks};
use crate::acts::Acts;
use crate::layout::{CODEBOOK, Layout};
use crate::matmul::Share;
use crate::pack::{BLOCK, SUB_SCALES, TILE, int_bytes, int_offset, unit_bytes, unit_elems};

/// A share of a product.
///
/// # Safety
/// The CPU must have AVX-512 F, BW, DQ, VL and VNNI.
pub(crate) unsafe fn matmul(share: Share<'_, '_>, acts: &Acts) {
    // SAFETY: handed on.
    unsafe { super::matmul::<Avx512Vnni>(share, acts) };
}

pub(super) struct Avx512Vnni;

/// Whether a stream of weights for few rows must be asked for ahead: Intel's CPUs are faster by a third
/// then, and AMD's fetch ahead better alone.
static ASKS_AHEAD: LazyLock<bool> = LazyLock::new(|| __cpuid(0).ecx == u32::from_le_bytes(*b"ntel"));

/// 32 columns of a tile in registers. Integers are unsigned: `columns` corrects for that.
pub(super) struct Weights {
    pub(super) q: [__m512i; 8],
    pub(super) scale: __m512,
    pub(super) min: __m512,
    /// Integer scales of the halves; `Q2K` has the minima in the bits above the lowest eight.
    pub(super) halves: [__m512i; 2],
}

impl Variant for Avx512Vnni {
    const DIRECT: usize = 16;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn direct<const L: u8, const C: usize>(tile: &[u8], x: &Bunches<'_>, sums: &mut Sums<C>) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        check_bunches::<C>(x, tile_blocks(layout, tile));
        let ask = *ASKS_AHEAD;
        let mut acc = load_sums(sums);
        let mut block = 0;
        for unit in tile.chunks_exact(unit_len) {
            for s in 0..subs {
                if ask {
                    prefetch::<L>(unit, s);
                }
                // SAFETY: a whole unit, and `s` is one of its sub-blocks.
                let w = unsafe { unpack::<L>(unit.as_ptr(), s) };
                // SAFETY: as many blocks as the tile has were checked.
                unsafe { columns::<L, C>(&w, x, block, &mut acc) };
                block += 1;
            }
        }
        store_sums(&acc, sums);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn unpack<const L: u8>(tile: &[u8], from: usize, out: &mut [Unpacked]) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        for (i, out) in out.iter_mut().enumerate() {
            let at = from + i;
            let unit = &tile[at / subs * unit_len..][..unit_len];
            prefetch::<L>(unit, at % subs);
            // SAFETY: a whole unit, and one of its sub-blocks; `out` has these fields at
            // multiples of 64.
            unsafe {
                let w = unpack::<L>(unit.as_ptr(), at % subs);
                for (q, to) in w.q.iter().zip(out.q.as_chunks_mut::<64>().0) {
                    _mm512_store_si512(to.as_mut_ptr().cast(), *q);
                }
                _mm512_store_ps(out.scale.as_mut_ptr(), w.scale);
                if has_min(L) {
                    _mm512_store_ps(out.min.as_mut_ptr(), w.min);
                }
                if has_halves(L) {
                    _mm512_store_si512(out.halves[0].as_mut_ptr().cast(), w.halves[0]);
                    _mm512_store_si512(out.halves[1].as_mut_ptr().cast(), w.halves[1]);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn panel<const L: u8, const C: usize>(w: &[Unpacked], x: &Bunches<'_>, sums: &mut Sums<C>) {
        check_bunches::<C>(x, w.len());
        let mut acc = load_sums(sums);
        for (block, w) in w.iter().enumerate() {
            // SAFETY: the fields are at multiples of 64 and as long as a vector.
            let w = unsafe {
                let q = w.q.as_ptr();
                Weights {
                    q: std::array::from_fn(|g| _mm512_load_si512(q.add(g * 64).cast())),
                    scale: _mm512_load_ps(w.scale.as_ptr()),
                    min: _mm512_load_ps(w.min.as_ptr()),
                    halves: [
                        _mm512_load_si512(w.halves[0].as_ptr().cast()),
                        _mm512_load_si512(w.halves[1].as_ptr().cast()),
                    ],
                }
            };
            // SAFETY: as many blocks as there are unpacked ones were checked.
            unsafe { columns::<L, C>(&w, x, block, &mut acc) };
        }
        store_sums(&acc, sums);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn floats<const L: u8, const C: usize, const T: usize>(
        w: [&[u8]; T],
        x: &[&[f32]; C],
        sums: &mut [Sums<C>; T],
    ) {
        let unit = unit_bytes(layout_of(L));
        let n = w[0].len() / unit;
        assert!(w.iter().all(|w| w.len() == n * unit) && x.iter().all(|x| x.len() == n), "{n} columns");
        let mut acc: [_; T] = std::array::from_fn(|t| load_sums(&sums[t]));
        for k in 0..n {
            // SAFETY: every tile has `n` units, and every row has `n` values.
            unsafe {
                let w: [_; T] = std::array::from_fn(|t| load_floats::<L>(w[t].as_ptr().add(k * unit)));
                for c in 0..C {
                    let x = _mm512_set1_ps(*x[c].get_unchecked(k));
                    for t in 0..T {
                        acc[t][c] = _mm512_fmadd_ps(w[t], x, acc[t][c]);
                    }
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums) {
            store_sums(acc, sums);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn dequantize<const L: u8>(tile: &[u8], from: usize, out: &mut [[f32; TILE]]) {
        let layout = layout_of(L);
        let (unit_len, subs) = (unit_bytes(layout), unit_elems(layout) / BLOCK);
        let offset = _mm512_set1_epi32(match layout {
            Layout::Q4_0 => 8,
            Layout::Q5_0 => 16,
            Layout::Q3K => 4,
            Layout::Q6K => 32,
            _ if is_signed(L) => 128,
            _ => 0,
        });
        for (i, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let at = from / BLOCK + i;
            let unit = &tile[at / subs * unit_len..][..unit_len];
            // SAFETY: a whole unit, and one of its sub-blocks.
            let w = unsafe { unpack::<L>(unit.as_ptr(), at % subs) };
            for (k, out) in out.iter_mut().enumerate() {
                // A row's four columns are the bytes of one lane, lowest first.
                let q = _mm512_srlv_epi32(w.q[k / 4], _mm512_set1_epi32(k as i32 % 4 * 8));
                let q = _mm512_sub_epi32(_mm512_and_si512(q, _mm512_set1_epi32(255)), offset);
                let scale = match has_halves(L) {
                    true => _mm512_mul_ps(w.scale, _mm512_cvtepi32_ps(scales::<L>(w.halves[k / 16]))),
                    false => w.scale,
                };
                let min = match layout {
                    Layout::Q2K => {
                        let min = _mm512_mul_ps(_mm512_cvtepi32_ps(minima(w.halves[k / 16])), _mm512_set1_ps(-32.0));
                        _mm512_mul_ps(w.min, min)
                    }
                    _ => w.min,
                };
                let value = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(q));
                let value = if has_min(L) { _mm512_add_ps(value, min) } else { value };
                // SAFETY: 16 floats.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), value) };
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_sums<const C: usize>(sums: &Sums<C>) -> [__m512; C] {
    // SAFETY: 16 floats each.
    std::array::from_fn(|c| unsafe { _mm512_loadu_ps(sums[c].as_ptr()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_sums<const C: usize>(acc: &[__m512; C], sums: &mut Sums<C>) {
    for (acc, sums) in acc.iter().zip(sums) {
        // SAFETY: 16 floats.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *acc) };
    }
}

/// 16 floats of one column.
///
/// # Safety
/// `unit` must point to 16 elements of the layout, one of floats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn load_floats<const L: u8>(unit: *const u8) -> __m512 {
    // SAFETY: that many bytes are there, says the caller.
    unsafe {
        match layout_of(L) {
            Layout::F32 => _mm512_loadu_ps(unit.cast()),
            Layout::F16 => _mm512_cvtph_ps(_mm256_loadu_si256(unit.cast())),
            _ => {
                let upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256(unit.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper))
            }
        }
    }
}

/// Asks for the bytes that will be needed [`AHEAD`] bytes after sub-block `s`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn prefetch<const L: u8>(unit: &[u8], s: usize) {
    let layout = layout_of(L);
    let at = unit.as_ptr().wrapping_add(s * (unit_bytes(layout) * BLOCK / unit_elems(layout)) + AHEAD);
    for line in (0..int_bytes(layout)).step_by(64) {
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line).cast());
    }
}

/// Unpacks sub-block `s` of a unit.
///
/// # Safety
/// `unit` must point to a whole unit that has a sub-block `s`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn unpack<const L: u8>(unit: *const u8, s: usize) -> Weights {
    let layout = layout_of(L);
    // SAFETY: all within the unit, as `pack` describes it.
    unsafe {
        let ints = unit.add(int_offset(layout) + s * int_bytes(layout));
        let vector = |i: usize| _mm512_loadu_si512(ints.add(i * 64).cast());
        let half = |at: usize| _mm512_cvtph_ps(_mm256_loadu_si256(unit.add(at).cast()));
        let sub = |at: usize| _mm_loadu_si128(unit.add(SUB_SCALES + s * 32 + at).cast());

        let mut w = Weights {
            q: [_mm512_setzero_si512(); 8],
            scale: half(0),
            min: _mm512_setzero_ps(),
            halves: [_mm512_setzero_si512(); 2],
        };
        if matches!(layout, Layout::Q8_0) {
            for g in 0..8 {
                w.q[g] = _mm512_xor_si512(vector(g), _mm512_set1_epi8(-128));
            }
        } else if matches!(layout, Layout::Q2K | Layout::Q3K) {
            let low = _mm512_set1_epi8(3);
            for i in 0..2 {
                let p = vector(i);
                w.q[i * 4] = _mm512_and_si512(p, low);
                w.q[i * 4 + 1] = _mm512_and_si512(_mm512_srli_epi16::<2>(p), low);
                w.q[i * 4 + 2] = _mm512_and_si512(_mm512_srli_epi16::<4>(p), low);
                w.q[i * 4 + 3] = _mm512_and_si512(_mm512_srli_epi16::<6>(p), low);
            }
        } else {
            let low = _mm512_set1_epi8(15);
            for j in 0..4 {
                let v = vector(j);
                w.q[j] = _mm512_and_si512(v, low);
                w.q[j + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(v), low);
            }
        }
        // q | (bits & mask)
        macro_rules! merge {
            ($g:expr, $mask:expr, $bits:expr) => {
                w.q[$g] = _mm512_ternarylogic_epi32::<0b1111_1000>(w.q[$g], $bits, $mask)
            };
        }
        if matches!(layout, Layout::Q5_0 | Layout::Q5_1 | Layout::Q5K) {
            let (p, mask) = (vector(4), _mm512_set1_epi8(16));
            merge!(0, mask, _mm512_slli_epi16::<4>(p));
            merge!(1, mask, _mm512_slli_epi16::<3>(p));
            merge!(2, mask, _mm512_slli_epi16::<2>(p));
            merge!(3, mask, _mm512_slli_epi16::<1>(p));
            merge!(4, mask, p);
            merge!(5, mask, _mm512_srli_epi16::<1>(p));
            merge!(6, mask, _mm512_srli_epi16::<2>(p));
            merge!(7, mask, _mm512_srli_epi16::<3>(p));
        }
        if matches!(layout, Layout::Iq4Nl | Layout::Iq4Xs) {
            let codebook = _mm512_broadcast_i32x4(_mm_loadu_si128(CODEBOOK.as_ptr().cast()));
            let codebook = _mm512_xor_si512(codebook, _mm512_set1_epi8(-128));
            w.q = w.q.map(|q| _mm512_shuffle_epi8(codebook, q));
        }
        if matches!(layout, Layout::Iq4Xs) {
            let scales = _mm_loadu_si128(unit.add(SUB_SCALES + s * 16).cast());
            w.scale = _mm512_mul_ps(w.scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scales)));
        }
        if matches!(layout, Layout::Q3K) {
            let (p, mask) = (vector(2), _mm512_set1_epi8(4));
            merge!(0, mask, _mm512_slli_epi16::<2>(p));
            merge!(1, mask, _mm512_slli_epi16::<1>(p));
            merge!(2, mask, p);
            merge!(3, mask, _mm512_srli_epi16::<1>(p));
            merge!(4, mask, _mm512_srli_epi16::<2>(p));
            merge!(5, mask, _mm512_srli_epi16::<3>(p));
            merge!(6, mask, _mm512_srli_epi16::<4>(p));
            merge!(7, mask, _mm512_srli_epi16::<5>(p));
        }
        if matches!(layout, Layout::Q2K) {
            for i in 0..2 {
                // Scale and minimum are nibbles of a byte: here two bytes.
                let both = _mm512_cvtepu8_epi32(sub(i * 16));
                let scale = _mm512_and_si512(both, _mm512_set1_epi32(15));
                w.halves[i] = _mm512_or_si512(scale, _mm512_slli_epi32::<8>(_mm512_srli_epi32::<4>(both)));
            }
            w.min = _mm512_mul_ps(half(32), _mm512_set1_ps(1.0 / 32.0));
        }
        if matches!(layout, Layout::Q6K) {
            let mask = _mm512_set1_epi8(48);
            for i in 0..2 {
                let p = vector(4 + i);
                merge!(i * 4, mask, _mm512_slli_epi16::<4>(p));
                merge!(i * 4 + 1, mask, _mm512_slli_epi16::<2>(p));
                merge!(i * 4 + 2, mask, p);
                merge!(i * 4 + 3, mask, _mm512_srli_epi16::<2>(p));
            }
        }
        if matches!(layout, Layout::Q3K | Layout::Q6K) {
            w.halves = [_mm512_cvtepi8_epi32(sub(0)), _mm512_cvtepi8_epi32(sub(16))];
        }
        if matches!(layout, Layout::Q4_1 | Layout::Q5_1) {
            w.min = half(32);
        }
        if matches!(layout, Layout::Q4K | Layout::Q5K) {
            let scale = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(sub(0)));
            let min = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(sub(16)));
            w.scale = _mm512_mul_ps(w.scale, scale);
            w.min = _mm512_xor_ps(_mm512_mul_ps(half(32), min), _mm512_set1_ps(-0.0));
        }
        w
    }
}

/// The scales in a half of [`Weights::halves`].
#[inline]
#[target_feature(enable = "avx512f")]
fn scales<const L: u8>(half: __m512i) -> __m512i {
    match layout_of(L) {
        Layout::Q2K => _mm512_and_si512(half, _mm512_set1_epi32(255)),
        _ => half,
    }
}

/// The minima in a half of [`Weights::halves`] of `Q2K`.
#[inline]
#[target_feature(enable = "avx512f")]
fn minima(half: __m512i) -> __m512i {
    _mm512_srli_epi32::<8>(half)
}

/// Two integers of each row times one number each.
#[inline]
#[target_feature(enable = "avx512f")]
fn two_products(a: [__m512i; 2], b: [__m512i; 2]) -> __m512i {
    _mm512_add_epi32(_mm512_mullo_epi32(a[0], b[0]), _mm512_mullo_epi32(a[1], b[1]))
}

/// Adds one block of weights times that block of `C` rows of activations.
///
/// # Safety
/// `x` must have the block for all rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn columns<const L: u8, const C: usize>(w: &Weights, x: &Bunches<'_>, block: usize, acc: &mut [__m512; C]) {
    for (c, acc) in acc.iter_mut().enumerate() {
        // SAFETY: the caller says that the block is there.
        let x = unsafe { &*block_at::<C>(x, block, c) };
        let group = |g: usize| {
            // SAFETY: `g` is below 8, and any four bytes are an i32.
            _mm512_set1_epi32(unsafe { x.q.as_ptr().add(g * 4).cast::<i32>().read_unaligned() })
        };
        let minus_32 = x.halves_minus_32.map(|sum| _mm512_set1_epi32(sum));
        let sum = if has_halves(L) {
            let mut halves = match layout_of(L) {
                Layout::Q2K => [_mm512_setzero_si512(); 2],
                Layout::Q3K => minus_32.map(|sum| _mm512_srai_epi32::<3>(sum)),
                _ => minus_32,
            };
            for g in 0..8 {
                halves[g / 4] = _mm512_dpbusd_epi32(halves[g / 4], w.q[g], group(g));
            }
            two_products(halves, w.halves.map(|half| scales::<L>(half)))
        } else {
            let mut sum = match layout_of(L) {
                Layout::Q4_0 => _mm512_srai_epi32::<1>(_mm512_set1_epi32(x.minus_16)),
                Layout::Q5_0 => _mm512_set1_epi32(x.minus_16),
                _ if is_signed(L) => _mm512_set1_epi32(x.minus_128),
                _ => _mm512_setzero_si512(),
            };
            for g in 0..8 {
                sum = _mm512_dpbusd_epi32(sum, w.q[g], group(g));
            }
            sum
        };
        let scale = _mm512_mul_ps(w.scale, _mm512_set1_ps(x.scale));
        *acc = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(sum), *acc);
        if matches!(layout_of(L), Layout::Q2K) {
            let mins = two_products(minus_32, w.halves.map(|half| minima(half)));
            let scale = _mm512_mul_ps(w.min, _mm512_set1_ps(x.scale));
            *acc = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(mins), *acc);
        } else if has_min(L) {
            *acc = _mm512_fmadd_ps(w.min, _mm512_set1_ps(x.scaled_sum), *acc);
        }
    }
}
