//! A mixture of experts: many small MLPs, of which each row goes through the few that suit it.
//!
//! A layer's router weighs all experts for each row: softmax over its products with the row, in
//! single precision whatever the precision of the rest, since a rounding there may choose another
//! expert. A row goes through the experts of the largest weights, of equals the one with the lower
//! number. The rows of a batch that have an expert in common are gathered and go through it
//! together; each row adds up what its experts say in ascending order of their numbers. So a row's
//! sum has one order that its own router decides, whatever rows are beside it.

use qwenda_kernels::{Precision, Then, exp, softmax};

use super::{
    config::{Config, ExpertsConfig},
    layers::{Gated, Pass, Scratch},
    tensors::{Linear, Tensors},
};
use crate::Error;

/// Weights that sum to less than this are divided by it: the smallest normal half float, the bound
/// of the models' first implementation.
const WEIGHTS_SUM_MIN: f32 = 6.103_515_6e-5;

/// The matrices of one layer.
pub(crate) struct Experts {
    /// Experts that a row goes through.
    used: usize,
    /// Whether the weights of these are made to sum to 1.
    normalised: bool,
    router: Linear,
    experts: Vec<Gated>,
    shared: Option<Shared>,
}

/// An expert that every row goes through, weighed by a gate of its own.
struct Shared {
    /// `[hidden]`
    gate: Vec<f32>,
    mlp: Gated,
}

/// What routing and gathering need; kept from step to step.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// What the router says: `[rows, experts]`.
    scores: Vec<f32>,
    /// One row's scores as weights, and its experts by weight.
    weights: Vec<f32>,
    order: Vec<usize>,
    chosen: Vec<Chosen>,
    /// The rows of one expert: `[rows, hidden]`, and what comes of them in the same shape.
    rows: Vec<f32>,
    /// Where among these are rows that enter in two parts.
    firsts: Vec<usize>,
    /// What all experts of a row come to: `[rows, hidden]`.
    sum: Vec<f32>,
    /// How much of the shared expert each row takes.
    shared: Vec<f32>,
}

/// One of the experts that a row goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chosen {
    expert: usize,
    row: usize,
    weight: f32,
}

impl Experts {
    pub(super) fn load(
        tensors: &mut Tensors<'_>,
        config: &Config,
        experts: &ExpertsConfig,
        layer: usize,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.ffn_{part}.weight");
        let (hidden, ffn, count) = (config.hidden, experts.ffn, experts.count);
        let router = tensors.matrix(&name("gate_inp"), count, hidden)?;
        let gates = tensors.matrices(&name("gate_exps"), count, ffn, hidden)?;
        let ups = tensors.matrices(&name("up_exps"), count, ffn, hidden)?;
        let downs = tensors.matrices(&name("down_exps"), count, hidden, ffn)?;
        let parts = gates.into_iter().zip(ups).zip(downs);
        let shared = if experts.shared {
            let gate = tensors.vector(&name("gate_inp_shexp"), hidden)?;
            Some(Shared { gate, mlp: Gated::load(tensors, config, layer, "_shexp")? })
        } else {
            None
        };
        Ok(Self {
            used: experts.used,
            normalised: experts.normalised,
            router,
            experts: parts.map(|((gate, up), down)| Gated { gate, up, down }).collect(),
            shared,
        })
    }
}

impl Buffers {
    /// Appends to `chosen` the experts that each row goes through, `used` of `count`.
    fn choose(&mut self, count: usize, used: usize, normalised: bool) {
        let Self { scores, weights, order, chosen, .. } = self;
        chosen.clear();
        weights.resize(count, 0.0);
        for (row, scores) in scores.chunks_exact(count).enumerate() {
            softmax(scores, weights);
            order.clear();
            order.extend(0..count);
            // A total order, so that broken numbers choose something too; the result shows them.
            order.sort_unstable_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
            order.truncate(used);
            let sum = order.iter().map(|&expert| weights[expert]).sum::<f32>().max(WEIGHTS_SUM_MIN);
            let divisor = if normalised { sum } else { 1.0 };
            chosen.extend(order.iter().map(|&expert| Chosen { expert, row, weight: weights[expert] / divisor }));
        }
        chosen.sort_unstable_by_key(|chosen| (chosen.expert, chosen.row));
    }
}

