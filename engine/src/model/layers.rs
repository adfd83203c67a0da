//! What the architectures are built of: projections, attention over pages, the gated MLP.
//!
//! A [`Pass`] is one forward pass over a [`Batch`]; its buffers are a [`Scratch`] that is kept
//! from step to step. Every row's result is a function of its own token and pages, so a batch may
//! mix sequences, decoding and prefill at will.

use qwenda_kernels::{Acts, AttendRow, Compute, KvSlot, KvStore, Precision, Rope};

use super::{
    config::Config,
    tensors::{Linear, Tensors},
    weights::Weights,
};
use crate::Error;

/// The rows of one step. All slices have one entry per row, except `wanted`.
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
}

/// Buffers of a forward pass, as large as the largest batch so far.
pub(crate) struct Scratch {
    /// The residual stream: `[rows, hidden]`.
    pub(crate) x: Vec<f32>,
    /// Whatever is added to the residual stream, or was normalised from it: `[rows, hidden]`.
    pub(crate) h: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    pub(crate) acts: Acts,
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
            gate: Vec::new(),
            up: Vec::new(),
            acts: Acts::new(),
            logits: Vec::new(),
        }
    }

    /// Gives every buffer the length for `rows` rows; they never shrink in memory.
    pub(crate) fn resize(&mut self, rows: usize, config: &Config) {
        let buffers = [
            (&mut self.x, config.hidden),
            (&mut self.h, config.hidden),
            (&mut self.q, config.q_width()),
            (&mut self.k, config.kv_width()),
            (&mut self.v, config.kv_width()),
            (&mut self.attended, config.q_width()),
            (&mut self.gate, config.ffn),
            (&mut self.up, config.ffn),
        ];
        for (buffer, width) in buffers {
            buffer.resize(rows * width, 0.0);
        }
    }
}

/// One forward pass on its way through the layers.
pub(crate) struct Pass<'a> {
    pub(crate) config: &'a Config,
    pub(crate) compute: &'a Compute,
    pub(crate) weights: &'a Weights,
    pub(crate) precision: Precision,
    pub(crate) rope: &'a Rope,
    pub(crate) batch: Batch<'a>,
    pub(crate) kv: &'a mut KvStore,
    pub(crate) scratch: &'a mut Scratch,
}

/// Self-attention's matrices.
pub(crate) struct Attention {
    pub(crate) norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

/// The gated MLP's matrices.
pub(crate) struct Mlp {
    pub(crate) norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Attention {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let (hidden, q_width, kv_width) = (config.hidden, config.q_width(), config.kv_width());
        Ok(Self {
            norm: tensors.vector(&name("attn_norm"), hidden)?,
            q: tensors.matrix(&name("attn_q"), q_width, hidden)?,
            k: tensors.matrix(&name("attn_k"), kv_width, hidden)?,
            v: tensors.matrix(&name("attn_v"), kv_width, hidden)?,
            o: tensors.matrix(&name("attn_output"), hidden, q_width)?,
        })
    }
}

impl Mlp {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let (hidden, ffn) = (config.hidden, config.ffn);
        Ok(Self {
            norm: tensors.vector(&name("ffn_norm"), hidden)?,
            gate: tensors.matrix(&name("ffn_gate"), ffn, hidden)?,
            up: tensors.matrix(&name("ffn_up"), ffn, hidden)?,
            down: tensors.matrix(&name("ffn_down"), hidden, ffn)?,
        })
    }
}

impl Pass<'_> {
    /// `h = norm(x)`.
    pub(crate) fn norm(&mut self, weight: &[f32]) {
        let Scratch { x, h, .. } = &mut *self.scratch;
        self.compute.rms_norm(x, weight, self.config.rms_eps, h); // [rows, hidden]
    }

    /// Queries, keys and values of `h`.
    pub(crate) fn project(&mut self, attention: &Attention) {
        let Scratch { h, q, k, v, acts, .. } = &mut *self.scratch;
        self.compute.quantize(h, self.config.hidden, self.precision, acts);
        self.compute.matmul(
            &mut [
                (self.weights.matrix(&attention.q), q), // [rows, heads, head_dim]
                (self.weights.matrix(&attention.k), k), // [rows, kv_heads, head_dim]
                (self.weights.matrix(&attention.v), v), // [rows, kv_heads, head_dim]
            ],
            acts,
        );
    }

    /// Adds a bias to queries, keys and values.
    pub(crate) fn bias(&mut self, q_bias: &[f32], k_bias: &[f32], v_bias: &[f32]) {
        let Scratch { q, k, v, .. } = &mut *self.scratch;
        self.compute.add_bias(q, q_bias);
        self.compute.add_bias(k, k_bias);
        self.compute.add_bias(v, v_bias);
    }

    /// Normalises each head of queries and keys by itself.
    pub(crate) fn norm_heads(&mut self, q_norm: &[f32], k_norm: &[f32]) {
        // `attended` is not in use yet and is at least as wide as both.
        let Scratch { q, k, attended, .. } = &mut *self.scratch;
        self.compute.rms_norm(q, q_norm, self.config.rms_eps, attended); // [rows × heads, head_dim]
        std::mem::swap(q, attended);
        let normed = &mut attended[..k.len()];
        self.compute.rms_norm(k, k_norm, self.config.rms_eps, normed); // [rows × kv_heads, head_dim]
        k.copy_from_slice(normed);
    }

    /// Turns queries and keys by position, stores keys and values, and attends: `attended`.
    pub(crate) fn attend(&mut self, layer: usize) {
        let Scratch { q, k, v, attended, .. } = &mut *self.scratch;
        let Config { heads, kv_heads, .. } = *self.config;
        self.compute.rope(self.rope, q, heads, self.batch.positions);
        self.compute.rope(self.rope, k, kv_heads, self.batch.positions);
        self.compute.kv_write(self.kv, layer, k, v, self.batch.slots);
        self.compute.attend(self.kv, layer, q, heads, self.batch.attend, attended); // [rows, heads, head_dim]
    }

    /// `x += attended · Wo`.
    pub(crate) fn add_attention(&mut self, attention: &Attention) {
        let Scratch { x, h, attended, acts, .. } = &mut *self.scratch;
        self.compute.quantize(attended, self.config.q_width(), self.precision, acts);
        self.compute.matmul(&mut [(self.weights.matrix(&attention.o), h)], acts); // [rows, hidden]
        self.compute.add(x, h);
    }

    /// `x += (silu(h · Wgate) ∘ (h · Wup)) · Wdown`.
    pub(crate) fn add_mlp(&mut self, mlp: &Mlp) {
        let Scratch { x, h, gate, up, acts, .. } = &mut *self.scratch;
        self.compute.quantize(h, self.config.hidden, self.precision, acts);
        self.compute.matmul(
            &mut [
                (self.weights.matrix(&mlp.gate), gate), // [rows, ffn]
                (self.weights.matrix(&mlp.up), up),     // [rows, ffn]
            ],
            acts,
        );
        self.compute.silu_mul(gate, up);
        self.compute.quantize(gate, self.config.ffn, self.precision, acts);
        self.compute.matmul(&mut [(self.weights.matrix(&mlp.down), h)], acts); // [rows, hidden]
        self.compute.add(x, h);
    }
}
