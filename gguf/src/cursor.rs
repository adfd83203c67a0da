//! Bytes taken one after the other, each taking checked.

use std::fmt;

use crate::{Error, limits};

/// What is being read; only turned into text when an error needs it.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Header(&'static str),
    Entry { index: u64, part: &'static str },
    Value { key: &'a str, part: &'static str },
    Item { key: &'a str, index: u64, part: &'static str },
    Tensor { index: u64, part: &'static str },
    NamedTensor { name: &'a str, part: &'static str },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(part) => write!(f, "the {part}"),
            Self::Entry { index, part } => write!(f, "the {part} of metadata entry {index}"),
            Self::Value { key, part } => write!(f, "the {part} of metadata `{key}`"),
            Self::Item { key, index, part } => write!(f, "the {part} of item {index} of metadata `{key}`"),
            Self::Tensor { index, part } => write!(f, "the {part} of tensor {index}"),
            Self::NamedTensor { name, part } => write!(f, "the {part} of tensor `{name}`"),
        }
    }
}

pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes taken so far.
    pub(crate) fn at(&self) -> u64 {
        self.at as u64
    }

    /// Returns to an earlier [`Cursor::at`].
    pub(crate) fn rewind(&mut self, at: u64) {
        assert!(at <= self.at(), "only back to what was read already");
        self.at = at as usize;
    }

    /// Fails unless `wanted` bytes are left, within the cap of the whole header.
    pub(crate) fn expect(&self, wanted: u64, place: Place<'_>) -> Result<(), Error> {
        let left = (self.bytes.len() - self.at) as u64;
        if wanted > left {
            return Err(Error::Truncated { place: place.to_string(), offset: self.at(), wanted, left });
        }
        // Both are below the file's length, so the sum cannot overflow.
        let end = self.at() + wanted;
        if end > limits::HEADER_BYTES_MAX {
            let (bound, max) = ("HEADER_BYTES_MAX", limits::HEADER_BYTES_MAX);
            let place = format!("the end of {place}");
            return Err(Error::OverLimit { place, offset: self.at(), value: end, bound, max });
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, wanted: u64, place: Place<'_>) -> Result<&'a [u8], Error> {
        self.expect(wanted, place)?;
        let taken = &self.bytes[self.at..][..wanted as usize];
        self.at += taken.len();
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, place: Place<'_>) -> Result<[u8; N], Error> {
        let taken = self.take(N as u64, place)?;
        Ok(taken.try_into().expect("`take` returns what it was asked for"))
    }

    pub(crate) fn u32(&mut self, place: Place<'_>) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(place)?))
    }

    pub(crate) fn u64(&mut self, place: Place<'_>) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(place)?))
    }

    /// A number with a cap.
    pub(crate) fn count(&mut self, cap: (&'static str, u64), place: Place<'_>) -> Result<u64, Error> {
        let offset = self.at();
        let value = self.u64(place)?;
        let (bound, max) = cap;
        if value > max {
            return Err(Error::OverLimit { place: place.to_string(), offset, value, bound, max });
        }
        Ok(value)
    }

    /// A length with a cap, then that much UTF-8.
    pub(crate) fn text(&mut self, cap: (&'static str, u64), place: Place<'_>) -> Result<&'a str, Error> {
        let len = self.count(cap, place)?;
        let offset = self.at();
        let bytes = self.take(len, place)?;
        std::str::from_utf8(bytes).map_err(|e| Error::Utf8 {
            place: place.to_string(),
            offset,
            valid: e.valid_up_to() as u64,
        })
    }
}
