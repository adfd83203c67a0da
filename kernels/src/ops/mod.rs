//! Everything between the matrix products: norms, rotation, SiLU, softmax, attention.
//!
//! Each row's result is a function of that row: neither other rows, nor the number of threads,
//! nor the instruction set changes a bit of it. Read `lanes` first, then `attend`.

mod attend;
mod delta;
pub(crate) mod exp;
pub(crate) mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
pub(crate) mod prepare;
mod product;
mod rope;
mod rows;

use std::sync::OnceLock;

pub use attend::AttendRow;
pub use delta::{DeltaInputs, DeltaRun, DeltaWeights};
pub use rope::{Rope, RopeScaling};

use crate::shared::Parted;
use crate::{Compute, Isa};
use lanes::run;

/// Elements of one chunk of work: enough to outweigh handing it to a thread.
const CHUNK: usize = 16 * 1024;

impl Compute {
    /// Root-mean-square norm: each row of `x` over √(mean square + `eps`), times `weight`.
    ///
    /// # Shapes
    /// `x` and `out` hold any number of rows of `weight.len()`.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "as many results as inputs");
        let cols = weight.len();
        self.by_rows(x.len(), cols, out, &|at, out| {
            run(self.isa(), rows::RmsNorm { x: &x[at..at + out.len()], weight, eps, out });
        });
    }

    /// `x += y`.
    ///
    /// # Shapes
    /// Both of one length.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        assert_eq!(x.len(), y.len(), "as many addends");
        self.by_rows(y.len(), 1, x, &|at, x| {
            run(self.isa(), rows::Add { y: &y[at..at + x.len()], x });
        });
    }

    /// `gate = silu(gate) · up`, where silu(x) = x / (1 + e^−x).
    ///
    /// # Shapes
    /// Both of one length.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "as many gates as values");
        self.by_rows(up.len(), 1, gate, &|at, gate| {
            run(self.isa(), exp::SiluMul { up: &up[at..at + gate.len()], gate });
        });
    }

    /// Turns each head of each row by the row's position.
    ///
    /// # Shapes
    /// `x` is `[rows, n_heads, head_dim]`, with one position per row.
    pub fn rope(&self, rope: &Rope, x: &mut [f32], n_heads: usize, positions: &[u32]) {
        let cols = n_heads * rope.head_dim();
        assert_eq!(x.len(), positions.len() * cols, "rows × heads × head_dim");
        self.by_rows(x.len(), cols, x, &|at, x| {
            let positions = &positions[at / cols..][..x.len() / cols];
            run(self.isa(), rope::Turn { rope, x, n_heads, positions });
        });
    }

    /// Deals whole rows of `out` (of `cols`) to the threads; `f` gets where its part begins.
    fn by_rows(&self, len: usize, cols: usize, out: &mut [f32], f: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        if len == 0 {
            return;
        }
        assert!(len.is_multiple_of(cols), "{len} elements are no rows of {cols}");
        let per = CHUNK.div_ceil(cols) * cols;
        if len <= per {
            return f(0, out);
        }
        let out = Parted::new(out);
        self.for_each(len.div_ceil(per), &|i| {
            let at = i * per;
            // SAFETY: chunk i is this call's alone.
            f(at, unsafe { out.part(at, per.min(len - at)) });
        });
    }
}

/// The best instruction set here: for functions that belong to no [`Compute`], since all agree.
fn best() -> Isa {
    static BEST: OnceLock<Isa> = OnceLock::new();
    *BEST.get_or_init(Isa::detect)
}

/// ln Σ e^x, summed in `f64` over partial sums in `f32`; −∞ for an empty slice.
#[must_use]
pub fn log_sum_exp(x: &[f32]) -> f32 {
    log_sum_exp_on(best(), x)
}

/// [`log_sum_exp`] on a named instruction set.
#[must_use]
pub fn log_sum_exp_on(isa: Isa, x: &[f32]) -> f32 {
    exp::log_sum_exp(isa, x)
}

/// The probabilities e^x / Σ e^x.
///
/// # Shapes
/// As many results as inputs, at least one of them finite.
pub fn softmax(x: &[f32], out: &mut [f32]) {
    softmax_on(best(), x, out);
}

/// [`softmax`] on a named instruction set.
pub fn softmax_on(isa: Isa, x: &[f32], out: &mut [f32]) {
    exp::softmax(isa, x, out);
}

/// Replaces each x by e^x.
pub fn exp(x: &mut [f32]) {
    exp_on(best(), x);
}

/// [`exp()`] on a named instruction set.
pub fn exp_on(isa: Isa, x: &mut [f32]) {
    run(isa, exp::ExpAll(x));
}

/// The index of the largest element: the lowest of equals, and of the first NaN if there is one
/// (so `x[argmax(x)].is_nan()` tells).
///
/// # Panics
/// If the slice is empty.
#[must_use]
pub fn argmax(x: &[f32]) -> usize {
    assert!(!x.is_empty(), "the largest of nothing");
    argmax_on(best(), x)
}

/// [`argmax`] on a named instruction set.
#[must_use]
pub fn argmax_on(isa: Isa, x: &[f32]) -> usize {
    run(isa, exp::Argmax(x))
}
