//! [`Lanes`] on AVX2 with FMA and F16C, and on AVX-512.
//!
//! Each method is the one instruction (or pair) that its name says; see `lanes` for what it means.

use std::arch::x86_64::*;

use super::lanes::{Lanes, Op, ROUND, WIDTH};
use crate::Isa;

const F16_MAX: f32 = 65_504.0;

/// Two 8-lane registers; one exists only where AVX2, FMA and F16C do.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// One 16-lane register; one exists only where AVX-512 with BW, DQ, VL and VNNI does.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx2 {
    /// # Panics
    /// On a CPU without it.
    pub(crate) fn new() -> Avx2 {
        assert!(Isa::Avx2.is_available(), "this CPU has no AVX2 with FMA and F16C");
        Avx2(())
    }
}

impl Avx512 {
    /// # Panics
    /// On a CPU without it.
    pub(crate) fn new() -> Avx512 {
        assert!(Isa::Avx512Vnni.is_available(), "this CPU has no AVX-512 with BW, DQ, VL and VNNI");
        Avx512(())
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<O: Op>(v: Avx2, op: O) -> O::Out {
    op.run(v)
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn run_avx512<O: Op>(v: Avx512, op: O) -> O::Out {
    op.run(v)
}

/// Eight lanes of [`Lanes::scale`]: two factors, as the plain definition has it.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn scale_half(x: __m256, shifted: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(ROUND.to_bits() as i32));
        let n = _mm256_min_epi32(_mm256_max_epi32(n, _mm256_set1_epi32(-160)), _mm256_set1_epi32(160));
        let first = _mm256_srai_epi32::<1>(n);
        let second = _mm256_sub_epi32(n, first);
        let bias = _mm256_set1_epi32(127);
        let first = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(first, bias)));
        let second = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(second, bias)));
        _mm256_mul_ps(_mm256_mul_ps(x, first), second)
    }
}

impl Lanes for Avx2 {
    type F = [__m256; 2];
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn load(self, x: &[f32; WIDTH]) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it, and `x` is sixteen whole elements.
        unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))] }
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; WIDTH]) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it, and `x` is sixteen whole elements.
        unsafe {
            let at = x.as_ptr().cast::<__m128i>();
            [_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at.add(1)))]
        }
    }
    #[inline(always)]
    fn store(self, x: Self::F, to: &mut [f32; WIDTH]) {
        // SAFETY: an `Avx2` is only made where the CPU has it, and `to` is sixteen whole elements.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), x[1]);
        }
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F, to: &mut [u16; WIDTH]) {
        let held = self.min(self.splat(F16_MAX), self.max(self.splat(-F16_MAX), x));
        // SAFETY: an `Avx2` is only made where the CPU has it, and `to` is sixteen whole elements.
        unsafe {
            let to = to.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(to, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(held[0]));
            _mm_storeu_si128(to.add(1), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(held[1]));
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn scale(self, x: Self::F, shifted: Self::F) -> Self::F {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { [scale_half(x[0], shifted[0]), scale_half(x[1], shifted[1])] }
    }
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe {
            let x = _mm256_add_ps(x[0], x[1]);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn largest(self, x: Self::F) -> f32 {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe {
            let x = _mm256_max_ps(x[0], x[1]);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: a prefetch reads nothing, and an `Avx2` is only made where the CPU has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn call<O: Op>(self, op: O) -> O::Out {
        // SAFETY: an `Avx2` is only made where the CPU has it.
        unsafe { run_avx2(self, op) }
    }
}

impl Lanes for Avx512 {
    type F = __m512;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32; WIDTH]) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it, and `x` is sixteen whole elements.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; WIDTH]) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it, and `x` is sixteen whole elements.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store(self, x: Self::F, to: &mut [f32; WIDTH]) {
        // SAFETY: an `Avx512` is only made where the CPU has it, and `to` is sixteen whole elements.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F, to: &mut [u16; WIDTH]) {
        let held = self.min(self.splat(F16_MAX), self.max(self.splat(-F16_MAX), x));
        // SAFETY: an `Avx512` is only made where the CPU has it, and `to` is sixteen whole elements.
        unsafe {
            let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(held);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), halves);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn scale(self, x: Self::F, shifted: Self::F) -> Self::F {
        // The instruction rounds once, as the two factors of the plain definition do.
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { _mm512_scalef_ps(x, _mm512_sub_ps(shifted, _mm512_set1_ps(ROUND))) }
    }
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe {
            let x = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn largest(self, x: Self::F) -> f32 {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe {
            let x = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: a prefetch reads nothing, and an `Avx512` is only made where the CPU has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn call<O: Op>(self, op: O) -> O::Out {
        // SAFETY: an `Avx512` is only made where the CPU has it.
        unsafe { run_avx512(self, op) }
    }
}
