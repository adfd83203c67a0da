//! Weights drawn from the model's seed, scaled so that no layer drowns another.

use qwenda_gguf::TensorType;

use super::{Architecture, Delta, Experts, Tensor, TinyModel};
use crate::{quantize::quantize, rng::Rng};

pub(super) fn tensors(model: &TinyModel, vocabulary: u32) -> Vec<Tensor> {
    let mut made = Made { rng: Rng::new(model.seed), tensors: Vec::new() };
    let kind = model.weights;
    let (hidden, inner) = (model.hidden, model.feed_forward);
    made.matrix("token_embd.weight", hidden, vocabulary, model.embedding);
    for layer in 0..model.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        made.vector(&name("attn_norm.weight"), hidden, 1.0);
        match model.delta {
            Some(delta) if delta.is_at(layer) => made.delta(&name, model, delta),
            _ => made.attention(&name, model),
        }
        let norm = if model.delta.is_some() { "post_attention_norm.weight" } else { "ffn_norm.weight" };
        made.vector(&name(norm), hidden, 1.0);
        match model.experts {
            None => made.feed_forward(&name("ffn_"), "", hidden, inner, kind),
            Some(experts) => made.experts(&name("ffn_"), model, experts),
        }
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

    fn attention(&mut self, name: &dyn Fn(&str) -> String, model: &TinyModel) {
        let TinyModel { hidden, head_dim, weights: kind, .. } = *model;
        let (q, kv) = (model.heads * head_dim, model.kv_heads * head_dim);
        // With delta nets beside it, attention has a gate for each of its outputs.
        let q_rows = if model.delta.is_some() { 2 * q } else { q };
        self.matrix(&name("attn_q.weight"), hidden, q_rows, kind);
        self.matrix(&name("attn_k.weight"), hidden, kv, kind);
        self.matrix(&name("attn_v.weight"), hidden, kv, kind);
        if model.architecture.is_qwen3() {
            self.vector(&name("attn_q_norm.weight"), head_dim, 1.0);
            self.vector(&name("attn_k_norm.weight"), head_dim, 1.0);
        } else {
            self.vector(&name("attn_q.bias"), q, 0.0);
            self.vector(&name("attn_k.bias"), kv, 0.0);
            self.vector(&name("attn_v.bias"), kv, 0.0);
        }
        self.matrix(&name("attn_output.weight"), q, hidden, kind);
    }

    fn delta(&mut self, name: &dyn Fn(&str) -> String, model: &TinyModel, delta: Delta) {
        let TinyModel { hidden, weights: kind, .. } = *model;
        let Delta { key_heads, value_heads, head_dim, .. } = delta;
        let (keys, values) = (key_heads * head_dim, value_heads * head_dim);
        self.matrix(&name("attn_qkv.weight"), hidden, 2 * keys + values, kind);
        self.matrix(&name("attn_gate.weight"), hidden, values, kind);
        // Small kernels stay as they are in published files.
        self.matrix(&name("ssm_conv1d.weight"), 4, 2 * keys + values, TensorType::F32);
        self.vector(&name("ssm_dt.bias"), value_heads, 0.0);
        let forgets: Vec<f32> = (0..value_heads).map(|_| -(0.1 + self.rng.normal().abs())).collect();
        self.push(&name("ssm_a"), vec![value_heads.into()], TensorType::F32, &forgets);
        if model.architecture == Architecture::Qwen3Next {
            self.matrix(&name("ssm_ba.weight"), hidden, 2 * value_heads, kind);
        } else {
            self.matrix(&name("ssm_beta.weight"), hidden, value_heads, kind);
            self.matrix(&name("ssm_alpha.weight"), hidden, value_heads, kind);
        }
        self.vector(&name("ssm_norm.weight"), head_dim, 1.0);
        self.matrix(&name("ssm_out.weight"), values, hidden, kind);
    }

    fn feed_forward(&mut self, before: &str, after: &str, hidden: u32, inner: u32, kind: TensorType) {
        self.matrix(&format!("{before}gate{after}.weight"), hidden, inner, kind);
        self.matrix(&format!("{before}up{after}.weight"), hidden, inner, kind);
        self.matrix(&format!("{before}down{after}.weight"), inner, hidden, kind);
    }

    fn experts(&mut self, before: &str, model: &TinyModel, experts: Experts) {
        let TinyModel { hidden, weights: kind, .. } = *model;
        let Experts { count, feed_forward: inner, .. } = experts;
        // As published files have it, whatever the other layouts are.
        self.matrix(&format!("{before}gate_inp.weight"), hidden, count, TensorType::F32);
        for (part, cols, rows) in [("gate", hidden, inner), ("up", hidden, inner), ("down", inner, hidden)] {
            self.matrices(&format!("{before}{part}_exps.weight"), cols, rows, Some(count), kind);
        }
        if model.architecture.shares_expert() {
            self.vector(&format!("{before}gate_inp_shexp.weight"), hidden, 0.0);
            self.feed_forward(before, "_shexp", hidden, model.feed_forward, kind);
        }
    }

    /// Rows that keep a vector's length about as it is.
    fn matrix(&mut self, name: &str, cols: u32, rows: u32, kind: TensorType) {
        self.matrices(name, cols, rows, None, kind);
    }

    /// The same for several in one tensor.
    fn matrices(&mut self, name: &str, cols: u32, rows: u32, count: Option<u32>, kind: TensorType) {
        let width = 1.5 / (cols as f32).sqrt();
        let all = cols * rows * count.unwrap_or(1);
        let values: Vec<f32> = (0..all).map(|_| width * self.rng.normal()).collect();
        let dims = [cols, rows].into_iter().chain(count).map(u64::from).collect();
        self.push(name, dims, kind, &values);
    }

    fn push(&mut self, name: &str, dims: Vec<u64>, kind: TensorType, values: &[f32]) {
        let bytes = quantize(kind, values).unwrap_or_else(|| panic!("tiny models are not made in {kind}"));
        self.tensors.push(Tensor { name: name.to_owned(), dims, kind, bytes });
    }
}
