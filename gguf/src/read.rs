//! Header, metadata and tensor infos of one file.

use std::path::Path;

use crate::{
    Array, Error, Map, Strings, TensorInfo, TensorType, Value, ValueType,
    cursor::{Cursor, Place},
    limits,
};

/// A GGUF file whose every length has been checked.
#[derive(Debug)]
pub struct Gguf {
    bytes: Bytes,
    version: u32,
    metadata: Vec<(String, Value)>,
    // Positions in `metadata` and `tensors`, ordered by name.
    metadata_by_key: Vec<u32>,
    tensors: Vec<TensorInfo>,
    tensors_by_name: Vec<u32>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Map),
    Owned(Vec<u8>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Gguf {
    /// Maps and reads a file; tensor data is not touched.
    ///
    /// # Errors
    /// The file cannot be mapped, or it is refused.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = Map::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::read(Bytes::Mapped(map))
    }

    /// Reads a file that is in memory.
    ///
    /// # Errors
    /// The file is refused.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::read(Bytes::Owned(bytes))
    }

    fn read(bytes: Bytes) -> Result<Self, Error> {
        let file_len = bytes.get().len() as u64;
        let mut cursor = Cursor::new(bytes.get());
        let version = read_version(&mut cursor)?;
        let tensor_count = cursor.count(("TENSORS_MAX", limits::TENSORS_MAX), Place::Header("tensor count"))?;
        let entry_count =
            cursor.count(("METADATA_COUNT_MAX", limits::METADATA_COUNT_MAX), Place::Header("metadata count"))?;

        let (metadata, metadata_by_key) = read_metadata(&mut cursor, entry_count)?;
        let alignment = match find(&metadata, &metadata_by_key, |(key, _)| key, "general.alignment") {
            Some((_, value)) => alignment(value)?,
            None => limits::ALIGNMENT_DEFAULT,
        };
        let (mut tensors, tensors_by_name) = read_tensors(&mut cursor, tensor_count)?;
        // The header is below its cap and the alignment too, so this cannot overflow.
        let data_start = cursor.at().next_multiple_of(alignment);
        for tensor in &mut tensors {
            place(tensor, data_start, alignment, file_len)?;
        }
        refuse_overlaps(&tensors)?;
        Ok(Self { bytes, version, metadata, metadata_by_key, tensors, tensors_by_name })
    }

    /// The format's version, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All metadata in the file's order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The metadata value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        find(&self.metadata, &self.metadata_by_key, |(key, _)| key, key).map(|(_, value)| value)
    }

    /// All tensors in the file's order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        find(&self.tensors, &self.tensors_by_name, |tensor| &tensor.name, name)
    }

    /// A tensor's bytes; empty for a type whose size is not known.
    ///
    /// # Panics
    /// If `tensor` is not one of this file's.
    #[must_use]
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        let bytes = usize::try_from(tensor.offset)
            .ok()
            .zip(usize::try_from(tensor.len).ok())
            .and_then(|(start, len)| self.bytes.get().get(start..start.checked_add(len)?));
        bytes.expect("a tensor of this file lies inside it: `place` has checked that")
    }
}

/// Binary search through `order`, which sorts `all` by name.
fn find<'a, T>(all: &'a [T], order: &[u32], name_of: impl Fn(&T) -> &str, name: &str) -> Option<&'a T> {
    let at = order.binary_search_by(|&i| name_of(&all[i as usize]).cmp(name)).ok()?;
    all.get(order[at] as usize)
}

