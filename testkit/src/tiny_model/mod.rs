//! A real, minute Qwen model from a seed: every part of a published file, a few hundred kilobytes.
//!
//! What it says makes no sense, but it is computed like anything a large model says. Two models
//! made with the same settings are equal to the byte on every machine.

mod template;
mod vocabulary;
mod weights;

use std::{io, path::Path};

use qwenda_gguf::{Array, Error, TensorType, Value, write::GgufWriter};

/// Which kind of Qwen model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Biases on query, key and value.
    Qwen2,
    /// The same with experts, one of them shared.
    Qwen2Moe,
    /// Norms on each head's query and key instead.
    Qwen3,
    /// The same with experts.
    Qwen3Moe,
    /// Gated delta nets in most layers, a gate on the attention of the others, and experts, one of
    /// them shared.
    Qwen3Next,
    /// The same without experts, value heads in another order.
    Qwen35,
    /// The same with experts.
    Qwen35Moe,
}

impl Architecture {
    /// The name in `general.architecture`, and the prefix of the keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen2Moe => "qwen2moe",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::Qwen3Next => "qwen3next",
            Self::Qwen35 => "qwen35",
            Self::Qwen35Moe => "qwen35moe",
        }
    }

    /// Whether it is of the third generation or later.
    fn is_qwen3(self) -> bool {
        !matches!(self, Self::Qwen2 | Self::Qwen2Moe)
    }

    /// Whether one expert is shared by all tokens.
    fn shares_expert(self) -> bool {
        matches!(self, Self::Qwen2Moe | Self::Qwen3Next | Self::Qwen35Moe)
    }
}

/// The layers that are gated delta nets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    /// Every so-manieth layer attends, the others are delta nets.
    pub interval: u32,
    /// Query and key heads.
    pub key_heads: u32,
    /// Value heads; a multiple of `key_heads`.
    pub value_heads: u32,
    /// Length of each of these heads.
    pub head_dim: u32,
    /// Dimensions of an attention head that turn with the position.
    pub rope_dims: u32,
}

impl Delta {
    /// Whether a layer is one.
    pub(self) fn is_at(self, layer: u32) -> bool {
        !(layer + 1).is_multiple_of(self.interval)
    }
}

/// The experts of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// How many there are.
    pub count: u32,
    /// How many of them each token goes through.
    pub used: u32,
    /// Length of an expert's inner vector.
    pub feed_forward: u32,
}

/// Positions scaled by YaRN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// How many times longer than trained.
    pub factor: f32,
    /// Context of the training.
    pub original_context: u32,
}

/// The settings of a tiny model. Start from [`TinyModel::qwen2`], [`TinyModel::qwen3`] or one of
/// their kin, and change what the test is about.
#[derive(Debug, Clone)]
pub struct TinyModel {
    /// Which kind of model.
    pub architecture: Architecture,
    /// Blocks of attention and feed-forward.
    pub layers: u32,
    /// Length of a token's vector.
    pub hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u32,
    /// Length of one head's vector; even.
    pub head_dim: u32,
    /// Length of the feed-forward's inner vector; of the shared one beside experts.
    pub feed_forward: u32,
    /// Experts in place of one feed-forward, for the architectures that have them.
    pub experts: Option<Experts>,
    /// Delta nets among the layers, for the architectures that have them.
    pub delta: Option<Delta>,
    /// Most tokens of prompt and answer together.
    pub context: u32,
    /// Base of the rotary angles.
    pub rope_base: f32,
    /// Whether vocabulary and template are those of DeepSeek's distillates.
    pub distilled: bool,
    /// How positions beyond the context of the training are reached.
    pub yarn: Option<Yarn>,
    /// What is added under the root of the norms.
    pub norm_epsilon: f32,
    /// Layout of all matrices but the next two.
    pub weights: TensorType,
    /// Layout of the token embedding.
    pub embedding: TensorType,
    /// Layout of the output matrix; `None` if the embedding serves for it too.
    pub output: Option<TensorType>,
    /// What the weights are drawn from.
    pub seed: u64,
}

const EXPERTS: Experts = Experts { count: 8, used: 2, feed_forward: 32 };

const DELTA: Delta = Delta { interval: 3, key_heads: 2, value_heads: 4, head_dim: 32, rope_dims: 16 };

