//! The numbers of models in which most layers are gated delta nets.

use qwenda_gguf::{Array, Value};
use qwenda_kernels::{CONV_KERNEL, DeltaShape, HeadOrder};

use super::{Architecture, BLOCK, HEAD_LANES, Keys};
use crate::Error;

/// Which layers are delta nets, and their shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hybrid {
    pub(crate) shape: DeltaShape,
    /// For each layer whether it is a delta net; the others attend.
    pub(crate) is_delta: Vec<bool>,
}

impl Hybrid {
    /// How many layers are delta nets.
    pub(crate) fn delta_layers(&self) -> usize {
        self.is_delta.iter().filter(|&&is_delta| is_delta).count()
    }
}

/// Every how many layers one attends, unless the file says so.
const INTERVAL: u32 = 4;

impl Keys<'_> {
    /// Layers of `blocks` that predict the next token; those behind them draft further ones, which
    /// is not done here.
    pub(super) fn trunk(&self, blocks: usize) -> Result<usize, Error> {
        let key = "nextn_predict_layers";
        let drafting = self.size_or(key, 0..=1024, 0)?;
        self.must(drafting < blocks, key, drafting, format_args!("less than the {blocks} blocks"))?;
        Ok(blocks - drafting)
    }

    pub(super) fn hybrid(
        &self,
        architecture: Architecture,
        blocks: usize,
        layers: usize,
    ) -> Result<Option<Hybrid>, Error> {
        let order = match architecture {
            Architecture::Qwen3Next => HeadOrder::Grouped,
            Architecture::Qwen35 | Architecture::Qwen35Moe => HeadOrder::Tiled,
            _ => return Ok(None),
        };
        let shape = DeltaShape {
            key_heads: self.size("ssm.group_count", 1..=1024)?,
            value_heads: self.size("ssm.time_step_rank", 1..=1024)?,
            head_dim: self.size("ssm.state_size", 1..=512)?,
            order,
        };
        let DeltaShape { key_heads, value_heads, head_dim, .. } = shape;
        self.must(
            value_heads % key_heads == 0,
            "ssm.time_step_rank",
            value_heads,
            format_args!("a multiple of the {key_heads} key heads"),
        )?;
        self.must(
            head_dim % HEAD_LANES == 0 && shape.value_width().is_multiple_of(BLOCK),
            "ssm.state_size",
            head_dim,
            format_args!("a multiple of {HEAD_LANES}, and with {value_heads} heads of {BLOCK}"),
        )?;
        let inner = self.size("ssm.inner_size", 1..=1 << 19)?;
        self.must(
            inner == shape.value_width(),
            "ssm.inner_size",
            inner,
            format_args!("{value_heads} heads of {head_dim}"),
        )?;
        let kernel = self.size("ssm.conv_kernel", 0..=1024)?;
        self.must(kernel == CONV_KERNEL, "ssm.conv_kernel", kernel, format_args!("{CONV_KERNEL}"))?;
        Ok(Some(Hybrid { shape, is_delta: self.is_delta(blocks, layers)? }))
    }

    /// As listed, or else all but every so-manieth layer.
    fn is_delta(&self, blocks: usize, layers: usize) -> Result<Vec<bool>, Error> {
        let key = "attention.recurrent_layers";
        match self.file.get(&self.key(key)) {
            None => {
                let interval = match self.file.get(&self.key("full_attention_interval")) {
                    Some(_) => self.number("full_attention_interval", 1..=1024)?,
                    None => INTERVAL,
                };
                Ok((1..=layers).map(|layer| layer % interval as usize != 0).collect())
            }
            Some(Value::Array(Array::Bool(listed))) if listed.len() == blocks => Ok(listed[..layers].to_vec()),
            Some(Value::Array(other)) => {
                let found = format!("{} values of type {}", other.len(), other.item_kind());
                Err(self.wrong(key, found, format!("{blocks} booleans")))
            }
            Some(other) => Err(self.wrong(key, other.kind().to_string(), format!("{blocks} booleans"))),
        }
    }

    /// How many dimensions of a head of `head_dim` turn with the position.
    pub(super) fn rope_dims(&self, head_dim: usize) -> Result<usize, Error> {
        let key = "rope.dimension_count";
        let dims = self.size_or(key, 0..=512, head_dim)?;
        self.must(
            dims > 0 && dims % 2 == 0 && dims <= head_dim,
            key,
            dims,
            format_args!("even, and at most the head's {head_dim}"),
        )?;
        Ok(dims)
    }

    /// Sections of the angles turn by a picture's row and column. All of them turn by a text's one
    /// position; only that there is nothing beyond them is to be seen to.
    pub(super) fn rope_sections(&self, dims: usize) -> Result<(), Error> {
        let key = "rope.dimension_sections";
        let Some(value) = self.file.get(&self.key(key)) else { return Ok(()) };
        let expected = || format!("up to 3 sections, and a 0, of {} pairs together", dims / 2);
        let Value::Array(sections) = value else {
            return Err(self.wrong(key, value.kind().to_string(), expected()));
        };
        let sizes: Option<Vec<i128>> = (0..sections.len().min(5)).map(|i| sections.integer(i)).collect();
        let fits = |sizes: &[i128]| {
            sizes.len() <= 4
                && sizes.iter().all(|size| (0..=512).contains(size))
                && sizes.get(3).is_none_or(|&last| last == 0)
                && sizes.iter().sum::<i128>() == dims as i128 / 2
        };
        match sizes {
            Some(sizes) if fits(&sizes) => Ok(()),
            Some(sizes) => Err(self.wrong(key, format!("{sizes:?}"), expected())),
            None => Err(self.wrong(key, format!("an array of {}", sections.item_kind()), expected())),
        }
    }

    fn wrong(&self, key: &str, found: String, expected: String) -> Error {
        Error::Config { key: self.key(key), found, expected }
    }
}
