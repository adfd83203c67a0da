//! The exponential, and what is made of it: softmax, its logarithm, SiLU.
//!
//! One polynomial of our own instead of the platform's `expf`, so that every CPU and every lane
//! gives the same bits. It is within 1 unit in the last place (2 in the subnormal range), 0 below
//! −104, infinite above 88.73 and NaN for NaN.

use super::lanes::{Lanes, Op, ROUND, WIDTH, run};
use crate::Isa;

/// e^x on sixteen lanes.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r = 1 + r + r²·q(r), q the minimax polynomial of degree
/// 4 whose coefficients were rounded one after the other (relative error 3.3e-9); then · 2^n.
#[inline(always)]
pub(crate) fn exp<V: Lanes>(v: V, x: V::F) -> V::F {
    // Beyond these the result no longer changes. The constant comes first, so a NaN survives.
    let x = v.min(v.splat(89.0), v.max(v.splat(-105.0), x));
    let shifted = v.mul_add(x, v.splat(std::f32::consts::LOG2_E), v.splat(ROUND));
    let n = v.sub(shifted, v.splat(ROUND));
    let r = v.mul_add(n, v.splat(-std::f32::consts::LN_2), x);
    let r = v.mul_add(n, v.splat(1.904_654_2e-9), r);
    let q = v.splat(0.001_383_832_4);
    let q = v.mul_add(q, r, v.splat(0.008_369_165));
    let q = v.mul_add(q, r, v.splat(0.041_668_102));
    let q = v.mul_add(q, r, v.splat(0.166_665_17));
    let q = v.mul_add(q, r, v.splat(0.499_999_94));
    let p = v.mul_add(v.mul(r, r), q, r);
    v.scale(v.add(v.splat(1.0), p), shifted)
}

/// `x` padded to sixteen lanes.
#[inline(always)]
pub(crate) fn padded(x: &[f32], with: f32) -> [f32; WIDTH] {
    let mut lanes = [with; WIDTH];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}

/// gate = silu(gate) · up, where silu(x) = x / (1 + e^−x).
pub(crate) struct SiluMul<'a> {
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
}

impl Op for SiluMul<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let (gates, gate_tail) = self.gate.as_chunks_mut::<WIDTH>();
        let (ups, up_tail) = self.up.as_chunks::<WIDTH>();
        for (gate, up) in gates.iter_mut().zip(ups) {
            silu_mul(v, gate, up);
        }
        let mut gate = padded(gate_tail, 0.0);
        silu_mul(v, &mut gate, &padded(up_tail, 0.0));
        gate_tail.copy_from_slice(&gate[..gate_tail.len()]);
    }
}

#[inline(always)]
fn silu_mul<V: Lanes>(v: V, gate: &mut [f32; WIDTH], up: &[f32; WIDTH]) {
    let x = v.load(gate);
    let e = exp(v, v.sub(v.splat(0.0), x));
    let silu = v.div(x, v.add(v.splat(1.0), e));
    v.store(v.mul(silu, v.load(up)), gate);
}

/// Elements summed in `f32` before the sum goes on in `f64`.
const SUMMED: usize = 1024;

/// Replaces each x by e^(x − max); returns max and the sum.
struct ExpSum<'a> {
    x: &'a [f32],
    /// Where the exponentials go, if anybody wants them.
    out: Option<&'a mut [f32]>,
}

impl Op for ExpSum<'_> {
    type Out = (f32, f64);
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) -> (f32, f64) {
        let (chunks, tail) = self.x.as_chunks::<WIDTH>();
        let tail = padded(tail, f32::NEG_INFINITY);
        let mut lanes = v.load(&tail);
        for chunk in chunks {
            lanes = v.max(lanes, v.load(chunk));
        }
        let max = v.largest(lanes);
        let shift = v.splat(max);
        let mut out = self.out;
        let mut total = 0.0f64;
        for (i, part) in self.x.chunks(SUMMED).enumerate() {
            let mut sum = v.splat(0.0);
            let (chunks, tail) = part.as_chunks::<WIDTH>();
            for (j, chunk) in chunks.iter().enumerate() {
                let e = exp(v, v.sub(v.load(chunk), shift));
                sum = v.add(sum, e);
                if let Some(out) = out.as_deref_mut() {
                    let mut lanes = [0.0; WIDTH];
                    v.store(e, &mut lanes);
                    let at = i * SUMMED + j * WIDTH;
                    out[at..at + WIDTH].copy_from_slice(&lanes);
                }
            }
            if !tail.is_empty() {
                let e = exp(v, v.sub(v.load(&padded(tail, f32::NEG_INFINITY)), shift));
                sum = v.add(sum, e);
                if let Some(out) = out.as_deref_mut() {
                    let mut lanes = [0.0; WIDTH];
                    v.store(e, &mut lanes);
                    let at = i * SUMMED + chunks.len() * WIDTH;
                    out[at..].copy_from_slice(&lanes[..tail.len()]);
                }
            }
            total += f64::from(v.sum(sum));
        }
        (max, total)
    }
}

pub(crate) fn log_sum_exp(isa: Isa, x: &[f32]) -> f32 {
    let (max, sum) = run(isa, ExpSum { x, out: None });
    if max.is_infinite() { max } else { (f64::from(max) + sum.ln()) as f32 }
}

pub(crate) fn softmax(isa: Isa, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "softmax: as many results as inputs");
    let (_, sum) = run(isa, ExpSum { x, out: Some(&mut *out) });
    let scale = (1.0 / sum) as f32;
    for p in out {
        *p *= scale;
    }
}

/// One exponential per lane, for the tests and for a sampler that wants a few.
pub(crate) struct ExpAll<'a>(pub(crate) &'a mut [f32]);

impl Op for ExpAll<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let (chunks, tail) = self.0.as_chunks_mut::<WIDTH>();
        for chunk in chunks {
            v.store(exp(v, v.load(chunk)), chunk);
        }
        let mut lanes = padded(tail, 0.0);
        v.store(exp(v, v.load(&lanes)), &mut lanes);
        tail.copy_from_slice(&lanes[..tail.len()]);
    }
}

/// The index of the largest element.
pub(crate) struct Argmax<'a>(pub(crate) &'a [f32]);

impl Op for Argmax<'_> {
    type Out = usize;
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) -> usize {
        let _ = v;
        let mut max = [f32::NEG_INFINITY; WIDTH];
        let mut nan = [false; WIDTH];
        let (chunks, tail) = self.0.as_chunks::<WIDTH>();
        let tail = [padded(tail, f32::NEG_INFINITY)];
        for chunk in chunks.iter().chain(&tail) {
            for i in 0..WIDTH {
                max[i] = if chunk[i] > max[i] { chunk[i] } else { max[i] };
                nan[i] |= chunk[i].is_nan();
            }
        }
        let found = if nan.contains(&true) {
            self.0.iter().position(|x| x.is_nan())
        } else {
            let max = max.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            self.0.iter().position(|&x| x == max)
        };
        found.expect("an element of the slice was the largest")
    }
}
