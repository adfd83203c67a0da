//! A model: its file, its dimensions, its weights, and the forward pass.
//!
//! Read `layers` for the parts and `qwen2` for how they go together. What runs sequences through a
//! model is [`crate::Engine`].

mod classifier;
mod config;
mod cost;
mod delta;
mod experts;
mod hash;
pub(crate) mod layers;
mod qwen2;
mod qwen3;
mod qwen35;
mod tensors;
mod vocab;
mod weights;

use std::{
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use qwenda_gguf::Gguf;
use qwenda_kernels::{Compute, DeltaShape, DeltaStates, HeadOrder, Isa, KvStore, Precision, Rope};
use qwenda_tokenizer::Tokenizer;

use crate::{
    Error, GrammarError,
    grammar::{self, Vocabulary},
};
use classifier::Classifier;
pub use config::Pooling;
use config::{Architecture, Config};
pub use cost::{Roofline, TokenCost};
use layers::{Batch, Pass, Products, Scratch, Stores};
use qwen2::Qwen2;
use qwen3::Qwen3;
use qwen35::Qwen35;
use tensors::{Embedding, Linear, Tensors};
use weights::Weights;

/// How a model is to be loaded. The default detects the CPU, uses all its cores, and shares
/// nothing.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Instructions to use; the fastest this CPU has if `None`.
    pub isa: Option<Isa>,
    /// Threads that compute; the machine's cores if `None`.
    pub threads: Option<NonZeroUsize>,
    /// Folder in which packed weights are kept and shared between processes; in this process's
    /// memory if `None`.
    pub cache_dir: Option<PathBuf>,
    /// How activations enter matrix products. `F32` is slow and exact, for checking; keys and
    /// values are then kept in single precision too.
    pub precision: Precision,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { isa: None, threads: None, cache_dir: None, precision: Precision::Int8 }
    }
}

/// What a caller may want to know of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// `general.name`, or the file's name where that is missing.
    pub name: String,
    /// `general.architecture`.
    pub architecture: String,
    /// Most tokens of prompt and completion together.
    pub context_tokens_max: u32,
    /// Rows of the output matrix.
    pub vocab: u32,
    /// Layers of the model.
    pub layers: u32,
    /// Length of a token's vector inside the model (its hidden size).
    pub embedding_dim: u32,
    /// Weights of the model, counted.
    pub parameters: u64,
    /// Tokens that end an answer, ascending.
    pub eos: Vec<u32>,
    /// The file's chat template, if it has one.
    pub chat_template: Option<String>,
    /// The text of the file's beginning-of-text token, for the template.
    pub bos_text: Option<String>,
    /// The text of the file's end-of-text token, for the template.
    pub eos_text: Option<String>,
    /// How it sums texts up, if that is what it was made for.
    pub pooling: Option<Pooling>,
    /// Whether the beginning-of-text token stands before every text.
    pub adds_bos: bool,
    /// Whether the end-of-text token stands behind every text, if the file says.
    pub adds_eos: Option<bool>,
    /// Whether the file has all that it takes to generate text. A reranker may come with nothing but
    /// its classifier in place of the output matrix.
    pub generates: bool,
}

/// A loaded model.
pub struct Model {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    compute: Compute,
    precision: Precision,
    config: Config,
    rope: Rope,
    file: Gguf,
    embedding: Embedding,
    network: Network,
    output_norm: Vec<f32>,
    output: Linear,
    classifier: Option<Classifier>,
    weights: Weights,
    /// Rows of the output matrix that are no tokens.
    unused: Vec<Range<u32>>,
    /// Made with the first grammar.
    vocabulary: OnceLock<Result<Arc<Vocabulary>, GrammarError>>,
}

enum Network {
    Qwen2(Qwen2),
    Qwen3(Qwen3),
    Qwen35(Qwen35),
}

/// Reads the vocabulary and the facts of a model file without touching its weights.
///
/// # Errors
/// The file is no GGUF, not of a supported architecture, or its vocabulary is broken.
pub fn load_tokenizer(path: &Path) -> Result<(Tokenizer, ModelInfo), Error> {
    let file = open(path)?;
    let config = Config::read(&file, path)?;
    let tokenizer = vocab::read(&file, path)?;
    let info = info(&file, path, &config, &tokenizer)?;
    Ok((tokenizer, info))
}

impl Model {
    /// Loads the GGUF file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is of an unsupported kind, contradicts itself, or `options` ask for
    /// instructions this CPU does not have.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, Error> {
        let compute = compute(options)?;
        let file = open(path)?;
        let config = Config::read(&file, path)?;
        let tokenizer = vocab::read(&file, path)?;
        let info = info(&file, path, &config, &tokenizer)?;

