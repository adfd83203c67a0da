//! What is done to each row of activations: norms and sums.

use super::exp::padded;
use super::lanes::{Lanes, Op, WIDTH};

/// out = x / √(mean(x²) + eps) · weight, for rows of `weight.len()`.
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) eps: f32,
    pub(crate) out: &'a mut [f32],
}

impl Op for RmsNorm<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let cols = self.weight.len();
        for (x, out) in self.x.chunks_exact(cols).zip(self.out.chunks_exact_mut(cols)) {
            norm_row(v, x, self.weight, self.eps, out);
        }
    }
}

/// [`RmsNorm`] of one row.
#[inline(always)]
pub(super) fn norm_row<V: Lanes>(v: V, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (sum_of_squares(v, x) / x.len() as f32 + eps).sqrt();
    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * w;
    }
}

/// Four sums side by side, so that one addition need not wait for the one before.
#[inline(always)]
pub(super) fn sum_of_squares<V: Lanes>(v: V, x: &[f32]) -> f32 {
    let mut sums = [v.splat(0.0); 4];
    let (quads, rest) = x.as_chunks::<{ 4 * WIDTH }>();
    for quad in quads {
        let (parts, _) = quad.as_chunks::<WIDTH>();
        for (sum, part) in sums.iter_mut().zip(parts) {
            let x = v.load(part);
            *sum = v.mul_add(x, x, *sum);
        }
    }
    for (i, part) in rest.chunks(WIDTH).enumerate() {
        let x = v.load(&padded(part, 0.0));
        sums[i] = v.mul_add(x, x, sums[i]);
    }
    v.sum(v.add(v.add(sums[0], sums[1]), v.add(sums[2], sums[3])))
}

/// x += y.
pub(crate) struct Add<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) y: &'a [f32],
}

impl Op for Add<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, _: V) {
        for (x, y) in self.x.iter_mut().zip(self.y) {
            *x += y;
        }
    }
}