impl Pass<'_> {
    /// `x += Σ weight · expert(h)` over each row's experts; uses `h` up.
    pub(super) fn add_experts(&mut self, experts: &Experts) {
        self.route(experts);
        let (rows, hidden) = (self.rows(), self.config.hidden);
        let Buffers { sum, .. } = &mut self.scratch.experts;
        sum.clear();
        sum.resize(rows * hidden, 0.0);
        let chosen = std::mem::take(&mut self.scratch.experts.chosen);
        for group in chosen.chunk_by(|a, b| a.expert == b.expert) {
            self.add_expert(&experts.experts[group[0].expert], group);
        }
        self.scratch.experts.chosen = chosen;
        if let Some(shared) = &experts.shared {
            self.add_shared(shared);
        }
        let Scratch { x, experts: Buffers { sum, .. }, .. } = &mut *self.scratch;
        self.products.compute.add(&mut x[..rows * hidden], sum); // [rows, hidden]
    }

    /// `chosen`: the experts of all rows, ascending by expert and then by row.
    fn route(&mut self, experts: &Experts) {
        let (rows, hidden, count) = (self.rows(), self.config.hidden, experts.experts.len());
        let Scratch { h, acts, experts: buffers, .. } = &mut *self.scratch;
        let (compute, weights) = (self.products.compute, self.products.weights);
        buffers.scores.resize(rows * count, 0.0);
        compute.quantize(&h[..rows * hidden], hidden, Precision::F32, acts);
        compute.matmul(&mut [(weights.matrix(&experts.router), &mut buffers.scores)], acts); // [rows, experts]
        buffers.choose(count, experts.used, experts.normalised);
    }

    /// Adds to `sum` what one expert makes of the rows of `group`.
    fn add_expert(&mut self, expert: &Gated, group: &[Chosen]) {
        let hidden = self.config.hidden;
        let Scratch { h, acts, inner, experts: Buffers { rows, firsts, sum, .. }, .. } = &mut *self.scratch;
        rows.clear();
        firsts.clear();
        for (at, &Chosen { row, .. }) in group.iter().enumerate() {
            rows.extend_from_slice(&h[row * hidden..][..hidden]);
            if self.products.firsts.binary_search(&row).is_ok() {
                firsts.push(at);
            }
        }
        let products = &self.products;
        products.compute.quantize_split(rows, hidden, products.precision, firsts, acts);
        products.gated(expert, acts, inner, rows, Then::Write); // [rows, hidden]
        for (&Chosen { row, weight, .. }, said) in group.iter().zip(rows.chunks_exact(hidden)) {
            add_weighed(&mut sum[row * hidden..][..hidden], weight, said);
        }
    }

    /// Adds to `sum` what the shared expert makes of `h`, which is used up.
    fn add_shared(&mut self, expert: &Shared) {
        let hidden = self.config.hidden;
        let Scratch { h, acts, inner, experts: Buffers { shared, sum, .. }, .. } = &mut *self.scratch;
        shared.clear();
        shared.extend(h.chunks_exact(hidden).map(|row| -dot(row, &expert.gate)));
        exp(shared);
        self.products.prepare(h, hidden, acts);
        self.products.gated(&expert.mlp, acts, inner, h, Then::Write); // [rows, hidden]
        for ((sum, said), exp) in sum.chunks_exact_mut(hidden).zip(h.chunks_exact(hidden)).zip(shared) {
            add_weighed(sum, 1.0 / (1.0 + *exp), said);
        }
    }
}

/// `sum += weight · row`.
fn add_weighed(sum: &mut [f32], weight: f32, row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += weight * value;
    }
}

/// In one order, and in double precision, since nothing else is as cheap.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Experts and weights that rows of scores choose, ascending by expert.
    fn chosen(rows: &[&[f32]], used: usize, normalised: bool) -> Vec<(usize, usize, f32)> {
        let mut buffers = Buffers { scores: rows.concat(), ..Buffers::default() };
        buffers.choose(rows[0].len(), used, normalised);
        buffers.chosen.iter().map(|chosen| (chosen.expert, chosen.row, chosen.weight)).collect()
    }

    #[test]
    fn of_equal_experts_those_of_lower_number_are_chosen() {
        assert_eq!(chosen(&[&[0.0; 4]], 2, true), [(0, 0, 0.5), (1, 0, 0.5)]);
        assert_eq!(chosen(&[&[0.0, 7.0, 7.0, 7.0]], 2, true), [(1, 0, 0.5), (2, 0, 0.5)]);
        assert_eq!(chosen(&[&[0.0; 4]], 2, false), [(0, 0, 0.25), (1, 0, 0.25)]);
    }

    #[test]
    fn rows_are_gathered_by_expert() {
        let found = chosen(&[&[9.0, 0.0, 8.0], &[0.0, 9.0, 8.0], &[9.0, 8.0, 0.0]], 2, true);
        let places: Vec<(usize, usize)> = found.iter().map(|&(expert, row, _)| (expert, row)).collect();
        assert_eq!(places, [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1)]);
        let weight = |row| found.iter().filter(|chosen| chosen.1 == row).map(|chosen| chosen.2).sum::<f32>();
        assert!((0..3).all(|row| (weight(row) - 1.0).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn broken_scores_choose_as_many_and_stay_broken() {
        for broken in [f32::NAN, f32::INFINITY] {
            let found = chosen(&[&[broken; 4], &[1.0, 2.0, broken, 0.0]], 2, true);
            assert_eq!(found.len(), 4, "{found:?}");
            let weights = |row| found.iter().filter(move |chosen| chosen.1 == row).map(|chosen| chosen.2);
            assert!((0..2).all(|row| weights(row).any(f32::is_nan)), "{found:?}");
        }
    }
}
