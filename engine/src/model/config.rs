//! The numbers that give a model its shape, read from the file's metadata and checked.

mod hybrid;

use std::{fmt, ops::RangeInclusive, path::Path};

use qwenda_gguf::Gguf;
use qwenda_kernels::RopeScaling;

use crate::Error;
pub(crate) use hybrid::Hybrid;

/// How a model that is not for chat sums a text up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The vector of the last position is the text's: an embedding model.
    Last,
    /// As [`Self::Last`], and a classifier judges it: a reranker.
    Rank,
}

/// A kind of model with a forward pass of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Qwen2,
    Qwen2Moe,
    Qwen3,
    Qwen3Moe,
    Qwen3Next,
    Qwen35,
    Qwen35Moe,
}

impl Architecture {
    const ALL: [Self; 7] =
        [Self::Qwen2, Self::Qwen2Moe, Self::Qwen3, Self::Qwen3Moe, Self::Qwen3Next, Self::Qwen35, Self::Qwen35Moe];

    /// The name in `general.architecture`, which is also the prefix of the other keys.
    pub(crate) fn name(self) -> &'static str {
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

    fn of(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| Error::Architecture {
            found: name.to_owned(),
            supported: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A model's dimensions. Every product of two of them fits a `usize`, see the ranges in
/// [`Config::read`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) architecture: Architecture,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    /// Inner width of the MLP that every row goes through; of the shared one beside experts.
    /// 0 in a model of nothing but experts.
    pub(crate) ffn: usize,
    pub(crate) experts: Option<ExpertsConfig>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) context: u32,
    pub(crate) rms_eps: f32,
    pub(crate) rope_base: f32,
    pub(crate) rope_scaling: RopeScaling,
    /// Dimensions of each head that turn, the first ones.
    pub(crate) rope_dims: usize,
    /// Where not every layer attends.
    pub(crate) hybrid: Option<Hybrid>,
    pub(crate) pooling: Option<Pooling>,
}

/// The numbers of a mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpertsConfig {
    /// Experts of a layer.
    pub(crate) count: usize,
    /// Experts that a row goes through, at most `count`.
    pub(crate) used: usize,
    /// Inner width of one expert.
    pub(crate) ffn: usize,
    /// Whether the weights of the experts used are made to sum to 1.
    pub(crate) normalised: bool,
    /// Whether there is an expert beside them that every row goes through, [`Config::ffn`] wide.
    pub(crate) shared: bool,
}

/// Activations are quantised in blocks of this many; rows of matrices hold whole blocks.
const BLOCK: usize = 32;

/// How wide an MLP may be inside.
const FFN: RangeInclusive<u32> = 1..=1 << 19;

/// Most experts of a layer.
const EXPERTS_MAX: u32 = 1024;

/// Attention computes this many dimensions of a head at once.
const HEAD_LANES: usize = 16;