/// The order of `all` by name; an error if a name occurs twice.
fn by_name<T>(
    all: &[T],
    what: &'static str,
    name_of: impl Fn(&T) -> &str,
    offset_of: impl Fn(usize) -> u64,
) -> Result<Vec<u32>, Error> {
    let mut order: Vec<u32> = (0..all.len() as u32).collect();
    // Stable, so that of two equal names the later one is the second.
    order.sort_by(|&a, &b| name_of(&all[a as usize]).cmp(name_of(&all[b as usize])));
    for pair in order.windows(2) {
        let (first, second) = (pair[0] as usize, pair[1] as usize);
        let name = name_of(&all[second]);
        if name_of(&all[first]) == name {
            return Err(Error::Duplicate { what, name: name.to_owned(), offset: offset_of(second) });
        }
    }
    Ok(order)
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    let magic: [u8; 4] = cursor.array(Place::Header("magic number"))?;
    if magic != *b"GGUF" {
        return Err(Error::NotGguf { found: magic.to_vec() });
    }
    match cursor.u32(Place::Header("version"))? {
        version @ 2..=3 => Ok(version),
        field if (1..=3).contains(&field.swap_bytes()) => Err(Error::BigEndian { field }),
        found => Err(Error::Version { found }),
    }
}

type Metadata = Vec<(String, Value)>;

fn read_metadata(cursor: &mut Cursor<'_>, count: u64) -> Result<(Metadata, Vec<u32>), Error> {
    // The shortest entry: a key of one byte, a type, a value of one byte.
    cursor.expect(count * (8 + 1 + 4 + 1), Place::Header("metadata"))?;
    let mut metadata = Vec::with_capacity(count as usize);
    let mut offsets = Vec::with_capacity(count as usize);
    let mut nested = 0;
    for index in 0..count {
        let offset = cursor.at();
        let place = Place::Entry { index, part: "key" };
        let key = cursor.text(("KEY_BYTES_MAX", limits::KEY_BYTES_MAX), place)?;
        if key.is_empty() {
            return Err(Error::Empty { place: place.to_string(), offset });
        }
        let kind = value_type(cursor, Place::Value { key, part: "type" })?;
        let value = ValueReader { cursor, key, nested: &mut nested }.value(kind)?;
        metadata.push((key.to_owned(), value));
        offsets.push(offset);
    }
    let order = by_name(&metadata, "metadata key", |(key, _)| key, |index| offsets[index])?;
    Ok((metadata, order))
}

fn value_type(cursor: &mut Cursor<'_>, place: Place<'_>) -> Result<ValueType, Error> {
    let offset = cursor.at();
    let code = cursor.u32(place)?;
    ValueType::from_code(code).ok_or_else(|| Error::Unknown {
        place: place.to_string(),
        offset,
        value: code.into(),
        known: "0 to 12",
    })
}

/// Reads the values of one key.
struct ValueReader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    key: &'a str,
    // Arrays inside arrays so far, in the whole file.
    nested: &'c mut u64,
}

