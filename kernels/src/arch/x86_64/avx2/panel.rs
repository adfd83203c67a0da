//! Products of unpacked weights: all sums of a block, 16 rows by up to 4, side by side.
//!
//! Each vector of weights and of activations is loaded once for several products, and no addition
//! waits for the one before. How the integers are summed depends on how many products an i16
//! holds; the results are exact, so it does not show.
//!
//! Loops rather than `map` and the like: a function of the library has not the instructions that are
//! enabled here, so nothing of ours would be inlined into it.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{in_i16, opaque};
use crate::acts::ActBlock;
use crate::arch::x86_64::{Unpacked, has_halves, has_min, is_signed, layout_of};
use crate::layout::Layout;
use crate::pack::TILE;

/// The same vector, but the compiler cannot know: it computes it here and not later.
///
/// Left to itself it works through one row of activations after the other, with more values at
/// hand than there are registers, and with every addition waiting for the one before.
#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::arch::x86_64) fn pinned(mut vector: __m256i) -> __m256i {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(ymm_reg) vector, options(nomem, nostack, preserves_flags)) };
    vector
}

/// Adds unpacked blocks times one bunch of `C` rows of activations, and asks for those of the `next`.
///
/// # Safety
/// `x` must have as many blocks as `w` for all rows; `sums` are `C`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn bunch<const L: u8, const C: usize>(
    w: &[Unpacked],
    x: &[ActBlock],
    next: *const ActBlock,
    sums: &mut [[f32; TILE]],
) {
    let sums = &mut sums.as_chunks_mut::<C>().0[0];
    let mut acc = [[_mm256_setzero_ps(); 2]; C];
    for (acc, sums) in acc.iter_mut().zip(&*sums) {
        // SAFETY: 16 floats, of which a half is 8.
        *acc = unsafe { [_mm256_loadu_ps(sums.as_ptr()), _mm256_loadu_ps(sums.as_ptr().add(8))] };
    }
    for (block, w) in w.iter().enumerate() {
        for c in 0..C {
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(block * C + c).cast());
        }
        // SAFETY: the caller says that the blocks are there.
        let x = unsafe { &*opaque(x.as_ptr().add(block * C).cast::<[ActBlock; C]>()) };
        if matches!(in_i16(L), 1 | 8) {
            step::<L, C>(w, x, &mut acc);
            continue;
        }
        // Two rows at a time: sums of 16 and of 32 bits all have a register.
        let ((x, x_odd), (acc, acc_odd)) = (x.as_chunks::<2>(), acc.as_chunks_mut::<2>());
        for (x, acc) in x.iter().zip(acc) {
            step::<L, 2>(w, x, acc);
        }
        for (x, acc) in x_odd.as_chunks::<1>().0.iter().zip(acc_odd.as_chunks_mut::<1>().0) {
            step::<L, 1>(w, x, acc);
        }
    }
    for (acc, sums) in acc.iter().zip(sums) {
        // SAFETY: 16 floats, of which a half is 8.
        unsafe {
            _mm256_storeu_ps(sums.as_mut_ptr(), acc[0]);
            _mm256_storeu_ps(sums.as_mut_ptr().add(8), acc[1]);
        }
    }
}

/// Adds one unpacked block times `C` rows of activations.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn step<const L: u8, const C: usize>(w: &Unpacked, x: &[ActBlock; C], acc: &mut [[__m256; 2]; C]) {
    let ints = match layout_of(L) {
        Layout::Q6K => wide_sums::<C>(w, x),
        _ if is_signed(L) => split_sums::<C>(w, x),
        _ => narrow_sums::<L, C>(w, x),
    };
    for half in 0..2 {
        // SAFETY: half a field is one vector, at a multiple of 32.
        let (scale, min) =
            unsafe { (_mm256_load_ps(w.scale.as_ptr().add(half * 8)), _mm256_load_ps(w.min.as_ptr().add(half * 8))) };
        for c in 0..C {
            let scale = _mm256_mul_ps(scale, _mm256_set1_ps(x[c].scale));
            acc[c][half] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(ints[half][c]), acc[c][half]);
            if matches!(layout_of(L), Layout::Q2K) {
                let min = _mm256_mul_ps(min, _mm256_set1_ps(x[c].scale));
                let mins = _mm256_madd_epi16(halves(w, 2, half), _mm256_set1_epi32(x[c].halves_minus_16));
                acc[c][half] = _mm256_fmadd_ps(min, _mm256_cvtepi32_ps(mins), acc[c][half]);
            } else if has_min(L) {
                acc[c][half] = _mm256_fmadd_ps(min, _mm256_set1_ps(x[c].scaled_sum), acc[c][half]);
            }
        }
    }
}

/// Half of a group of unpacked weights.
#[inline]
#[target_feature(enable = "avx2")]
fn group(w: &Unpacked, g: usize, half: usize) -> __m256i {
    let q = &w.q.as_chunks::<32>().0[g * 2 + half];
    // SAFETY: 32 bytes, at a multiple of 32.
    unsafe { _mm256_load_si256(q.as_ptr().cast()) }
}