impl Config {
    pub(crate) fn read(file: &Gguf, path: &Path) -> Result<Self, Error> {
        let in_file = |source| Error::File { path: path.to_owned(), source };
        let architecture = Architecture::of(file.str("general.architecture").map_err(in_file)?)?;
        let keys = Keys { file, path, prefix: architecture.name() };

        let blocks = keys.size("block_count", 1..=1024)?;
        let layers = keys.trunk(blocks)?;
        let hidden = keys.size("embedding_length", 1..=1 << 17)?;
        let experts = match architecture {
            Architecture::Qwen2 | Architecture::Qwen3 | Architecture::Qwen35 => None,
            Architecture::Qwen2Moe => Some(keys.experts(false, true)?),
            Architecture::Qwen3Moe => Some(keys.experts(true, false)?),
            Architecture::Qwen3Next | Architecture::Qwen35Moe => Some(keys.experts(true, true)?),
        };
        let (ffn_key, ffn) = match &experts {
            None => ("feed_forward_length", keys.size("feed_forward_length", FFN)?),
            Some(experts) if experts.shared => keys.shared_ffn()?,
            Some(_) => ("feed_forward_length", 0),
        };
        let heads = keys.size("attention.head_count", 1..=1024)?;
        let kv_heads = keys.size_or("attention.head_count_kv", 1..=1024, heads)?;
        let head_dim = keys.size_or("attention.key_length", 2..=512, hidden / heads)?;
        let value_dim = keys.size_or("attention.value_length", 2..=512, head_dim)?;
        let context = keys.number("context_length", 2..=1 << 24)?;
        let mut config = Self {
            architecture,
            layers,
            hidden,
            ffn,
            experts,
            heads,
            kv_heads,
            head_dim,
            context,
            rms_eps: keys.float("attention.layer_norm_rms_epsilon", 1e-12, 1e-1)?,
            rope_base: keys.float_or("rope.freq_base", 1.0, 1e12, 10_000.0)?,
            rope_scaling: keys.rope_scaling(context)?,
            rope_dims: head_dim,
            hybrid: keys.hybrid(architecture, blocks, layers)?,
            pooling: keys.pooling()?,
        };
        let expert_ffn = config.experts.as_ref().map_or(0, |experts| experts.ffn);
        for (key, size) in [("embedding_length", hidden), (ffn_key, ffn), ("expert_feed_forward_length", expert_ffn)] {
            keys.must(size % BLOCK == 0, key, size, format_args!("a multiple of {BLOCK}"))?;
        }
        keys.must(
            heads % kv_heads == 0,
            "attention.head_count_kv",
            kv_heads,
            format_args!("a divisor of the {heads} heads"),
        )?;
        keys.must(
            head_dim % HEAD_LANES == 0 && heads * head_dim % BLOCK == 0,
            "attention.key_length",
            head_dim,
            format_args!("a multiple of {HEAD_LANES}, and with {heads} heads of {BLOCK}"),
        )?;
        keys.must(
            value_dim == head_dim,
            "attention.value_length",
            value_dim,
            format_args!("the key length {head_dim}"),
        )?;
        config.rope_dims = keys.rope_dims(head_dim)?;
        if config.hybrid.is_some() {
            keys.rope_sections(config.rope_dims)?;
        }
        let causal = keys.flag("attention.causal")?.unwrap_or(true);
        keys.must(causal, "attention.causal", causal, format_args!("true: a token attends those before it"))?;
        Ok(config)
    }

    /// Width of all query heads together.
    pub(crate) fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Layers that keep keys and values.
    pub(crate) fn attention_layers(&self) -> usize {
        self.layers - self.hybrid.as_ref().map_or(0, Hybrid::delta_layers)
    }

