//! The most that each instruction set can do, for [`crate::roofline`]: reading, and multiplying int8 in
//! the way that the kernels do at their best. The values multiplied mean nothing.

use std::arch::x86_64::*;
use std::hint::black_box;

/// [`crate::roofline::sum`], with longer loads.
#[target_feature(enable = "avx2")]
pub(crate) fn sum_avx2(bytes: &[u8]) -> u64 {
    crate::roofline::sum(bytes)
}

/// As [`sum_avx2`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn sum_avx512(bytes: &[u8]) -> u64 {
    crate::roofline::sum(bytes)
}

/// Vectors of activations that are gone through again and again: a part of the first cache.
const ACTS: usize = 8;

/// Weights that stay in registers, each with its accumulators.
const TILES_AVX2: usize = 6;

/// `rounds` times: eight products of each tile are added up in 16 bits and then once in 32, which is
/// the cheapest that weights of 4 bits allow. Returns how many multiplications that were.
#[target_feature(enable = "avx2")]
pub(crate) fn multiply_avx2(rounds: u64) -> u64 {
    let weights: [__m256i; TILES_AVX2] = black_box([_mm256_set1_epi8(3); TILES_AVX2]);
    let ones = black_box(_mm256_set1_epi16(1));
    let mut acts = [_mm256_set1_epi8(1); ACTS];
    let mut wide = [_mm256_setzero_si256(); TILES_AVX2];
    for _ in 0..rounds {
        // Activations that may have changed: no product can be kept from the round before.
        black_box(&mut acts);
        let mut narrow = [_mm256_setzero_si256(); TILES_AVX2];
        for act in &acts {
            for (narrow, weight) in narrow.iter_mut().zip(&weights) {
                *narrow = _mm256_add_epi16(*narrow, _mm256_maddubs_epi16(*weight, *act));
            }
        }
        for (wide, narrow) in wide.iter_mut().zip(narrow) {
            *wide = _mm256_add_epi32(*wide, _mm256_madd_epi16(narrow, ones));
        }
    }
    black_box(wide);
    rounds * (TILES_AVX2 * ACTS * 32) as u64
}

const TILES_VNNI: usize = 12;

/// `rounds` times: products of 8 bits, added up in 32 by one instruction.
#[target_feature(enable = "avx2,avxvnni")]
pub(crate) fn multiply_avxvnni(rounds: u64) -> u64 {
    let weights: [__m256i; TILES_VNNI] = black_box([_mm256_set1_epi8(3); TILES_VNNI]);
    let mut acts = [_mm256_set1_epi8(1); ACTS];
    let mut wide = [_mm256_setzero_si256(); TILES_VNNI];
    for _ in 0..rounds {
        black_box(&mut acts);
        for act in &acts {
            for (wide, weight) in wide.iter_mut().zip(&weights) {
                *wide = _mm256_dpbusd_avx_epi32(*wide, *weight, *act);
            }
        }
    }
    black_box(wide);
    rounds * (TILES_VNNI * ACTS * 32) as u64
}

/// As [`multiply_avxvnni`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn multiply_avx512vnni(rounds: u64) -> u64 {
    let weights: [__m512i; TILES_VNNI] = black_box([_mm512_set1_epi8(3); TILES_VNNI]);
    let mut acts = [_mm512_set1_epi8(1); ACTS];
    let mut wide = [_mm512_setzero_si512(); TILES_VNNI];
    for _ in 0..rounds {
        black_box(&mut acts);
        for act in &acts {
            for (wide, weight) in wide.iter_mut().zip(&weights) {
                *wide = _mm512_dpbusd_epi32(*wide, *weight, *act);
            }
        }
    }
    black_box(wide);
    rounds * (TILES_VNNI * ACTS * 64) as u64
}
