//! The numbers that give a model its shape, read from the file's metadata and checked.

use std::{fmt, ops::RangeInclusive, path::Path};

use qwenda_gguf::Gguf;
use qwenda_kernels::RopeScaling;

use crate::Error;

/// A kind of model with a forward pass of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Qwen2,
    Qwen3,
}

impl Architecture {
    const ALL: [Self; 2] = [Self::Qwen2, Self::Qwen3];

    /// The name in `general.architecture`, which is also the prefix of the other keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
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
    pub(crate) ffn: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) context: u32,
    pub(crate) rms_eps: f32,
    pub(crate) rope_base: f32,
    pub(crate) rope_scaling: RopeScaling,
}

/// Activations are quantised in blocks of this many; rows of matrices hold whole blocks.
const BLOCK: usize = 32;

/// Attention computes this many dimensions of a head at once.
const HEAD_LANES: usize = 16;

impl Config {
    pub(crate) fn read(file: &Gguf, path: &Path) -> Result<Self, Error> {
        let in_file = |source| Error::File { path: path.to_owned(), source };
        let architecture = Architecture::of(file.str("general.architecture").map_err(in_file)?)?;
        let keys = Keys { file, path, prefix: architecture.name() };

        let layers = keys.size("block_count", 1..=1024)?;
        let hidden = keys.size("embedding_length", 1..=1 << 17)?;
        let ffn = keys.size("feed_forward_length", 1..=1 << 19)?;
        let heads = keys.size("attention.head_count", 1..=1024)?;
        let kv_heads = keys.size_or("attention.head_count_kv", 1..=1024, heads)?;
        let head_dim = keys.size_or("attention.key_length", 2..=512, hidden / heads)?;
        let value_dim = keys.size_or("attention.value_length", 2..=512, head_dim)?;
        let config = Self {
            architecture,
            layers,
            hidden,
            ffn,
            heads,
            kv_heads,
            head_dim,
            context: keys.number("context_length", 2..=1 << 24)?,
            rms_eps: keys.float("attention.layer_norm_rms_epsilon", 1e-12, 1e-1)?,
            rope_base: keys.float_or("rope.freq_base", 1.0, 1e12, 10_000.0)?,
            rope_scaling: keys.rope_scaling()?,
        };
        for (key, size) in [("embedding_length", hidden), ("feed_forward_length", ffn)] {
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
        Ok(config)
    }

    /// Width of all query heads together.
    pub(crate) fn q_width(&self) -> usize {
        self.heads * self.head_dim
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

    fn text(&self, key: &str) -> Result<Option<&str>, Error> {
        self.file.opt_str(&self.key(key)).map_err(|e| self.in_file(e))
    }

    fn rope_scaling(&self) -> Result<RopeScaling, Error> {
        let factor = || Ok::<_, Error>(f64::from(self.float("rope.scaling.factor", 1.0, 1024.0)?));
        match self.text("rope.scaling.type")? {
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
            Some("yarn") => Ok(RopeScaling::Yarn {
                factor: factor()?,
                original_context: self.number("rope.scaling.original_context_length", 1..=1 << 24)?,
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