        let mut tensors = Tensors::new(&file, path);
        let vocab = tokenizer.len();
        let embedding = tensors.embedding("token_embd.weight", vocab, config.hidden)?;
        let network = match config.architecture {
            Architecture::Qwen2 | Architecture::Qwen2Moe => Network::Qwen2(Qwen2::load(&mut tensors, &config)?),
            Architecture::Qwen3 | Architecture::Qwen3Moe => Network::Qwen3(Qwen3::load(&mut tensors, &config)?),
            Architecture::Qwen3Next | Architecture::Qwen35 | Architecture::Qwen35Moe => {
                let hybrid = config.hybrid.as_ref().expect("the architecture has delta nets");
                Network::Qwen35(Qwen35::load(&mut tensors, &config, hybrid)?)
            }
        };
        let output_norm = tensors.vector("output_norm.weight", config.hidden)?;
        // Without an output matrix of its own, a model uses its embedding table ("tied").
        let output = if tensors.has("output.weight") { "output.weight" } else { "token_embd.weight" };
        let output = tensors.matrix(output, vocab, config.hidden)?;
        let classifier = Classifier::load(&tensors, &file, path, &config)?;
        if tensors.has("rope_freqs.weight") {
            return Err(Error::Config {
                key: "rope_freqs.weight".to_owned(),
                found: "a tensor of the file".to_owned(),
                expected: format!("absent: {} has no frequencies of its own", config.architecture.name()),
            });
        }
        let weights = Weights::open(tensors, path, options.cache_dir.as_deref(), &compute);
        let rope =
            Rope::new(config.rope_dims, f64::from(config.rope_base), config.rope_scaling, info.context_tokens_max)
                .within(config.head_dim);
        Ok(Self {
            info,
            unused: vocab::unused(&tokenizer),
            tokenizer: Arc::new(tokenizer),
            compute,
            precision: options.precision,
            config,
            rope,
            file,
            embedding,
            network,
            output_norm,
            output,
            classifier,
            weights,
            vocabulary: OnceLock::new(),
        })
    }

    /// What the file says of itself.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The instructions that compute it.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.compute.isa()
    }

    /// The threads that compute it.
    #[must_use]
    pub fn threads(&self) -> NonZeroUsize {
        self.compute.threads()
    }

    /// Whether the file has a reranker's own classifier, for [`Self::judge`].
    #[must_use]
    pub fn judges(&self) -> bool {
        self.classifier.is_some()
    }

    /// How a reranker's own classifier judges a text of which [`Probe::Hidden`](crate::Probe::Hidden)
    /// found `hidden`: logits of yes and no. `None` if the file has no classifier.
    ///
    /// # Panics
    /// If `hidden` is not as long as the model's vectors.
    #[must_use]
    pub fn judge(&self, hidden: &[f32]) -> Option<[f32; 2]> {
        self.classifier.as_ref().map(|classifier| classifier.judge(hidden))
    }

    pub(crate) fn unused(&self) -> &[Range<u32>] {
        &self.unused
    }

    /// What grammars need of the tokenizer; the first call takes a while.
    pub(crate) fn vocabulary(&self) -> Result<Arc<Vocabulary>, GrammarError> {
        self.vocabulary.get_or_init(|| grammar::vocabulary(&self.tokenizer, &self.info.eos)).clone()
    }

    /// The same, if there ever was a grammar.
    pub(crate) fn vocabulary_made(&self) -> Option<&Arc<Vocabulary>> {
        self.vocabulary.get().and_then(|made| made.as_ref().ok())
    }

    /// An empty store for `pages` pages of keys and values.
    pub(crate) fn kv_store(&self, pages: usize) -> KvStore {
        let Config { kv_heads, head_dim, .. } = self.config;
        let layers = self.config.attention_layers();
        match self.precision {
            Precision::Int8 => KvStore::new(layers, kv_heads, head_dim, pages),
            Precision::F32 => KvStore::exact(layers, kv_heads, head_dim, pages),
        }
    }

    /// Whether a sequence has a state beside its keys and values: then what was computed of its tokens
    /// cannot be taken back, and is of use to others only from where a copy of the state was kept.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.config.hybrid.is_some()
    }

    /// Room for the states of `slots` sequences; none if the model [has none](Self::has_state).
    pub(crate) fn states(&self, slots: usize) -> DeltaStates {
        match &self.config.hybrid {
            Some(hybrid) => DeltaStates::new(hybrid.delta_layers(), hybrid.shape, slots),
            None => {
                let shape = DeltaShape { key_heads: 1, value_heads: 1, head_dim: 16, order: HeadOrder::Tiled };
                DeltaStates::new(0, shape, 0)
            }
        }
    }

    /// Runs a batch through the layers: stores its keys and values, and leaves the normalised
    /// output of the wanted rows in `scratch` for [`Self::logits`].
    pub(crate) fn forward(&self, batch: Batch<'_>, stores: Stores<'_>, scratch: &mut Scratch) {
        let hidden = self.config.hidden;
        let products =
            Products { compute: &self.compute, weights: &self.weights, precision: self.precision, firsts: Vec::new() };
        let mut pass = Pass::new(&self.config, &self.rope, products, batch, stores, scratch);
        for (&id, x) in batch.ids.iter().zip(pass.x().chunks_exact_mut(hidden)) {
            self.embedding.row(&self.file, id, x);
        }
        match &self.network {
            Network::Qwen2(network) => network.forward(&mut pass),
            Network::Qwen3(network) => network.forward(&mut pass),
            Network::Qwen35(network) => network.forward(&mut pass),
        }
        // Wanted rows ascend, so none is overwritten before it has moved.
        for (to, &from) in batch.wanted.iter().enumerate() {
            let from = from as usize * hidden;
            scratch.x.copy_within(from..from + hidden, to * hidden);
        }
        let wanted = batch.wanted.len() * hidden;
        self.compute.rms_norm(&scratch.x[..wanted], &self.output_norm, self.config.rms_eps, &mut scratch.h[..wanted]);
    }

    /// What one of the wanted rows of the last [`Self::forward`] came to: `[hidden]`.
    pub(crate) fn hidden<'a>(&self, row: usize, scratch: &'a Scratch) -> &'a [f32] {
        let hidden = self.config.hidden;
        &scratch.h[row * hidden..(row + 1) * hidden]
    }

    /// Logits of some of the wanted rows of the last [`Self::forward`]: `[rows, vocab]`.
    pub(crate) fn logits<'a>(&self, rows: Range<usize>, scratch: &'a mut Scratch) -> &'a mut [f32] {
        let hidden = self.config.hidden;
        let Scratch { h, acts, logits, .. } = scratch;
        logits.resize(rows.len() * self.output.rows, 0.0);
        self.compute.quantize(&h[rows.start * hidden..rows.end * hidden], hidden, self.precision, acts);
        self.compute.matmul(&mut [(self.weights.matrix(&self.output), logits)], acts);
        logits
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("info", &self.info).field("isa", &self.isa()).finish_non_exhaustive()
    }
}

