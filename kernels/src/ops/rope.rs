//! Rotary position embedding, in the halves layout: lane i turns with lane i + head_dim / 2.

use super::lanes::{Lanes, Op};

/// How positions beyond the trained context are reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Positions as they are.
    None,
    /// Every position divided by `factor`.
    Linear {
        /// How many times longer than trained.
        factor: f64,
    },
    /// YaRN: slow dimensions are divided, fast ones kept, with a ramp between.
    Yarn {
        /// How many times longer than trained.
        factor: f64,
        /// Context length that the model was trained on.
        original_context: u32,
        /// Multiplies the magnitude that the method asks for (1 unless the file says otherwise).
        attention_factor: f64,
        /// Turns within the original context above which a dimension is kept (32 by default).
        beta_fast: f64,
        /// Turns within the original context below which a dimension is divided (1 by default).
        beta_slow: f64,
    },
}

/// Positions of the fine table; a coarse table holds its multiples.
const FINE: usize = 256;

/// The angles of one model: frequencies, and tables from which any angle's sine and cosine follow.
///
/// A position is `coarse · 256 + fine`; sine and cosine of the sum come from two small `f64`
/// tables by the addition theorem and are rounded once to `f32`, so no table grows with
/// head_dim × context.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Length of a head, of which the first `2 · half` dimensions turn.
    head_dim: usize,
    half: usize,
    frequencies: Vec<f64>,
    magnitude: f64,
    /// `[FINE, half]` and `[positions_max / FINE + 1, half]` of (sin, cos).
    fine: Vec<(f64, f64)>,
    coarse: Vec<(f64, f64)>,
}

impl Rope {
    /// Angles for heads of `head_dim` and positions below `positions_max` (higher ones work, but
    /// more slowly).
    ///
    /// # Panics
    /// If `head_dim` is odd or zero.
    #[must_use]
    pub fn new(head_dim: usize, base: f64, scaling: RopeScaling, positions_max: u32) -> Rope {
        assert!(head_dim > 0 && head_dim.is_multiple_of(2), "rope turns pairs; a head of {head_dim} has a half pair");
        let half = head_dim / 2;
        let plain = |i: usize| base.powf(-2.0 * i as f64 / head_dim as f64);
        let (frequencies, magnitude): (Vec<f64>, f64) = match scaling {
            RopeScaling::None => ((0..half).map(plain).collect(), 1.0),
            RopeScaling::Linear { factor } => ((0..half).map(|i| plain(i) / factor).collect(), 1.0),
            RopeScaling::Yarn { factor, original_context, attention_factor, beta_fast, beta_slow } => {
                // The dimension that makes `turns` turns within the original context.
                let dimension = |turns: f64| {
                    let waves = f64::from(original_context) / (turns * std::f64::consts::TAU);
                    head_dim as f64 * waves.ln() / (2.0 * base.ln())
                };
                let low = dimension(beta_fast).floor().max(0.0);
                let high = dimension(beta_slow).ceil().min(head_dim as f64 - 1.0);
                let mix = |i: usize| {
                    let divided = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                    plain(i) * (divided / factor + (1.0 - divided))
                };
                let magnitude = attention_factor * (1.0 + 0.1 * factor.max(1.0).ln());
                ((0..half).map(mix).collect(), magnitude)
            }
        };
        let table = |count: usize, step: usize| -> Vec<(f64, f64)> {
            let positions = (0..count).map(|i| (i * step) as f64);
            positions.flat_map(|p| frequencies.iter().map(move |f| (p * f).sin_cos())).collect()
        };
        let fine = table(FINE, 1);
        let coarse = table(positions_max as usize / FINE + 1, FINE);
        Rope { head_dim, half, frequencies, magnitude, fine, coarse }
    }

    /// The same angles for the beginning of longer heads, the rest of which does not turn.
    ///
    /// # Panics
    /// If `head_dim` is less than what turns.
    #[must_use]
    pub fn within(self, head_dim: usize) -> Rope {
        assert!(head_dim >= 2 * self.half, "{} dimensions of a head of {head_dim} turn", 2 * self.half);
        Rope { head_dim, ..self }
    }

    /// Length of one head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Writes cosine and sine of each angle at `position`.
    ///
    /// # Shapes
    /// Both hold half as many as turn: head_dim / 2, unless [`within`](Self::within) a longer head.
    pub fn angles(&self, position: u32, cos: &mut [f32], sin: &mut [f32]) {
        let (coarse, fine) = (position as usize / FINE, position as usize % FINE);
        let fine = &self.fine[fine * self.half..][..self.half];
        let Some(coarse) = self.coarse.get(coarse * self.half..(coarse + 1) * self.half) else {
            for ((c, s), f) in cos.iter_mut().zip(sin).zip(&self.frequencies) {
                let (sine, cosine) = (f64::from(position) * f).sin_cos();
                (*c, *s) = ((cosine * self.magnitude) as f32, (sine * self.magnitude) as f32);
            }
            return;
        };
        for ((c, s), (a, b)) in cos.iter_mut().zip(sin).zip(coarse.iter().zip(fine)) {
            *c = ((a.1 * b.1 - a.0 * b.0) * self.magnitude) as f32;
            *s = ((a.0 * b.1 + a.1 * b.0) * self.magnitude) as f32;
        }
    }
}

/// Turns every head of every row by its row's position.
pub(crate) struct Turn<'a> {
    pub(crate) rope: &'a Rope,
    /// `[rows, n_heads, head_dim]`
    pub(crate) x: &'a mut [f32],
    pub(crate) n_heads: usize,
    pub(crate) positions: &'a [u32],
}

impl Op for Turn<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, _: V) {
        let half = self.rope.half;
        let mut cos = vec![0.0; half];
        let mut sin = vec![0.0; half];
        let rows = self.x.chunks_exact_mut(self.n_heads * self.rope.head_dim);
        for (row, &position) in rows.zip(self.positions) {
            self.rope.angles(position, &mut cos, &mut sin);
            for head in row.chunks_exact_mut(self.rope.head_dim) {
                let (first, second) = head[..2 * half].split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (first[i], second[i]);
                    let (c, s) = (cos[i], sin[i]);
                    first[i] = a.mul_add(c, -(b * s));
                    second[i] = a.mul_add(s, b * c);
                }
            }
        }
    }
}
