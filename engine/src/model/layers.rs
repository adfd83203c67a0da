//! What the architectures are built of: projections, attention over pages, the gated MLP.
//!
//! A [`Pass`] is one forward pass over a [`Batch`]; its buffers are a [`Scratch`] that is kept
//! from step to step. Every row's result is a function of its own token, position and pages, so a
//! batch may mix sequences, decoding and prefill at will.
//!
//! Activations enter a product as signed bytes with a scale for 32, but the first token of a text
//! enters in two parts, what the first leaves over being the second. Qwen models keep a few
//! enormous activations there, which every later token attends; a byte has no room for the small
//! ones beside them, and the whole text would pay for it. (On the golden prompts of the 1.5B model
//! this brings the mean difference of the losses from 0.054 to 0.018; one row in a prompt is next
//! to nothing.)

use qwenda_kernels::{
    Acts, AttendRow, Compute, DeltaRun, DeltaStates, KvSlot, KvStore, Precision, Product, Rope, Then,
};

use super::{
    config::Config,
    delta::Buffers,
    experts::{self, Experts},
    tensors::{Linear, Tensors},
    weights::Weights,
};
use crate::Error;

/// The rows of one step. All slices have one entry per row, except the last two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) ids: &'a [u32],
    pub(crate) positions: &'a [u32],
    /// Where the row's keys and values go.
    pub(crate) slots: &'a [KvSlot],
    /// What the row attends, itself included.
    pub(crate) attend: &'a [AttendRow<'a>],
    /// Rows whose logits are wanted, ascending.
    pub(crate) wanted: &'a [u32],
    /// Where each sequence's rows are, if the model has a state.
    pub(crate) runs: &'a [DeltaRun],
}

/// What is kept of the sequences from step to step.
#[derive(Debug)]
pub(crate) struct Stores<'a> {
    pub(crate) kv: &'a mut KvStore,
    pub(crate) states: &'a mut DeltaStates,
}

/// Buffers of a forward pass, as large as the largest batch so far.
pub(crate) struct Scratch {
    /// The residual stream: `[rows, hidden]`.
    pub(crate) x: Vec<f32>,
    /// What was normalised from the residual stream, where more than one product wants it, or the wanted rows
    /// of it: `[rows, hidden]`.
    pub(crate) h: Vec<f32>,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) experts: experts::Buffers,
    pub(super) delta: Buffers,
    pub(crate) acts: Acts,
    /// What is between the two halves of an MLP: `[rows, ffn]`.
    pub(super) inner: Acts,
    pub(crate) logits: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            x: Vec::new(),
            h: Vec::new(),
            q: Vec::new(),
            k: Vec::new(),
            v: Vec::new(),
            attended: Vec::new(),
            experts: experts::Buffers::default(),
            delta: Buffers::default(),
            acts: Acts::new(),
            inner: Acts::new(),
            logits: Vec::new(),
        }
    }

    /// Gives every buffer the length for `rows` rows; they never shrink in memory.
    fn resize(&mut self, rows: usize, config: &Config) {
        let buffers = [
            (&mut self.x, config.hidden),
            (&mut self.h, config.hidden),
            (&mut self.q, config.q_width()),
            (&mut self.k, config.kv_width()),
            (&mut self.v, config.kv_width()),
            (&mut self.attended, config.q_width()),
        ];
        for (buffer, width) in buffers {
            buffer.resize(rows * width, 0.0);
        }
    }
}

/// One forward pass on its way through the layers.
pub(crate) struct Pass<'a> {
    pub(super) config: &'a Config,
    rope: &'a Rope,
    pub(super) products: Products<'a>,
    pub(super) batch: Batch<'a>,
    pub(super) stores: Stores<'a>,
    pub(super) scratch: &'a mut Scratch,
}

/// What computes products of activations and weights.
pub(crate) struct Products<'a> {
    pub(crate) compute: &'a Compute,
    pub(crate) weights: &'a Weights,
    pub(crate) precision: Precision,
    /// Rows that enter in two parts.
    pub(crate) firsts: Vec<usize>,
}

/// Self-attention's matrices.
pub(crate) struct Attention {
    pub(crate) norm: Vec<f32>,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    o: Linear,
}

