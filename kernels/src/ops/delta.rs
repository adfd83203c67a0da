//! The gated delta net: a short convolution, then a matrix per head that is read and corrected
//! token by token.
//!
//! For each value head with matrix S (keys × values), token t with query q, key k, value v, decay
//! g and strength β does, in this order:
//!
//! ```text
//! d = β · (v − g · Sᵀk)      what k does not yet recall
//! S = g · S + k dᵀ
//! o = Sᵀq
//! ```
//!
//! Columns of S do not touch each other, so a strip of columns stays in registers and in the
//! first-level cache while the tokens of a sequence pass by it. Every sum over keys is one chain of
//! `mul_add` in ascending order. Tokens are taken one by one also where there are many: that a text
//! gives the same bits however it is cut into chunks is worth more than a blocked form.

use super::exp::{exp, padded};
use super::lanes::{Lanes, Op, WIDTH, run};
use super::rows::sum_of_squares;
use crate::Compute;
use crate::delta::{CONV_KERNEL, DeltaShape, DeltaStates, KEPT};
use crate::shared::Parted;

/// Rows of one sequence in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaRun {
    /// Where its state is.
    pub slot: u32,
    /// Its first row; the others follow.
    pub first: usize,
    /// How many there are.
    pub rows: usize,
    /// Whether the sequence begins here: what the slot held is forgotten.
    pub fresh: bool,
}

/// One layer's weights beside its projections.
#[derive(Clone, Copy, Debug)]
pub struct DeltaWeights<'a> {
    /// `[4, channels]`, for the oldest input first.
    pub conv: &'a [f32],
    /// How fast a head forgets, `[value_heads]`: −e^A, below zero.
    pub a: &'a [f32],
    /// Added to each head's time step, `[value_heads]`.
    pub dt_bias: &'a [f32],
    /// Added under the root where queries and keys are normalised.
    pub eps: f32,
}

/// What the projections of a batch's rows came to; used up.
#[derive(Debug)]
pub struct DeltaInputs<'a> {
    /// Queries, keys and values: `[rows, channels]`.
    pub qkv: &'a mut [f32],
    /// Before the softplus: `[rows, value_heads]`.
    pub alpha: &'a mut [f32],
    /// Before the sigmoid: `[rows, value_heads]`.
    pub beta: &'a mut [f32],
}

impl Compute {
    /// One gated delta net over the rows of several sequences, each of which goes on from its
    /// state and leaves it after its last row.
    ///
    /// # Shapes
    /// As in [`DeltaInputs`]; `out` is `[rows, value_heads, head_dim]`. `runs` cover each row once.
    ///
    /// # Panics
    /// If a shape does not fit, or two runs are of one slot.
    pub fn delta_net(
        &self,
        states: &mut DeltaStates,
        layer: usize,
        weights: &DeltaWeights<'_>,
        runs: &[DeltaRun],
        inputs: DeltaInputs<'_>,
        out: &mut [f32],
    ) {
        let shape = *states.shape();
        let (heads, channels) = (shape.value_heads, shape.channels());
        let rows: usize = runs.iter().map(|run| run.rows).sum();
        assert!(layer < states.layers(), "layer {layer} of states with {}", states.layers());
        assert!(runs.iter().all(|run| run.first + run.rows <= rows), "runs beyond {rows} rows");
        assert_eq!(weights.conv.len(), CONV_KERNEL * channels, "convolution: 4 × channels");
        assert_eq!((weights.a.len(), weights.dt_bias.len()), (heads, heads), "a and dt_bias: value_heads");
        assert_eq!(inputs.qkv.len(), rows * channels, "qkv: rows × channels");
        assert_eq!((inputs.alpha.len(), inputs.beta.len()), (rows * heads, rows * heads), "rows × value_heads");
        assert_eq!(out.len(), rows * shape.value_width(), "results: rows × value_heads × head_dim");

        let mut parts: Vec<Option<Parted<'_, f32>>> = runs.iter().map(|_| None).collect();
        let run_of = |slot: usize| runs.iter().position(|run| run.slot as usize == slot);
        for (slot, state) in states.layer_mut(layer, |slot| run_of(slot).is_some()) {
            let run = run_of(slot).expect("only slots of runs are asked for");
            parts[run] = Some(Parted::new(state));
        }
        let one_each = "each run has a slot that exists and is no other run's";
        let parts: Vec<Parted<'_, f32>> = parts.into_iter().map(|part| part.expect(one_each)).collect();
        let isa = self.isa();

        let DeltaInputs { qkv, alpha, beta } = inputs;
        run(isa, Gates { weights, alpha: &mut *alpha, beta: &mut *beta });
        let mixed = Parted::new(&mut *qkv);
        let convolved = 2 * shape.key_heads + heads;
        self.for_each(runs.len() * convolved, &|i| {
            let (index, head) = (i / convolved, i % convolved);
            run(isa, Convolve { shape, weights, run: runs[index], head, state: &parts[index], qkv: &mixed });
        });
        let (qkv, decay, beta) = (&*qkv, &*alpha, &*beta);
        let out = Parted::new(out);
        self.for_each(runs.len() * heads, &|i| {
            let (index, head) = (i / heads, i % heads);
            run(isa, Recall { shape, run: runs[index], head, state: &parts[index], qkv, decay, beta, out: &out });
        });
    }

