//! What a reranker has beside, or in place of, an output matrix: the rows of "yes" and "no".

use std::path::Path;

use qwenda_gguf::Gguf;

use super::{
    config::{Config, Pooling},
    tensors::Tensors,
};
use crate::Error;

pub(super) const TENSOR: &str = "cls.output.weight";

/// The rows in the order of [`Classifier::judge`].
pub(super) struct Classifier([Vec<f32>; 2]);

impl Classifier {
    /// `None` if the model is no reranker, or one that answers through its output matrix.
    pub(super) fn load(
        tensors: &Tensors<'_>,
        file: &Gguf,
        path: &Path,
        config: &Config,
    ) -> Result<Option<Self>, Error> {
        if config.pooling != Some(Pooling::Rank) || !tensors.has(TENSOR) {
            return Ok(None);
        }
        let mut rows = tensors.table(TENSOR, 2, config.hidden)?;
        let key = format!("{}.classifier.output_labels", config.architecture.name());
        if file.get(&key).is_some() {
            let labels = file.strings(&key).map_err(|source| Error::File { path: path.to_owned(), source })?;
            let labels: Vec<&str> = labels.iter().collect();
            match labels[..] {
                ["yes", "no"] => {}
                ["no", "yes"] => rows.rotate_left(config.hidden),
                _ => {
                    let expected = "`yes` and `no`".to_owned();
                    return Err(Error::Config { key, found: format!("{labels:?}"), expected });
                }
            }
        }
        let no = rows.split_off(config.hidden);
        Ok(Some(Self([rows, no])))
    }

    /// Logits of yes and no: in one order, and in double precision, which costs nothing here.
    pub(super) fn judge(&self, hidden: &[f32]) -> [f32; 2] {
        self.0.each_ref().map(|row| {
            assert_eq!(row.len(), hidden.len(), "a vector of this model");
            row.iter().zip(hidden).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
        })
    }
}