/// What a layer does to each row by itself, behind its norm.
pub(crate) struct Mlp {
    pub(crate) norm: Vec<f32>,
    kind: MlpKind,
}

enum MlpKind {
    Dense(Gated),
    Experts(Experts),
}

/// A gated MLP's matrices.
pub(crate) struct Gated {
    pub(crate) gate: Linear,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
}

impl Attention {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize) -> Result<Self, Error> {
        Self::load_with(tensors, config, layer, config.q_width())
    }

    /// The same where the matrix of the queries has `q_rows` rows.
    pub(super) fn load_with(
        tensors: &mut Tensors<'_>,
        config: &Config,
        layer: usize,
        q_rows: usize,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let (hidden, q_width, kv_width) = (config.hidden, config.q_width(), config.kv_width());
        Ok(Self {
            norm: tensors.vector(&name("attn_norm"), hidden)?,
            q: tensors.matrix(&name("attn_q"), q_rows, hidden)?,
            k: tensors.matrix(&name("attn_k"), kv_width, hidden)?,
            v: tensors.matrix(&name("attn_v"), kv_width, hidden)?,
            o: tensors.matrix(&name("attn_output"), hidden, q_width)?,
        })
    }
}

impl Mlp {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize) -> Result<Self, Error> {
        Self::load_after(tensors, config, layer, "ffn_norm")
    }

    /// The same with another name for the norm before it.
    pub(super) fn load_after(
        tensors: &mut Tensors<'_>,
        config: &Config,
        layer: usize,
        norm: &str,
    ) -> Result<Self, Error> {
        let norm = tensors.vector(&format!("blk.{layer}.{norm}.weight"), config.hidden)?;
        let kind = match &config.experts {
            None => MlpKind::Dense(Gated::load(tensors, config, layer, "")?),
            Some(experts) => MlpKind::Experts(Experts::load(tensors, config, experts, layer)?),
        };
        Ok(Self { norm, kind })
    }
}

impl Gated {
    /// The MLP of every row; `suffix` is what its tensors have at the end of their names.
    pub(super) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize, suffix: &str) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.ffn_{part}{suffix}.weight");
        let (hidden, ffn) = (config.hidden, config.ffn);
        Ok(Self {
            gate: tensors.matrix(&name("gate"), ffn, hidden)?,
            up: tensors.matrix(&name("up"), ffn, hidden)?,
            down: tensors.matrix(&name("down"), hidden, ffn)?,
        })
    }
}

impl<'a> Pass<'a> {
    /// Makes room for the batch; `x` is then to be filled with its embeddings.
    pub(crate) fn new(
        config: &'a Config,
        rope: &'a Rope,
        mut products: Products<'a>,
        batch: Batch<'a>,
        stores: Stores<'a>,
        scratch: &'a mut Scratch,
    ) -> Self {
        products.firsts = match products.precision {
            Precision::Int8 => (0..batch.ids.len()).filter(|&row| batch.positions[row] == 0).collect(),
            Precision::F32 => Vec::new(),
        };
        scratch.resize(batch.ids.len(), config);
        Self { config, rope, products, batch, stores, scratch }
    }

    pub(super) fn rows(&self) -> usize {
        self.batch.ids.len()
    }

    /// The residual stream: `[rows, hidden]`.
    pub(crate) fn x(&mut self) -> &mut [f32] {
        &mut self.scratch.x[..self.batch.ids.len() * self.config.hidden]
    }

    /// `h = norm(x)`.
    pub(crate) fn norm(&mut self, weight: &[f32]) {
        let Scratch { x, h, .. } = &mut *self.scratch;
        self.products.compute.rms_norm(x, weight, self.config.rms_eps, h); // [rows, hidden]
    }