impl TinyModel {
    /// Two layers, separate output, F32.
    pub fn qwen2() -> Self {
        Self {
            architecture: Architecture::Qwen2,
            layers: 2,
            hidden: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            feed_forward: 96,
            experts: None,
            delta: None,
            context: 512,
            rope_base: 1_000_000.0,
            distilled: false,
            yarn: None,
            norm_epsilon: 1e-6,
            weights: TensorType::F32,
            embedding: TensorType::F32,
            output: Some(TensorType::F32),
            seed: 1,
        }
    }

    /// Two layers, tied output, heads wider than their share of the hidden vector, F32.
    pub fn qwen3() -> Self {
        Self { architecture: Architecture::Qwen3, head_dim: 32, output: None, seed: 2, ..Self::qwen2() }
    }

    /// As [`Self::qwen2`], with the vocabulary and the template of DeepSeek's distillates.
    pub fn distilled() -> Self {
        Self { distilled: true, seed: 6, ..Self::qwen2() }
    }

    /// As [`Self::qwen3`], with positions scaled by YaRN from 64 on.
    pub fn qwen3_yarn() -> Self {
        Self { yarn: Some(Yarn { factor: 4.0, original_context: 64 }), seed: 5, ..Self::qwen3() }
    }

    /// As [`Self::qwen2`], with eight experts, of which two are used, and a shared one.
    pub fn qwen2moe() -> Self {
        Self { architecture: Architecture::Qwen2Moe, experts: Some(EXPERTS), seed: 3, ..Self::qwen2() }
    }

    /// As [`Self::qwen3`], with three layers of eight experts, of which two are used.
    pub fn qwen3moe() -> Self {
        Self {
            architecture: Architecture::Qwen3Moe,
            layers: 3,
            experts: Some(EXPERTS),
            output: Some(TensorType::F32),
            seed: 4,
            ..Self::qwen3()
        }
    }

    /// Four layers, the third of which attends, F32.
    pub fn qwen35() -> Self {
        Self { architecture: Architecture::Qwen35, layers: 4, delta: Some(DELTA), seed: 5, ..Self::qwen3() }
    }

    /// As [`Self::qwen35`], with eight experts, of which two are used, and a shared one.
    pub fn qwen35moe() -> Self {
        Self { architecture: Architecture::Qwen35Moe, experts: Some(EXPERTS), seed: 6, ..Self::qwen35() }
    }

    /// As [`Self::qwen35moe`], as files of Qwen3-Next have it.
    pub fn qwen3next() -> Self {
        Self { architecture: Architecture::Qwen3Next, output: Some(TensorType::F32), seed: 7, ..Self::qwen35moe() }
    }

    /// The same model with every matrix in layout `kind`. Widths grow to whole blocks.
    #[must_use]
    pub fn quantized(mut self, kind: TensorType) -> Self {
        let block = kind.block().map_or(1, |(elements, _)| elements as u32);
        self.hidden = self.hidden.next_multiple_of(block);
        self.feed_forward = self.feed_forward.next_multiple_of(block);
        if let Some(experts) = &mut self.experts {
            experts.feed_forward = experts.feed_forward.next_multiple_of(block);
        }
        // The attention output's rows are all heads side by side.
        while !(self.heads * self.head_dim).is_multiple_of(block) {
            self.head_dim *= 2;
        }
        if let Some(delta) = &mut self.delta {
            while !(delta.value_heads * delta.head_dim).is_multiple_of(block) {
                delta.head_dim *= 2;
            }
        }
        (self.weights, self.embedding) = (kind, kind);
        self.output = self.output.map(|_| kind);
        self
    }

    /// Metadata and tensors, to be changed or written.
    pub fn parts(&self) -> Parts {
        let vocabulary = vocabulary::vocabulary(self);
        let tensors = weights::tensors(self, vocabulary.tokens.len() as u32);
        Parts { metadata: self.metadata(vocabulary), tensors }
    }

