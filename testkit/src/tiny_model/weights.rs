//! Weights drawn from the model's seed, scaled so that no layer drowns another.

use qwenda_gguf::TensorType;

use super::{Architecture, Tensor, TinyModel};
use crate::{quantize::quantize, rng::Rng};

pub(super) fn tensors(model: &TinyModel, vocabulary: u32) -> Vec<Tensor> {
    let mut made = Made { rng: Rng::new(model.seed), tensors: Vec::new() };
    let kind = model.weights;
    let (hidden, inner) = (model.hidden, model.feed_forward);
    let (q, kv) = (model.heads * model.head_dim, model.kv_heads * model.head_dim);
    made.matrix("token_embd.weight", hidden, vocabulary, model.embedding);
    for layer in 0..model.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        made.vector(&name("attn_norm.weight"), hidden, 1.0);
        made.matrix(&name("attn_q.weight"), hidden, q, kind);
        made.matrix(&name("attn_k.weight"), hidden, kv, kind);
        made.matrix(&name("attn_v.weight"), hidden, kv, kind);
        match model.architecture {
            Architecture::Qwen2 => {
                made.vector(&name("attn_q.bias"), q, 0.0);
                made.vector(&name("attn_k.bias"), kv, 0.0);
                made.vector(&name("attn_v.bias"), kv, 0.0);
            }
            Architecture::Qwen3 => {
                made.vector(&name("attn_q_norm.weight"), model.head_dim, 1.0);
                made.vector(&name("attn_k_norm.weight"), model.head_dim, 1.0);
            }
        }
        made.matrix(&name("attn_output.weight"), q, hidden, kind);
        made.vector(&name("ffn_norm.weight"), hidden, 1.0);
        made.matrix(&name("ffn_gate.weight"), hidden, inner, kind);
        made.matrix(&name("ffn_up.weight"), hidden, inner, kind);
        made.matrix(&name("ffn_down.weight"), inner, hidden, kind);
    }
    made.vector("output_norm.weight", hidden, 1.0);
    if let Some(kind) = model.output {
        made.matrix("output.weight", hidden, vocabulary, kind);
    }
    made.tensors
}

struct Made {
    rng: Rng,
    tensors: Vec<Tensor>,
}

impl Made {
    /// Values around `centre`, always F32 as in published files.
    fn vector(&mut self, name: &str, len: u32, centre: f32) {
        let values: Vec<f32> = (0..len).map(|_| centre + 0.25 * self.rng.normal()).collect();
        self.push(name, vec![len.into()], TensorType::F32, &values);
    }

    /// Rows that keep a vector's length about as it is.
    fn matrix(&mut self, name: &str, cols: u32, rows: u32, kind: TensorType) {
        let width = 1.5 / (cols as f32).sqrt();
        let values: Vec<f32> = (0..cols * rows).map(|_| width * self.rng.normal()).collect();
        self.push(name, vec![cols.into(), rows.into()], kind, &values);
    }

    fn push(&mut self, name: &str, dims: Vec<u64>, kind: TensorType, values: &[f32]) {
        let bytes = quantize(kind, values).unwrap_or_else(|| panic!("tiny models are not made in {kind}"));
        self.tensors.push(Tensor { name: name.to_owned(), dims, kind, bytes });
    }
}