    /// Queries, keys and values of `norm(x)`, plus biases if there are any.
    pub(crate) fn project(&mut self, attention: &Attention, biases: Option<[&[f32]; 3]>) {
        let Scratch { x, q, k, v, acts, .. } = &mut *self.scratch;
        self.products.prepare_normed(x, &attention.norm, self.config.rms_eps, acts);
        let then = |i: usize| biases.map_or(Then::Write, |biases| Then::AddBias(biases[i]));
        let products = &mut [
            self.products.of(&attention.q, q, then(0)), // [rows, heads, head_dim]
            self.products.of(&attention.k, k, then(1)), // [rows, kv_heads, head_dim]
            self.products.of(&attention.v, v, then(2)), // [rows, kv_heads, head_dim]
        ];
        self.products.compute.products(products, acts);
    }

    /// Normalises each head of queries and keys by itself.
    pub(crate) fn norm_heads(&mut self, q_norm: &[f32], k_norm: &[f32]) {
        // `attended` is not in use yet and is at least as wide as both.
        let Scratch { q, k, attended, .. } = &mut *self.scratch;
        let (compute, eps) = (self.products.compute, self.config.rms_eps);
        compute.rms_norm(q, q_norm, eps, attended); // [rows × heads, head_dim]
        std::mem::swap(q, attended);
        let attended = &mut attended[..k.len()];
        compute.rms_norm(k, k_norm, eps, attended); // [rows × kv_heads, head_dim]
        k.copy_from_slice(attended);
    }

    /// Turns queries and keys by position, stores keys and values, and attends: `attended`.
    pub(crate) fn attend(&mut self, layer: usize) {
        let Scratch { q, k, v, attended, .. } = &mut *self.scratch;
        let Config { heads, kv_heads, .. } = *self.config;
        let compute = self.products.compute;
        compute.rope(self.rope, q, heads, self.batch.positions);
        compute.rope(self.rope, k, kv_heads, self.batch.positions);
        compute.kv_write(self.stores.kv, layer, k, v, self.batch.slots);
        compute.attend(self.stores.kv, layer, q, heads, self.batch.attend, attended); // [rows, heads, head_dim]
    }

    /// `x += attended · Wo`.
    pub(crate) fn add_attention(&mut self, attention: &Attention) {
        let Scratch { x, attended, acts, .. } = &mut *self.scratch;
        self.products.prepare(attended, attention.o.cols, acts);
        self.products.compute.products(&mut [self.products.of(&attention.o, x, Then::Add)], acts); // [rows, hidden]
    }

    /// `x += mlp(norm(x))`.
    pub(crate) fn add_mlp(&mut self, mlp: &Mlp) {
        match &mlp.kind {
            MlpKind::Experts(experts) => {
                self.norm(&mlp.norm); // h: [rows, hidden]
                self.add_experts(experts);
            }
            MlpKind::Dense(gated) => {
                let Scratch { x, acts, inner, .. } = &mut *self.scratch;
                self.products.prepare_normed(x, &mlp.norm, self.config.rms_eps, acts);
                self.products.gated(gated, acts, inner, x, Then::Add); // [rows, hidden]
            }
        }
    }
}

impl Products<'_> {
    /// One product of a [`Compute::products`].
    pub(super) fn of<'p>(&'p self, linear: &Linear, out: &'p mut [f32], then: Then<'p>) -> Product<'p> {
        Product { weights: self.weights.matrix(linear), out, then }
    }

    /// Makes `x`, rows of `cols`, ready for products.
    pub(super) fn prepare(&self, x: &[f32], cols: usize, acts: &mut Acts) {
        self.compute.quantize_split(x, cols, self.precision, &self.firsts, acts);
    }

    /// Makes `norm(x)` ready for products.
    pub(super) fn prepare_normed(&self, x: &[f32], weight: &[f32], eps: f32, acts: &mut Acts) {
        self.compute.quantize_normed(x, (weight, eps), self.precision, &self.firsts, acts);
    }

    /// `(silu(acts · Wgate) ∘ (acts · Wup)) · Wdown`, by way of `inner`.
    pub(super) fn gated(&self, mlp: &Gated, acts: &Acts, inner: &mut Acts, out: &mut [f32], then: Then<'_>) {
        let [gate, up] = [&mlp.gate, &mlp.up].map(|linear| self.weights.matrix(linear));
        self.compute.gated(gate, up, acts, inner); // [rows, ffn]
        self.compute.products(&mut [self.of(&mlp.down, out, then)], inner);
    }
}