fn open(path: &Path) -> Result<Gguf, Error> {
    Gguf::open(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn compute(options: &LoadOptions) -> Result<Compute, Error> {
    let isa = options.isa.unwrap_or_else(Isa::detect);
    if !isa.is_available() {
        let available: Vec<String> = Isa::available().iter().map(Isa::to_string).collect();
        return Err(Error::Isa { wanted: isa.to_string(), available: available.join(", ") });
    }
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    Ok(Compute::new(isa, threads))
}

fn info(file: &Gguf, path: &Path, config: &Config, tokenizer: &Tokenizer) -> Result<ModelInfo, Error> {
    let text = |key| file.opt_str(key).map_err(|source| Error::File { path: path.to_owned(), source });
    let flag = |key| file.opt_bool(key).map_err(|source| Error::File { path: path.to_owned(), source });
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let spelled = |id: Option<u32>| id.map(|id| tokenizer.decode(&[id]));
    let vocab = u32::try_from(tokenizer.len()).expect("ids are 32 bits wide");
    Ok(ModelInfo {
        name: text("general.name")?.map_or_else(stem, str::to_owned),
        architecture: config.architecture.name().to_owned(),
        context_tokens_max: config.context,
        vocab,
        layers: u32::try_from(config.layers).expect("the configuration bounds it"),
        embedding_dim: u32::try_from(config.hidden).expect("the configuration bounds it"),
        parameters: file.tensors().iter().map(|tensor| tensor.dims.iter().product::<u64>()).sum(),
        eos: vocab::end_tokens(tokenizer),
        chat_template: text("tokenizer.chat_template")?.map(str::to_owned),
        bos_text: spelled(tokenizer.bos()),
        eos_text: spelled(tokenizer.eos()),
        pooling: config.pooling,
        adds_bos: flag("tokenizer.ggml.add_bos_token")?.unwrap_or(false),
        adds_eos: flag("tokenizer.ggml.add_eos_token")?,
        generates: file.tensor("output.weight").is_some() || file.tensor(classifier::TENSOR).is_none(),
    })
}