    /// A chat model of [`Self::qwen2`] whose greedy answers never end by themselves: the logits of all special
    /// tokens are 0, and of the others some are more.
    pub fn endless(context: u32) -> Parts {
        let model = Self { context, output: Some(TensorType::F32), ..Self::qwen2() };
        let special =
            vocabulary::vocabulary(&model).tokens.iter().map(|token| token.starts_with("<|")).collect::<Vec<_>>();
        let mut parts = model.parts();
        let row = model.hidden as usize * size_of::<f32>();
        let output = parts.tensors.iter_mut().find(|tensor| tensor.name == "output.weight");
        let rows = output.into_iter().flat_map(|tensor| tensor.bytes.chunks_exact_mut(row));
        for (row, _) in rows.zip(special).filter(|(_, special)| *special) {
            row.fill(0);
        }
        parts
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.parts().bytes()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.bytes())
    }

    /// In the order and with the types of published files.
    fn metadata(&self, vocabulary: vocabulary::Vocabulary) -> Vec<(String, Value)> {
        let name = self.architecture.name();
        let mut all: Vec<(String, Value)> = Vec::new();
        let mut put = |key: &str, value: Value| all.push((key.to_owned(), value));
        put("general.architecture", name.into());
        put("general.type", "model".into());
        put("general.name", format!("Tiny {name}").as_str().into());
        put("general.size_label", "tiny".into());
        put(&format!("{name}.block_count"), self.layers.into());
        put(&format!("{name}.context_length"), self.context.into());
        put(&format!("{name}.embedding_length"), self.hidden.into());
        put(&format!("{name}.feed_forward_length"), self.feed_forward.into());
        put(&format!("{name}.attention.head_count"), self.heads.into());
        put(&format!("{name}.attention.head_count_kv"), self.kv_heads.into());
        put(&format!("{name}.rope.freq_base"), self.rope_base.into());
        if let Some(Yarn { factor, original_context }) = self.yarn {
            put(&format!("{name}.rope.scaling.type"), "yarn".into());
            put(&format!("{name}.rope.scaling.factor"), factor.into());
            put(&format!("{name}.rope.scaling.original_context_length"), original_context.into());
        }
        put(&format!("{name}.attention.layer_norm_rms_epsilon"), self.norm_epsilon.into());
        if let Some(experts) = &self.experts {
            put(&format!("{name}.expert_count"), experts.count.into());
            put(&format!("{name}.expert_used_count"), experts.used.into());
            put(&format!("{name}.expert_feed_forward_length"), experts.feed_forward.into());
        }
        if self.architecture.shares_expert() {
            put(&format!("{name}.expert_shared_feed_forward_length"), self.feed_forward.into());
        }
        if self.architecture.is_qwen3() || self.head_dim * self.heads != self.hidden {
            put(&format!("{name}.attention.key_length"), self.head_dim.into());
            put(&format!("{name}.attention.value_length"), self.head_dim.into());
        }
        if let Some(delta) = &self.delta {
            self.delta_metadata(delta, &mut put);
        }
        put("general.file_type", 0u32.into());
        put("tokenizer.ggml.model", "gpt2".into());
        let pre = match self.architecture {
            _ if self.distilled => "deepseek-r1-qwen",
            Architecture::Qwen35 | Architecture::Qwen35Moe => "qwen35",
            _ => "qwen2",
        };
        put("tokenizer.ggml.pre", pre.into());
        let id = |text: &str| {
            let at = vocabulary.tokens.iter().position(|token| token == text);
            Value::U32(at.expect("every tiny vocabulary has Qwen's special tokens") as u32)
        };
        let (end, begin, fill) = if self.distilled {
            let end = id("<｜end▁of▁sentence｜>");
            (end.clone(), id("<｜begin▁of▁sentence｜>"), end)
        } else {
            (id("<|im_end|>"), id("<|endoftext|>"), id("<|endoftext|>"))
        };
        put("tokenizer.ggml.tokens", vocabulary.tokens.iter().collect::<Array>().into());
        put("tokenizer.ggml.token_type", Array::I32(vocabulary.kinds).into());
        put("tokenizer.ggml.merges", vocabulary.merges.iter().collect::<Array>().into());
        put("tokenizer.ggml.eos_token_id", end);
        put("tokenizer.ggml.padding_token_id", fill);
        put("tokenizer.ggml.bos_token_id", begin);
        put("tokenizer.ggml.add_bos_token", self.distilled.into());
        put("tokenizer.chat_template", template::chat_template(self).as_str().into());
        put("general.quantization_version", 2u32.into());
        all
    }

    fn delta_metadata(&self, delta: &Delta, put: &mut impl FnMut(&str, Value)) {
        let name = self.architecture.name();
        put(&format!("{name}.ssm.conv_kernel"), 4u32.into());
        put(&format!("{name}.ssm.state_size"), delta.head_dim.into());
        put(&format!("{name}.ssm.group_count"), delta.key_heads.into());
        put(&format!("{name}.ssm.time_step_rank"), delta.value_heads.into());
        put(&format!("{name}.ssm.inner_size"), (delta.value_heads * delta.head_dim).into());
        put(&format!("{name}.full_attention_interval"), delta.interval.into());
        put(&format!("{name}.rope.dimension_count"), delta.rope_dims.into());
        if self.architecture == Architecture::Qwen3Next {
            let listed = (0..self.layers).map(|layer| delta.is_at(layer)).collect();
            put(&format!("{name}.attention.recurrent_layers"), Array::Bool(listed).into());
        } else {
            let pairs = delta.rope_dims as i32 / 2;
            let sections = vec![pairs - pairs / 3 * 2, pairs / 3, pairs / 3, 0];
            put(&format!("{name}.rope.dimension_sections"), Array::I32(sections).into());
        }
    }
}

