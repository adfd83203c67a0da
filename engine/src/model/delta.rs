//! What layers of hybrid models have that others have not: the gated delta net, and the gate on
//! what was attended.
//!
//! A delta net keeps nothing per token. Its state lies in [`DeltaStates`](qwenda_kernels::DeltaStates),
//! one slot for each sequence, and what is done to it is in the kernels.

use qwenda_kernels::{DeltaInputs, DeltaShape, DeltaWeights, Then};

use super::{
    config::{Config, Hybrid},
    layers::{Attention, Pass, Scratch},
    tensors::{Linear, Tensors},
};
use crate::Error;

/// Buffers of a forward pass that only hybrid models need; empty for others.
#[derive(Default)]
pub(crate) struct Buffers {
    /// Queries, keys and values before and after the convolution.
    qkv: Vec<f32>,
    /// The output's gate.
    z: Vec<f32>,
    alpha: Vec<f32>,
    beta: Vec<f32>,
    recalled: Vec<f32>,
    /// Projections that the file has in one matrix.
    fused: [Vec<f32>; 2],
}

/// Self-attention whose output has a gate: the matrix of the queries makes both, head by head.
pub(crate) struct GatedAttention {
    pub(crate) attention: Attention,
    pub(crate) q_norm: Vec<f32>,
    pub(crate) k_norm: Vec<f32>,
}

impl GatedAttention {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, layer: usize) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        Ok(Self {
            attention: Attention::load_with(tensors, config, layer, 2 * config.q_width())?,
            q_norm: tensors.vector(&name("attn_q_norm"), config.head_dim)?,
            k_norm: tensors.vector(&name("attn_k_norm"), config.head_dim)?,
        })
    }
}

/// One gated delta net.
pub(crate) struct DeltaNet {
    pub(crate) norm: Vec<f32>,
    mixed: Mixed,
    gates: Gates,
    /// `[4, channels]`
    conv: Vec<f32>,
    a: Vec<f32>,
    dt_bias: Vec<f32>,
    out_norm: Vec<f32>,
    out: Linear,
}

/// Where queries, keys, values and the output's gate z come from.
enum Mixed {
    Apart {
        qkv: Linear,
        z: Linear,
    },
    /// One matrix, in which each key head has its query, key, values and z together: how the first
    /// files of Qwen3-Next were made.
    Fused(Linear),
}

/// Where alpha and beta come from.
enum Gates {
    Apart {
        alpha: Linear,
        beta: Linear,
    },
    /// One matrix, in which each key head has its value heads' betas, then their alphas.
    Fused(Linear),
}

impl DeltaNet {
    pub(crate) fn load(
        tensors: &mut Tensors<'_>,
        config: &Config,
        hybrid: &Hybrid,
        layer: usize,
    ) -> Result<Self, Error> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let shape = &hybrid.shape;
        let (hidden, heads, width) = (config.hidden, shape.value_heads, shape.value_width());
        let mixed = if tensors.has(&name("ssm_in.weight")) {
            Mixed::Fused(tensors.matrix(&name("ssm_in.weight"), shape.channels() + width, hidden)?)
        } else {
            Mixed::Apart {
                qkv: tensors.matrix(&name("attn_qkv.weight"), shape.channels(), hidden)?,
                z: tensors.matrix(&name("attn_gate.weight"), width, hidden)?,
            }
        };
        let gates = if tensors.has(&name("ssm_ba.weight")) {
            Gates::Fused(tensors.matrix(&name("ssm_ba.weight"), 2 * heads, hidden)?)
        } else {
            Gates::Apart {
                alpha: tensors.matrix(&name("ssm_alpha.weight"), heads, hidden)?,
                beta: tensors.matrix(&name("ssm_beta.weight"), heads, hidden)?,
            }
        };
        Ok(Self {
            norm: tensors.vector(&name("attn_norm.weight"), hidden)?,
            mixed,
            gates,
            conv: convolution(tensors, &name("ssm_conv1d.weight"), shape)?,
            a: tensors.vector(&name("ssm_a"), heads)?,
            dt_bias: tensors.vector(&name("ssm_dt.bias"), heads)?,
            out_norm: tensors.vector(&name("ssm_norm.weight"), shape.head_dim)?,
            out: tensors.matrix(&name("ssm_out.weight"), hidden, width)?,
        })
    }
}

/// The file has each channel's kernel together; the kernels want each step's channels.
fn convolution(tensors: &Tensors<'_>, name: &str, shape: &DeltaShape) -> Result<Vec<f32>, Error> {
    const STEPS: usize = qwenda_kernels::CONV_KERNEL;
    let channels = shape.channels();
    let by_channel = tensors.values(name, &[STEPS, channels])?;
    let mut by_step = vec![0.0; by_channel.len()];
    for (channel, kernel) in by_channel.chunks_exact(STEPS).enumerate() {
        for (step, weight) in kernel.iter().enumerate() {
            by_step[step * channels + channel] = *weight;
        }
    }
    Ok(by_step)
}

