//! Qwen3: as Qwen2, but each head of q and k is normalised by itself and nothing has a bias. The
//! mixture of experts of that line differs in nothing but what [`Mlp`] is.

use super::{
    config::Config,
    layers::{Attention, Mlp, Pass},
    tensors::Tensors,
};
use crate::Error;

pub(crate) struct Qwen3 {
    layers: Vec<Layer>,
}

struct Layer {
    attention: Attention,
    q_norm: Vec<f32>,
    k_norm: Vec<f32>,
    mlp: Mlp,
}

impl Qwen3 {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config) -> Result<Self, Error> {
        let layer = |layer| {
            Ok(Layer {
                attention: Attention::load(tensors, config, layer)?,
                q_norm: tensors.vector(&format!("blk.{layer}.attn_q_norm.weight"), config.head_dim)?,
                k_norm: tensors.vector(&format!("blk.{layer}.attn_k_norm.weight"), config.head_dim)?,
                mlp: Mlp::load(tensors, config, layer)?,
            })
        };
        Ok(Self { layers: (0..config.layers).map(layer).collect::<Result<_, Error>>()? })
    }

    /// From embeddings in `x: [rows, hidden]` to the last layer's output in `x`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>) {
        for (index, layer) in self.layers.iter().enumerate() {
            pass.project(&layer.attention, None); // q: [rows, heads, head_dim], k and v: [rows, kv_heads, head_dim]
            pass.norm_heads(&layer.q_norm, &layer.k_norm);
            pass.attend(index); // attended: [rows, heads, head_dim]
            pass.add_attention(&layer.attention); // x: [rows, hidden]
            pass.add_mlp(&layer.mlp); // x: [rows, hidden]
        }
    }
}