/// A model file taken apart, so that a test can break it.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Keys and values in the file's order.
    pub metadata: Vec<(String, Value)>,
    /// Tensors in the file's order.
    pub tensors: Vec<Tensor>,
}

/// One tensor with its bytes.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Name in the file.
    pub name: String,
    /// Innermost first.
    pub dims: Vec<u64>,
    /// Layout of the bytes.
    pub kind: TensorType,
    /// The data; as long as `dims` and `kind` ask for.
    pub bytes: Vec<u8>,
}

impl Parts {
    /// Sets a metadata entry, new or not.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.metadata.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    /// Takes a metadata entry away.
    ///
    /// # Panics
    /// If there is none of that key.
    pub fn remove(&mut self, key: &str) -> Value {
        let at = self.metadata.iter().position(|(name, _)| name == key);
        self.metadata.remove(at.unwrap_or_else(|| panic!("the tiny model has no `{key}`"))).1
    }

    /// A metadata array of texts, to be changed and [`set`](Self::set) again.
    ///
    /// # Panics
    /// If `key` is not one.
    pub fn strings(&self, key: &str) -> Vec<String> {
        match self.metadata.iter().find(|(name, _)| name == key) {
            Some((_, Value::Array(Array::Strings(texts)))) => texts.iter().map(str::to_owned).collect(),
            other => panic!("`{key}` is not an array of strings but {other:?}"),
        }
    }

    /// A tensor.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        tensor.unwrap_or_else(|| panic!("the tiny model has no tensor `{name}`"))
    }

    /// Replaces a tensor by one of another shape or layout, all its bytes 0.
    ///
    /// # Panics
    /// If there is none of that name, or the shape is impossible.
    pub fn reshape(&mut self, name: &str, dims: &[u64], kind: TensorType) {
        let len = kind.byte_len(dims).expect("a possible shape").expect("a layout of known size");
        let bytes = vec![0; len as usize];
        *self.tensor(name) = Tensor { name: name.to_owned(), dims: dims.to_vec(), kind, bytes };
    }

    /// Takes a tensor away.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn remove_tensor(&mut self, name: &str) {
        let before = self.tensors.len();
        self.tensors.retain(|tensor| tensor.name != name);
        assert!(self.tensors.len() < before, "the tiny model has no tensor `{name}`");
    }

    /// The file.
    ///
    /// # Panics
    /// If a tensor's bytes do not fit its shape.
    pub fn bytes(self) -> Vec<u8> {
        let write = || -> Result<GgufWriter, Error> {
            let mut file = GgufWriter::new();
            for (key, value) in self.metadata {
                file.metadata(&key, value);
            }
            for Tensor { name, dims, kind, bytes } in self.tensors {
                file.tensor(&name, &dims, kind, bytes)?;
            }
            Ok(file)
        };
        let mut bytes = Vec::new();
        write().expect("shapes and bytes agree").finish(&mut bytes).expect("memory takes everything");
        bytes
    }
}