impl Pass<'_> {
    /// Queries, keys and values of `norm(x)`, and the gates of what will be attended.
    pub(crate) fn project_gated(&mut self, gated: &GatedAttention) {
        let (rows, head_dim, q_width) = (self.rows(), self.config.head_dim, self.config.q_width());
        let Scratch { x, q, k, v, acts, delta: Buffers { z, fused: [both, _], .. }, .. } = &mut *self.scratch;
        both.resize(rows * 2 * q_width, 0.0);
        self.products.prepare_normed(x, &gated.attention.norm, self.config.rms_eps, acts);
        let products = &mut [
            self.products.of(&gated.attention.q, both, Then::Write), // [rows, heads, 2, head_dim]
            self.products.of(&gated.attention.k, k, Then::Write),
            self.products.of(&gated.attention.v, v, Then::Write),
        ];
        self.products.compute.products(products, acts);
        z.resize(rows * q_width, 0.0);
        let heads = both.chunks_exact(2 * head_dim).zip(q.chunks_exact_mut(head_dim));
        for ((both, q), gate) in heads.zip(z.chunks_exact_mut(head_dim)) {
            q.copy_from_slice(&both[..head_dim]);
            gate.copy_from_slice(&both[head_dim..]);
        }
    }

    /// `attended = attended ∘ sigmoid(gate)`.
    pub(crate) fn gate_attended(&mut self) {
        let Scratch { attended, delta, .. } = &mut *self.scratch;
        self.products.compute.sigmoid_mul(attended, &delta.z);
    }

    /// `x += delta net of norm(x)`, going on from the state of layer `layer` of those that have one.
    pub(crate) fn add_delta(&mut self, net: &DeltaNet, layer: usize) {
        let shape = *self.stores.states.shape();
        let (rows, width) = (self.rows(), shape.value_width());
        self.project_delta(net, &shape);
        let Scratch { x, acts, delta, .. } = &mut *self.scratch;
        let Buffers { qkv, z, alpha, beta, recalled, fused: [normed, _] } = delta;
        recalled.resize(rows * width, 0.0);
        let DeltaNet { conv, a, dt_bias, .. } = net;
        let weights = DeltaWeights { conv, a, dt_bias, eps: self.config.rms_eps };
        let inputs = DeltaInputs { qkv, alpha, beta };
        let compute = self.products.compute;
        compute.delta_net(self.stores.states, layer, &weights, self.batch.runs, inputs, recalled);
        normed.resize(rows * width, 0.0);
        compute.rms_norm(recalled, &net.out_norm, self.config.rms_eps, normed); // [rows × value_heads, head_dim]
        compute.silu_mul(z, normed);
        self.products.prepare(z, width, acts);
        compute.products(&mut [self.products.of(&net.out, x, Then::Add)], acts); // [rows, hidden]
    }

    /// The net's inputs of `norm(x)`, each in its buffer.
    fn project_delta(&mut self, net: &DeltaNet, shape: &DeltaShape) {
        let rows = self.rows();
        let Scratch { x, acts, delta, .. } = &mut *self.scratch;
        let Buffers { qkv, z, alpha, beta, fused: [mixed, gates], .. } = delta;
        self.products.prepare_normed(x, &net.norm, self.config.rms_eps, acts);
        let mut jobs = match &net.mixed {
            Mixed::Apart { qkv: qkv_of, z: z_of } => vec![(qkv_of, &mut *qkv), (z_of, &mut *z)],
            Mixed::Fused(both) => vec![(both, &mut *mixed)],
        };
        match &net.gates {
            Gates::Apart { alpha: alpha_of, beta: beta_of } => {
                jobs.extend([(alpha_of, &mut *alpha), (beta_of, &mut *beta)]);
            }
            Gates::Fused(both) => jobs.push((both, &mut *gates)),
        }
        let mut products: Vec<_> = jobs
            .into_iter()
            .map(|(linear, buffer)| {
                buffer.resize(rows * linear.rows, 0.0);
                self.products.of(linear, buffer, Then::Write)
            })
            .collect();
        self.products.compute.products(&mut products, acts);
        if matches!(net.mixed, Mixed::Fused(_)) {
            let (channels, width) = (shape.channels(), shape.value_width());
            qkv.resize(rows * channels, 0.0);
            z.resize(rows * width, 0.0);
            let rows = mixed.chunks_exact(channels + width).zip(qkv.chunks_exact_mut(channels));
            rows.zip(z.chunks_exact_mut(width)).for_each(|((mixed, qkv), z)| part_mixed(shape, mixed, qkv, z));
        }
        if matches!(net.gates, Gates::Fused(_)) {
            let heads = shape.value_heads;
            alpha.resize(rows * heads, 0.0);
            beta.resize(rows * heads, 0.0);
            // Value heads of one key head.
            let group = heads / shape.key_heads;
            let groups = gates.chunks_exact(2 * group).zip(beta.chunks_exact_mut(group));
            for ((both, beta), alpha) in groups.zip(alpha.chunks_exact_mut(group)) {
                beta.copy_from_slice(&both[..group]);
                alpha.copy_from_slice(&both[group..]);
            }
        }
    }
}

/// Sorts one row by kind that has for each key head its query, key, values and z.
fn part_mixed(shape: &DeltaShape, mixed: &[f32], qkv: &mut [f32], z: &mut [f32]) {
    let dim = shape.head_dim;
    let values = shape.value_width() / shape.key_heads;
    let (q, kv) = qkv.split_at_mut(shape.key_heads * dim);
    let (k, v) = kv.split_at_mut(shape.key_heads * dim);
    let heads = mixed.chunks_exact(2 * dim + 2 * values).zip(q.chunks_exact_mut(dim)).zip(k.chunks_exact_mut(dim));
    for (((mixed, q), k), (v, z)) in heads.zip(v.chunks_exact_mut(values).zip(z.chunks_exact_mut(values))) {
        q.copy_from_slice(&mixed[..dim]);
        k.copy_from_slice(&mixed[dim..2 * dim]);
        v.copy_from_slice(&mixed[2 * dim..2 * dim + values]);
        z.copy_from_slice(&mixed[2 * dim + values..]);
    }
}
