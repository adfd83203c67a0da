//! Qwen3.5 and Qwen3-Next: most layers are gated delta nets, every so-manieth attends, with a gate
//! on what it attended; only the beginning of a head turns with the position. Behind each is an MLP
//! or a mixture of experts.
//!
//! Files of the two differ in how they store the delta nets' matrices (`delta` reads either) and in
//! the order of the value heads.

use super::{
    config::{Config, Hybrid},
    delta::{DeltaNet, GatedAttention},
    layers::{Mlp, Pass},
    tensors::Tensors,
};
use crate::Error;

pub(crate) struct Qwen35 {
    layers: Vec<Layer>,
}

struct Layer {
    mixer: Mixer,
    mlp: Mlp,
}

/// How tokens learn of those before them.
enum Mixer {
    Attention(GatedAttention),
    Delta(DeltaNet),
}

impl Qwen35 {
    pub(crate) fn load(tensors: &mut Tensors<'_>, config: &Config, hybrid: &Hybrid) -> Result<Self, Error> {
        let layer = |layer: usize| {
            let mixer = if hybrid.is_delta[layer] {
                Mixer::Delta(DeltaNet::load(tensors, config, hybrid, layer)?)
            } else {
                Mixer::Attention(GatedAttention::load(tensors, config, layer)?)
            };
            Ok(Layer { mixer, mlp: Mlp::load_after(tensors, config, layer, "post_attention_norm")? })
        };
        Ok(Self { layers: (0..config.layers).map(layer).collect::<Result<_, Error>>()? })
    }

    /// From embeddings in `x: [rows, hidden]` to the last layer's output in `x`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>) {
        // Keys and values are kept of the layers that attend alone, states of the others.
        let (mut attending, mut with_state) = (0, 0);
        for layer in &self.layers {
            match &layer.mixer {
                Mixer::Attention(gated) => {
                    pass.project_gated(gated); // q: [rows, heads, head_dim], k and v: [rows, kv_heads, head_dim]
                    pass.norm_heads(&gated.q_norm, &gated.k_norm);
                    pass.attend(attending); // attended: [rows, heads, head_dim]
                    pass.gate_attended();
                    pass.add_attention(&gated.attention); // x: [rows, hidden]
                    attending += 1;
                }
                Mixer::Delta(net) => {
                    pass.add_delta(net, with_state); // x: [rows, hidden]
                    with_state += 1;
                }
            }
            pass.add_mlp(&layer.mlp); // x: [rows, hidden]
        }
    }
}