    /// Width of all key heads together, and of all value heads.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

/// Reads keys below the architecture's prefix.
struct Keys<'a> {
    file: &'a Gguf,
    path: &'a Path,
    prefix: &'static str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn in_file(&self, source: qwenda_gguf::Error) -> Error {
        Error::File { path: self.path.to_owned(), source }
    }

    fn number(&self, key: &str, range: RangeInclusive<u32>) -> Result<u32, Error> {
        let value = self.file.u32(&self.key(key)).map_err(|e| self.in_file(e))?;
        self.must(range.contains(&value), key, value, format_args!("{} to {}", range.start(), range.end()))?;
        Ok(value)
    }

    fn size(&self, key: &str, range: RangeInclusive<u32>) -> Result<usize, Error> {
        Ok(self.number(key, range)? as usize)
    }

    fn size_or(&self, key: &str, range: RangeInclusive<u32>, default: usize) -> Result<usize, Error> {
        match self.file.get(&self.key(key)) {
            Some(_) => self.size(key, range),
            None => Ok(default),
        }
    }

    fn float(&self, key: &str, low: f32, high: f32) -> Result<f32, Error> {
        let value = self.file.f32(&self.key(key)).map_err(|e| self.in_file(e))?;
        self.must((low..=high).contains(&value), key, value, format_args!("{low:e} to {high:e}"))?;
        Ok(value)
    }

    fn float_or(&self, key: &str, low: f32, high: f32, default: f32) -> Result<f32, Error> {
        match self.file.get(&self.key(key)) {
            Some(_) => self.float(key, low, high),
            None => Ok(default),
        }
    }

    /// Means of all positions, and vectors of the first, which attends nothing but itself, are not made here.
    fn pooling(&self) -> Result<Option<Pooling>, Error> {
        const KEY: &str = "pooling_type";
        match self.size_or(KEY, 0..=u32::MAX, 0)? {
            0 => Ok(None),
            3 => Ok(Some(Pooling::Last)),
            4 => Ok(Some(Pooling::Rank)),
            other => {
                let name = [(1, " (mean)"), (2, " (first token)")].into_iter().find(|(number, _)| *number == other);
                let found = format!("{other}{}", name.map_or("", |(_, name)| name));
                Err(Error::Config {
                    key: self.key(KEY),
                    found,
                    expected: "0 (none), 3 (last token) or 4 (rank)".to_owned(),
                })
            }
        }
    }

    /// `normalised` is what the architecture does where the file does not say.
    fn experts(&self, normalised: bool, shared: bool) -> Result<ExpertsConfig, Error> {
        let count = self.size("expert_count", 1..=EXPERTS_MAX)?;
        let used = self.size("expert_used_count", 1..=EXPERTS_MAX)?;
        self.must(used <= count, "expert_used_count", used, format_args!("at most the {count} experts"))?;
        // Early files have the width of all experts used together only.
        let ffn = match self.file.get(&self.key("expert_feed_forward_length")) {
            Some(_) => self.size("expert_feed_forward_length", FFN)?,
            None => self.size("feed_forward_length", FFN)? / used,
        };
        self.must(ffn > 0, "feed_forward_length", ffn, format_args!("at least 1 for each of the {used} experts used"))?;
        let normalised = self.flag("expert_weights_norm")?.unwrap_or(normalised);
        // 1 is softmax; the other ways to weigh experts belong to other families.
        let way = self.size_or("expert_gating_func", 0..=u32::MAX, 1)?;
        self.must(way == 1, "expert_gating_func", way, format_args!("1, which is softmax"))?;
        Ok(ExpertsConfig { count, used, ffn, normalised, shared })
    }

    /// Width of the shared expert, and the key that has it.
    fn shared_ffn(&self) -> Result<(&'static str, usize), Error> {
        let key = match self.file.get(&self.key("expert_shared_feed_forward_length")) {
            Some(_) => "expert_shared_feed_forward_length",
            None => "feed_forward_length",
        };
        Ok((key, self.size(key, FFN)?))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        self.file.opt_bool(&self.key(key)).map_err(|e| self.in_file(e))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        self.file.opt_str(&self.key(key)).map_err(|e| self.in_file(e))
    }

    fn rope_scaling(&self, context: u32) -> Result<RopeScaling, Error> {
        let factor = |key| Ok::<_, Error>(f64::from(self.float(key, 1.0, 1024.0)?));
        let has = |key| self.file.get(&self.key(key)).is_some();
        const FACTOR: &str = "rope.scaling.factor";
        // The key before there were several ways of scaling.
        const FACTOR_ONCE: &str = "rope.scale_linear";
        match self.text("rope.scaling.type")? {
            None if has(FACTOR) => Ok(RopeScaling::Linear { factor: factor(FACTOR)? }),
            None if has(FACTOR_ONCE) => Ok(RopeScaling::Linear { factor: factor(FACTOR_ONCE)? }),
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: factor(FACTOR)? }),
            Some("yarn") => Ok(RopeScaling::Yarn {
                factor: factor(FACTOR)?,
                original_context: match has("rope.scaling.original_context_length") {
                    true => self.number("rope.scaling.original_context_length", 1..=1 << 24)?,
                    false => context,
                },
                attention_factor: f64::from(self.float_or("rope.scaling.attn_factor", 0.01, 100.0, 1.0)?),
                beta_fast: f64::from(self.float_or("rope.scaling.yarn_beta_fast", 0.01, 1024.0, 32.0)?),
                beta_slow: f64::from(self.float_or("rope.scaling.yarn_beta_slow", 0.01, 1024.0, 1.0)?),
            }),
            Some(other) => Err(Error::Config {
                key: self.key("rope.scaling.type"),
                found: format!("`{other}`"),
                expected: "`none`, `linear` or `yarn`".to_owned(),
            }),
        }
    }

    fn must(
        &self,
        holds: bool,
        key: &str,
        found: impl fmt::Display,
        expected: fmt::Arguments<'_>,
    ) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        Err(Error::Config { key: self.key(key), found: found.to_string(), expected: expected.to_string() })
    }
}
