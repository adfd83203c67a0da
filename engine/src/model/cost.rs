//! What a token costs at least, and what the machine could do: the ends of a roofline.

use std::{hint::black_box, time::Instant};

use qwenda_kernels::{KvStore, PAGE_TOKENS, packed_len};

use super::{Model, tensors};

/// Readings and multiplications are timed this often; the best counts, for it is a ceiling that is sought.
const TRIES: usize = 3;
/// Threads multiply for some tens of milliseconds.
const MULTIPLY_TASKS: usize = 16;
/// Memory that every cache is smaller than.
const READ_BYTES: usize = 256 << 20;

/// What one token asks of the machine, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCost {
    /// Bytes of packed weights that one decoded token reads, its logits included. The one row of the
    /// embedding table is left out; of experts, those that a token uses are counted.
    pub weight_bytes: u64,
    /// Bytes of keys and values that one decoded token reads for each token before it.
    pub kv_bytes: u64,
    /// Multiplications with weights of one token of a prompt, without the output matrix.
    pub prompt_macs: u64,
    /// Multiplications with the output matrix, for a token whose logits are wanted.
    pub output_macs: u64,
}

/// What the machine did at best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Bytes of memory that all threads together read in a second.
    pub read_bytes_per_s: f64,
    /// Multiplications of int8, each with its addition, that all threads together do in a second;
    /// `None` where that is not known.
    pub macs_per_s: Option<f64>,
}

impl Model {
    /// What one token costs, by the sizes of the model's matrices.
    #[must_use]
    pub fn token_cost(&self) -> TokenCost {
        let (used, all) = self.config.experts.as_ref().map_or((1, 1), |all| (all.used as u64, all.count as u64));
        let tied = self.file.tensor("output.weight").is_none();
        let mut cost = TokenCost { weight_bytes: 0, kv_bytes: 0, prompt_macs: 0, output_macs: 0 };
        for tensor in self.file.tensors().iter().filter(|tensor| tensor.dims.len() >= 2) {
            let embeds = tensor.name == "token_embd.weight";
            let layout = match tensors::layout(tensor.kind) {
                Some(layout) if !embeds || tied => layout,
                _ => continue,
            };
            let [cols, rows @ ..] = &tensor.dims[..] else { continue };
            let rows = rows.iter().product::<u64>();
            let (Ok(cols), Ok(rows_here)) = (usize::try_from(*cols), usize::try_from(rows)) else { continue };
            if layout.row_bytes(cols).is_none() {
                continue;
            }
            let (used, all) = if tensor.name.ends_with("_exps.weight") { (used, all) } else { (1, 1) };
            cost.weight_bytes += packed_len(layout, rows_here, cols) as u64 * used / all;
            let macs = rows * cols as u64 * used / all;
            if embeds || tensor.name == "output.weight" {
                cost.output_macs += macs;
            } else {
                cost.prompt_macs += macs;
            }
        }
        let config = &self.config;
        let page = KvStore::bytes_per_page(config.attention_layers(), config.kv_heads, config.head_dim);
        cost.kv_bytes = (page / PAGE_TOKENS) as u64;
        cost
    }

    /// Measures what the machine does at best with this model's threads and instructions; takes some
    /// tenths of a second. Nothing else may compute meanwhile.
    #[must_use]
    pub fn roofline(&self) -> Roofline {
        let mut memory = vec![0_u8; READ_BYTES];
        // Pages that nothing was written to would all be one page.
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        let best = |work: &dyn Fn() -> u64| {
            let rate = |_| {
                let begun = Instant::now();
                let done = work();
                done as f64 / begun.elapsed().as_secs_f64()
            };
            (0..TRIES).map(rate).fold(0.0, f64::max)
        };
        let read_bytes_per_s = best(&|| {
            black_box(self.compute.read(&memory));
            memory.len() as u64
        });
        let macs_per_s = self.compute.multiply(1).map(|_| best(&|| self.compute.multiply(MULTIPLY_TASKS).unwrap_or(0)));
        Roofline { read_bytes_per_s, macs_per_s }
    }
}

impl Roofline {
    /// The better of two measurements: whatever else ran meanwhile has only made one worse.
    #[must_use]
    pub fn best(self, other: Self) -> Self {
        Self {
            read_bytes_per_s: self.read_bytes_per_s.max(other.read_bytes_per_s),
            macs_per_s: self.macs_per_s.zip(other.macs_per_s).map(|(one, other)| one.max(other)),
        }
    }
}

impl TokenCost {
    /// Seconds that one step takes at least in which `sequences` at a depth of `depth` tokens each get
    /// one more.
    #[must_use]
    pub fn step_s(&self, machine: &Roofline, sequences: u64, depth: u64) -> f64 {
        let bytes = self.weight_bytes + self.kv_bytes * sequences * depth;
        let macs = (self.prompt_macs + self.output_macs) * sequences;
        self.at_least(machine, bytes, macs)
    }

    /// Seconds that a prompt of `tokens` takes at least up to its first token; attention is left out.
    #[must_use]
    pub fn prompt_s(&self, machine: &Roofline, tokens: u64) -> f64 {
        self.at_least(machine, self.weight_bytes, self.prompt_macs * tokens + self.output_macs)
    }

    fn at_least(&self, machine: &Roofline, bytes: u64, macs: u64) -> f64 {
        let read = bytes as f64 / machine.read_bytes_per_s;
        machine.macs_per_s.map_or(read, |rate| read.max(macs as f64 / rate))
    }
}

#[cfg(test)]
mod tests {
    use qwenda_testkit::TinyModel;

    use super::*;
    use crate::LoadOptions;

    #[test]
    fn a_decoded_token_reads_every_packed_byte_of_a_dense_model_once() {
        for tiny in [TinyModel::qwen2(), TinyModel::qwen3()] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("tiny.gguf");
            tiny.write(&path).unwrap();
            let model = Model::load(&path, &LoadOptions::default()).unwrap();
            let cost = model.token_cost();
            assert_eq!(cost.weight_bytes, model.weights.bytes().len() as u64);
            let config = &model.config;
            assert_eq!(cost.output_macs, u64::from(model.info.vocab) * config.hidden as u64);
            assert_eq!(cost.kv_bytes, (config.layers * 2 * config.kv_width() * 2) as u64);
        }
    }

    #[test]
    fn a_step_takes_as_long_as_the_slower_of_reading_and_multiplying() {
        let cost = TokenCost { weight_bytes: 1000, kv_bytes: 10, prompt_macs: 300, output_macs: 100 };
        let reads = Roofline { read_bytes_per_s: 100.0, macs_per_s: Some(1e6) };
        assert_eq!(cost.step_s(&reads, 1, 0), 10.0);
        assert_eq!(cost.step_s(&reads, 2, 50), 20.0);
        let multiplies = Roofline { read_bytes_per_s: 1e9, macs_per_s: Some(100.0) };
        assert_eq!(cost.step_s(&multiplies, 2, 50), 8.0);
        assert_eq!(cost.prompt_s(&multiplies, 3), 10.0);
        assert_eq!(cost.prompt_s(&Roofline { macs_per_s: None, ..multiplies }, 3), 1e-6);
    }
}