    /// `x = x · sigmoid(gate)`, where sigmoid(g) = 1 / (1 + e^−g).
    ///
    /// # Shapes
    /// Both of one length.
    pub fn sigmoid_mul(&self, x: &mut [f32], gate: &[f32]) {
        assert_eq!(x.len(), gate.len(), "as many gates as values");
        self.by_rows(gate.len(), 1, x, &|at, x| {
            run(self.isa(), SigmoidMul { gate: &gate[at..at + x.len()], x });
        });
    }
}

#[inline(always)]
fn sigmoid<V: Lanes>(v: V, x: V::F) -> V::F {
    let e = exp(v, v.sub(v.splat(0.0), x));
    v.div(v.splat(1.0), v.add(v.splat(1.0), e))
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|).
///
/// ln(1 + e) = 2 artanh(z) with z = e / (2 + e), at most 1/3: z to the 15th power is enough for
/// half a unit in the last place, and nothing cancels where e is small.
#[inline(always)]
fn softplus<V: Lanes>(v: V, x: V::F) -> V::F {
    let zero = v.splat(0.0);
    let negative = v.min(x, v.sub(zero, x));
    let e = exp(v, negative);
    let z = v.div(e, v.add(v.splat(2.0), e));
    let z2 = v.mul(z, z);
    let mut p = v.splat(1.0 / 15.0);
    for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0f32] {
        p = v.mul_add(p, z2, v.splat(1.0 / odd));
    }
    let p = v.mul_add(v.mul(p, z2), z, z); // artanh(z)
    v.add(v.max(zero, x), v.add(p, p))
}

/// alpha = e^(a · softplus(alpha + dt_bias)), what is left of a head's matrix; beta = sigmoid(beta).
struct Gates<'a> {
    weights: &'a DeltaWeights<'a>,
    alpha: &'a mut [f32],
    beta: &'a mut [f32],
}

impl Op for Gates<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let DeltaWeights { a, dt_bias, .. } = *self.weights;
        let mut lanes = [0.0; WIDTH];
        for row in self.alpha.chunks_exact_mut(a.len()) {
            for ((x, a), bias) in row.chunks_mut(WIDTH).zip(a.chunks(WIDTH)).zip(dt_bias.chunks(WIDTH)) {
                let step = softplus(v, v.add(v.load(&padded(x, 0.0)), v.load(&padded(bias, 0.0))));
                v.store(exp(v, v.mul(v.load(&padded(a, 0.0)), step)), &mut lanes);
                x.copy_from_slice(&lanes[..x.len()]);
            }
        }
        for x in self.beta.chunks_mut(WIDTH) {
            v.store(sigmoid(v, v.load(&padded(x, 0.0))), &mut lanes);
            x.copy_from_slice(&lanes[..x.len()]);
        }
    }
}

/// x = x · sigmoid(gate).
struct SigmoidMul<'a> {
    x: &'a mut [f32],
    gate: &'a [f32],
}

impl Op for SigmoidMul<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let (xs, x_tail) = self.x.as_chunks_mut::<WIDTH>();
        let (gates, gate_tail) = self.gate.as_chunks::<WIDTH>();
        for (x, gate) in xs.iter_mut().zip(gates) {
            v.store(v.mul(v.load(x), sigmoid(v, v.load(gate))), x);
        }
        let mut x = padded(x_tail, 0.0);
        v.store(v.mul(v.load(&x), sigmoid(v, v.load(&padded(gate_tail, 0.0)))), &mut x);
        x_tail.copy_from_slice(&x[..x_tail.len()]);
    }
}

/// The convolution of one head's channels over a run, its SiLU, and for queries and keys their
/// norm; queries are divided by √head_dim too.
struct Convolve<'a> {
    shape: DeltaShape,
    weights: &'a DeltaWeights<'a>,
    run: DeltaRun,
    /// Queries' heads first, then the keys', then the values'.
    head: usize,
    state: &'a Parted<'a, f32>,
    qkv: &'a Parted<'a, f32>,
}

