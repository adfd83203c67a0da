//! Files put together field by field, so that they can be wrong in ways the writer never is.

/// Bytes of a file that is being put together.
#[derive(Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// The fields before the metadata.
    pub(crate) fn header(tensors: u64, entries: u64) -> Self {
        Self::default().bytes(b"GGUF").u32(3).u64(tensors).u64(entries)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(crate) fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.u64(text.len() as u64).bytes(text.as_bytes())
    }

    /// A key and the number of its value's type.
    pub(crate) fn key(self, key: &str, kind: u32) -> Self {
        self.text(key).u32(kind)
    }

    /// An array's head: item type and length.
    pub(crate) fn array(self, kind: u32, len: u64) -> Self {
        self.u32(kind).u64(len)
    }

    pub(crate) fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let named = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(named, |raw, &dim| raw.u64(dim)).u32(kind).u64(offset)
    }

    /// Zeros up to the data's start, then `len` more.
    pub(crate) fn data(mut self, len: usize) -> Self {
        let start = self.0.len().next_multiple_of(32);
        self.0.resize(start + len, 0);
        self
    }
}