/// Half of one of the vectors for the halves of the columns.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(w: &Unpacked, i: usize, half: usize) -> __m256i {
    let halves = &w.halves[i].as_chunks::<8>().0[half];
    // SAFETY: 32 bytes, at a multiple of 32.
    unsafe { _mm256_load_si256(halves.as_ptr().cast()) }
}

/// Four activations, for every row of weights.
#[inline]
#[target_feature(enable = "avx2")]
fn four(x: &ActBlock, g: usize) -> __m256i {
    _mm256_set1_epi32(i32::from_ne_bytes(x.q.as_chunks::<4>().0[g].map(|q| q as u8)))
}

/// The integers of the halves times -32 times the sums of the halves of the activations.
#[inline]
#[target_feature(enable = "avx2")]
fn half_offsets<const C: usize>(w: &Unpacked, x: &[ActBlock; C]) -> [[__m256i; C]; 2] {
    let mut sums = [[_mm256_setzero_si256(); C]; 2];
    for (half, sums) in sums.iter_mut().enumerate() {
        let offsets = halves(w, 2, half);
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = _mm256_madd_epi16(offsets, _mm256_set1_epi32(x.halves_minus_16));
        }
    }
    sums
}

/// The integer sums of a block where an i16 holds those of half a block or more.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn narrow_sums<const L: u8, const C: usize>(w: &Unpacked, x: &[ActBlock; C]) -> [[__m256i; C]; 2] {
    let mut sums = [[_mm256_setzero_si256(); C]; 2];
    if matches!(layout_of(L), Layout::Q4_0 | Layout::Q5_0) {
        for c in 0..C {
            let offset = _mm256_set1_epi32(x[c].minus_16);
            let offset = if L == Layout::Q4_0 as u8 { _mm256_srai_epi32::<1>(offset) } else { offset };
            (sums[0][c], sums[1][c]) = (offset, offset);
        }
    }
    if matches!(layout_of(L), Layout::Q3K) {
        sums = half_offsets(w, x);
        for sum in sums.as_flattened_mut() {
            *sum = _mm256_srai_epi32::<3>(*sum);
        }
    }
    for from in (0..8).step_by(in_i16(L)) {
        let mut narrow = [[_mm256_setzero_si256(); C]; 2];
        for g in from..from + in_i16(L) {
            let w = [group(w, g, 0), group(w, g, 1)];
            for c in 0..C {
                let x = four(&x[c], g);
                for half in 0..2 {
                    let pairs = _mm256_maddubs_epi16(w[half], x);
                    narrow[half][c] = pinned(if g == from { pairs } else { _mm256_add_epi16(narrow[half][c], pairs) });
                }
            }
        }
        for half in 0..2 {
            for c in 0..C {
                let scales = if has_halves(L) { halves(w, from / 4, half) } else { _mm256_set1_epi16(1) };
                sums[half][c] = _mm256_add_epi32(sums[half][c], _mm256_madd_epi16(narrow[half][c], scales));
            }
        }
    }
    sums
}

/// The integer sums of a block of `Q6K`, where an i16 holds those of two groups.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn wide_sums<const C: usize>(w: &Unpacked, x: &[ActBlock; C]) -> [[__m256i; C]; 2] {
    let mut sums = half_offsets(w, x);
    for from in (0..8).step_by(2) {
        let q = [[group(w, from, 0), group(w, from + 1, 0)], [group(w, from, 1), group(w, from + 1, 1)]];
        for c in 0..C {
            let x = [four(&x[c], from), four(&x[c], from + 1)];
            for half in 0..2 {
                let (first, second) = (_mm256_maddubs_epi16(q[half][0], x[0]), _mm256_maddubs_epi16(q[half][1], x[1]));
                let wide = _mm256_madd_epi16(_mm256_add_epi16(first, second), halves(w, from / 4, half));
                sums[half][c] = pinned(_mm256_add_epi32(sums[half][c], wide));
            }
        }
    }
    sums
}

/// The integer sums of a block of `Q8_0`: bytes in two parts of 4 bits, whose sums an i16 holds.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn split_sums<const C: usize>(w: &Unpacked, x: &[ActBlock; C]) -> [[__m256i; C]; 2] {
    let mut sums = [[_mm256_setzero_si256(); C]; 2];
    for (half, sums) in sums.iter_mut().enumerate() {
        let mut narrow = [[_mm256_setzero_si256(); C]; 2];
        for g in 0..8 {
            let w = [group(w, g, half), group(w, g + 8, half)];
            for c in 0..C {
                let x = four(&x[c], g);
                for part in 0..2 {
                    let pairs = _mm256_maddubs_epi16(w[part], x);
                    narrow[part][c] = pinned(if g == 0 { pairs } else { _mm256_add_epi16(narrow[part][c], pairs) });
                }
            }
        }
        for c in 0..C {
            let low = _mm256_madd_epi16(narrow[0][c], _mm256_set1_epi16(1));
            let high = _mm256_madd_epi16(narrow[1][c], _mm256_set1_epi16(16));
            sums[c] = _mm256_add_epi32(_mm256_add_epi32(low, high), _mm256_set1_epi32(x[c].minus_128));
        }
    }
    sums
}
