//! One virtual vector of sixteen `f32`, three ways to run it, the same bits each time.
//!
//! Every operation of `ops` is written once over [`Lanes`] and is instantiated for plain Rust
//! ([`Plain`]), AVX2 (two registers) and AVX-512 (one). Each method is exact or rounds once, in
//! every instantiation alike, and reductions have one fixed tree; so equal inputs give equal bits.

use half::f16;

use crate::Isa;

/// Lanes of the virtual vector, whatever the registers are.
pub(crate) const WIDTH: usize = 16;

/// 1.5 · 2^23: adding it rounds to an integer, found in the low bits of the sum.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The largest finite half; what is written to the cache is held within it.
const F16_MAX: f32 = 65_504.0;

/// A way to compute on sixteen lanes; a value of it proves that the CPU can.
pub(crate) trait Lanes: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Rows of a register tile in a small matrix product.
    const TILE_ROWS: usize;
    /// Vectors across a register tile.
    const TILE_VECTORS: usize;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, x: &[f32; WIDTH]) -> Self::F;
    fn load_f16(self, x: &[u16; WIDTH]) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; WIDTH]);
    /// Rounds to nearest even; finite values beyond the range of a half become its largest.
    fn store_f16(self, x: Self::F, to: &mut [u16; WIDTH]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a > b ? a : b`: the second when either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a < b ? a : b`: the second when either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `x · 2^n` rounded once, where `shifted` is `n + ROUND` and |n| is at most 160.
    fn scale(self, x: Self::F, shifted: Self::F) -> Self::F;
    /// Sum over the lanes: i with i + 8, then + 4, + 2, + 1.
    fn sum(self, x: Self::F) -> f32;
    /// Largest lane, by the same tree.
    fn largest(self, x: Self::F) -> f32;
    /// Asks for the cache line at `at`, wherever that points.
    fn prefetch<T>(self, at: *const T);
    /// Runs `op` compiled for this instruction set, in a function of its own.
    fn call<O: Op>(self, op: O) -> O::Out;
}

/// Something that is compiled once for each instruction set.
///
/// `run` and all it calls must be `#[inline(always)]`: only inside the function that enables
/// the instruction set do the single operations become single instructions.
pub(crate) trait Op {
    type Out;
    fn run<V: Lanes>(self, v: V) -> Self::Out;
}

/// Runs `op` on the named instruction set, which the CPU must have.
pub(crate) fn run<O: Op>(isa: Isa, op: O) -> O::Out {
    match isa {
        Isa::Scalar => Plain.call(op),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => super::lanes_x86::Avx2::new().call(op),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni | Isa::Amx => super::lanes_x86::Avx512::new().call(op),
        #[cfg(not(target_arch = "x86_64"))]
        _ => Plain.call(op),
    }
}

/// The definition: plain Rust, one lane after the other.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

type Array = [f32; WIDTH];

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> Array {
    let mut out = [0.0; WIDTH];
    for (i, o) in out.iter_mut().enumerate() {
        *o = f(i);
    }
    out
}

#[inline(always)]
fn tree(mut x: Array, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = WIDTH / 2;
    while width > 0 {
        for i in 0..width {
            x[i] = f(x[i], x[i + width]);
        }
        width /= 2;
    }
    x[0]
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

impl Lanes for Plain {
    type F = Array;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> Array {
        [x; WIDTH]
    }
    #[inline(always)]
    fn load(self, x: &[f32; WIDTH]) -> Array {
        *x
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; WIDTH]) -> Array {
        each(|i| f16::from_bits(x[i]).to_f32())
    }
    #[inline(always)]
    fn store(self, x: Array, to: &mut [f32; WIDTH]) {
        *to = x;
    }
    #[inline(always)]
    fn store_f16(self, x: Array, to: &mut [u16; WIDTH]) {
        let held = self.min(self.splat(F16_MAX), self.max(self.splat(-F16_MAX), x));
        for (to, x) in to.iter_mut().zip(held) {
            *to = f16::from_f32(x).to_bits();
        }
    }
    #[inline(always)]
    fn add(self, a: Array, b: Array) -> Array {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Array, b: Array) -> Array {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Array, b: Array) -> Array {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Array, b: Array) -> Array {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: Array, b: Array, c: Array) -> Array {
        each(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Array, b: Array) -> Array {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn min(self, a: Array, b: Array) -> Array {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn scale(self, x: Array, shifted: Array) -> Array {
        // Two factors, because 2^n alone need not be a normal number; the first product is
        // exact, so only the second rounds.
        each(|i| {
            let n = (shifted[i].to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
            // A NaN's bits are no integer; what they scale is NaN already.
            let n = n.clamp(-160, 160);
            x[i] * power_of_two(n >> 1) * power_of_two(n - (n >> 1))
        })
    }
    #[inline(always)]
    fn sum(self, x: Array) -> f32 {
        tree(x, |a, b| a + b)
    }
    #[inline(always)]
    fn largest(self, x: Array) -> f32 {
        tree(x, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn prefetch<T>(self, _: *const T) {}
    #[inline(always)]
    fn call<O: Op>(self, op: O) -> O::Out {
        #[inline(never)]
        fn plain<O: Op>(op: O) -> O::Out {
            op.run(Plain)
        }
        // The same plain code, but `mul_add` is an instruction: in software it is exact too,
        // and a hundred times slower.
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("fma") {
            #[inline(never)]
            #[target_feature(enable = "fma")]
            fn plain_fma<O: Op>(op: O) -> O::Out {
                op.run(Plain)
            }
            // SAFETY: the CPU has it, seen just above.
            return unsafe { plain_fma(op) };
        }
        plain(op)
    }
}
