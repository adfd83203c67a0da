//! Writes GGUF files, version 3: for tiny models and tests.

use std::io::{self, Write};

use crate::{Array, Error, Strings, TensorType, Value, limits::ALIGNMENT_DEFAULT};

/// Collects metadata and tensors, then writes them as one file.
///
/// Shapes and lengths are checked. Names are not: the reader refuses duplicates.
#[derive(Debug, Default)]
pub struct GgufWriter {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    dims: Vec<u64>,
    kind: TensorType,
    bytes: Vec<u8>,
}

impl GgufWriter {
    /// A file without metadata and tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry.
    pub fn metadata(&mut self, key: &str, value: impl Into<Value>) {
        self.metadata.push((key.to_owned(), value.into()));
    }

    /// Adds a tensor; `dims` are innermost first.
    ///
    /// # Errors
    /// The shape is impossible or asks for another number of bytes.
    pub fn tensor(&mut self, name: &str, dims: &[u64], kind: TensorType, bytes: Vec<u8>) -> Result<(), Error> {
        let shape = |reason| Error::Shape { name: name.to_owned(), dims: dims.to_vec(), reason };
        let found = bytes.len() as u64;
        match kind.byte_len(dims).map_err(shape)? {
            Some(wanted) if wanted != found => Err(Error::TensorBytes { name: name.to_owned(), wanted, found }),
            _ => {
                self.tensors.push(Tensor { name: name.to_owned(), dims: dims.to_vec(), kind, bytes });
                Ok(())
            }
        }
    }

    /// Writes the file. Data is aligned as the entry `general.alignment` says, if there is one.
    ///
    /// # Errors
    /// The sink's, and `InvalidInput` for an alignment of 0.
    pub fn finish(self, mut sink: impl Write) -> io::Result<()> {
        let alignment = self.alignment()?;
        let mut header = Vec::new();
        header.extend_from_slice(b"GGUF");
        put_u32(&mut header, 3);
        put_u64(&mut header, self.tensors.len() as u64);
        put_u64(&mut header, self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            put_text(&mut header, key);
            put_u32(&mut header, value.kind().code());
            put_value(&mut header, value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            put_text(&mut header, &tensor.name);
            put_u32(&mut header, tensor.dims.len() as u32);
            tensor.dims.iter().for_each(|&dim| put_u64(&mut header, dim));
            put_u32(&mut header, tensor.kind.code());
            put_u64(&mut header, offset);
            offset = (offset + tensor.bytes.len() as u64).next_multiple_of(alignment);
        }
        pad(&mut header, alignment);
        sink.write_all(&header)?;
        for mut tensor in self.tensors {
            pad(&mut tensor.bytes, alignment);
            sink.write_all(&tensor.bytes)?;
        }
        sink.flush()
    }

    fn alignment(&self) -> io::Result<u64> {
        let entry = self.metadata.iter().find(|(key, _)| key == "general.alignment");
        let Some((_, value)) = entry else { return Ok(ALIGNMENT_DEFAULT) };
        match value.integer().and_then(|number| u64::try_from(number).ok()) {
            Some(alignment @ 1..) => Ok(alignment),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "`general.alignment` must be a positive integer")),
        }
    }
}

fn pad(bytes: &mut Vec<u8>, alignment: u64) {
    let padded = (bytes.len() as u64).next_multiple_of(alignment);
    bytes.resize(padded as usize, 0);
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => out.extend(v.to_le_bytes()),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push((*v).into()),
        Value::String(text) => put_text(out, text),
        Value::Array(array) => put_array(out, array),
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    put_u32(out, array.item_kind().code());
    put_u64(out, array.len() as u64);
    match array {
        Array::U8(items) => out.extend(items),
        Array::I8(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::U16(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::I16(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::U32(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::I32(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::F32(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::U64(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::I64(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::F64(items) => out.extend(items.iter().flat_map(|v| v.to_le_bytes())),
        Array::Bool(items) => out.extend(items.iter().map(|&v| u8::from(v))),
        Array::Strings(texts) => put_texts(out, texts),
        Array::Arrays(arrays) => arrays.iter().for_each(|inner| put_array(out, inner)),
    }
}

fn put_texts(out: &mut Vec<u8>, texts: &Strings) {
    texts.iter().for_each(|text| put_text(out, text));
}