impl ValueReader<'_, '_> {
    fn value(&mut self, kind: ValueType) -> Result<Value, Error> {
        let place = Place::Value { key: self.key, part: "value" };
        let cursor = &mut *self.cursor;
        Ok(match kind {
            ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array(place)?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array(place)?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array(place)?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array(place)?)),
            ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array(place)?)),
            ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array(place)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array(place)?)),
            ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array(place)?)),
            ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array(place)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array(place)?)),
            ValueType::Bool => Value::Bool(truth(cursor.at(), cursor.array::<1>(place)?[0], place)?),
            ValueType::String => {
                Value::String(cursor.text(("STRING_BYTES_MAX", limits::STRING_BYTES_MAX), place)?.to_owned())
            }
            ValueType::Array => Value::Array(self.array(1)?),
        })
    }

    fn array(&mut self, depth: u32) -> Result<Array, Error> {
        let kind = value_type(self.cursor, Place::Value { key: self.key, part: "item type" })?;
        let place = Place::Value { key: self.key, part: "array length" };
        let count = self.cursor.count(("ARRAY_ITEMS_MAX", limits::ARRAY_ITEMS_MAX), place)?;
        // Nothing below allocates for more items than the rest of the file could hold.
        let place = Place::Value { key: self.key, part: "array" };
        self.cursor.expect(count * kind.bytes_min(), place)?;
        Ok(match kind {
            ValueType::U8 => Array::U8(self.numbers(count, u8::from_le_bytes)?),
            ValueType::I8 => Array::I8(self.numbers(count, i8::from_le_bytes)?),
            ValueType::U16 => Array::U16(self.numbers(count, u16::from_le_bytes)?),
            ValueType::I16 => Array::I16(self.numbers(count, i16::from_le_bytes)?),
            ValueType::U32 => Array::U32(self.numbers(count, u32::from_le_bytes)?),
            ValueType::I32 => Array::I32(self.numbers(count, i32::from_le_bytes)?),
            ValueType::F32 => Array::F32(self.numbers(count, f32::from_le_bytes)?),
            ValueType::U64 => Array::U64(self.numbers(count, u64::from_le_bytes)?),
            ValueType::I64 => Array::I64(self.numbers(count, i64::from_le_bytes)?),
            ValueType::F64 => Array::F64(self.numbers(count, f64::from_le_bytes)?),
            ValueType::Bool => Array::Bool(self.truths(count)?),
            ValueType::String => Array::Strings(self.strings(count)?),
            ValueType::Array => Array::Arrays(self.arrays(count, depth)?),
        })
    }

    fn numbers<T, const N: usize>(&mut self, count: u64, from: fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        let bytes = self.cursor.take(count * N as u64, Place::Value { key: self.key, part: "array" })?;
        let (numbers, _) = bytes.as_chunks::<N>();
        Ok(numbers.iter().map(|&number| from(number)).collect())
    }

    fn truths(&mut self, count: u64) -> Result<Vec<bool>, Error> {
        let start = self.cursor.at();
        let bytes = self.cursor.take(count, Place::Value { key: self.key, part: "array" })?;
        let items = bytes.iter().zip(0..);
        items
            .map(|(&byte, index)| truth(start + index, byte, Place::Item { key: self.key, index, part: "value" }))
            .collect()
    }

    fn strings(&mut self, count: u64) -> Result<Strings, Error> {
        let cap = ("STRING_BYTES_MAX", limits::STRING_BYTES_MAX);
        let item = |index| Place::Item { key: self.key, index, part: "text" };
        // Once to learn how long they are together, once to keep them.
        let start = self.cursor.at();
        let mut bytes = 0;
        for index in 0..count {
            let len = self.cursor.count(cap, item(index))?;
            self.cursor.take(len, item(index))?;
            bytes += len;
        }
        self.cursor.rewind(start);
        let mut texts = Strings::with_capacity(count as usize, bytes as usize);
        for index in 0..count {
            texts.push(self.cursor.text(cap, item(index))?);
        }
        Ok(texts)
    }

    fn arrays(&mut self, count: u64, depth: u32) -> Result<Vec<Array>, Error> {
        let over = |value: u64, bound, max: u64, part| Error::OverLimit {
            place: Place::Value { key: self.key, part }.to_string(),
            offset: self.cursor.at(),
            value,
            bound,
            max,
        };
        if depth == limits::ARRAY_DEPTH_MAX {
            return Err(over((depth + 1).into(), "ARRAY_DEPTH_MAX", depth.into(), "array depth"));
        }
        // Both are below their caps, so the sum cannot overflow.
        let nested = *self.nested + count;
        if nested > limits::NESTED_ARRAYS_MAX {
            return Err(over(nested, "NESTED_ARRAYS_MAX", limits::NESTED_ARRAYS_MAX, "number of nested arrays"));
        }
        *self.nested = nested;
        (0..count).map(|_| self.array(depth + 1)).collect()
    }
}

fn truth(offset: u64, byte: u8, place: Place<'_>) -> Result<bool, Error> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::Unknown {
            place: place.to_string(),
            offset,
            value: other.into(),
            known: "0 (false) or 1 (true)",
        }),
    }
}