impl Op for Convolve<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Self { shape, run, head, .. } = self;
        let (dim, channels) = (shape.head_dim, shape.channels());
        let from = head * dim;
        let row = |index: usize| {
            // SAFETY: no other task has these channels, and no slice of them lives on here.
            unsafe { self.qkv.part((run.first + index) * channels + from, dim) }
        };
        for at in (from..from + dim).step_by(WIDTH) {
            let kernel: [V::F; CONV_KERNEL] =
                std::array::from_fn(|i| v.load(vector(&self.weights.conv[i * channels + at..])));
            // SAFETY: as above: the inputs that are kept of these channels are this task's alone.
            let kept = |i: usize| vector_mut(unsafe { self.state.part(i * channels + at, WIDTH) });
            let mut window: [V::F; KEPT] =
                std::array::from_fn(|i| if run.fresh { v.splat(0.0) } else { v.load(kept(i)) });
            for index in 0..run.rows {
                let x = vector_mut(&mut row(index)[at - from..]);
                let input = v.load(x);
                let mut sum = v.mul(kernel[0], window[0]);
                for i in 1..KEPT {
                    sum = v.mul_add(kernel[i], window[i], sum);
                    window[i - 1] = window[i];
                }
                sum = v.mul_add(kernel[KEPT], input, sum);
                window[KEPT - 1] = input;
                let e = exp(v, v.sub(v.splat(0.0), sum));
                v.store(v.div(sum, v.add(v.splat(1.0), e)), x);
            }
            for (i, input) in window.into_iter().enumerate() {
                v.store(input, kept(i));
            }
        }
        let scale = match head {
            head if head < shape.key_heads => 1.0 / (dim as f32).sqrt(),
            head if head < 2 * shape.key_heads => 1.0,
            _ => return,
        };
        for index in 0..run.rows {
            let x = row(index);
            let scale = scale / (sum_of_squares(v, x) + self.weights.eps).sqrt();
            x.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

/// One value head's matrix over a run.
struct Recall<'a> {
    shape: DeltaShape,
    run: DeltaRun,
    head: usize,
    state: &'a Parted<'a, f32>,
    qkv: &'a [f32],
    decay: &'a [f32],
    beta: &'a [f32],
    out: &'a Parted<'a, f32>,
}

impl Op for Recall<'_> {
    type Out = ();
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let DeltaShape { head_dim: dim, .. } = self.shape;
        let at = KEPT * self.shape.channels() + self.head * dim * dim;
        // SAFETY: each head's matrix is one task's alone.
        let state = unsafe { self.state.part(at, dim * dim) };
        if self.run.fresh {
            state.fill(0.0);
        }
        let (state, _) = state.as_chunks_mut::<WIDTH>();
        let across = dim / WIDTH;
        let mut from = 0;
        while from < across {
            if V::TILE_VECTORS == 2 && across - from >= 4 {
                self.strip::<V, 4>(v, state, from);
                from += 4;
            } else if across - from >= 2 {
                self.strip::<V, 2>(v, state, from);
                from += 2;
            } else {
                self.strip::<V, 1>(v, state, from);
                from += 1;
            }
        }
    }
}

impl Recall<'_> {
    /// `C` vectors of the matrix's columns, from vector `from` on, over all tokens.
    #[inline(always)]
    fn strip<V: Lanes, const C: usize>(&self, v: V, state: &mut [[f32; WIDTH]], from: usize) {
        let DeltaShape { key_heads, value_heads, head_dim: dim, .. } = self.shape;
        let key_head = self.shape.key_head(self.head);
        let across = dim / WIDTH;
        for row in self.run.first..self.run.first + self.run.rows {
            let qkv = &self.qkv[row * self.shape.channels()..][..self.shape.channels()];
            let q = &qkv[key_head * dim..][..dim];
            let k = &qkv[(key_heads + key_head) * dim..][..dim];
            let value = &qkv[(2 * key_heads + self.head) * dim + from * WIDTH..][..C * WIDTH];
            let decay = v.splat(self.decay[row * value_heads + self.head]);
            let beta = v.splat(self.beta[row * value_heads + self.head]);

            let mut held = [v.splat(0.0); C];
            for (line, &k) in state.chunks_exact(across).zip(k) {
                let k = v.splat(k);
                for (held, s) in held.iter_mut().zip(&line[from..from + C]) {
                    *held = v.mul_add(k, v.load(s), *held);
                }
            }
            let delta: [V::F; C] = std::array::from_fn(|c| {
                let value = v.load(vector(&value[c * WIDTH..]));
                v.mul(beta, v.sub(value, v.mul(decay, held[c])))
            });
            let mut sums = [v.splat(0.0); C];
            for ((line, &k), &q) in state.chunks_exact_mut(across).zip(k).zip(q) {
                let (k, q) = (v.splat(k), v.splat(q));
                for ((s, delta), sum) in line[from..from + C].iter_mut().zip(delta).zip(&mut sums) {
                    let new = v.mul_add(k, delta, v.mul(decay, v.load(s)));
                    v.store(new, s);
                    *sum = v.mul_add(q, new, *sum);
                }
            }
            let at = (row * value_heads + self.head) * dim + from * WIDTH;
            // SAFETY: each row's head is one task's alone.
            let out = unsafe { self.out.part(at, C * WIDTH) };
            for (out, sum) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(sums) {
                v.store(sum, out);
            }
        }
    }
}

#[inline(always)]
fn vector(x: &[f32]) -> &[f32; WIDTH] {
    x.first_chunk().expect("heads are whole vectors")
}

#[inline(always)]
fn vector_mut(x: &mut [f32]) -> &mut [f32; WIDTH] {
    x.first_chunk_mut().expect("heads are whole vectors")
}
