//! Qwen2 and Qwen2.5: pre-norm blocks, grouped-query attention with biases on q, k and v, SwiGLU;
//! and the mixture of experts of that line, which differs in nothing but what [`Mlp`] is.

use super::{
    config::Config,
    layers::{Attention, Mlp, Pass},
    tensors::Tensors,
};
use crate::Error;

pub(crate) struct Qwen2 {
    layers: Vec<Layer>,
}

struct Layer {
    attention: Attention,
    q_bias: Vec<f32>,
    k_bias: Vec<f32>,
    v_bias: Vec<f32>,
    mlp: Mlp,
}

impl Qwen2 {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config) -> Result<Self, Error> {
        let layer = |layer| {
            let bias = |tensors: &Tensors<'_>, part, width| tensors.vector(&format!("blk.{layer}.{part}.bias"), width);
            Ok(Layer {
                attention: Attention::load(tensors, config, layer)?,
                q_bias: bias(tensors, "attn_q", config.q_width())?,
                k_bias: bias(tensors, "attn_k", config.kv_width())?,
                v_bias: bias(tensors, "attn_v", config.kv_width())?,
                mlp: Mlp::load(tensors, config, layer)?,
            })
        };
        Ok(Self { layers: (0..config.layers).map(layer).collect::<Result<_, Error>>()? })
    }

    /// From embeddings in `x: [rows, hidden]` to the last layer's output in `x`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>) {
        for (index, layer) in self.layers.iter().enumerate() {
            let biases = [&layer.q_bias, &layer.k_bias, &layer.v_bias].map(Vec::as_slice);
            pass.project(&layer.attention, Some(biases)); // q: [rows, heads, head_dim], k and v: [rows, kv_heads, head_dim]
            pass.attend(index); // attended: [rows, heads, head_dim]
            pass.add_attention(&layer.attention); // x: [rows, hidden]
            pass.add_mlp(&layer.mlp); // x: [rows, hidden]
        }
    }
}