fn alignment(value: &Value) -> Result<u64, Error> {
    let found = value.integer().ok_or_else(|| Error::WrongType {
        key: "general.alignment".to_owned(),
        wanted: "an integer",
        found: value.described(),
    })?;
    let max = limits::ALIGNMENT_MAX;
    match u64::try_from(found) {
        Ok(value) if value.is_power_of_two() && value <= max => Ok(value),
        Ok(value) => Err(Error::Alignment { value, max }),
        Err(_) => Err(Error::OutOfRange { key: "general.alignment".to_owned(), value: found, min: 1, max: max.into() }),
    }
}

fn read_tensors(cursor: &mut Cursor<'_>, count: u64) -> Result<(Vec<TensorInfo>, Vec<u32>), Error> {
    // The shortest info: a name of one byte, one dimension, a type, an offset.
    cursor.expect(count * (8 + 1 + 4 + 8 + 4 + 8), Place::Header("tensor infos"))?;
    let mut tensors = Vec::with_capacity(count as usize);
    let mut offsets = Vec::with_capacity(count as usize);
    for index in 0..count {
        offsets.push(cursor.at());
        tensors.push(read_tensor(cursor, index)?);
    }
    let order = by_name(&tensors, "tensor", |tensor| &tensor.name, |index| offsets[index])?;
    Ok((tensors, order))
}

/// Reads one info; its offset still counts from the start of the data and its length is not yet known.
fn read_tensor(cursor: &mut Cursor<'_>, index: u64) -> Result<TensorInfo, Error> {
    let at = cursor.at();
    let place = Place::Tensor { index, part: "name" };
    let name = cursor.text(("TENSOR_NAME_BYTES_MAX", limits::TENSOR_NAME_BYTES_MAX), place)?;
    if name.is_empty() {
        return Err(Error::Empty { place: place.to_string(), offset: at });
    }
    let place = |part| Place::NamedTensor { name, part };
    let at = cursor.at();
    let dims_count = cursor.u32(place("number of dimensions"))?;
    if dims_count > limits::DIMS_MAX {
        return Err(Error::OverLimit {
            place: place("number of dimensions").to_string(),
            offset: at,
            value: dims_count.into(),
            bound: "DIMS_MAX",
            max: limits::DIMS_MAX.into(),
        });
    }
    let dims = (0..dims_count).map(|_| cursor.u64(place("dimensions"))).collect::<Result<_, _>>()?;
    let kind = TensorType::from_code(cursor.u32(place("type"))?);
    let offset = cursor.u64(place("offset"))?;
    Ok(TensorInfo { name: name.to_owned(), dims, kind, offset, len: 0 })
}

/// Checks where a tensor lies and turns its offset into one from the start of the file.
fn place(tensor: &mut TensorInfo, data_start: u64, alignment: u64, file_len: u64) -> Result<(), Error> {
    let name = || tensor.name.clone();
    let len = tensor
        .kind
        .byte_len(&tensor.dims)
        .map_err(|reason| Error::Shape { name: name(), dims: tensor.dims.clone(), reason })?
        .unwrap_or(0);
    if !tensor.offset.is_multiple_of(alignment) {
        return Err(Error::Misaligned { name: name(), offset: tensor.offset, alignment });
    }
    let start = data_start.saturating_add(tensor.offset);
    let end = start.saturating_add(len);
    if end > file_len {
        return Err(Error::OutOfFile { name: name(), start, end, len: file_len });
    }
    (tensor.offset, tensor.len) = (start, len);
    Ok(())
}

fn refuse_overlaps(tensors: &[TensorInfo]) -> Result<(), Error> {
    let mut order: Vec<&TensorInfo> = tensors.iter().filter(|tensor| tensor.len > 0).collect();
    order.sort_by_key(|tensor| (tensor.offset, tensor.len));
    for pair in order.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        // Both ends are inside the file, so the sum cannot overflow.
        let first_end = first.offset + first.len;
        if second.offset < first_end {
            return Err(Error::Overlap {
                first: first.name.clone(),
                first_start: first.offset,
                first_end,
                second: second.name.clone(),
                second_start: second.offset,
            });
        }
    }
    Ok(())
}
