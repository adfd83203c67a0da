//! Finds a model's tensors in its file, checks their shapes, and plans where each packed matrix
//! goes.

use std::{ops::Range, path::Path};

use qwenda_gguf::{Gguf, TensorInfo, TensorType};
use qwenda_kernels::{Layout, dequantize, packed_len};

use crate::Error;

/// A matrix of the model: where its packed form lies in [`super::weights::Weights`].
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    pub(crate) layout: Layout,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: Range<usize>,
}

/// A matrix and the tensor it is packed from.
pub(crate) struct Planned {
    pub(crate) name: String,
    /// Which of the tensor's matrices it is, where there are several.
    pub(crate) index: usize,
    pub(crate) linear: Linear,
}

/// The embedding table, read row by row from the file itself.
#[derive(Debug)]
pub(crate) struct Embedding {
    layout: Layout,
    row_bytes: usize,
    tensor: TensorInfo,
}

impl Embedding {
    /// The vector of token `id`, exact.
    pub(crate) fn row(&self, file: &Gguf, id: u32, out: &mut [f32]) {
        let rows = file.data(&self.tensor);
        dequantize(self.layout, &rows[id as usize * self.row_bytes..][..self.row_bytes], out);
    }
}

/// Collects what a forward pass will use.
pub(crate) struct Tensors<'a> {
    file: &'a Gguf,
    path: &'a Path,
    planned: Vec<Planned>,
    bytes: usize,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(file: &'a Gguf, path: &'a Path) -> Self {
        Self { file, path, planned: Vec::new(), bytes: 0 }
    }

    /// Whether the file has a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// A matrix of `rows` outputs and `cols` inputs, to be packed.
    pub(crate) fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<Linear, Error> {
        let (_, layout) = self.find(name, &[cols, rows])?;
        self.plan(name, 0, layout, rows, cols)
    }

    /// Equal matrices that lie one behind the other in one tensor, to be packed each by itself.
    pub(crate) fn matrices(
        &mut self,
        name: &str,
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Vec<Linear>, Error> {
        let (_, layout) = self.find(name, &[cols, rows, count])?;
        (0..count).map(|index| self.plan(name, index, layout, rows, cols)).collect()
    }

    fn plan(&mut self, name: &str, index: usize, layout: Layout, rows: usize, cols: usize) -> Result<Linear, Error> {
        let len = packed_len(layout, rows, cols);
        let end = self.bytes.checked_add(len).filter(|&end| isize::try_from(end).is_ok());
        let end = end.ok_or_else(|| Error::TooLarge {
            what: format!("the packed weights up to tensor `{name}`"),
            bytes: self.bytes as u128 + len as u128,
        })?;
        let linear = Linear { layout, rows, cols, bytes: self.bytes..end };
        self.bytes = end;
        self.planned.push(Planned { name: name.to_owned(), index, linear: linear.clone() });
        Ok(linear)
    }

    /// A vector, exact.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        self.values(name, &[len])
    }

    /// All values of a tensor of dimensions `dims`, innermost first, exact.
    pub(crate) fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>, Error> {
        let (tensor, layout) = self.find(name, dims)?;
        let mut values = vec![0.0; dims.iter().product()];
        dequantize(layout, self.file.data(tensor), &mut values);
        Ok(values)
    }

    /// A small matrix of `rows` outputs, exact: `[rows, cols]`.
    pub(crate) fn table(&self, name: &str, rows: usize, cols: usize) -> Result<Vec<f32>, Error> {
        let (tensor, layout) = self.find(name, &[cols, rows])?;
        let mut values = vec![0.0; rows * cols];
        dequantize(layout, self.file.data(tensor), &mut values);
        Ok(values)
    }

    /// The embedding table of `rows` tokens.
    pub(crate) fn embedding(&self, name: &str, rows: usize, cols: usize) -> Result<Embedding, Error> {
        let (tensor, layout) = self.find(name, &[cols, rows])?;
        let row_bytes = layout.row_bytes(cols).expect("the reader has checked that rows hold whole blocks");
        Ok(Embedding { layout, row_bytes, tensor: tensor.clone() })
    }

    /// The file, its matrices in order, and how many bytes they take packed.
    pub(crate) fn finish(self) -> (&'a Gguf, Vec<Planned>, usize) {
        (self.file, self.planned, self.bytes)
    }

    fn find(&self, name: &str, dims: &[usize]) -> Result<(&'a TensorInfo, Layout), Error> {
        let tensor =
            self.file.need_tensor(name).map_err(|source| Error::File { path: self.path.to_owned(), source })?;
        let expected: Vec<u64> = dims.iter().map(|&dim| dim as u64).collect();
        if tensor.dims != expected {
            return Err(Error::TensorShape { name: name.to_owned(), found: tensor.dims.clone(), expected });
        }
        let layout = layout(tensor.kind).ok_or_else(|| Error::TensorType {
            name: name.to_owned(),
            found: tensor.kind.to_string(),
            supported: Layout::ALL.map(|layout| layout.to_string()).join(", "),
        })?;
        Ok((tensor, layout))
    }
}

/// The kernels' name for a file's tensor type.
pub(super) fn layout(kind: TensorType) -> Option<Layout> {
    Some(match kind {
        TensorType::F32 => Layout::F32,
        TensorType::F16 => Layout::F16,
        TensorType::BF16 => Layout::BF16,
        TensorType::Q4_0 => Layout::Q4_0,
        TensorType::Q4_1 => Layout::Q4_1,
        TensorType::Q5_0 => Layout::Q5_0,
        TensorType::Q5_1 => Layout::Q5_1,
        TensorType::Q8_0 => Layout::Q8_0,
        TensorType::Q2_K => Layout::Q2K,
        TensorType::Q3_K => Layout::Q3K,
        TensorType::Q4_K => Layout::Q4K,
        TensorType::Q5_K => Layout::Q5K,
        TensorType::Q6_K => Layout::Q6K,
        TensorType::IQ4_NL => Layout::Iq4Nl,
        TensorType::IQ4_XS => Layout::Iq4Xs,
        _ => return None,
    })
}
